use std::time::SystemTime;

use http::{HeaderMap, header::DATE};

use super::secrets::{Secrets, leaks_into};
use crate::token::RefreshToken;

/// What was sent with a token call, and when it was under way by our wall clock.
pub(super) struct Call<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) refresh: Option<&'a RefreshToken>,
    pub(super) sent: SystemTime,
    pub(super) answered: SystemTime,
}

impl Call<'_> {
    /// Whether a text holds a telling part of what was sent.
    pub(super) fn leaks_into(&self, text: &str) -> bool {
        self.secrets.leak_into(text) || self.refresh.is_some_and(|token| leaks_into(token.expose_secret(), text))
    }

    /// A moment of the server's clock on ours: as it is, unless the reply's `Date` (RFC 9110 section 6.6.1) cannot have been
    /// written during the call. Then it is counted from `sent`, so that it comes rather too early than too late.
    pub(super) fn ours(&self, at: SystemTime, headers: &HeaderMap) -> SystemTime {
        let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?.trim_ascii()).ok());
        let Some(date) = date else { return at };
        // It is cut to whole seconds.
        let late = self.sent.duration_since(date).is_ok_and(|behind| behind.as_secs() >= 1);
        if !late && date <= self.answered {
            return at;
        }
        let shifted = match at.duration_since(date) {
            Ok(left) => self.sent.checked_add(left),
            Err(past) => self.sent.checked_sub(past.duration()),
        };
        shifted.unwrap_or(at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn noon() -> SystemTime {
        httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").unwrap()
    }

    fn ours(at: SystemTime, date: &str) -> SystemTime {
        let headers = [(DATE, HeaderValue::from_str(date).unwrap())].into_iter().collect();
        Call { secrets: &Secrets::default(), refresh: None, sent: noon(), answered: noon() + 3 * S }.ours(at, &headers)
    }

    /// G2: only clocks that disagree by more than the call explains are corrected.
    #[test]
    fn a_moment_is_shifted_where_the_clocks_disagree() {
        let hour = 3600 * S;
        for (date, shifted) in [
            ("Fri, 20 Nov 2026 12:00:00 GMT", noon() + hour),
            ("Fri, 20 Nov 2026 12:00:03 GMT", noon() + hour),
            ("Fri, 20 Nov 2026 12:00:04 GMT", noon() + hour - 4 * S),
            ("Fri, 20 Nov 2026 11:59:59 GMT", noon() + hour + S),
            ("Fri, 20 Nov 2026 11:00:00 GMT", noon() + 2 * hour),
            ("Fri, 20 Nov 2026 14:00:00 GMT", noon() - hour),
            ("Thu, 20 Nov 2025 12:00:00 GMT", noon() + hour + 365 * 24 * hour),
            ("soon", noon() + hour),
            ("", noon() + hour),
        ] {
            assert_eq!(ours(noon() + hour, date), shifted, "{date}");
        }
        let none = Call { secrets: &Secrets::default(), refresh: None, sent: noon(), answered: noon() };
        assert_eq!(none.ours(noon(), &HeaderMap::new()), noon());
    }

    /// A fraction of the second in which `Date` was written is no disagreement.
    #[test]
    fn date_is_cut_to_whole_seconds() {
        let headers = [(DATE, HeaderValue::from_static("Fri, 20 Nov 2026 12:00:00 GMT"))].into_iter().collect();
        let sent = noon() + S * 9 / 10;
        let call = Call { secrets: &Secrets::default(), refresh: None, sent, answered: sent };
        assert_eq!(call.ours(noon() + S, &headers), noon() + S);
    }

    proptest! {
        /// E13: no date is too far away.
        #[test]
        fn any_two_moments(at in 0_u64..253_402_300_799, date in 0_u64..253_402_300_799) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(date);
            let _ = ours(at, &httpdate::fmt_http_date(date));
        }
    }
}
