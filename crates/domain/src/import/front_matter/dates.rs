//! Dates as people write them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::super::source::Skipped;

/// Reads a date, with or without a time. Without a time it is midnight,
/// without an offset it is UTC; the fraction of a second is kept to the
/// nanosecond.
///
/// - TOML and RFC 3339: `2024-05-06`, `2024-05-06T07:08:09.5+02:00`;
/// - YAML 1.1, "Timestamp Language-Independent Type": `2001-12-14 21:59:43.10 -5`,
///   `2001-1-2`;
/// - Jekyll, "Front Matter": `2016-05-26 00:00:00 +0000`;
/// - RFC 5322 and Astro's starter posts: `Fri, 08 Jul 2022 10:00:00 +0000`,
///   `Jul 08 2022`, `July 8, 2022`.
///
/// `05/06/2024` is two different days to different readers, and a year of two
/// digits is two different years: neither is a date here.
///
/// # Errors
///
/// [`Skipped::BadDate`] if it is none of these or no day of the calendar,
/// [`Skipped::DateOutOfRange`] if its year, in UTC, is not within 1000 to 9999.
pub(super) fn parse(text: &str) -> Result<DateTime<Utc>, Skipped> {
    let bad = || Skipped::bad_date(text);
    let (year, month, day, rest) = numeric(text.trim())
        .or_else(|| worded(text.trim()))
        .ok_or_else(bad)?;
    let (time, offset) = time_and_offset(&rest).ok_or_else(bad)?;
    if !(1000..=9999).contains(&year) {
        return Err(Skipped::date_out_of_range(text));
    }
    let date = NaiveDate::from_ymd_opt(year, month, day).ok_or_else(bad)?;
    let utc = NaiveDateTime::new(date, time)
        .checked_sub_signed(offset)
        .filter(|utc| (1000..=9999).contains(&utc.year()))
        .ok_or_else(|| Skipped::date_out_of_range(text))?;
    Ok(utc.and_utc())
}

/// A name that starts with a date.
pub(in super::super) struct Dated<'a> {
    /// As [`parse`] reads it: an error for a day that does not exist.
    pub(in super::super) date: Result<DateTime<Utc>, Skipped>,
    /// What follows the date and its separator, if anything does.
    pub(in super::super) rest: Option<&'a str>,
}

/// Takes the date off a file's or folder's name: `2024-05-06-name`,
/// `2024-05-06_name`, `2024-05-06T07:08:09Z-name` (Jekyll's "Posts" page and Zola's
/// "Page" page), or the date alone. Nothing if the name does not start with one.
pub(in super::super) fn leading_date(name: &str) -> Option<Dated<'_>> {
    let (_, rest) = date_digits(name, b'-')?;
    let split = |end: usize| {
        let rest = match name[end..].strip_prefix(['-', '_', ' ']) {
            Some(rest) => Some(rest).filter(|rest| !rest.is_empty()),
            None if end == name.len() => None,
            None => return None,
        };
        let date = parse(&name[..end]);
        Some(Dated { date, rest })
    };
    let day_end = name.len() - rest.len();
    if !rest.starts_with(['T', 't']) {
        return split(day_end);
    }
    // An offset contains the separator itself: the longest prefix that is a
    // date wins. 35 bytes hold one with nanoseconds and offset.
    (day_end..=name.len().min(35))
        .rev()
        .filter(|end| name.is_char_boundary(*end))
        .filter_map(split)
        .find(|found| found.date.is_ok())
}

/// The date in three neighbouring segments of a path, `2014/09/15/name`.
///
/// # Errors
///
/// As [`parse`], for a day that does not exist.
pub(in super::super) fn path_date(path: &str) -> Option<Result<DateTime<Utc>, Skipped>> {
    let segments: Vec<&str> = path.split('/').collect();
    segments.windows(3).find_map(|window| {
        let [year, month, day] = window else {
            return None;
        };
        let digits = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        (digits(year, 4) && digits(month, 2) && digits(day, 2))
            .then(|| parse(&format!("{year}-{month}-{day}")))
    })
}

