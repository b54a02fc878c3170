//! The public API: what clients see of the business, and nothing more. A resolver translates,
//! calls the domain, and maps what it answers; it holds no SQL and no rules.

mod account;
mod batch;
mod bulk;
mod category;
mod connection;
mod deletion;
pub mod documents;
mod error;
mod id;
mod idempotency;
mod inputs;
mod json;
pub mod limits;
mod money;
mod order;
mod post;
mod product;
mod profile;
#[expect(
    clippy::duplicated_attributes,
    reason = "two fields of an interface have the same type"
)]
mod record;
mod root;
mod rows;
mod session;
mod tag;
mod user;

use std::sync::{Arc, OnceLock};

use async_graphql::{
    EmptySubscription, MergedObject, Request, Response, SDLExportOptions, Schema, ServerError,
    ValidationMode,
};
use futures::future::BoxFuture;
use plimsoll_domain as domain;

use inputs::Inputs;

pub use documents::{Admitted, Documents};
pub use error::codes;
pub use id::encode_as;
pub use json::write_response;

/// The queries.
#[derive(Clone, Default, MergedObject)]
pub struct Query(
    record::RecordQuery,
    session::SessionQuery,
    user::UserQuery,
    category::CategoryQuery,
    tag::TagQuery,
    post::PostQuery,
    product::ProductQuery,
    order::OrderQuery,
    deletion::DeletionQuery,
    account::AccountQuery,
);

/// The mutations.
#[derive(Default, MergedObject)]
pub struct Mutation(
    session::SessionMutation,
    user::UserMutation,
    profile::ProfileMutation,
    category::CategoryMutation,
    tag::TagMutation,
    post::PostMutation,
    account::AccountMutation,
    product::ProductMutation,
    order::OrderMutation,
);

/// Plimsoll's schema, ready to execute requests.
#[derive(Clone)]
pub struct Api {
    schema: Schema<Query, Mutation, EmptySubscription>,
    /// The same schema, for what needs no validation.
    trusting: Schema<Query, Mutation, EmptySubscription>,
    /// The schema's types.
    inputs: Arc<Inputs>,
    store: domain::Store,
    max_cost: usize,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

/// What one operation may cost unless told otherwise: a field costs 1, and a connection costs
/// what is below it as many times as its page has rows. 20 users with 20 posts each, with ten
/// fields and their tags, cost about 10,000. A post's text costs 100.
pub const DEFAULT_MAX_COST: usize = 50_000;

/// Who sends a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who asks, when, and which request it is.
    pub request: domain::Request,
    /// The token that the request carries, for ending the login.
    pub token: Option<String>,
    /// The key that the request carries in its header, by which it is known when it is sent again.
    pub idempotency_key: Option<String>,
}

impl Api {
    /// The schema over a database. An operation may cost `max_cost`; see
    /// [`DEFAULT_MAX_COST`].
    pub fn new(store: domain::Store, max_cost: usize) -> Self {
        let schema = build(max_cost, ValidationMode::Strict);
        Self {
            trusting: build(max_cost, ValidationMode::Fast),
            inputs: Arc::new(Inputs::of(&schema.sdl())),
            schema,
            store,
            max_cost,
        }
    }

    /// Executes one request for its caller, with loaders of its own.
    ///
    /// In a box: else each crate that awaits it would compile all resolvers once more.
    pub fn execute(&self, admitted: Admitted, caller: Caller) -> BoxFuture<'_, Response> {
        Box::pin(self.execute_now(admitted, caller))
    }

    async fn execute_now(&self, admitted: Admitted, caller: Caller) -> Response {
        let Admitted {
            mut request,
            document,
            ..
        } = admitted;
        let valid = document.is_valid_with(&request.variables, &self.inputs);
        // For `root`, which validates nothing.
        let plannable = document.plannable_query().filter(|_| valid);
        if plannable.is_none() {
            request.set_parsed_query(document.to_executable());
        }
        if !valid && let Err(refusal) = self.check_types(&mut request) {
            return error::finish(Response::from_errors(vec![refusal]));
        }
        if caller.idempotency_key.is_some()
            && plannable.is_none()
            && let Err(refusal) = idempotency::check_request(&mut request)
        {
            return error::refused(refusal);
        }
        let (spawner, tasks) = batch::spawner();
        let batch = batch::Batch {
            store: self.store.clone(),
            viewer: caller.request.viewer,
        };
        let scope = RequestScope {
            store: self.store.clone(),
            caller,
            loaders: batch::Loaders::new(batch, spawner.clone()),
            spawner,
            logged_in: OnceLock::new(),
            merges: document.merges(),
        };
        let executed = async {
            if let Some(query) = plannable {
                let answer = root::answer(query, &request.variables, &scope, self.max_cost);
                if let Some(data) = answer.await {
                    return Response::new(data);
                }
                request.set_parsed_query(document.to_executable());
            }
            let schema = if valid { &self.trusting } else { &self.schema };
            // In a box: it is large, and every request would be moved about with room for it.
            Box::pin(schema.execute(request.data(scope))).await
        };
        let response = batch::drive(executed, tasks).await;
        if !valid && response.is_ok() {
            document.passed();
        }
        error::finish(response)
    }

    /// Refuses variables of types that the schema does not have: the library panics on some. Not
    /// an extension of the schema: with one, the library describes each field before resolving it.
    fn check_types(&self, request: &mut Request) -> Result<(), ServerError> {
        let document = request.parsed_query()?;
        Ok(limits::check_variable_types(document, |name| {
            self.inputs.has(name)
        })?)
    }

    /// The database behind the schema.
    pub fn store(&self) -> &domain::Store {
        &self.store
    }
}

/// The schema in the schema definition language, sorted, as `schema.graphql` keeps it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items();
    let schema = build(DEFAULT_MAX_COST, ValidationMode::Strict);
    let sdl = schema.sdl_with_options(options);
    format!("{}\n", sdl.trim_end())
}

fn build(
    max_cost: usize,
    validation: ValidationMode,
) -> Schema<Query, Mutation, EmptySubscription> {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription)
        .disable_suggestions()
        .limit_complexity(max_cost)
        .validation_mode(validation)
        .register_output_type::<record::Node>()
        .register_output_type::<record::Record>()
        .register_output_type::<error::MutationError>()
        .finish()
}

/// What the resolvers of one request share.
pub(crate) struct RequestScope {
    pub(crate) store: domain::Store,
    pub(crate) caller: Caller,
    pub(crate) loaders: batch::Loaders,
    pub(crate) spawner: batch::RequestSpawner,
    /// Who logged in with this very request: a login's answer is shown to them.
    pub(crate) logged_in: OnceLock<domain::Viewer>,
    /// Whether the document selects an object twice, so that the library is to merge the two.
    pub(crate) merges: bool,
}

impl RequestScope {
    pub(crate) fn viewer(&self) -> domain::Viewer {
        let logged_in = self.logged_in.get().copied();
        logged_in.unwrap_or(self.caller.request.viewer)
    }
}

/// The shared part of a resolver's request.
pub(crate) fn scope<'a, T>(ctx: &async_graphql::ContextBase<'a, T>) -> &'a RequestScope {
    ctx.data_unchecked::<RequestScope>()
}
