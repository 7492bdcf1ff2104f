use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// How long `Retry-After` (RFC 9110 section 10.2.3) asks us to stay away: seconds, or a date seen from `now`.
///
/// A date that is past, a negative number and anything unreadable say nothing. How much is too much is the engine's business.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim_ascii();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a `u64` are still a number.
        Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
    } else {
        httpdate::parse_http_date(text).ok()?.duration_since(now).ok()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Option<Duration> {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").unwrap();
        let headers = [(RETRY_AFTER, HeaderValue::from_bytes(value).unwrap())].into_iter().collect();
        retry_after(&headers, now)
    }

    /// E11: seconds, dates, and what is neither.
    #[test]
    fn seconds_and_dates() {
        for (value, seconds) in [
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("0", Some(0)),
            ("Fri, 20 Nov 2026 12:00:30 GMT", Some(30)),
            ("Friday, 20-Nov-26 12:00:30 GMT", Some(30)),
            ("Fri Nov 20 12:00:30 2026", Some(30)),
            ("18446744073709551615", Some(u64::MAX)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(251_607_124_799)),
            ("Fri, 20 Nov 2026 11:59:59 GMT", None),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(value.as_bytes()), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(read(b"12\xff"), None);
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    proptest! {
        #[test]
        fn any_value_is_a_delay_or_none(value in "[0-9A-Za-z:, +-]{0,40}") {
            let number = value.trim_ascii().parse().ok().filter(|_| !value.contains('+'));
            let delay = read(value.as_bytes());
            prop_assert!(number.is_none_or(|number| delay == Some(Duration::from_secs(number))));
        }
    }
}