type Ymd = (i32, u32, u32);

/// `2024-05-06` or `2024/5/6`, and the rest, which starts with a space or a `T`
/// unless it is empty.
fn numeric(text: &str) -> Option<(i32, u32, u32, String)> {
    let ((year, month, day), rest) = date_digits(text, b'-').or_else(|| date_digits(text, b'/'))?;
    let time = match rest.chars().next() {
        None => "",
        Some('T' | 't') => rest.get(1..).filter(|time| !time.is_empty())?,
        Some(' ' | '\t') => rest,
        Some(_) => return None,
    };
    Some((year, month, day, time.trim().to_owned()))
}

/// Year, month and day of a text that starts with them. Years have four to six
/// digits, so that one too large is out of range rather than no date.
fn date_digits(text: &str, separator: u8) -> Option<(Ymd, &str)> {
    let (year, rest) = digits(text, 4..=6)?;
    let (month, rest) = digits(after(rest, separator)?, 1..=2)?;
    let (day, rest) = digits(after(rest, separator)?, 1..=2)?;
    Some(((i32::try_from(year).ok()?, month, day), rest))
}

/// `Fri, 08 Jul 2022`, `Jul 08 2022`, `July 8, 2022`, and the rest.
fn worded(text: &str) -> Option<(i32, u32, u32, String)> {
    let mut words = text
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
        .peekable();
    if words.peek().is_some_and(|word| is_named(word, &WEEKDAYS)) {
        words.next();
    }
    let (first, second, year) = (words.next()?, words.next()?, words.next()?);
    let (month, day) = match (month(first), month(second)) {
        (Some(month), _) => (month, second),
        (None, Some(month)) => (month, first),
        (None, None) => return None,
    };
    let (day, suffix) = digits(day, 1..=2)?;
    if !matches!(suffix, "" | "st" | "nd" | "rd" | "th") {
        return None;
    }
    let (year, "") = digits(year, 4..=6)? else {
        return None;
    };
    let rest: Vec<&str> = words.collect();
    Some((i32::try_from(year).ok()?, month, day, rest.join(" ")))
}

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn month(word: &str) -> Option<u32> {
    let index = MONTHS.iter().position(|name| is_named(word, &[name]))?;
    u32::try_from(index + 1).ok()
}

/// Whether the word is one of the names, or its first three letters or more.
fn is_named(word: &str, names: &[&str]) -> bool {
    let word = word.strip_suffix('.').unwrap_or(word);
    word.len() >= 3
        && names.iter().any(|name| {
            name.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        })
}

/// `07:08`, `07:08:09.5`, each with an offset or none; nothing is midnight.
fn time_and_offset(text: &str) -> Option<(NaiveTime, TimeDelta)> {
    if text.is_empty() {
        return Some((NaiveTime::MIN, TimeDelta::zero()));
    }
    let (hour, rest) = digits(text, 1..=2)?;
    let (minute, mut rest) = digits(after(rest, b':')?, 2..=2)?;
    let (mut second, mut nanosecond) = (0, 0);
    if let Some(seconds) = after(rest, b':') {
        (second, rest) = digits(seconds, 2..=2)?;
        if let Some(fraction) = after(rest, b'.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let kept = &fraction[..length.min(9)];
            nanosecond = format!("{kept:0<9}").parse().ok()?;
            rest = fraction.get(length..).filter(|_| length > 0)?;
        }
    }
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanosecond)?;
    Some((time, offset(rest.trim())?))
}

