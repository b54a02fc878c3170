//! Who wrote it: names as people put them into an author field.

use unicode_normalization::UnicodeNormalization;

use super::super::source::Author;

/// The authors that one text names, in its order.
///
/// "A and B", "A & B", "A, B, and C" and "A; B" are several authors. Guessing
/// wrong would make people up, so a text stays one name, as it is written, when
/// a part of it may not be one:
///
/// - a part is a role or says for whom somebody writes ("X on behalf of the
///   Compiler Team", "X, Project Director of Collaboration");
/// - a part is a title or a legal form ("X, Ph.D.", "Y, Inc.");
/// - only commas stand in it and a part is a single word ("Klabnik, Steve");
/// - it ends in the name of one group ("The Infrastructure and Release Team"),
///   unless that has an article of its own ("X and the Governance WG").
///
/// Nothing inside brackets or double quotes divides names.
pub(super) fn authors(text: &str) -> Vec<Author> {
    split(text).into_iter().filter_map(author).collect()
}

/// An author with both parts given, as in `{ name = "A", email = "a@example.org" }`.
/// Without a name it is the part of the address before the `@`, as the whole
/// address is not for everyone to see; what is no address is left out.
pub(super) fn author_of(name: Option<&str>, email: Option<&str>) -> Option<Author> {
    let email = email.map(str::trim).filter(|email| is_address(email));
    let name = name.and_then(author).or_else(|| email.and_then(author))?;
    Some(Author {
        email: email.map(str::to_owned).or(name.email),
        name: name.name,
    })
}

/// A name in the form in which equal names are equal: composed (NFC), with
/// single spaces.
pub(super) fn tidy(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ").nfc().collect()
}

/// One author: `Name`, `Name <address>`, `address (Name)` as Zola's "Page" page
/// and RSS 2.0 have it, `address`, or `@handle`.
fn author(text: &str) -> Option<Author> {
    let text = text.trim();
    let (name, email) = if is_address(text) {
        (text.split('@').next().unwrap_or_default(), Some(text))
    } else if let Some((name, address)) = bracketed(text, '<', '>')
        && is_address(address)
    {
        if name.is_empty() {
            return author(address);
        }
        (name, Some(address))
    } else if let Some((address, name)) = bracketed(text, '(', ')')
        && is_address(address)
        && !name.is_empty()
    {
        (name, Some(address))
    } else {
        (text, None)
    };
    let handle = name
        .strip_prefix('@')
        .filter(|handle| !handle.contains(char::is_whitespace));
    let name = tidy(handle.unwrap_or(name));
    (!name.is_empty()).then(|| Author {
        name,
        email: email.map(str::to_owned),
    })
}

/// What stands before a bracket, and in it, when it closes the text.
fn bracketed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let (before, inside) = text.strip_suffix(close)?.split_once(open)?;
    Some((before.trim(), inside.trim()))
}

/// Whether it can be an address: enough to tell one from a name.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let inner_dot = domain
        .split_once('.')
        .is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
    let forbidden = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "@<>()[],;:\"\\".contains(letter)
    };
    // RFC 5321, section 4.5.3.1.3, leaves 254 octets for an address.
    !local.is_empty()
        && inner_dot
        && text.len() <= 254
        && !local.contains(forbidden)
        && !domain.contains(forbidden)
}

fn split(text: &str) -> Vec<&str> {
    let (listed, _) = cut(text, Cut::Semicolons);
    if listed.len() > 1 {
        return listed;
    }
    let (parts, joined) = cut(text, Cut::CommasAndWords);
    let single_word = |part: &str| part.split_whitespace().nth(1).is_none();
    let one_name = parts.iter().any(|part| is_no_name(part))
        || (!joined && parts.iter().any(|part| single_word(part)))
        || (joined && parts.last().is_some_and(|part| ends_a_group(part)));
    if one_name { vec![text] } else { parts }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Semicolons,
    CommasAndWords,
}

