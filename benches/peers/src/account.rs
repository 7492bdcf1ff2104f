//! A service account: its key is made on the spot, so that no key lies in the repository.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::KeySize,
    signature::RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::case::BoxError;

/// The JSON file of a service account that gets its tokens at this endpoint.
///
/// # Errors
///
/// If no key can be made.
pub(crate) fn service_account(token_uri: &str) -> Result<Value, BoxError> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let der: Pkcs8V1Der<'_> = key.as_der()?;
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line)?);
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(json!({
        "type": "service_account",
        "project_id": "peers",
        "client_email": "peers@example.com",
        "private_key": pem,
        "token_uri": token_uri,
    }))
}