/// `Z`, `UTC`, `+0000`, `+05:30`, `-5`; after a number the zone's letters may
/// follow, as Go prints them (`+0200 CEST`).
fn offset(text: &str) -> Option<TimeDelta> {
    if text.is_empty()
        || ["z", "utc", "gmt"]
            .iter()
            .any(|zone| zone.eq_ignore_ascii_case(text))
    {
        return Some(TimeDelta::zero());
    }
    let (sign, number) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes, rest) = match digits(number, 1..=4)? {
        (hours, rest) if number.len() - rest.len() <= 2 => match after(rest, b':') {
            Some(rest) => {
                let (minutes, rest) = digits(rest, 2..=2)?;
                (hours, minutes, rest)
            }
            None => (hours, 0, rest),
        },
        (both, rest) if number.len() - rest.len() == 4 => (both / 100, both % 100, rest),
        _ => return None,
    };
    let zone = rest.trim_start();
    let named = zone.len() <= 5 && zone.bytes().all(|byte| byte.is_ascii_uppercase());
    if hours > 23 || minutes > 59 || !named || (!zone.is_empty() && zone == rest) {
        return None;
    }
    Some(TimeDelta::minutes(sign * i64::from(hours * 60 + minutes)))
}

fn after(text: &str, byte: u8) -> Option<&str> {
    (text.as_bytes().first() == Some(&byte)).then(|| &text[1..])
}

