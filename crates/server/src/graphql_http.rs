//! GraphQL over HTTP: what is read from a request and how an answer is written.
//!
//! The rules are those of the [specification], named here by its sections, and of
//! the audits in the npm package `graphql-http` 1.23.1. Where the two differ, this
//! keeps to the audits, which servers and clients follow today: the draft of August
//! 2026 recommends 422 instead of 400 for requests that cannot be executed, 294
//! instead of 200 for partial data, and treats those who accept only
//! `application/json` like all others. [`status`] is the one place to change then.
//!
//! A page of another origin can only send what a form can send without asking
//! first (CORS). So `application/json` alone is read from a POST, and a GET, which
//! changes nothing, executes queries only: there is nothing to forge.
//!
//! [specification]: https://graphql.github.io/graphql-over-http/draft/

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use async_graphql::parser::types::OperationType;
use async_graphql::{ErrorExtensionValues, PathSegment, ServerError, Value, Variables};
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use plimsoll_graphql::{
    Admitted, Documents,
    limits::{self, Budget, Limits, VariablesWithin},
};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most errors that one answer without data lists. Validation finds thousands
/// in a document of a few kilobytes that is made for it.
const MAX_ERRORS: usize = 100;

/// The most characters of an explanation that can quote the request.
const MAX_QUOTED: usize = 200;

/// What a request may take before it is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of a body. Default 4,194,304: a post's content has up to 1,000,000
    /// characters of up to 4 bytes each, and the rest of its request fits beside.
    pub body: usize,
    /// The time that a body may take to arrive. Default 20 seconds: a body of 4 MiB
    /// at 2 Mbit/s, and the connection of a client that sends nothing is free again.
    pub arrival: Duration,
    /// What the GraphQL request may ask for.
    pub request: Limits,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            arrival: Duration::from_secs(20),
            request: Limits::default(),
        }
    }
}

/// The methods that carry GraphQL requests (section Request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Queries, in the query component of the URL.
    Get,
    /// Queries and mutations, as JSON in the body.
    Post,
}

/// The media types of an answer (section Media Types). Both are JSON in UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`, from before the specification: a request error has status
    /// 200, as clients of that time take other statuses for failures of the network.
    Json,
    /// `application/graphql-response+json`: a request error has status 400.
    GraphqlResponse,
}

impl MediaType {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }

    fn subtype(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::GraphqlResponse => "graphql-response+json",
        }
    }
}

/// A GraphQL request that can be executed, as far as that is known without a schema.
#[derive(Debug)]
pub struct Incoming {
    /// The request, with its document parsed.
    pub admitted: Admitted,
    /// How it came.
    pub method: Method,
    /// What to hand to [`reply`].
    pub reply_as: MediaType,
}

/// Reads a GraphQL request. What is no such request, or is beyond the limits, comes
/// back as the answer to send.
///
/// # Errors
///
/// Each answer is JSON with one error and its `extensions.code`, in the media type
/// that the client asked for (section Status Codes, and RFC 9110):
///
/// - 405 METHOD_NOT_ALLOWED for a method but GET and POST, and for a GET that asks
///   for a mutation; with `Allow`
/// - 406 NOT_ACCEPTABLE if `Accept` allows neither media type
/// - 415 UNSUPPORTED_MEDIA_TYPE for a POST that is not `application/json` in UTF-8,
///   or is compressed
/// - 413 PAYLOAD_TOO_LARGE and 408 REQUEST_TIMEOUT beyond the limits of the body
/// - 400 BAD_REQUEST for what is no UTF-8, no JSON, no map, a batch, or has a
///   parameter of the wrong type, twice, or no `query`
/// - 400, or 200 under [`MediaType::Json`], with the codes of
///   [`limits::Code`] for a GraphQL request that [`Documents::admit`] refuses
pub async fn receive(
    request: Request,
    limits: &HttpLimits,
    documents: &Documents,
) -> Result<Incoming, Response> {
    let method = match *request.method() {
        axum::http::Method::GET => Ok(Method::Get),
        axum::http::Method::POST => Ok(Method::Post),
        _ => Err(not_allowed(
            "GraphQL requests are sent by GET or POST.",
            "GET, POST",
        )),
    };
    let Some(reply_as) = negotiate(request.headers()) else {
        // Nothing that we can write is asked for: JSON says so to most.
        return Err(Fault::new(
            StatusCode::NOT_ACCEPTABLE,
            "NOT_ACCEPTABLE",
            "The answer is application/graphql-response+json or application/json; \"Accept\" allows neither.",
        )
        .into_response(MediaType::Json));
    };
    let read = async {
        let method = method?;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = match method {
            Method::Get => Bytes::new(),
            Method::Post => read_body(request, limits).await?,
        };
        let budget = Budget::new(&limits.request);
        let parameters = match method {
            Method::Get => from_url(&query, &budget),
            Method::Post => from_body(&body, &budget),
        };
        if let Some(refusal) = budget.refusal() {
            return Err(Fault::Refused(refusal));
        }
        let request = parameters?.into_request()?;
        let admitted = documents.admit(request).map_err(Fault::Refused)?;
        if method == Method::Get && admitted.operation == OperationType::Mutation {
            return Err(not_allowed(
                "A GET executes queries only; send a mutation by POST.",
                "POST",
            ));
        }
        Ok(Incoming {
            admitted,
            method,
            reply_as,
        })
    };
    read.await
        .map_err(|fault: Fault| fault.into_response(reply_as))
}

