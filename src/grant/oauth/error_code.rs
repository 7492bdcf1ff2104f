use crate::grant::ErrorClass::{self, LoginAgain, Misconfigured, Refused, Transient};

/// What the error codes mean, of whichever endpoint: by who must act. The table of the room's docs has the reasons. `LoginAgain` is
/// said of a refresh token that will never do again (RFC 6749 section 5.2); where none was sent, it is `Refused`.
const CODES: [(&str, ErrorClass); 27] = [
    // RFC 6749 sections 4.1.2.1 and 5.2.
    ("access_denied", Refused),
    ("invalid_client", Refused),
    ("invalid_grant", LoginAgain),
    ("unauthorized_client", Refused),
    ("invalid_request", Misconfigured),
    ("invalid_scope", Misconfigured),
    ("unsupported_grant_type", Misconfigured),
    ("unsupported_response_type", Misconfigured),
    ("server_error", Transient),
    ("temporarily_unavailable", Transient),
    // RFC 7009 section 2.2.1.
    ("unsupported_token_type", Misconfigured),
    // RFC 8707 section 2.
    ("invalid_target", Misconfigured),
    // RFC 9449 section 5: these grants have no key.
    ("invalid_dpop_proof", Misconfigured),
    ("use_dpop_nonce", Misconfigured),
    // OpenID Connect Core 3.1.2.6, and the specification of the last one.
    ("account_selection_required", Refused),
    ("consent_required", Refused),
    ("interaction_required", Refused),
    ("login_required", Refused),
    ("invalid_request_object", Misconfigured),
    ("invalid_request_uri", Misconfigured),
    ("registration_not_supported", Misconfigured),
    ("request_not_supported", Misconfigured),
    ("request_uri_not_supported", Misconfigured),
    ("unmet_authentication_requirements", Refused),
    // GitHub, which says so with status 200.
    ("bad_refresh_token", LoginAgain),
    ("bad_verification_code", Refused),
    ("incorrect_client_credentials", Refused),
];

pub(super) fn codes() -> impl Iterator<Item = (&'static str, ErrorClass)> {
    CODES.into_iter()
}

/// What a code means, if it is one of those.
pub(super) fn class_of(code: &str) -> Option<ErrorClass> {
    codes().find(|(known, _)| *known == code).map(|(_, class)| class)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The docs say what the table says, and no code is in it twice.
    #[test]
    fn the_table_of_the_docs() {
        let docs = include_str!("mod.rs");
        let mut documented = BTreeMap::new();
        for row in docs.lines().filter(|line| line.starts_with("//! | `")) {
            let cells: Vec<&str> = row.split('|').collect();
            for code in cells[1].split('`').skip(1).step_by(2) {
                assert_eq!(documented.insert(code, cells[2].trim().trim_matches('`').to_owned()), None, "{code}");
            }
        }
        let known: BTreeMap<_, _> = codes().map(|(code, class)| (code, format!("{:?}", class.kind()))).collect();
        assert_eq!(known, documented);
        assert_eq!(known.len(), CODES.len());
    }
}
