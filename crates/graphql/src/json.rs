//! Answers as JSON text.
//!
//! What rows are resolved to together is written at once, and not as the library's values, each
//! with a map of its fields: that took most of the time of a list. The schema has no scalar whose
//! values are bytes, so text that is ready stands among the library's values as
//! [`Value::Binary`].

use std::{borrow::Cow, io::Write as _, str::Utf8Error, sync::Arc};

use async_graphql::{Response, Value};
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use plimsoll_domain as domain;
use uuid::Uuid;

use crate::batch::Failure;

/// JSON text that is being written: its bytes, since it is never looked at as text again.
#[derive(Debug, Default)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    /// Nothing yet, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A piece of JSON as it is.
    pub(crate) fn raw(&mut self, json: &str) {
        self.ready(json.as_bytes());
    }

    /// What another one has written.
    pub(crate) fn ready(&mut self, json: &[u8]) {
        self.0.extend_from_slice(json);
    }

    /// A string of which no character needs escaping, such as an id.
    pub(crate) fn plain(&mut self, text: &str) {
        self.quoted(text.as_bytes());
    }

    fn quoted(&mut self, text: &[u8]) {
        self.0.push(b'"');
        self.ready(text);
        self.0.push(b'"');
    }

    /// Any string.
    pub(crate) fn string(&mut self, text: &str) {
        // What section 7 of RFC 8259 wants escaped. All bytes are looked at, many at a time: that
        // is faster than to stop at the first.
        let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        let any = text.bytes().fold(false, |any, byte| any | is_special(byte));
        if any {
            // A vector takes everything.
            let _ = serde_json::to_writer(&mut self.0, text);
        } else {
            self.plain(text);
        }
    }

    /// Any text, of which nobody has seen yet whether it is UTF-8. Most texts are seen to be by the
    /// same look that sees that nothing needs escaping.
    ///
    /// # Errors
    ///
    /// [`Utf8Error`] if it is not.
    pub(crate) fn text(&mut self, text: &[u8]) -> Result<(), Utf8Error> {
        if is_simple(text) {
            self.quoted(text);
        } else {
            self.string(str::from_utf8(text)?);
        }
        Ok(())
    }

    /// The id of a record of this type.
    pub(crate) fn id(&mut self, prefix: &str, id: Uuid) {
        self.0.push(b'"');
        self.raw(prefix);
        self.0.push(b'_');
        self.ready(&crate::id::digits(id));
        self.0.push(b'"');
    }

    /// A time, as the scalar `DateTime` is written: `2026-11-28T13:59:36.123456+00:00`.
    pub(crate) fn time(&mut self, time: DateTime<Utc>) {
        let time = time.naive_utc();
        let (year, nanos) = (time.year(), time.nanosecond());
        if !(0..=9_999).contains(&year) || !nanos.is_multiple_of(1_000) || nanos >= 1_000_000_000 {
            // No engine keeps such times.
            return self.plain(&time.and_utc().to_rfc3339());
        }
        // Chrono's own formatting is for all years, calendars and zones, and takes as long as it
        // takes to read a row.
        let mut text = *b"\"0000-00-00T00:00:00.000000";
        digits(&mut text[1..5], year.unsigned_abs());
        digits(&mut text[6..8], time.month());
        digits(&mut text[9..11], time.day());
        digits(&mut text[12..14], time.hour());
        digits(&mut text[15..17], time.minute());
        digits(&mut text[18..20], time.second());
        let micros = nanos / 1_000;
        digits(&mut text[21..], micros);
        let end = match micros {
            0 => 20,
            _ if micros.is_multiple_of(1_000) => 24,
            _ => text.len(),
        };
        self.ready(&text[..end]);
        self.raw("+00:00\"");
    }

    /// Whatever is displayed as JSON has it: a number or a truth value.
    pub(crate) fn display(&mut self, value: impl std::fmt::Display) {
        // A vector takes everything.
        let _ = write!(self.0, "{value}");
    }

    /// Any value of the library's.
    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.raw("null"),
            Value::Number(number) => self.display(number),
            Value::String(text) => self.string(text),
            Value::Boolean(truth) => self.display(truth),
            // What was written before, by `into_value`.
            Value::Binary(json) => self.ready(json),
            Value::Enum(name) => self.plain(name),
            Value::List(items) => {
                self.raw("[");
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.raw(",");
                    }
                    self.value(item);
                }
                self.raw("]");
            }
            Value::Object(fields) => {
                self.raw("{");
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        self.raw(",");
                    }
                    self.string(name);
                    self.raw(":");
                    self.value(value);
                }
                self.raw("}");
            }
        }
    }

    /// The text as one of the library's values.
    pub(crate) fn into_value(self) -> Value {
        Value::Binary(self.0.into())
    }
}

/// Writes the last decimal digits of a number, which are an even number of digits.
fn digits(text: &mut [u8], mut number: u32) {
    for pair in text.rchunks_exact_mut(2) {
        pair.copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
}

/// The numbers below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// How many bytes of a text are looked at together.
const LANES: usize = 16;

/// Whether a text is ASCII in which nothing needs escaping.
fn is_simple(text: &[u8]) -> bool {
    // As a signed number, a byte beyond ASCII is below all others.
    let is_special = |byte: &u8| (*byte as i8) < 0x20 || *byte == b'"' || *byte == b'\\';
    let any = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | is_special(byte));
    let (chunks, rest) = text.as_chunks::<LANES>();
    let is_special_at_end = match text.last_chunk::<LANES>() {
        // Some are looked at twice: that is faster than one by one.
        Some(last) => any(last),
        None => any(rest),
    };
    !is_special_at_end && !chunks.iter().any(|chunk| any(chunk))
}