/// Writes what executing a request came to, with the status of [`status`].
///
/// A request error that has no `extensions.code` gets GRAPHQL_VALIDATION_FAILED, as
/// the library's validation sets none. Of request errors, the first 100 are written.
pub fn reply(media: MediaType, response: async_graphql::Response) -> Response {
    reply_with(status(media, &response), media, response)
}

/// Writes an answer with a status that was decided elsewhere, such as 401.
pub fn reply_with(
    status: StatusCode,
    media: MediaType,
    mut response: async_graphql::Response,
) -> Response {
    let executed = was_executed(&response);
    if !executed {
        response.errors.truncate(MAX_ERRORS);
        for error in &mut response.errors {
            let extensions = error
                .extensions
                .get_or_insert_with(ErrorExtensionValues::default);
            if extensions.get("code").is_none() {
                extensions.set("code", "GRAPHQL_VALIDATION_FAILED");
            }
        }
    }
    let mut reply = match plimsoll_graphql::write_response(&response, executed) {
        Ok(body) => (status, body).into_response(),
        Err(error) => {
            tracing::error!(%error, "a GraphQL response could not be written as JSON");
            let body = r#"{"errors":[{"message":"The answer could not be written.","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
        }
    };
    let headers = reply.headers_mut();
    headers.extend(response.http_headers);
    headers.insert(header::CONTENT_TYPE, media.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    reply
}

/// Writes a refusal: one error with its code, and no data.
pub fn refuse(media: MediaType, status: StatusCode, code: &str, message: &str) -> Response {
    let mut error = ServerError::new(message, None);
    error
        .extensions
        .get_or_insert_with(ErrorExtensionValues::default)
        .set("code", code);
    reply_with(
        status,
        media,
        async_graphql::Response::from_errors(vec![error]),
    )
}

/// The status of an answer: 200 when the operation was executed, even if it came to
/// `"data": null`, and 400 when it was not; 200 then as well under
/// [`MediaType::Json`].
pub fn status(media: MediaType, response: &async_graphql::Response) -> StatusCode {
    match media {
        MediaType::GraphqlResponse if !was_executed(response) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// Whether the operation was executed, so that the answer has a `data` entry.
///
/// async-graphql 8.0.0-rc.5 leaves `data` null both when it did not get to execute
/// and when a root field that may not be null failed. In the second case the error
/// has a path (its generated resolvers set one on every error that they pass up),
/// in the first case none has.
fn was_executed(response: &async_graphql::Response) -> bool {
    let has_path = |error: &ServerError| {
        error
            .path
            .first()
            .is_some_and(|first| matches!(first, PathSegment::Field(_)))
    };
    response.data != Value::Null
        || response.errors.is_empty()
        || response.errors.iter().any(has_path)
}

/// The media type to answer in, or none that the client accepts.
///
/// The type with the higher quality wins (RFC 9110, section 12.5.1). At the same
/// quality it is `application/graphql-response+json` if the client names it, and
/// `application/json` if the client does not: without an `Accept` header, or with
/// `*/*`, the choice is the server's (section Body), and a client that does not
/// know of the newer type takes a status of 400 for a failure of the network.
pub fn negotiate(headers: &HeaderMap) -> Option<MediaType> {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, ','))
        .filter(|range| !range.is_empty())
        .collect();
    if accepted.is_empty() && headers.get_all(header::ACCEPT).iter().all(|v| v.is_empty()) {
        return Some(MediaType::Json);
    }
    let best = |media| {
        accepted
            .iter()
            .filter_map(|range| Acceptance::of(range, media))
            .max_by_key(|acceptance| acceptance.precision)
            .filter(|acceptance| acceptance.quality > 0.0)
    };
    match (best(MediaType::Json), best(MediaType::GraphqlResponse)) {
        (Some(json), Some(new)) => {
            let named = new.precision == Precision::Exact;
            if new.quality > json.quality || (new.quality == json.quality && named) {
                Some(MediaType::GraphqlResponse)
            } else {
                Some(MediaType::Json)
            }
        }
        (Some(_), None) => Some(MediaType::Json),
        (None, Some(_)) => Some(MediaType::GraphqlResponse),
        (None, None) => None,
    }
}

/// How exactly a media range names a type: the most exact one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Anything,
    Application,
    Exact,
}

