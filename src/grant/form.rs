use bytes::Bytes;
use form_urlencoded::byte_serialize;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::secrets::Secrets;
use crate::transport::SecretBuffer;

pub(super) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Room for most requests, so that they are written without growing.
const USUAL: usize = 1024;

/// The body of a request, `application/x-www-form-urlencoded`: each name and each value goes through the encoder.
pub(super) struct Form {
    body: SecretBuffer,
    is_empty: bool,
    secrets: Vec<Zeroizing<String>>,
}

impl Form {
    /// A token request of this grant type (RFC 6749).
    pub(super) fn grant(grant_type: &str) -> Form {
        Form::new().with("grant_type", grant_type)
    }

    pub(super) fn new() -> Form {
        Form { body: SecretBuffer::with_capacity(USUAL), is_empty: true, secrets: Vec::new() }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Form {
        self.add(name, value);
        self
    }

    #[must_use]
    pub(super) fn with_secret(self, name: &str, value: &str) -> Form {
        self.with(name, value).not_to_be_echoed(value)
    }

    /// Notes a secret of the request that must not come back as an error code.
    #[must_use]
    pub(super) fn not_to_be_echoed(mut self, secret: &str) -> Form {
        self.secrets.push(Zeroizing::new(secret.to_owned()));
        self
    }

    fn add(&mut self, name: &str, value: &str) {
        if !self.is_empty {
            self.body.extend(b"&");
        }
        self.is_empty = false;
        encode(&mut self.body, name);
        self.body.extend(b"=");
        encode(&mut self.body, value);
    }

    /// The body, and the secrets in it.
    pub(super) fn finish(self) -> (Bytes, Secrets) {
        (self.body.into_bytes(), Secrets::new(self.secrets))
    }
}

/// Writes a text in the encoding of RFC 6749 appendix B: in pieces, so that no half of a secret is left behind in memory that had
/// to grow.
pub(super) fn encode(buffer: &mut SecretBuffer, text: &str) {
    for piece in byte_serialize(text.as_bytes()) {
        buffer.extend(piece.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 6749 appendix B.
    #[test]
    fn the_encoding_of_the_rfc() {
        let (body, _) = Form::new().with("text", " %&+\u{a3}\u{20ac}").finish();
        assert_eq!(body, "text=+%25%26%2B%C2%A3%E2%82%AC");
    }

    proptest! {
        /// S8: whatever a value is, it stays the value of its name.
        #[test]
        fn what_goes_in_comes_out(values in prop::collection::vec((".{1,20}", ".{0,40}"), 1..6)) {
            let form = values.iter().fold(Form::new(), |form, (name, value)| form.with(name, value));
            let (body, _) = form.finish();
            prop_assert!(body.iter().all(u8::is_ascii_graphic));
            let read: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
            prop_assert_eq!(read, values);
        }
    }
}
