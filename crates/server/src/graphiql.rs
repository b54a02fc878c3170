//! The GraphiQL page: the one that is built from `web/` when it was built, and otherwise one
//! that takes the same versions from a CDN, each file checked by its hash.

use axum::{
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{Embed, EmbeddedFile};

/// `web/dist`, as it was when the binary was built.
#[derive(Embed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Built;

/// The page for a binary that was built without `web/dist`.
const FROM_CDN: &str = include_str!("../../../web/cdn.html");

/// What the built page may load: its own files alone. GraphiQL's editor writes styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      font-src 'self' data:; img-src 'self' data:; connect-src 'self'; \
                      worker-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Whether the page is in the binary, so that nothing is loaded from elsewhere.
pub fn is_embedded() -> bool {
    Built::get("index.html").is_some()
}

/// Answers `/graphiql`.
pub async fn page() -> Response {
    match Built::get("index.html") {
        Some(index) => file("index.html", index),
        // It says itself, in the page, what it may load.
        None => (
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            FROM_CDN,
        )
            .into_response(),
    }
}

/// Answers `/graphiql/<path>`.
pub async fn asset(Path(path): Path<String>) -> Response {
    match Built::get(&path) {
        Some(found) if !path.starts_with('.') => file(&path, found),
        _ => (StatusCode::NOT_FOUND, "There is no such file.\n").into_response(),
    }
}

fn file(path: &str, file: EmbeddedFile) -> Response {
    // The names of assets hold a hash of what is in them.
    let keep = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(content_type(path)),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, file.data.into_owned()).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