struct Acceptance {
    precision: Precision,
    quality: f32,
}

impl Acceptance {
    /// What a media range says of a type, if it is about that type at all.
    fn of(range: &str, media: MediaType) -> Option<Self> {
        let mut parts = split(range, ';');
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let precision = if kind == "*" && subtype == "*" {
            Precision::Anything
        } else if !kind.eq_ignore_ascii_case("application") {
            return None;
        } else if subtype == "*" {
            Precision::Application
        } else if subtype.eq_ignore_ascii_case(media.subtype()) {
            Precision::Exact
        } else {
            return None;
        };
        let mut quality = 1.0;
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = parameter(part)?;
            if name.eq_ignore_ascii_case("q") {
                quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
            } else if !(name.eq_ignore_ascii_case("charset") && is_utf8(value)) {
                return None;
            }
        }
        Some(Self { precision, quality })
    }
}

/// Why a request is not executed.
enum Fault {
    /// It is no GraphQL request, or cannot be read.
    Http {
        status: StatusCode,
        code: &'static str,
        message: String,
        header: Option<(HeaderName, HeaderValue)>,
    },
    /// It is a GraphQL request, and is refused.
    Refused(limits::Refusal),
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::Http {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    fn bad_request(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let quoted = message.chars().take(MAX_QUOTED).collect::<String>();
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", quoted)
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        if let Self::Http { header, .. } = &mut self {
            *header = Some((name, HeaderValue::from_static(value)));
        }
        self
    }

    fn into_response(self, media: MediaType) -> Response {
        match self {
            Self::Http {
                status,
                code,
                message,
                header,
            } => {
                let mut response = refuse(media, status, code, &message);
                response.headers_mut().extend(header);
                response
            }
            Self::Refused(refusal) => reply(
                media,
                async_graphql::Response::from_errors(vec![refusal.into()]),
            ),
        }
    }
}

fn not_allowed(message: &str, allow: &'static str) -> Fault {
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        message,
    )
    .with(header::ALLOW, allow)
}

/// The parameters of a request (section Request Parameters). `extensions` is read
/// and forgotten: we know of none.
#[derive(Default)]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Variables,
}

impl Parameters {
    fn into_request(self) -> Result<async_graphql::Request, Fault> {
        let query = self
            .query
            .ok_or_else(|| Fault::bad_request("The parameter \"query\" is missing."))?;
        let mut request = async_graphql::Request::new(query).variables(self.variables);
        request.operation_name = self.operation_name;
        Ok(request)
    }
}

/// Section GET. A parameter that is there twice is refused: what another program
/// has checked on the way may be the other one.
fn from_url(query: &str, budget: &Budget) -> Result<Parameters, Fault> {
    let mut given = [None, None, None, None];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = form_decoded(name)?;
        let Some(known) = Parameter::named(&name) else {
            continue;
        };
        if given[known as usize]
            .replace(form_decoded(value)?)
            .is_some()
        {
            return Err(Fault::bad_request(format!(
                "The parameter \"{name}\" is there twice."
            )));
        }
    }
    let [query, operation_name, variables, extensions] = given;
    let unless_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut parameters = Parameters {
        query,
        operation_name: unless_empty(operation_name),
        variables: Variables::default(),
    };
    if let Some(json) = unless_empty(variables) {
        parameters.variables = from_json(&json, VariablesWithin(budget))
            .map_err(|error| Fault::bad_request(format!("\"variables\" is no map: {error}.")))?;
    }
    if let Some(json) = unless_empty(extensions) {
        from_json(&json, AMap)
            .map_err(|error| Fault::bad_request(format!("\"extensions\" is no map: {error}.")))?;
    }
    Ok(parameters)
}

/// Decodes a part of a URL's query component as a form is encoded (WHATWG URL,
/// section 5.1), but refuses what is no UTF-8 instead of replacing it.
fn form_decoded(text: &str) -> Result<String, Fault> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Fault::bad_request("The URL's query component is not UTF-8."))
}

/// Sections POST and JSON Encoding.
fn from_body(body: &[u8], budget: &Budget) -> Result<Parameters, Fault> {
    let body =
        std::str::from_utf8(body).map_err(|_| Fault::bad_request("The body is not UTF-8."))?;
    from_json(body, ParametersWithin(budget))
        .map_err(|error| Fault::bad_request(format!("The body is no GraphQL request: {error}.")))
}

async fn read_body(request: Request, limits: &HttpLimits) -> Result<Bytes, Fault> {
    check_content(request.headers())?;
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    // A client that asks first (RFC 9110, section 10.1.1) has sent nothing yet.
    let asks_first = request.headers().contains_key(header::EXPECT);
    if announced > most_read(limits) || (asks_first && announced > limits.body) {
        return Err(too_large(limits));
    }
    let version = request.version();
    tokio::time::timeout(limits.arrival, collect(request.into_body(), limits))
        .await
        .map_err(|_| {
            let fault = Fault::new(
                StatusCode::REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                format!("The body did not arrive within {:?}.", limits.arrival),
            );
            // RFC 9110, section 15.5.9; HTTP/2 has no such header.
            if version <= Version::HTTP_11 {
                fault.with(header::CONNECTION, "close")
            } else {
                fault
            }
        })?
}