/// The number at the start, if it has as many digits as the range says, and
/// what follows it.
fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<(u32, &str)> {
    let found = text.bytes().take_while(u8::is_ascii_digit).count();
    if !length.contains(&found) {
        return None;
    }
    Some((text[..found].parse().ok()?, &text[found..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text) {
            Ok(date) => date.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            Err(why) => panic!("{text:?}: {why}"),
        }
    }

    #[test]
    fn a_plain_date_is_midnight_in_utc() {
        for text in [
            "2016-05-26",
            "2016-5-26",
            "2016/05/26",
            " 2016-05-26 ",
            "26 May 2016",
        ] {
            assert_eq!(read(text), "2016-05-26T00:00:00Z", "{text:?}");
        }
    }

    #[test]
    fn a_time_without_offset_is_utc() {
        for text in [
            "2016-05-26 07:08:09",
            "2016-05-26T07:08:09",
            "2016-05-26t07:08:09z",
            "2016-05-26   7:08:09 UTC",
            "2016-05-26 07:08:09Z",
            "Thu, 26 May 2016 07:08:09 GMT",
        ] {
            assert_eq!(read(text), "2016-05-26T07:08:09Z", "{text:?}");
        }
        assert_eq!(read("2016-05-26 07:08"), "2016-05-26T07:08:00Z");
    }

    #[test]
    fn an_offset_is_taken_off() {
        for text in [
            "2016-05-26 00:00:00 +0200",
            "2016-05-26T00:00:00+02:00",
            "2016-05-26 00:00 +02",
            "2016-05-26 00:00:00 +2",
            "2016-05-26 00:00:00 +0200 CEST",
            "Thu, 26 May 2016 00:00:00 +0200",
        ] {
            assert_eq!(read(text), "2016-05-25T22:00:00Z", "{text:?}");
        }
        assert_eq!(read("2016-05-26 00:00:00 +0000"), "2016-05-26T00:00:00Z");
        assert_eq!(read("2016-12-31 23:30:00 -0030"), "2017-01-01T00:00:00Z");
    }

    #[test]
    fn a_fraction_is_kept_to_the_nanosecond() {
        assert_eq!(
            read("2001-12-14 21:59:43.10 -5"),
            "2001-12-15T02:59:43.100Z"
        );
        assert_eq!(
            read("2001-12-14T21:59:43.1234567899Z"),
            "2001-12-14T21:59:43.123456789Z"
        );
    }

    #[test]
    fn english_months_are_read_in_either_order() {
        for text in [
            "Jul 08 2022",
            "July 8, 2022",
            "8 July 2022",
            "Jul. 8th 2022",
            "fri, 08 JUL 2022",
        ] {
            assert_eq!(read(text), "2022-07-08T00:00:00Z", "{text:?}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "soon",
            "2024",
            "2024-05",
            "20240506",
            "05/06/2024",
            "24-05-06",
            "2024-05/06",
            "2024-05-06x",
            "2024-05-06T",
            "2024-05-06 7",
            "2024-05-06 24:00:00",
            "2024-05-06 23:59:60",
            "2024-05-06 07:08:09.",
            "2024-05-06 07:08:09 +25:00",
            "2024-05-06 07:08:09 +02:60",
            "2024-05-06 07:08:09 CEST",
            "2024-05-06 07:08:09 +0200CEST",
            "2024-05-06 07:08:09 +020",
            "2024-05-06 07:08:09 +2:0",
            "2024-05-06 07:08:09 +",
            "07:08:09",
            "-2024-05-06",
            "2024-02-30",
            "2023-02-29",
            "2024-00-01",
            "2024-13-01",
            "Jul 32 2022",
            "Jux 08 2022",
            "Jul 08 22",
            "08 09 2022",
            "٢٠٢٤-٠٥-٠٦",
        ] {
            assert!(
                matches!(parse(text), Err(Skipped::BadDate { .. })),
                "{text:?}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn years_1000_to_9999_are_in_range_in_utc() {
        assert_eq!(read("1000-01-01"), "1000-01-01T00:00:00Z");
        assert_eq!(read("9999-12-31T23:59:59Z"), "9999-12-31T23:59:59Z");
        for text in [
            "0999-12-31",
            "0000-01-01",
            "10000-01-01",
            "999999-01-01",
            "1000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "1 Jan 0001",
        ] {
            assert!(
                matches!(parse(text), Err(Skipped::DateOutOfRange { .. })),
                "{text:?}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn a_date_at_the_start_of_a_name_is_told_from_the_rest() {
        for (name, date, rest) in [
            ("2024-05-06-name", "2024-05-06T00:00:00+00:00", Some("name")),
            ("2024-5-6-name", "2024-05-06T00:00:00+00:00", Some("name")),
            ("2024-05-06_a-b", "2024-05-06T00:00:00+00:00", Some("a-b")),
            ("2024-05-06 a", "2024-05-06T00:00:00+00:00", Some("a")),
            ("2024-05-06", "2024-05-06T00:00:00+00:00", None),
            ("2024-05-06-é", "2024-05-06T00:00:00+00:00", Some("é")),
            (
                "2024-05-06T07:08:09Z-a",
                "2024-05-06T07:08:09+00:00",
                Some("a"),
            ),
            (
                "2024-05-06T07:08:09-05:00_a-b",
                "2024-05-06T12:08:09+00:00",
                Some("a-b"),
            ),
        ] {
            let Dated {
                date: found,
                rest: after,
            } = leading_date(name).unwrap();
            assert_eq!(
                (found.unwrap().to_rfc3339().as_str(), after),
                (date, rest),
                "{name}"
            );
        }
        for name in [
            "1.94.1-release",
            "2023-Rust-Survey",
            "2024-05-06st",
            "2024-05-06Thé",
            "name-2024-05-06",
            "",
        ] {
            assert!(leading_date(name).is_none(), "{name}");
        }
        let impossible = leading_date("2024-13-01-name").unwrap().date;
        assert!(matches!(impossible, Err(Skipped::BadDate { .. })));
    }

    #[test]
    fn a_path_holds_its_date_in_three_segments() {
        let found = |path| path_date(path).map(|date| date.unwrap().to_rfc3339());
        assert_eq!(
            found("2014/09/15/Rust-1.0").as_deref(),
            Some("2014-09-15T00:00:00+00:00")
        );
        assert_eq!(
            found("inside-rust/2014/09/15/x").as_deref(),
            Some("2014-09-15T00:00:00+00:00")
        );
        assert_eq!(found("2014/9/15/x"), None);
        assert_eq!(found("blog/x"), None);
        assert!(matches!(
            path_date("2014/02/30/x"),
            Some(Err(Skipped::BadDate { .. }))
        ));
    }
}
