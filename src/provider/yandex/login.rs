use form_urlencoded::{Serializer, parse};
use http::Uri;
use zeroize::Zeroizing;

use super::{ErrorCode, VENDOR};
use crate::{
    error::TokenError,
    provider::credential::{credential, misconfigured},
    token::AccessToken,
};

const AUTHORIZE: &str = "https://oauth.yandex.com/authorize";

/// The link that a person opens to get a token for the app with this ID, "from the ClientID field".
///
/// What they copy from the screen then, or the address of that page, is what [`Yandex`](super::Yandex) takes.
///
/// # Errors
///
/// `Misconfigured` if the ID is empty or far too long.
pub fn authorize_url(client_id: &str) -> Result<Uri, TokenError> {
    let client_id = credential(VENDOR, "client_id", client_id)?;
    let mut query = Serializer::new(String::new());
    query.append_pair("response_type", "token").append_pair("client_id", client_id);
    let url = format!("{AUTHORIZE}?{}", query.finish());
    url.parse().map_err(|_too_long| misconfigured(VENDOR, "`client_id` is too long"))
}

/// The token in what a person brought: the token itself, the address of the page that showed it, or that address' fragment.
pub(super) fn token_in(brought: &str) -> Result<AccessToken, TokenError> {
    let brought = credential(VENDOR, "token", brought)?;
    let (before, fragment) = match brought.split_once('#') {
        Some(parts) => parts,
        None if brought.contains("://") => (brought, ""),
        None if brought.contains('=') => ("", brought),
        None => return AccessToken::new(brought),
    };
    if let Some(error) = one(fragment, "error")?.or(one(before.split_once('?').map_or("", |(_, query)| query), "error")?) {
        return Err(ErrorCode::error(&error));
    }
    let Some(mut token) = one(fragment, "access_token")? else {
        return Err(misconfigured(VENDOR, "the address has no `access_token` behind a `#`"));
    };
    AccessToken::new(std::mem::take(&mut *token))
}

/// The value of a parameter. Two of them are a trick, or two addresses in one.
fn one(parameters: &str, name: &str) -> Result<Option<Zeroizing<String>>, TokenError> {
    let mut values = parse(parameters.as_bytes()).filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(misconfigured(VENDOR, format_args!("the address has `{name}` twice"))),
        (value, None) => Ok(value.map(|(_, value)| Zeroizing::new(value.into_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_link_of_the_page() {
        let link = authorize_url(" 0123abcd\n").unwrap();
        assert_eq!(link, "https://oauth.yandex.com/authorize?response_type=token&client_id=0123abcd");
        // S8.
        let odd = authorize_url("a&client_id=b#c d").unwrap();
        assert_eq!(odd, "https://oauth.yandex.com/authorize?response_type=token&client_id=a%26client_id%3Db%23c+d");
        assert_eq!(authorize_url(" ").unwrap_err().kind(), ErrorKind::Misconfigured);
        assert_eq!(authorize_url(&"a".repeat(70_000)).unwrap_err().kind(), ErrorKind::Misconfigured);
    }

    /// G16: what a person brings.
    #[test]
    fn a_token_from_the_screen_or_from_an_address() {
        let page = "https://oauth.yandex.com/verification_code";
        for brought in [
            "y0_AgAAAA-1".to_owned(),
            " y0_AgAAAA-1\r\n".to_owned(),
            format!("{page}#access_token=y0_AgAAAA-1&token_type=bearer&expires_in=31536000"),
            format!("{page}#state=x&access_token=y0%5FAgAAAA-1"),
            format!("{page}?lang=en#access_token=y0_AgAAAA-1"),
            format!("{page}#access_token=y0_AgAAAA-1%0d%0a"),
            "#access_token=y0_AgAAAA-1&token_type=bearer".to_owned(),
            "access_token=y0_AgAAAA-1&token_type=bearer&expires_in=1".to_owned(),
        ] {
            let token = token_in(&brought).unwrap_or_else(|error| panic!("{brought}: {error}"));
            assert_eq!(token.expose_secret(), "y0_AgAAAA-1", "{brought}");
            assert_eq!((token.lifetime(), token.expiry()), (None, None), "Token lifetime is not limited");
        }
    }

    #[test]
    fn what_is_no_token_is_an_error_that_shows_nothing() {
        use ErrorKind::{Misconfigured, Refused};
        let page = "https://oauth.yandex.com/verification_code";
        for (brought, kind, code) in [
            (String::new(), Misconfigured, None),
            ("CANARY CANARY".to_owned(), Misconfigured, None),
            (page.to_owned(), Misconfigured, None),
            (format!("{page}#"), Misconfigured, None),
            (format!("{page}#access_token="), Misconfigured, None),
            (format!("{page}?access_token=CANARY"), Misconfigured, None),
            (format!("{page}#access_token=CANARY&access_token=CANARY"), Misconfigured, None),
            (format!("{page}#access_token=CAN%0dARY"), Misconfigured, None),
            (format!("{page}#error=unauthorized_client&error_description=CANARY"), Refused, Some("unauthorized_client")),
            (format!("{page}?error=access_denied"), Refused, Some("access_denied")),
            (format!("{page}#error=server_error"), Refused, Some("server_error")),
            (format!("{page}#error=two%20words%0aCANARY"), Refused, None),
            (format!("{page}#error=access_denied&access_token=CANARY"), Refused, Some("access_denied")),
        ] {
            let error = token_in(&brought).unwrap_err();
            assert_eq!((error.kind(), error.code()), (kind, code), "{brought}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in "(https://a/)?(#|\\?)?(access_token=|error=)?\\PC{0,40}") {
            drop(token_in(&text));
        }
    }
}