/// A body that is too large is read on up to here, and forgotten: a connection that is closed
/// while its client still sends is reset, and the client never sees why.
fn most_read(limits: &HttpLimits) -> usize {
    limits.body.saturating_mul(4)
}

fn too_large(limits: &HttpLimits) -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "PAYLOAD_TOO_LARGE",
        format!("The body has more than {} bytes.", limits.body),
    )
}

async fn collect(mut body: Body, limits: &HttpLimits) -> Result<Bytes, Fault> {
    let mut whole = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| Fault::bad_request("The body did not arrive whole."))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= limits.body {
            whole.extend_from_slice(&data);
        } else if length > most_read(limits) {
            break;
        } else {
            whole = Vec::new();
        }
    }
    if length > limits.body {
        return Err(too_large(limits));
    }
    Ok(whole.into())
}

fn check_content(headers: &HeaderMap) -> Result<(), Fault> {
    let unsupported = |message: &str| {
        Fault::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            message,
        )
    };
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().is_ok_and(is_json_in_utf8),
        _ => false,
    };
    if !is_json {
        let message =
            "The body must be application/json in UTF-8, and \"Content-Type\" must say so.";
        return Err(unsupported(message).with(header::ACCEPT, "application/json"));
    }
    let is_plain = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !is_plain {
        // RFC 9110, section 12.5.3.
        return Err(unsupported("The body must not be compressed.")
            .with(header::ACCEPT_ENCODING, "identity"));
    }
    Ok(())
}

fn is_json_in_utf8(content_type: &str) -> bool {
    let mut parts = split(content_type, ';');
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json
        && parts
            .filter(|part| !part.is_empty())
            .all(|part| match parameter(part) {
                Some((name, value)) => !name.eq_ignore_ascii_case("charset") || is_utf8(value),
                None => false,
            })
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// Name and value of a media type's parameter, the value without quotes.
fn parameter(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    Some((name.trim(), unquoted.unwrap_or(value)))
}

/// Splits a header's value where the separator is not within quotes, and trims the
/// parts (RFC 9110, section 5.6).
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character| {
        let was_escaped = std::mem::replace(&mut escaped, false);
        match character {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        character == separator && !quoted
    })
    .map(str::trim)
}

fn from_json<'de, S: DeserializeSeed<'de>>(
    json: &'de str,
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The names of the parameters, in the order of [`from_url`]'s array.
#[derive(Clone, Copy)]
enum Parameter {
    Query,
    OperationName,
    Variables,
    Extensions,
}

impl Parameter {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "query" => Self::Query,
            "operationName" => Self::OperationName,
            "variables" => Self::Variables,
            "extensions" => Self::Extensions,
            _ => return None,
        })
    }
}

/// Reads [`Parameters`] from a JSON object. Null stands for absent where a parameter
/// is optional; what is unknown is ignored; what is there twice is refused.
struct ParametersWithin<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for ParametersWithin<'_> {
    type Value = Parameters;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parameters, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParametersWithin<'_> {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with \"query\"")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Parameters, A::Error> {
        Err(de::Error::custom("batches are not supported"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::default();
        let mut seen = [false; 4];
        while let Some(name) = entries.next_key::<String>()? {
            let Some(known) = Parameter::named(&name) else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[known as usize], true) {
                return Err(de::Error::custom(format!("\"{name}\" is there twice")));
            }
            let wrong = |error: A::Error| de::Error::custom(format!("in \"{name}\": {error}"));
            match known {
                Parameter::Query => {
                    parameters.query = Some(entries.next_value().map_err(wrong)?);
                }
                Parameter::OperationName => {
                    parameters.operation_name = entries.next_value().map_err(wrong)?;
                }
                Parameter::Variables => {
                    parameters.variables = entries
                        .next_value_seed(VariablesWithin(self.0))
                        .map_err(wrong)?;
                }
                Parameter::Extensions => entries.next_value_seed(AMap).map_err(wrong)?,
            }
        }
        Ok(parameters)
    }
}

/// Reads a JSON object, or null, and forgets it.
struct AMap;

impl<'de> DeserializeSeed<'de> for AMap {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AMap {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptySubscription, InputValueError, InputValueResult, Object, Scalar};
    use async_graphql::{ScalarType, Schema};
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::State;
    use axum::routing::any;
    use serde_json::{Value as Json, json};
    use tower::ServiceExt as _;

    use super::*;

    struct Query;

    /// Its values are checked where they are used, not in validation.
    struct Even(i64);

