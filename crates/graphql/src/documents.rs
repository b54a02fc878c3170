//! Documents that were parsed before: clients send the same few again and again.
//!
//! A document that passed validation once passes it again unless the value of a variable does not.
//! So it is parsed and validated in full when it first comes, and afterwards only what its
//! variables can change is looked at: what it comes to ([`Limits`]), what it costs, and their
//! values.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::{
    Request, Variables,
    parser::types::{ExecutableDocument, OperationType},
};
use hashlink::LruCache;

use crate::{
    inputs::Inputs,
    limits::{self, Limits, Refusal},
    root, rows,
};

/// The bytes of all documents that are kept. Parsed, one takes up to 150 times its text (of
/// fields with names of one letter), so this is 40 MB at the most; the documents of a large client
/// have 300 KB, and take 5 MB.
const KEPT: usize = 256 << 10;

/// The bytes of one document that is kept: so that a few large ones do not drive the others out.
const KEPT_OF_ONE: usize = 16 << 10;

/// The documents that this server has parsed, within its limits.
pub struct Documents {
    limits: Limits,
    kept: Mutex<Kept>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

struct Kept {
    documents: LruCache<String, Arc<Document>>,
    /// The bytes of their sources.
    bytes: usize,
}

/// A document, parsed.
#[derive(Debug)]
pub struct Document {
    parsed: ExecutableDocument,
    /// Whether it was executed without any error.
    valid: AtomicBool,
    /// Whether it selects an object twice.
    merges: bool,
    /// Whether it is a query that a plan might answer whole, see [`root::is_unconditional`].
    unconditional: bool,
}

/// A request within the limits.
#[derive(Debug)]
pub struct Admitted {
    /// The request.
    pub request: Request,
    /// Its document.
    pub document: Arc<Document>,
    /// The type of the operation that it executes.
    pub operation: OperationType,
}

impl Documents {
    /// No documents yet; those to come are held to these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Mutex::new(Kept {
                documents: LruCache::new_unbounded(),
                bytes: 0,
            }),
        }
    }

    /// Parses the request's document, and hands the request back beside it if it is within the
    /// limits.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] as [`limits::parse`] and [`limits::check_request`] give it.
    pub fn admit(&self, request: Request) -> Result<Admitted, Refusal> {
        let kept = self.kept().documents.get(&request.query).cloned();
        let document = match kept {
            Some(document) => {
                limits::measure(&document.parsed, &request.variables, &self.limits)?;
                document
            }
            None => {
                let parsed = limits::parse(&request.query, &request.variables, &self.limits)?;
                let document = Arc::new(Document {
                    merges: rows::merges(&parsed),
                    unconditional: root::is_unconditional(&parsed),
                    parsed,
                    valid: AtomicBool::new(false),
                });
                self.keep(&request.query, &document);
                document
            }
        };
        let operation = limits::check_request(
            &document.parsed.operations,
            request.operation_name.as_deref(),
            &request.variables,
        )?;
        Ok(Admitted {
            request,
            document,
            operation,
        })
    }

    fn keep(&self, source: &str, document: &Arc<Document>) {
        if source.len() > KEPT_OF_ONE {
            return;
        }
        let mut kept = self.kept();
        if kept
            .documents
            .insert(source.to_owned(), document.clone())
            .is_none()
        {
            kept.bytes += source.len();
        }
        while kept.bytes > KEPT
            && let Some((source, _)) = kept.documents.remove_lru()
        {
            kept.bytes -= source.len();
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic while the lock was held leaves a document that is counted twice, or not at all.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Document {
    /// Whether it needs no validation with these variables: it passed before, and each variable
    /// is a plain value of the type that it is declared with. What is used where was looked at
    /// then.
    pub(crate) fn is_valid_with(&self, variables: &Variables, inputs: &Inputs) -> bool {
        let mut operations = self.parsed.operations.iter();
        // Of several, validation looks at the one that is executed.
        let (Some((_, operation)), None) = (operations.next(), operations.next()) else {
            return false;
        };
        let mut definitions = operation.node.variable_definitions.iter();
        self.valid.load(Ordering::Relaxed)
            && definitions.all(|definition| {
                let definition = &definition.node;
                let value = variables.get(&definition.name.node);
                value.is_some_and(|value| inputs.is_plain(value, &definition.var_type.node))
            })
    }

    /// The document, if it is a query that a plan might answer whole.
    pub(crate) fn plannable_query(&self) -> Option<&ExecutableDocument> {
        (self.unconditional && !self.merges).then_some(&self.parsed)
    }

    /// The document, for the library to execute.
    pub(crate) fn to_executable(&self) -> ExecutableDocument {
        self.parsed.clone()
    }

    /// Whether it selects an object twice: see [`merges`](rows::merges).
    pub(crate) fn merges(&self) -> bool {
        self.merges
    }

    /// It was executed without an error: it has passed validation.
    pub(crate) fn passed(&self) {
        self.valid.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> Documents {
        Documents::new(Limits::default())
    }

    fn admitted(documents: &Documents, source: &str) -> Arc<Document> {
        let request = Request::new(source);
        documents
            .admit(request)
            .expect("it is within the limits")
            .document
    }

    #[test]
    fn a_document_is_parsed_once() {
        let documents = documents();
        let first = admitted(&documents, "{ a }");
        assert!(Arc::ptr_eq(&first, &admitted(&documents, "{ a }")));
        assert!(!Arc::ptr_eq(&first, &admitted(&documents, "{ b }")));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let documents = documents();
        let source = |n: usize| format!("{{ a{n} # {}\n}}", "-".repeat(1_000));
        let first = admitted(&documents, &source(0));
        for n in 1..1_000 {
            admitted(&documents, &source(n));
        }
        let kept = documents.kept();
        let bytes: usize = kept.documents.iter().map(|(source, _)| source.len()).sum();
        assert_eq!(bytes, kept.bytes);
        assert!(kept.bytes <= KEPT && kept.bytes > KEPT / 2);
        drop(kept);
        assert!(!Arc::ptr_eq(&first, &admitted(&documents, &source(0))));
        let large = format!("{{ a # {}\n}}", "-".repeat(KEPT_OF_ONE));
        let first = admitted(&documents, &large);
        assert!(!Arc::ptr_eq(&first, &admitted(&documents, &large)));
    }

    #[test]
    fn the_limits_hold_for_a_document_that_is_known() {
        let limits = Limits {
            values: 3,
            ..Limits::default()
        };
        let documents = Documents::new(limits);
        let request = |value: serde_json::Value| {
            let variables = Variables::from_json(serde_json::json!({ "v": value }));
            Request::new("query($v: [Int]) { a(v: $v) }").variables(variables)
        };
        assert!(documents.admit(request(serde_json::json!([]))).is_ok());
        let refused = documents.admit(request(serde_json::json!([1, 2, 3, 4, 5])));
        assert_eq!(
            refused.map(|_| ()).map_err(|refusal| refusal.code),
            Err(limits::Code::TooComplex)
        );
    }

    #[test]
    fn a_document_is_trusted_with_plain_variables_of_its_types_alone() {
        let documents = documents();
        let inputs = Inputs::of(
            "enum Way { UP DOWN } scalar Time
             input Point { x: Int! y: Int! = 3 ways: [Way!] at: Time next: Point }",
        );
        let source = "query Named($a: Int!, $b: String, $c: [Int], $p: Point!) {
            x(a: $a, b: $b, c: $c, p: $p) }";
        let with = |p: serde_json::Value| {
            let variables = serde_json::json!({ "a": 1, "b": "two", "c": [3], "p": p });
            Variables::from_json(variables)
        };
        let variables = |mut json: serde_json::Value| {
            json["p"] = serde_json::json!({ "x": 1 });
            Variables::from_json(json)
        };
        let good = || variables(serde_json::json!({ "a": 1, "b": "two", "c": null }));
        let request = Request::new(source).variables(good());
        let document = documents
            .admit(request)
            .expect("it is within the limits")
            .document;
        assert!(!document.is_valid_with(&good(), &inputs));
        document.passed();
        assert!(document.is_valid_with(&good(), &inputs));
        for other in [
            serde_json::json!({ "a": 3_000_000_000_i64, "b": "two", "c": null }),
            serde_json::json!({ "a": "1", "b": "two", "c": null }),
            serde_json::json!({ "a": 1.5, "b": "two", "c": null }),
            serde_json::json!({ "a": null, "b": "two", "c": null }),
            serde_json::json!({ "a": 1, "b": 2, "c": null }),
            serde_json::json!({ "a": 1, "b": "two", "c": 1 }),
            serde_json::json!({ "a": 1, "b": "two", "c": ["1"] }),
            serde_json::json!({ "a": 1, "c": null }),
        ] {
            let trusted = document.is_valid_with(&variables(other.clone()), &inputs);
            assert!(!trusted, "{other}");
        }
        for point in [
            serde_json::json!({ "x": 1, "y": 2, "ways": ["UP"], "at": null, "next": { "x": 2 } }),
            serde_json::json!({ "x": 1, "ways": [], "next": null }),
        ] {
            assert!(
                document.is_valid_with(&with(point.clone()), &inputs),
                "{point}"
            );
        }
        for point in [
            serde_json::json!({}),
            serde_json::json!({ "x": null }),
            serde_json::json!({ "x": 1, "y": null }),
            serde_json::json!({ "x": 1, "z": 1 }),
            serde_json::json!({ "x": 1, "ways": "UP" }),
            serde_json::json!({ "x": 1, "ways": ["LEFT"] }),
            serde_json::json!({ "x": 1, "ways": [null] }),
            serde_json::json!({ "x": 1, "at": "now" }),
            serde_json::json!({ "x": 1, "next": { "y": 1 } }),
            serde_json::json!({ "x": 1, "next": [] }),
            serde_json::json!([{ "x": 1 }]),
            serde_json::json!("x"),
            serde_json::json!(null),
        ] {
            assert!(
                !document.is_valid_with(&with(point.clone()), &inputs),
                "{point}"
            );
        }
    }
}
