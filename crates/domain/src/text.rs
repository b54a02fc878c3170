//! Text from outside: what is accepted, and how keys are folded.

use unicode_normalization::UnicodeNormalization;

use crate::{Error, Invalid, Patch, Result, error::path};

/// The most characters of a name, a title or a slug.
pub const MAX_LINE: usize = 200;

/// The most characters of a post.
pub const MAX_CONTENT: usize = 1_000_000;

/// The most characters of a biography.
pub const MAX_BIO: usize = 5_000;

/// The most characters of an e-mail address (RFC 5321, section 4.5.3.1: 64 for the local part,
/// an `@`, and 255 for the domain).
pub const MAX_EMAIL: usize = 320;

/// Folds a key, so that case does not tell two apart and accents do: NFC, lower case.
///
/// Keys are compared as bytes by every engine; the engines' own foldings disagree.
pub fn fold(text: &str) -> String {
    text.trim()
        .nfc()
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

/// The folded key to look up. `None` if the text has a NUL character: no key has one, and
/// PostgreSQL refuses even to look.
pub(crate) fn lookup_key(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| fold(text))
}

/// A slug made of a title: its letters and digits, folded, with hyphens between the words.
pub fn slug_of(title: &str) -> String {
    let mut slug = String::with_capacity(title.len());
    for c in fold(title).chars() {
        if is_slug_character(c) && c != '-' {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.chars().count() >= MAX_LINE / 2 {
            break;
        }
    }
    let slug = slug.trim_matches(['-', '.']).to_owned();
    if slug.is_empty() {
        "untitled".into()
    } else {
        slug
    }
}

fn is_slug_character(c: char) -> bool {
    // RFC 3986, section 2.3, with letters and digits of every script.
    c.is_alphanumeric()
        || matches!(c, '-' | '.' | '_' | '~')
        || unicode_normalization::char::is_combining_mark(c)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Collects what is wrong with an input, so that a client learns all of it at once.
#[derive(Debug, Default)]
pub struct Check {
    wrong: Vec<Invalid>,
    /// The item of a list that the fields are of.
    item: Option<(&'static str, usize)>,
    /// How much was wrong before it.
    before: usize,
}

impl Check {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What comes next is about the item of a list at `index`, from 0.
    pub(crate) fn item(&mut self, list: &'static str, index: usize) {
        self.item = Some((list, index));
        self.before = self.wrong.len();
    }

    /// Whether nothing is wrong with the item, or with anything if there is no list.
    pub(crate) fn is_fine(&self) -> bool {
        self.wrong.len() == self.before
    }

    /// Something is wrong with a field.
    pub fn refuse(&mut self, field: &str, message: impl Into<String>) {
        let mut path = path(field);
        if let Some((list, index)) = self.item {
            path.splice(1..1, [list.to_owned(), index.to_string()]);
        }
        self.wrong.push(Invalid {
            path,
            message: message.into(),
        });
    }

    /// A text of one line that must not be empty: trimmed, without control characters.
    pub fn line(&mut self, field: &str, text: &str) -> String {
        self.line_of(field, text, MAX_LINE)
    }

    /// The same, with `most` characters at the most.
    pub fn line_of(&mut self, field: &str, text: &str, most: usize) -> String {
        let text = text.trim();
        if text.is_empty() {
            self.refuse(field, "It must not be empty.");
        } else if text.chars().any(char::is_control) {
            self.refuse(field, "It must be one line, without control characters.");
        } else {
            self.length(field, text, most);
        }
        text.to_owned()
    }

    /// A text of many lines: kept byte for byte. NUL is refused, since PostgreSQL cannot keep
    /// it.
    pub fn body(&mut self, field: &str, text: String, most: usize) -> String {
        if text.contains('\0') {
            self.refuse(field, "It must not contain the NUL character.");
        }
        self.length(field, &text, most);
        text
    }

    /// A slug, folded.
    pub fn slug(&mut self, field: &str, text: &str) -> String {
        let slug = fold(text);
        if slug.is_empty() {
            self.refuse(field, "It must not be empty.");
        } else if !slug.chars().all(is_slug_character) {
            self.refuse(field, "It may contain letters, digits, and - . _ ~ only.");
        } else {
            self.length(field, &slug, MAX_LINE);
        }
        slug
    }

    /// An e-mail address: something, an `@`, and something. Whether it exists, only a mail can
    /// tell.
    pub fn email(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        let good = text.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.starts_with('.')
        });
        if !good || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            self.refuse(field, "It must be an e-mail address.");
        } else {
            self.length(field, text, MAX_EMAIL);
            self.folded(field, text);
        }
        text.to_owned()
    }

    /// A text whose folded form is kept as well: some letters become two in lower case, and a
    /// key has at most [`MAX_EMAIL`] characters.
    pub fn folded(&mut self, field: &str, text: &str) {
        let mut of_item = self.wrong.iter().skip(self.before);
        let refused = of_item.any(|one| one.path.last().is_some_and(|last| last == field));
        // What is too long as it is has been refused as that.
        if text.len() <= 4 * MAX_EMAIL && !refused {
            self.length(field, &fold(text), MAX_EMAIL);
        }
    }

    /// A password.
    pub fn password(&mut self, field: &str, text: &str) {
        let length = text.chars().count();
        let (least, most) = (
            crate::password::MIN_CHARACTERS,
            crate::password::MAX_CHARACTERS,
        );
        if length < least || length > most {
            self.refuse(field, format!("It must have {least} to {most} characters."));
        } else if text.contains('\0') {
            self.refuse(field, "It must not contain the NUL character.");
        }
    }

    /// An address on the web.
    pub fn url(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if !good {
            self.refuse(field, "It must be an http or https URL.");
        }
        self.length(field, text, 2_000);
        text.to_owned()
    }

    /// A field that must have a value: it can be set and left alone, not cleared.
    pub fn required<T>(&mut self, field: &str, patch: Patch<T>) -> Option<T> {
        match patch {
            Patch::Keep => None,
            Patch::Set(value) => Some(value),
            Patch::Clear => {
                self.refuse(field, "It cannot be null.");
                None
            }
        }
    }

    /// Refuses if anything is wrong.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with everything that is.
    pub fn done(self) -> Result<()> {
        if self.wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.wrong))
        }
    }

    fn length(&mut self, field: &str, text: &str, most: usize) {
        // A character has at least one byte: most texts need no counting.
        if text.len() > most && text.chars().count() > most {
            self.refuse(
                field,
                format!("It must not have more than {most} characters."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_by_case_collide_and_by_accent_do_not() {
        assert_eq!(fold("Été"), fold("ÉTÉ"));
        assert_eq!(fold("Stra\u{df}e"), "straße");
        // The accent as a character of its own, and joined with its letter.
        assert_eq!(fold("E\u{301}"), fold("\u{e9}"));
        assert_ne!(fold("été"), fold("ete"));
    }

    #[test]
    fn a_slug_is_made_of_letters_and_digits() {
        assert_eq!(slug_of("Announcing Rust 1.88.0"), "announcing-rust-1.88.0");
        assert_eq!(slug_of("  Ça & là! "), "ça-là");
        assert_eq!(slug_of("!!!"), "untitled");
        let long = slug_of(&"a".repeat(1000));
        assert!(long.chars().count() <= MAX_LINE);
    }

    #[test]
    fn a_line_at_the_limit_is_accepted_and_one_above_is_refused() {
        let mut check = Check::new();
        check.line("title", &"é".repeat(MAX_LINE));
        assert!(check.done().is_ok());
        let mut check = Check::new();
        check.line("title", &"é".repeat(MAX_LINE + 1));
        assert!(matches!(check.done(), Err(Error::Invalid(wrong)) if wrong.len() == 1));
    }
}