/// A response as it is sent (section 7.1 of the GraphQL specification, "Response Format").
/// `executed`: whether it has the entry `data`.
///
/// # Errors
///
/// What keeps an extension from being written as JSON.
pub fn write_response(response: &Response, executed: bool) -> serde_json::Result<Vec<u8>> {
    let mut json = Json::with_capacity(size(&response.data) + 64);
    let entry = |json: &mut Json, name: &str| {
        json.raw(if json.len() == 0 { "{" } else { "," });
        json.plain(name);
        json.raw(":");
    };
    if !response.errors.is_empty() {
        entry(&mut json, "errors");
        serde_json::to_writer(&mut json.0, &response.errors)?;
    }
    if executed {
        entry(&mut json, "data");
        json.value(&response.data);
    }
    if !response.extensions.is_empty() {
        entry(&mut json, "extensions");
        serde_json::to_writer(&mut json.0, &response.extensions)?;
    }
    json.raw("}");
    Ok(json.0)
}

/// About how many bytes a value is written with: those of text that is ready.
fn size(value: &Value) -> usize {
    match value {
        Value::Binary(json) => json.len(),
        Value::String(text) => text.len() + 2,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + 4 + size(value))
            .sum(),
        _ => 4,
    }
}

/// A leaf of an answer.
pub(crate) trait Leaf {
    /// Writes it as it stands in the answer.
    fn write(self, json: &mut Json) -> Result<(), Failure>;
}

macro_rules! leaves {
    ($($ty:ty: |$leaf:ident, $json:ident| $write:expr;)*) => {$(
        impl Leaf for $ty {
            fn write(self, $json: &mut Json) -> Result<(), Failure> {
                let $leaf = self;
                $write;
                Ok(())
            }
        }
    )*};
}

leaves! {
    bool: |leaf, json| json.display(leaf);
    i32: |leaf, json| json.display(leaf);
    DateTime<Utc>: |leaf, json| json.time(leaf);
    async_graphql::ID: |leaf, json| json.string(&leaf);
}

/// A text, of which nobody has seen yet whether it is UTF-8.
impl Leaf for Cow<'_, [u8]> {
    fn write(self, json: &mut Json) -> Result<(), Failure> {
        json.text(&self).map_err(|error| {
            let message = format!("a text of the database is not UTF-8: {error}");
            Arc::new(domain::Error::Internal(message))
        })
    }
}

impl<T: Leaf> Leaf for Option<T> {
    fn write(self, json: &mut Json) -> Result<(), Failure> {
        match self {
            None => json.raw("null"),
            Some(leaf) => leaf.write(json)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_the_library_writes_them() {
        let value = json!({
            "null": null, "true": true, "int": -1, "float": 1.5e300, "big": u64::MAX,
            "text": "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}\u{2028}é😀", "": "",
            "list": [[], [1, "a"], {}], "\"": {"nested": [null]},
        });
        let value = Value::from_json(value).expect("a value");
        let mut json = Json::default();
        json.value(&value);
        assert_eq!(json.0, serde_json::to_vec(&value).expect("JSON"));
    }

    #[test]
    fn times_are_written_as_the_library_writes_them() {
        for micros in [
            0,
            1,
            -1,
            999_999,
            500_000,
            120_000,
            1_000,
            1_764_338_376_123_456,
            1_764_338_376_000_000,
            951_782_399_999_999,
            253_402_300_799_999_999,
            253_402_300_800_000_000,
            -62_167_219_200_000_000,
            -62_167_219_200_000_001,
        ] {
            let time = DateTime::<Utc>::from_timestamp_micros(micros).expect("a time");
            let mut json = Json::default();
            json.time(time);
            let expected = async_graphql::ScalarType::to_value(&time);
            assert_eq!(json.0, expected.to_string().as_bytes(), "{micros}");
        }
    }

    #[test]
    fn texts_are_written_as_strings_are() {
        // Each character at each place of texts around the number that is looked at together.
        for one in [
            "", "x", "\u{7f}", "\"", "\\", "\0", "\u{1f}", " ", "é", "\u{80}", "😀",
        ] {
            for (before, after) in (0..40).flat_map(|n| (0..=n).map(move |at| (at, n - at))) {
                let text = format!("{}{one}{}", "a".repeat(before), "z".repeat(after));
                let mut json = Json::default();
                assert_eq!(json.text(text.as_bytes()), Ok(()));
                assert_eq!(json.0, serde_json::to_vec(&text).expect("JSON"), "{text:?}");
            }
        }
        for bad in [&b"\xff"[..], b"a long text in Latin-1: \xe9", b"\xc3"] {
            let mut json = Json::default();
            assert!(json.text(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_ready_is_kept() {
        let mut ready = Json::default();
        ready.raw(r#"[{"a":"é"}]"#);
        let mut json = Json::default();
        json.value(&Value::List(vec![ready.into_value(), Value::Null]));
        assert_eq!(json.0, r#"[[{"a":"é"}],null]"#.as_bytes());
    }
}