    #[Scalar]
    impl ScalarType for Even {
        fn parse(value: Value) -> InputValueResult<Self> {
            match value {
                Value::Number(number) => match number.as_i64() {
                    Some(even) if even % 2 == 0 => Ok(Self(even)),
                    _ => Err(InputValueError::custom("not even")),
                },
                other => Err(InputValueError::expected_type(other)),
            }
        }
        fn to_value(&self) -> Value {
            Value::from(self.0)
        }
    }

    #[Object]
    impl Query {
        async fn echo(&self, text: Option<String>) -> String {
            text.unwrap_or_default()
        }
        async fn half(&self, number: Even) -> i64 {
            number.0 / 2
        }
        async fn fails(&self) -> async_graphql::Result<i32> {
            Err("broken".into())
        }
        async fn may_fail(&self) -> Option<Failing> {
            Some(Failing)
        }
        async fn list(&self) -> Vec<Failing> {
            vec![Failing]
        }
    }

    struct Failing;

    #[Object]
    impl Failing {
        async fn fails(&self) -> async_graphql::Result<i32> {
            Err("broken".into())
        }
    }

    struct Mutation;

    #[Object]
    impl Mutation {
        async fn act(&self) -> i32 {
            1
        }
    }

    type TestSchema = Schema<Query, Mutation, EmptySubscription>;

