//! Loaders: a resolver for many keys at once. They call the domain's batch functions, so that
//! the same rules hold.
//!
//! A request is resolved level by level. When every resolver of a level has named what it needs,
//! the loaders' batches and the other reads run, and the request goes on when all of them are
//! in: no timer runs, no thread is switched, and the number of statements depends on the
//! request's shape alone.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    hash::Hash,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use async_graphql::{dataloader::Loader, runtime::Timer};
use futures::{
    StreamExt as _,
    channel::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
        oneshot,
    },
    future::{BoxFuture, ready},
    stream::FuturesUnordered,
    task::{FutureObj, Spawn, SpawnError},
};
use plimsoll_domain::{
    self as domain, AnyRecord, Page, PageArguments, RecordKind, Scope, Viewer,
    category::Category,
    order::OrderItem,
    post::{Post, PostsOf},
    product::{Product, inventory::Inventory},
    profile::Profile,
    tag::Tag,
    transfer::Transfer,
    user::User,
};
use uuid::Uuid;

use crate::{account, category, post, product, profile, tag, user};

/// The loaders of one request.
pub(crate) struct Batch {
    pub(crate) store: domain::Store,
    pub(crate) viewer: Viewer,
}

/// Hands the reads of a request to [`drive`].
#[derive(Clone)]
pub(crate) struct RequestSpawner(UnboundedSender<FutureObj<'static, ()>>);

/// Where the reads come out.
pub(crate) type Tasks = UnboundedReceiver<FutureObj<'static, ()>>;

pub(crate) fn spawner() -> (RequestSpawner, Tasks) {
    let (sender, receiver) = unbounded();
    (RequestSpawner(sender), receiver)
}

impl RequestSpawner {
    /// Runs a read in step with the loaders.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = domain::Result<T>> + Send + 'static,
    ) -> domain::Result<T> {
        let gone = || domain::Error::Internal("the request ended before its reads".into());
        let (done, answer) = oneshot::channel();
        let task = async move {
            // Whoever asked may have been dropped with the request.
            let _ = done.send(work.await);
        };
        self.spawn_obj(FutureObj::new(Box::new(task)))
            .map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Spawn for RequestSpawner {
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.0
            .unbounded_send(future)
            .map_err(|_| SpawnError::shutdown())
    }
}

/// A timer that does not wait: [`drive`] knows when a batch is complete.
pub(crate) struct Immediately;

impl Timer for Immediately {
    fn delay(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

/// Runs a request, and its reads whenever the request itself can only wait: all reads of a level
/// before the request goes on.
pub(crate) async fn drive<T>(request: impl Future<Output = T>, mut tasks: Tasks) -> T {
    let mut request = pin!(request);
    let mut running = FuturesUnordered::new();
    poll_fn(|cx| {
        loop {
            while !running.is_empty() {
                if running.poll_next_unpin(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            if let Poll::Ready(answer) = request.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            while let Poll::Ready(Some(task)) = tasks.poll_next_unpin(cx) {
                running.push(task);
            }
            if running.is_empty() {
                // The request waits for a write.
                return Poll::Pending;
            }
        }
    })
    .await
}

/// What the domain finds, as the schema shows it: cheap to clone, since a row can be the answer
/// to many keys.
trait Found {
    type Object;
    fn object(self) -> Self::Object;
}

macro_rules! found {
    ($($model:ty => $object:ty;)*) => {$(
        impl Found for $model {
            type Object = $object;
            fn object(self) -> $object {
                self.into()
            }
        }
    )*};
}

found! {
    User => user::User;
    Profile => profile::Profile;
    Category => category::Category;
    Tag => tag::Tag;
    Post => post::Post;
    Transfer => account::Transfer;
    Product => product::Product;
    Inventory => product::Inventory;
    OrderItem => OrderItem;
    AnyRecord => AnyRecord;
    String => String;
    u64 => u64;
}

impl<T: Found> Found for Vec<T> {
    type Object = Vec<T::Object>;
    fn object(self) -> Self::Object {
        self.into_iter().map(Found::object).collect()
    }
}

impl<T: Found> Found for Page<T> {
    type Object = Arc<Page<T::Object>>;
    fn object(self) -> Self::Object {
        Arc::new(self.map(Found::object))
    }
}

type Loaded<K, V> = Result<HashMap<K, V>, Arc<domain::Error>>;

/// Puts keys that differ only in their id together: one call of the domain for each group.
fn grouped<K, G>(keys: &[K], group: impl Fn(&K) -> (G, Uuid)) -> HashMap<G, Vec<Uuid>>
where
    G: Eq + Hash,
{
    let mut groups: HashMap<G, Vec<Uuid>> = HashMap::new();
    for key in keys {
        let (group, id) = group(key);
        groups.entry(group).or_default().push(id);
    }
    groups
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident($($ty:ty),+);)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(crate) struct $name($(pub(crate) $ty),+);
    )*};
}

keys! {
    /// The record of this kind and id, in this scope.
    RecordById(RecordKind, Scope, Uuid);
    /// The live user with this id.
    UserById(Uuid);
    /// The live category with this id.
    CategoryById(Uuid);
    /// The live profile of this user.
    ProfileOfUser(Uuid);
    /// The live tags of this post.
    TagsOfPost(Uuid);
    /// The live co-authors of this post.
    CoAuthorsOfPost(Uuid);
    /// The text of this post.
    ContentOfPost(Uuid);
    /// The product with this id, deleted or not, as far as the viewer sees it.
    ProductById(Uuid);
    /// The live inventory of this product.
    InventoryOfProduct(Uuid);
    /// The lines of this order.
    ItemsOfOrder(Uuid);
    /// A page of the posts of this author, category or tag.
    PostsPage(PostsOf, Scope, PageArguments, Uuid);
    /// How many posts this author, category or tag has.
    PostsCount(PostsOf, Scope, Uuid);
    /// A page of the categories below this one.
    ChildrenPage(Scope, PageArguments, Uuid);
    /// How many categories lie below this one.
    ChildrenCount(Scope, Uuid);
    /// The transfer with this id.
    TransferById(Uuid);
    /// A page of the transfers of this account.
    TransfersPage(PageArguments, Uuid);
    /// How many transfers this account has.
    TransfersCount(Uuid);
}

/// Declares the loader of a key type: how its keys are grouped, and what a group calls.
macro_rules! loader {
    ($key:ident => $value:ty, |$read:ident, $viewer:ident, $ids:ident| $call:expr) => {
        impl Loader<$key> for Batch {
            type Value = $value;
            type Error = Arc<domain::Error>;

            async fn load(&self, keys: &[$key]) -> Loaded<$key, $value> {
                let ($read, $viewer) = (&self.store.read(), &self.viewer);
                let $ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let found = $call.await.map_err(Arc::new)?;
                Ok(found.into_iter().map(|(id, value)| ($key(id), value.object())).collect())
            }
        }
    };
    (
        $key:ident($($part:ident),+) => $value:ty, |$read:ident, $viewer:ident, $ids:ident| $call:expr
    ) => {
        impl Loader<$key> for Batch {
            type Value = $value;
            type Error = Arc<domain::Error>;

            async fn load(&self, keys: &[$key]) -> Loaded<$key, $value> {
                let ($read, $viewer) = (&self.store.read(), &self.viewer);
                let groups = grouped(keys, |$key($($part),+, id)| (($($part.clone()),+,), *id));
                let mut loaded = HashMap::with_capacity(keys.len());
                for (($($part),+,), $ids) in groups {
                    for (id, value) in $call.await.map_err(Arc::new)? {
                        loaded.insert($key($($part.clone()),+, id), value.object());
                    }
                }
                Ok(loaded)
            }
        }
    };
}

loader!(RecordById(kind, scope) => AnyRecord, |read, viewer, ids| {
    domain::record::by_ids(read, viewer, scope, kind, &ids)
});
loader!(UserById => user::User, |read, viewer, ids| {
    domain::user::by_ids(read, viewer, Scope::Live, &ids)
});
loader!(CategoryById => category::Category, |read, viewer, ids| {
    domain::category::by_ids(read, viewer, Scope::Live, &ids)
});
loader!(ProfileOfUser => profile::Profile, |read, _viewer, ids| {
    domain::profile::of_users(read, &ids)
});
loader!(TagsOfPost => Vec<tag::Tag>, |read, _viewer, ids| domain::tag::of_posts(read, &ids));
loader!(CoAuthorsOfPost => Vec<user::User>, |read, _viewer, ids| {
    domain::user::co_authors_of_posts(read, &ids)
});
loader!(ContentOfPost => String, |read, viewer, ids| {
    domain::post::contents(read, viewer, &ids)
});
loader!(ProductById => product::Product, |read, viewer, ids| {
    domain::product::by_ids(read, viewer, Scope::WithDeleted, &ids)
});
loader!(InventoryOfProduct => product::Inventory, |read, _viewer, ids| {
    domain::product::inventory::of_products(read, &ids)
});
loader!(ItemsOfOrder => Vec<OrderItem>, |read, _viewer, ids| {
    domain::order::items_of(read, &ids)
});
loader!(PostsPage(of, scope, arguments) => Arc<Page<post::Post>>, |read, viewer, ids| {
    domain::post::pages_of(read, viewer, scope, of, &arguments, &ids)
});
loader!(PostsCount(of, scope) => u64, |read, viewer, ids| {
    domain::post::counts_of(read, viewer, scope, of, &ids)
});
loader!(ChildrenPage(scope, arguments) => Arc<Page<category::Category>>, |read, viewer, ids| {
    domain::category::pages_below(read, viewer, scope, &arguments, &ids)
});
loader!(ChildrenCount(scope) => u64, |read, viewer, ids| {
    domain::category::counts_below(read, viewer, scope, &ids)
});
loader!(TransferById => account::Transfer, |read, viewer, ids| {
    domain::transfer::by_ids(read, viewer, &ids)
});
loader!(TransfersPage(arguments) => Arc<Page<account::Transfer>>, |read, viewer, ids| {
    domain::transfer::pages_of(read, viewer, &arguments, &ids)
});
loader!(TransfersCount => u64, |read, viewer, ids| {
    domain::transfer::counts_of(read, viewer, &ids)
});
