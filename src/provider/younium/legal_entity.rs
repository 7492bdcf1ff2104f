use http::{HeaderName, HeaderValue, Request};
use tower_http::set_header::{MakeHeaderValue, SetRequestHeaderLayer};

use super::VENDOR;
use crate::{
    error::TokenError,
    middleware::{Destination, Origins},
    provider::credential::misconfigured,
};

const LEGAL_ENTITY: HeaderName = HeaderName::from_static("legal-entity");

/// The `legal-entity` header, for a tenant that has several: which of them a call is about.
///
/// It is put on requests to its origins and on no others, so that a redirect that is followed around the layer tells no stranger
/// whose books these are. A request that has the header already keeps its own. As with any header that is not `Authorization`, a
/// follower *under* the layer takes it along to wherever it is sent.
///
/// # Examples
///
/// Two legal entities, over one login:
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_token::{BearerAuthLayer, TokenHandle, provider::younium::{Environment, LegalEntity, Younium}};
/// # let token_calls = tower::service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
/// # });
/// # let client = tower::service_fn(|_: http::Request<String>| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
///
/// let younium = Younium::over(token_calls, Environment::Sandbox, "client id", "secret key")?;
/// let origins = younium.origins();
/// let tokens = TokenHandle::new(younium);
/// let books = |legal_entity| {
///     let header = LegalEntity::new(legal_entity, origins.clone())?.layer();
///     let auth = BearerAuthLayer::new(origins.clone(), tokens.clone());
///     Ok::<_, tower_token::TokenError>(ServiceBuilder::new().layer(auth).layer(header).service(client))
/// };
/// let (turkish, swedish) = (books("Ücretli Araçlar")?, books("Acme AB")?);
/// # drop((turkish, swedish));
/// # Ok::<(), tower_token::TokenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LegalEntity {
    value: HeaderValue,
    origins: Origins,
}

impl LegalEntity {
    /// A legal entity by its id or its name, for requests to these origins. A name may be in any script, and is sent as UTF-8.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if it is blank, or has a line break or another control character: those would end the header and begin
    /// one of somebody else's choice.
    pub fn new(id_or_name: impl AsRef<str>, origins: Origins) -> Result<LegalEntity, TokenError> {
        let text = id_or_name.as_ref();
        let flaw = match HeaderValue::from_bytes(text.as_bytes()) {
            _ if text.trim_ascii().is_empty() => "is empty",
            Ok(value) => return Ok(LegalEntity { value, origins }),
            Err(_) if text.contains(['\r', '\n']) => "has a line break, which no header can hold",
            Err(_) => "has a control character, which no header can hold",
        };
        Err(misconfigured(VENDOR, format_args!("the legal entity {flaw}")))
    }

    /// The layer that puts it on requests.
    pub fn layer(self) -> SetRequestHeaderLayer<LegalEntity> {
        SetRequestHeaderLayer::if_not_present(LEGAL_ENTITY, self)
    }
}

impl<B> MakeHeaderValue<Request<B>> for LegalEntity {
    fn make_header_value(&mut self, request: &Request<B>) -> Option<HeaderValue> {
        (self.origins.judge(request.uri()) == Destination::Allowed).then(|| self.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;
    use crate::error::ErrorKind;

    fn origins() -> Origins {
        "https://api.younium.com".parse().unwrap()
    }

    /// The values of the header that a request goes out with.
    async fn sent(request: http::request::Builder) -> Vec<Vec<u8>> {
        let echo = service_fn(|request: Request<()>| async move {
            let values = request.headers().get_all("Legal-Entity").iter().map(|value| value.as_bytes().to_vec());
            Ok::<_, Infallible>(Response::new(values.collect()))
        });
        let layer = LegalEntity::new("Ücretli 有限公司", origins()).unwrap().layer();
        layer.layer(echo).oneshot(request.body(()).unwrap()).await.unwrap().into_body()
    }

    /// S1: to the origins alone, and never in the place of the caller's own.
    #[tokio::test]
    async fn who_gets_the_header() {
        let ours = "Ücretli 有限公司".as_bytes().to_vec();
        assert_eq!(sent(Request::get("https://api.younium.com/Invoices")).await, [ours]);
        for foreign in ["https://evil.test/", "http://api.younium.com/", "https://api.younium.com:8443/", "/Invoices", "*"] {
            assert!(sent(Request::get(foreign)).await.is_empty(), "{foreign}");
        }
        let own = Request::get("https://api.younium.com/Invoices").header("legal-entity", "Acme AB");
        assert_eq!(sent(own).await, [b"Acme AB"]);
    }

    /// S8: no text becomes a second header.
    #[test]
    fn what_no_header_can_hold_is_refused() {
        for (text, why) in [
            ("", "is empty"),
            (" \t", "is empty"),
            ("\n", "is empty"),
            ("CANARY\r\nx-admin: 1", "has a line break, which no header can hold"),
            ("CANARY\r", "has a line break, which no header can hold"),
            ("CANARY\n", "has a line break, which no header can hold"),
            ("CANARY\0", "has a control character, which no header can hold"),
            ("CANARY\u{7f}", "has a control character, which no header can hold"),
        ] {
            let error = LegalEntity::new(text, origins()).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::Misconfigured, format!("Younium: the legal entity {why}")));
        }
        for good in ["1f0a", "Acme AB", "Ærø & Sønner", "شركة", "\u{85}\u{2028}", "🧾"] {
            assert_eq!(LegalEntity::new(good, origins()).unwrap().value.as_bytes(), good.as_bytes());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_header_or_a_flaw(text in ".*") {
            if let Ok(entity) = LegalEntity::new(&text, origins()) {
                proptest::prop_assert!(!entity.value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
            }
        }
    }
}