/// The parts between separators, none empty, and whether one of the separators
/// was "and" or "&".
fn cut(text: &str, at: Cut) -> (Vec<&str>, bool) {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted, mut joined) = (0, 0_u32, false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' | '[' | '<' => depth += 1,
            ')' | ']' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if quoted || depth > 0 || index < start {
            continue;
        }
        let length = match (at, letter) {
            (Cut::Semicolons, ';') | (Cut::CommasAndWords, ',') => 1,
            (Cut::CommasAndWords, _) if letter.is_whitespace() => {
                let rest = &text[index + letter.len_utf8()..];
                let Some(word) = ["and", "&"].into_iter().find(|word| {
                    rest.strip_prefix(word)
                        .is_some_and(|rest| rest.starts_with(char::is_whitespace))
                }) else {
                    continue;
                };
                joined = true;
                letter.len_utf8() + word.len()
            }
            _ => continue,
        };
        parts.push(text[start..index].trim());
        start = index + length;
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    (parts, joined)
}

/// Whether the part says something about a name instead of being one.
fn is_no_name(part: &str) -> bool {
    const ROLES: [&str; 9] = [
        "of", "for", "at", "in", "on", "behalf", "from", "with", "by",
    ];
    const SUFFIXES: [&str; 16] = [
        "jr", "sr", "ii", "iii", "iv", "phd", "md", "msc", "bsc", "esq", "inc", "ltd", "llc",
        "gmbh", "corp", "co",
    ];
    let suffix = part.replace('.', "").to_lowercase();
    part.split_whitespace().any(|word| ROLES.contains(&word))
        || SUFFIXES.contains(&suffix.as_str())
        || !part.contains(char::is_alphabetic)
}

/// Whether the part is the end of a group's name: its last word says so, and it
/// has no article.
fn ends_a_group(part: &str) -> bool {
    const GROUPS: [&str; 24] = [
        "automation",
        "committee",
        "community",
        "company",
        "contributors",
        "council",
        "crew",
        "department",
        "foundation",
        "friends",
        "group",
        "groups",
        "lab",
        "labs",
        "members",
        "others",
        "partners",
        "project",
        "projects",
        "sons",
        "team",
        "teams",
        "wg",
        "wgs",
    ];
    let named = part
        .split_whitespace()
        .next_back()
        .is_some_and(|word| GROUPS.contains(&word.to_lowercase().as_str()));
    let article = part
        .split_whitespace()
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("the"));
    named && !article
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        authors(text)
            .into_iter()
            .map(|author| author.name)
            .collect()
    }

    fn pair(author: Option<Author>) -> (String, Option<String>) {
        let author = author.unwrap();
        (author.name, author.email)
    }

    #[test]
    fn names_joined_in_one_text_are_several_authors() {
        for (text, expected) in [
            (
                "Niko Matsakis and Tyler Mandry",
                &["Niko Matsakis", "Tyler Mandry"][..],
            ),
            ("TC & Eric Huss", &["TC", "Eric Huss"]),
            (
                "Felix Klock, Wesley Wiser",
                &["Felix Klock", "Wesley Wiser"],
            ),
            (
                "Eric, Felix, Joel and Mara",
                &["Eric", "Felix", "Joel", "Mara"],
            ),
            (
                "Kyle Strand, Niko Matsakis, and Amanieu d'Antras",
                &["Kyle Strand", "Niko Matsakis", "Amanieu d'Antras"],
            ),
            (
                "Jane Losare-Lusby and the Governance Reform WG",
                &["Jane Losare-Lusby", "the Governance Reform WG"],
            ),
            (
                "Niko Matsakis and @mark-i-m",
                &["Niko Matsakis", "mark-i-m"],
            ),
            (
                "Klabnik, Steve; Matsakis, Niko",
                &["Klabnik, Steve", "Matsakis, Niko"],
            ),
            ("A B <a@example.org>, C D <c@example.org>", &["A B", "C D"]),
            ("a  and\tb", &["a", "b"]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_one_name_stays_one() {
        for text in [
            "The Rust Core Team",
            "Arthur Cohen on behalf of the gccrs project",
            "Jane Lusby, on behalf of The Rust Project Teams",
            "Jane Lusby, Project Director of Collaboration",
            "The Rust Survey Working Group in partnership with the Rust Foundation",
            "Carol (Nichols || Goulding)",
            "Carol (Nichols and Goulding)",
            "Mazdak \"Centril, and so on\" Farrokhzad",
            "Klabnik, Steve",
            "Martin Luther King, Jr.",
            "Ada Lovelace, Ph.D.",
            "Acme Widgets, Inc.",
            "Ada Lovelace, Ph.D. and Grace Hopper",
            "The Infrastructure and Release Teams",
            "Smith & Sons",
            "Sandy Anderson",
            "AT&T",
        ] {
            assert_eq!(names(text), [text], "{text}");
        }
    }

    #[test]
    fn separators_without_names_name_nobody() {
        for text in ["", "  ", "<>", "@"] {
            assert!(names(text).len() <= 1, "{text:?}: {:?}", names(text));
        }
        assert_eq!(names("A B, , C D,"), ["A B", "C D"]);
        assert!(names(" ").is_empty());
    }

    #[test]
    fn an_address_beside_a_name_is_told_apart() {
        for (text, name, email) in [
            (
                "Ada Lovelace <ada@example.org>",
                "Ada Lovelace",
                Some("ada@example.org"),
            ),
            (
                "ada@example.org (Ada Lovelace)",
                "Ada Lovelace",
                Some("ada@example.org"),
            ),
            ("ada@example.org", "ada", Some("ada@example.org")),
            ("<ada@example.org>", "ada", Some("ada@example.org")),
            ("Ada <not an address>", "Ada <not an address>", None),
            ("Ada (Lovelace)", "Ada (Lovelace)", None),
            ("@ada", "ada", None),
            ("ada@localhost", "ada@localhost", None),
        ] {
            assert_eq!(
                pair(author(text)),
                (name.to_owned(), email.map(str::to_owned)),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_is_never_a_name() {
        let (name, email) = pair(author_of(None, Some("ada@example.org")));
        assert_eq!(
            (name.as_str(), email.as_deref()),
            ("ada", Some("ada@example.org"))
        );
        assert_eq!(author_of(None, Some("nonsense")), None);
        assert_eq!(author_of(None, None), None);
        let (name, email) = pair(author_of(Some("Ada"), Some("nonsense")));
        assert_eq!((name.as_str(), email), ("Ada", None));
        let (name, email) = pair(author_of(Some("Ada <a@example.org>"), None));
        assert_eq!(
            (name.as_str(), email.as_deref()),
            ("Ada", Some("a@example.org"))
        );
    }

    #[test]
    fn names_that_look_alike_are_equal() {
        assert_eq!(tidy(" Jakub  Bera\u{301}nek "), "Jakub Ber\u{e1}nek");
    }
}
