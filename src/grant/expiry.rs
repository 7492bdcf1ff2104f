use std::time::{Duration, SystemTime};

use jiff::{Timestamp, fmt::rfc2822};
use serde::{Deserialize, Serialize};

use super::json::Value;

/// How an expiry is written in a reply.
///
/// A relative one needs no clock but ours, so put it first where a reply has both. An absolute one is by the server's clock,
/// and is shifted to ours by the reply's `Date` (RFC 9110 section 6.6.1) where the two disagree. Blanks around a text are
/// skipped, and what cannot be read is passed over. A moment after the year 9999 counts as the end of that year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExpiryFormat {
    /// The lifetime in seconds (RFC 6749 section 5.1), counted from just before the request was sent.
    ///
    /// Read leniently, since servers differ: a whole number or a fraction, bare or as a string, with blanks around it. Zero
    /// and less mean "usable once"; anything that is no number is passed over.
    Seconds,
    /// A moment, as `2026-11-20T12:00:00Z`, with any offset. Without one it is nobody's time, and passed over; so is the last
    /// day of the year 9999, by which some servers mean "never".
    Rfc3339,
    /// A moment, as `Fri, 20 Nov 2026 12:00:00 GMT`. A day of the week that is not that date's is forgiven.
    Rfc1123,
    /// A moment in seconds since 1970, read as leniently as `Seconds`.
    EpochSeconds,
    /// A moment in milliseconds since 1970, read as leniently as `Seconds`.
    EpochMillis,
}

/// An expiry, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expires {
    In(Duration),
    /// By the server's clock.
    At(SystemTime),
}

/// The end of the year 9999, since 1970: the last moment that RFC 3339 and HTTP can write.
const FAR: Duration = Duration::from_secs(253_402_300_799);

/// "Thu, 21 Sep 2025" stands on a vendor's own page, and was a Sunday.
const RFC_1123: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);

impl ExpiryFormat {
    pub(super) fn read(self, value: Value<'_>) -> Option<Expires> {
        let string = value.text();
        let text = match value.number() {
            Some(number) => number,
            None => string.as_deref()?.trim_ascii(),
        };
        match self {
            ExpiryFormat::Seconds => duration(text, 1.0).map(Expires::In),
            ExpiryFormat::Rfc3339 => text.parse().ok().map(moment),
            ExpiryFormat::Rfc1123 => RFC_1123.parse_timestamp(text).ok().map(moment),
            ExpiryFormat::EpochSeconds => duration(text, 1.0).map(epoch),
            ExpiryFormat::EpochMillis => duration(text, 1e-3).map(epoch),
        }
    }
}

fn moment(at: Timestamp) -> Expires {
    epoch(Duration::from_millis(at.as_millisecond().try_into().unwrap_or_default()))
}

