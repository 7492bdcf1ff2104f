use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::Value;

/// How an expiry is written in a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExpiryFormat {
    /// The lifetime in seconds (RFC 6749 section 5.1), counted from just before the request was sent.
    ///
    /// Read leniently, since servers differ: a whole number or a fraction, bare or as a string, with blanks around it. Zero
    /// and less mean "usable once"; anything that is no number is passed over.
    Seconds,
}

impl ExpiryFormat {
    pub(super) fn lifetime(self, value: Value<'_>) -> Option<Duration> {
        match self {
            ExpiryFormat::Seconds => match value.number() {
                Some(number) => seconds(number),
                None => seconds(&value.text()?),
            },
        }
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim_ascii();
    // Rust also reads `inf` and `NaN`.
    if text.contains(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)) {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    // What no `Duration` holds is as good as for ever; the engine has a limit of its own.
    Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grant::json::Document;

    fn read(json: &str) -> Option<Duration> {
        let body = format!("[{json}]");
        ExpiryFormat::Seconds.lifetime(Document::parse(body.as_bytes()).unwrap().at("/0").unwrap())
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
            assert_eq!(read(json), Some(Duration::from_millis(milliseconds)), "{json}");
        }
        for huge in ["18446744073709551616", "99999999999999999999999999", "1e308", "1e999", "\"1e999\""] {
            assert_eq!(read(huge), Some(Duration::MAX), "{huge}");
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
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        /// Total; and what is read is what Rust makes of the number, in whole nanoseconds.
        #[test]
        fn any_text_is_a_lifetime_or_none(text in "[-+.0-9eE ]{0,30}|.*") {
            if let Some(lifetime) = seconds(&text).filter(|lifetime| *lifetime < Duration::MAX) {
                let number: f64 = text.trim_ascii().parse().unwrap();
                prop_assert!((lifetime.as_secs_f64() - number.max(0.0)).abs() <= 1e-9 + number.abs() * 1e-9);
            }
        }
    }
}