    async fn graphql(
        State((schema, limits)): State<(TestSchema, HttpLimits)>,
        request: Request,
    ) -> Response {
        let documents = Documents::new(limits.request);
        match receive(request, &limits, &documents).await {
            Ok(incoming) => {
                let response = schema.execute(incoming.admitted.request).await;
                reply(incoming.reply_as, response)
            }
            Err(refusal) => refusal,
        }
    }

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: Json,
    }

    impl Answer {
        fn code(&self) -> &str {
            self.body["errors"][0]["extensions"]["code"]
                .as_str()
                .unwrap_or_default()
        }

        fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", |v| v.to_str().unwrap())
        }
    }

    async fn send_within(limits: HttpLimits, request: axum::http::Request<Body>) -> Answer {
        let schema = Schema::new(Query, Mutation, EmptySubscription);
        let app = Router::new()
            .route("/graphql", any(graphql))
            .with_state((schema, limits));
        let response = app.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap(),
        }
    }

    async fn send(request: axum::http::Request<Body>) -> Answer {
        send_within(HttpLimits::default(), request).await
    }

    const NEW: &str = "application/graphql-response+json";
    const JSON: &str = "application/json";

    fn post(accept: &str, body: impl Into<Body>) -> axum::http::Request<Body> {
        Request::post("/graphql")
            .header("content-type", JSON)
            .header("accept", accept)
            .body(body.into())
            .unwrap()
    }

    fn query(accept: &str, query: &str) -> axum::http::Request<Body> {
        post(accept, json!({ "query": query }).to_string())
    }

    fn get(query: &str) -> axum::http::Request<Body> {
        Request::get(format!("/graphql?{query}"))
            .header("accept", NEW)
            .body(Body::empty())
            .unwrap()
    }

    fn accepted(accept: &[&str]) -> Option<MediaType> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        negotiate(&headers)
    }

    #[test]
    fn the_media_type_is_what_the_client_likes_best() {
        for (accept, expected) in [
            (NEW, MediaType::GraphqlResponse),
            (JSON, MediaType::Json),
            ("*/*", MediaType::Json),
            ("application/*", MediaType::Json),
            ("", MediaType::Json),
            (
                "application/json, application/graphql-response+json",
                MediaType::GraphqlResponse,
            ),
            (
                "application/graphql-response+json, application/json;q=0.9",
                MediaType::GraphqlResponse,
            ),
            (
                "application/graphql-response+json;q=0.8,application/json;q=0.9",
                MediaType::Json,
            ),
            (
                "application/graphql-response+json;q=0.9, */*",
                MediaType::Json,
            ),
            (
                "application/graphql-response+json, */*;q=0.1",
                MediaType::GraphqlResponse,
            ),
            ("application/json;q=0, */*", MediaType::GraphqlResponse),
            (
                "Application/GraphQL-Response+JSON ; Charset=\"UTF-8\"",
                MediaType::GraphqlResponse,
            ),
            (
                "text/html;level=\"1,application/graphql-response+json\", application/json",
                MediaType::Json,
            ),
            ("text/html, */*;q=0.8", MediaType::Json),
        ] {
            assert_eq!(accepted(&[accept]), Some(expected), "{accept}");
        }
        assert_eq!(accepted(&[]), Some(MediaType::Json));
        assert_eq!(
            accepted(&["text/html", NEW]),
            Some(MediaType::GraphqlResponse)
        );
    }

    #[test]
    fn what_cannot_be_written_is_not_negotiated() {
        for accept in [
            "text/html",
            "text/*",
            "application/xml, text/plain;q=0.5",
            "*/*;q=0",
            "application/json;q=0",
            "application/*;q=0, text/html",
            "application/json;charset=utf-16",
            "application/json;profile=x",
            "application/json;q=2",
            "application/json;q=nan",
            "json",
        ] {
            assert_eq!(accepted(&[accept]), None, "{accept}");
        }
    }

    #[tokio::test]
    async fn an_answer_has_the_negotiated_type_and_is_not_stored() {
        for accept in [NEW, JSON] {
            let answer = send(query(accept, "{echo(text:\"ü\")}")).await;
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.header("content-type"),
                format!("{accept}; charset=utf-8")
            );
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.body, json!({"data": {"echo": "ü"}}));
        }
    }

    #[tokio::test]
    async fn an_accept_that_allows_neither_type_is_answered_406() {
        let answer = send(query("text/html", "{echo}")).await;
        assert_eq!((answer.status, answer.code()), (406, "NOT_ACCEPTABLE"));
        assert!(answer.header("content-type").starts_with(JSON));
    }

    #[tokio::test]
    async fn other_methods_are_answered_405_with_those_that_are_allowed() {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"] {
            let mut request = query(NEW, "{echo}");
            *request.method_mut() = method.parse().unwrap();
            let answer = send(request).await;
            assert_eq!((answer.status, answer.code()), (405, "METHOD_NOT_ALLOWED"));
            assert_eq!(answer.header("allow"), "GET, POST");
            assert!(answer.header("content-type").starts_with(NEW));
        }
    }

    #[tokio::test]
    async fn a_get_executes_queries_and_no_mutation() {
        let both = "query=query+A%7Becho%7D+mutation+B%7Bact%7D&operationName=";
        let answer = send(get(&format!("{both}A"))).await;
        assert_eq!(
            (answer.status, &answer.body["data"]["echo"]),
            (200, &json!(""))
        );
        for accept in [NEW, JSON] {
            let mut request = get(&format!("{both}B"));
            request
                .headers_mut()
                .insert("accept", accept.parse().unwrap());
            let answer = send(request).await;
            assert_eq!((answer.status, answer.code()), (405, "METHOD_NOT_ALLOWED"));
            assert_eq!(answer.header("allow"), "POST");
            assert!(answer.body.get("data").is_none());
        }
    }

    #[tokio::test]
    async fn a_get_is_decoded_like_a_form() {
        let answer = send(get(
            "x=1&query=query($t:String)%7Becho(text:$t)%7D&variables=%7B%22t%22:%22a+b%2B%C3%BC%22%7D&operationName=&extensions=%7B%7D",
        ))
        .await;
        assert_eq!(answer.body, json!({"data": {"echo": "a b+ü"}}));
        let answer = send(get("query=%7Becho%7D&variables=&extensions=")).await;
        assert_eq!(answer.body, json!({"data": {"echo": ""}}));
        let answer = send(get("query=query+null%7Becho%7D&operationName=null")).await;
        assert_eq!(answer.body, json!({"data": {"echo": ""}}));
    }

    #[tokio::test]
    async fn a_malformed_get_is_answered_400() {
        for query in [
            "",
            "qeury=%7Becho%7D",
            "query=%7Becho%7D&query=%7Becho%7D",
            "query=%7Becho%7D&variables=%7B%7D&v%61riables=%7B%7D",
            "query=%7Becho(text:%22%FF%22)%7D",
            "query=%7Becho%7D&variables=[]",
            "query=%7Becho%7D&variables=%7B",
            "query=%7Becho%7D&variables=%7B%7D%7B%7D",
            "query=%7Becho%7D&extensions=1",
        ] {
            let answer = send(get(query)).await;
            assert_eq!(
                (answer.status, answer.code()),
                (400, "BAD_REQUEST"),
                "{query}"
            );
        }
    }

    #[tokio::test]
    async fn a_body_is_json_in_utf8_and_says_so() {
        let sent = async |content_type: &[&str], encoding: Option<&str>| {
            let mut request = query(NEW, "{echo}");
            request.headers_mut().remove("content-type");
            for value in content_type {
                request
                    .headers_mut()
                    .append("content-type", value.parse().unwrap());
            }
            if let Some(encoding) = encoding {
                request
                    .headers_mut()
                    .insert("content-encoding", encoding.parse().unwrap());
            }
            send(request).await
        };
        for content_type in [
            "application/json",
            "Application/JSON;charset=UTF-8",
            "application/json ; charset=\"utf-8\"; x=y;",
        ] {
            let answer = sent(&[content_type], Some("identity")).await;
            assert_eq!(answer.status, 200, "{content_type}");
        }
        for content_type in [
            &[][..],
            &["text/plain"],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data; boundary=x"],
            &["application/graphql"],
            &["application/jsonp"],
            &["text/plain; application/json"],
            &["application/json; charset=utf-16"],
            &["application/json; charset"],
            &["application/json", "application/json"],
            &["application/json, text/plain"],
        ] {
            let answer = sent(content_type, None).await;
            assert_eq!(answer.status, 415, "{content_type:?}");
            assert_eq!(answer.code(), "UNSUPPORTED_MEDIA_TYPE");
            assert_eq!(answer.header("accept"), JSON);
        }
        for encoding in ["gzip", "identity, gzip", ""] {
            let answer = sent(&[JSON], Some(encoding)).await;
            assert_eq!(answer.status, 415, "{encoding:?}");
            assert_eq!(answer.header("accept-encoding"), "identity");
        }
    }

    #[tokio::test]
    async fn a_malformed_request_is_answered_400_in_either_type() {
        let long = format!("{{\"query\":{{\"{}\":", "x".repeat(10_000));
        for body in [
            "",
            "NONSENSE",
            "{\"query\":",
            "{\"query\":\"{echo}\"} {}",
            "{}",
            "null",
            "1",
            "\"{echo}\"",
            "[]",
            r#"[{"query":"{echo}"}]"#,
            r#"{"qeury":"{echo}"}"#,
            r#"{"query":null}"#,
            r#"{"query":1}"#,
            r#"{"query":["{echo}"]}"#,
            r#"{"query":{"a":"{echo}"}}"#,
            r#"{"query":"{echo}","query":"{echo}"}"#,
            r#"{"query":"{echo}","operationName":1}"#,
            r#"{"query":"{echo}","operationName":{}}"#,
            r#"{"query":"{echo}","variables":[7]}"#,
            r#"{"query":"{echo}","variables":"{}"}"#,
            r#"{"query":"{echo}","variables":1e999}"#,
            r#"{"query":"{echo}","variables":{},"variables":{}}"#,
            r#"{"query":"{echo}","extensions":[]}"#,
            r#"{"query":"{echo}","extensions":"x"}"#,
            r#"{"query":"{echo(text:\"\ud800\")}"}"#,
            &long,
        ] {
            for accept in [NEW, JSON] {
                let answer = send(post(accept, body.to_owned())).await;
                let got = (answer.status, answer.code());
                assert_eq!(got, (400, "BAD_REQUEST"), "{accept} {body}");
                assert!(answer.header("content-type").starts_with(accept));
                assert!(answer.body.get("data").is_none());
                assert!(answer.body.to_string().len() < 400);
            }
        }
        let answer = send(post(NEW, r#"[{"query":"{echo}"}]"#)).await;
        assert!(
            answer
                .body
                .to_string()
                .contains("batches are not supported")
        );
        let answer = send(post(NEW, &b"{\"query\":\"{echo(text:\\\"\xff\\\")}\"}"[..])).await;
        assert_eq!((answer.status, answer.code()), (400, "BAD_REQUEST"));
    }

    #[tokio::test]
    async fn null_and_unknown_parameters_are_as_absent() {
        let body = r#"{"query":"{echo}","operationName":null,"variables":null,"extensions":null,"id":{"x":[1]},"id":2}"#;
        assert_eq!(send(post(NEW, body)).await.status, 200);
        let body = r#"{"extensions":{"a":{"b":[]}},"variables":{"t":"x"},"operationName":"B","query":"query A{echo} query B($t:String){echo(text:$t)}"}"#;
        let answer = send(post(NEW, body)).await;
        assert_eq!(answer.body, json!({"data": {"echo": "x"}}));
    }

    #[tokio::test]
    async fn a_request_error_has_no_data_and_a_status_by_media_type() {
        for (query, variables, code) in [
            ("{", json!({}), "GRAPHQL_PARSE_FAILED"),
            ("{nope}", json!({}), "GRAPHQL_VALIDATION_FAILED"),
            ("subscription{nope}", json!({}), "GRAPHQL_VALIDATION_FAILED"),
            (
                "{...F} fragment F on Query{...F}",
                json!({}),
                "GRAPHQL_VALIDATION_FAILED",
            ),
            (
                "query A{echo} query B{echo}",
                json!({}),
                "OPERATION_RESOLUTION_FAILURE",
            ),
            (
                "query($n:Even!){half(number:$n)}",
                json!({}),
                "BAD_USER_INPUT",
            ),
            (
                "query($n:Even!){half(number:$n)}",
                json!({"n": null}),
                "BAD_USER_INPUT",
            ),
            (
                "query($t:String){echo(text:$t)}",
                json!({"t": 1}),
                "GRAPHQL_VALIDATION_FAILED",
            ),
            (&"{echo}".repeat(20_000), json!({}), "QUERY_TOO_COMPLEX"),
            ("{echo}", json!({"x": vec![0; 20_000]}), "QUERY_TOO_COMPLEX"),
        ] {
            let body = json!({ "query": query, "variables": variables }).to_string();
            for (accept, status) in [(NEW, 400), (JSON, 200)] {
                let answer = send(post(accept, body.clone())).await;
                let query = query.chars().take(50).collect::<String>();
                assert_eq!((answer.status, answer.code()), (status, code), "{query}");
                assert!(answer.body.get("data").is_none(), "{query}");
                assert!(answer.header("content-type").starts_with(accept));
            }
        }
    }

    #[tokio::test]
    async fn a_field_error_has_data_and_status_200() {
        for (query, data) in [
            ("{fails}", json!(null)),
            ("{list{fails}}", json!(null)),
            ("{half(number:3)}", json!(null)),
            (
                "{echo mayFail{fails}}",
                json!({"echo": "", "mayFail": null}),
            ),
        ] {
            for accept in [NEW, JSON] {
                let answer = send(self::query(accept, query)).await;
                assert_eq!(answer.status, 200, "{query}");
                assert_eq!(answer.body.get("data"), Some(&data), "{query}");
                assert_eq!(
                    answer.body["errors"].as_array().unwrap().len(),
                    1,
                    "{query}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_taken_at_its_limit_and_refused_one_above() {
        let full = json!({ "query": "{echo}" }).to_string();
        let streamed = |text: &str| {
            let parts = text.as_bytes().chunks(5).map(<[u8]>::to_vec);
            let parts: Vec<Result<_, std::io::Error>> = parts.map(Ok).collect();
            Body::from_stream(futures::stream::iter(parts))
        };
        for above in [0, 1] {
            let limits = HttpLimits {
                body: full.len() - above,
                ..HttpLimits::default()
            };
            let mut announced = post(NEW, full.clone());
            announced
                .headers_mut()
                .insert("content-length", full.len().into());
            for request in [
                post(NEW, full.clone()),
                post(NEW, streamed(&full)),
                announced,
            ] {
                let answer = send_within(limits, request).await;
                if above == 0 {
                    assert_eq!(answer.status, 200);
                } else {
                    assert_eq!((answer.status, answer.code()), (413, "PAYLOAD_TOO_LARGE"));
                    assert!(
                        answer.body["errors"][0]["message"]
                            .as_str()
                            .unwrap()
                            .contains(&limits.body.to_string())
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn a_post_of_a_million_characters_of_four_bytes_fits() {
        let text = "𝄞".repeat(1_000_000);
        let body = json!({
            "query": "query($t:String){echo(text:$t)}",
            "variables": {"t": text},
        });
        let answer = send(post(NEW, body.to_string())).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["data"]["echo"], text);
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_in_time_is_answered_408() {
        let limits = HttpLimits {
            arrival: Duration::from_millis(20),
            ..HttpLimits::default()
        };
        let never =
            || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let answer = send_within(limits, post(NEW, never())).await;
        assert_eq!((answer.status, answer.code()), (408, "REQUEST_TIMEOUT"));
        assert_eq!(answer.header("connection"), "close");
        let mut second = post(NEW, never());
        *second.version_mut() = Version::HTTP_2;
        let answer = send_within(limits, second).await;
        assert_eq!((answer.status, answer.header("connection")), (408, ""));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_answered_400() {
        let broken = futures::stream::iter([
            Ok(b"{\"query\":".to_vec()),
            Err(std::io::Error::other("reset")),
        ]);
        let answer = send(post(NEW, Body::from_stream(broken))).await;
        assert_eq!((answer.status, answer.code()), (400, "BAD_REQUEST"));
    }

    #[tokio::test]
    async fn a_hundred_request_errors_are_written_and_no_more() {
        for (count, written) in [(100, 100), (101, 100)] {
            let fields = (0..count).map(|i| format!("a{i} ")).collect::<String>();
            let answer = send(query(NEW, &format!("{{mayFail{{{fields}}}}}"))).await;
            assert_eq!(answer.body["errors"].as_array().unwrap().len(), written);
        }
    }

    #[tokio::test]
    async fn a_refusal_decided_elsewhere_keeps_its_status_and_code() {
        let response = refuse(
            MediaType::Json,
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "The token has expired.",
        );
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Json = serde_json::from_slice(&body).unwrap();
        let error = json!({
            "message": "The token has expired.",
            "extensions": {"code": "UNAUTHENTICATED"},
        });
        assert_eq!(body, json!({ "errors": [error] }));
    }

    #[test]
    fn headers_and_extensions_that_resolvers_set_are_sent() {
        let mut response = async_graphql::Response::new(Value::from("x"))
            .extension("took", Value::from(1))
            .http_headers(HeaderMap::from_iter([(
                header::RETRY_AFTER,
                HeaderValue::from_static("1"),
            )]));
        response
            .http_headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        let reply = reply(MediaType::Json, response);
        assert_eq!(reply.headers()[header::RETRY_AFTER], "1");
        let types: Vec<_> = reply
            .headers()
            .get_all(header::CONTENT_TYPE)
            .iter()
            .collect();
        assert_eq!(types, ["application/json; charset=utf-8"]);
    }
}