fn epoch(since: Duration) -> Expires {
    Expires::At(SystemTime::UNIX_EPOCH.checked_add(since.min(FAR)).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// A number of units of so many seconds; less than none is none.
fn duration(text: &str, unit: f64) -> Option<Duration> {
    // Rust also reads `inf` and `NaN`.
    if text.contains(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // What no `Duration` holds is as good as for ever; the engine has a limit of its own.
    Some(Duration::try_from_secs_f64((number * unit).max(0.0)).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ExpiryFormat::*, *};
    use crate::grant::json::Document;

    fn read(format: ExpiryFormat, json: &str) -> Option<Expires> {
        let body = format!("[{json}]");
        format.read(Document::parse(body.as_bytes()).unwrap().at("/0").unwrap())
    }

    /// G1: the ways in which servers write a lifetime.
    #[test]
    fn seconds_are_read_leniently() {
        for (json, milliseconds) in [
            ("86400", 86_400_000),
            ("3600.0", 3_600_000),
            ("0.5", 500),
            ("36e2", 3_600_000),
            ("\"3600\"", 3_600_000),
            ("\" 3600 \\n\"", 3_600_000),
            ("\"3600.5\"", 3_600_500),
            ("\"+60\"", 60_000),
            ("31622401", 31_622_401_000),
            ("0", 0),
            ("-0", 0),
            ("-1", 0),
            ("\"-1\"", 0),
            ("-1e999", 0),
        ] {
            assert_eq!(read(Seconds, json), Some(Expires::In(Duration::from_millis(milliseconds))), "{json}");
        }
        for huge in ["18446744073709551616", "99999999999999999999999999", "1e308", "1e999", "\"1e999\""] {
            assert_eq!(read(Seconds, huge), Some(Expires::In(Duration::MAX)), "{huge}");
        }
        for none in [
            "null",
            "true",
            "\"\"",
            "\" \"",
            "\"1 h\"",
            "\"3600s\"",
            "\"3,600\"",
            "\"inf\"",
            "\"NaN\"",
            "\"0x10\"",
            "{}",
            "[60]",
            "\"-\"",
            "\"2026-11-20T12:00:00Z\"",
        ] {
            for format in [Seconds, EpochSeconds, EpochMillis] {
                assert_eq!(read(format, none), None, "{none}");
            }
        }
    }

    /// G2: each format, as servers write it; 1795176000 is noon on 20 November 2026, UTC.
    #[test]
    fn moments() {
        for (format, json, seconds) in [
            (Rfc3339, r#""2026-11-20T12:00:00Z""#, Some(1_795_176_000.0)),
            (Rfc3339, r#"" 2026-11-20T12:00:00.250Z\n""#, Some(1_795_176_000.25)),
            (Rfc3339, r#""2026-11-20T14:00:00+02:00""#, Some(1_795_176_000.0)),
            (Rfc3339, r#""2026-11-20t12:00:00z""#, Some(1_795_176_000.0)),
            (Rfc3339, r#""2026-11-20 12:00:00Z""#, Some(1_795_176_000.0)),
            (Rfc3339, r#""2026-12-31T23:59:60Z""#, Some(1_798_761_599.0)),
            (Rfc3339, r#""9999-12-31T23:59:59Z""#, None),
            (Rfc3339, r#""0000-01-01T00:00:00Z""#, Some(0.0)),
            (Rfc3339, r#""2026-11-20T12:00:00""#, None),
            (Rfc3339, r#""2026-02-30T12:00:00Z""#, None),
            (Rfc3339, r#""+999999-01-01T00:00:00Z""#, None),
            (Rfc3339, "1795176000", None),
            (Rfc3339, "null", None),
            (Rfc1123, r#""Fri, 20 Nov 2026 12:00:00 GMT""#, Some(1_795_176_000.0)),
            (Rfc1123, r#"" Mon, 20 Nov 2026 12:00:00 GMT ""#, Some(1_795_176_000.0)),
            (Rfc1123, r#""Thu, 21 Sep 2025 11:12:01 GMT""#, Some(1_758_453_121.0)),
            (Rfc1123, r#""20 Nov 2026 14:00:00 +0200""#, Some(1_795_176_000.0)),
            (Rfc1123, r#""Fri, 31 Nov 2026 12:00:00 GMT""#, None),
            (Rfc1123, r#""Wat, 20 Nov 2026 12:00:00 GMT""#, None),
            (Rfc1123, r#""soon""#, None),
            (EpochSeconds, "1795176000", Some(1_795_176_000.0)),
            (EpochSeconds, r#"" 1795176000.25 ""#, Some(1_795_176_000.25)),
            (EpochSeconds, "-5", Some(0.0)),
            (EpochMillis, "1795176000250", Some(1_795_176_000.25)),
            (EpochMillis, r#""1.79517600025e12""#, Some(1_795_176_000.25)),
            (EpochMillis, "-1e999", Some(0.0)),
        ] {
            let expected = seconds.map(|seconds| Expires::At(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)));
            assert_eq!(read(format, json), expected, "{json}");
        }
        for (format, huge) in [
            (EpochSeconds, "1795176000000"),
            (EpochSeconds, "1e999"),
            (EpochSeconds, "18446744073709551615"),
            (EpochMillis, "1e300"),
            (Rfc3339, r#""9999-12-30T22:00:00Z""#),
        ] {
            let Some(Expires::At(at)) = read(format, huge) else { panic!("{huge}") };
            assert!(
                at <= SystemTime::UNIX_EPOCH + FAR && at > SystemTime::UNIX_EPOCH + FAR - Duration::from_secs(172_800),
                "{huge}"
            );
        }
    }

    proptest! {
        /// Total; and what is read is what Rust makes of the number, in whole nanoseconds.
        #[test]
        fn any_text_is_a_lifetime_or_none(text in "[-+.0-9eE]{0,30}|.*") {
            if let Some(lifetime) = duration(&text, 1.0).filter(|lifetime| *lifetime < Duration::MAX) {
                let number: f64 = text.parse().unwrap();
                prop_assert!((lifetime.as_secs_f64() - number.max(0.0)).abs() <= 1e-9 + number.abs() * 1e-9);
            }
        }

        /// G2: no text and no number is too odd for any format.
        #[test]
        fn any_value_is_an_expiry_or_none(
            text in "[-+.0-9eE:TZ ]{0,30}|[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{2,5} [0-9:]{5,9} (GMT|[-+][0-9]{4})|.*",
            number in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        ) {
            for json in [serde_json::json!(text).to_string(), number] {
                for format in [Seconds, Rfc3339, Rfc1123, EpochSeconds, EpochMillis] {
                    if let Some(Expires::At(at)) = read(format, &json) {
                        prop_assert!(at >= SystemTime::UNIX_EPOCH && at <= SystemTime::UNIX_EPOCH + FAR);
                    }
                }
            }
        }
    }
}
