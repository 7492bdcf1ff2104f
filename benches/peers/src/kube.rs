//! kube-client 5.0.0: the `AuthLayer` that `ConfigExt::auth_layer` builds from the `AuthInfo` of a kubeconfig, over the
//! inner service, as `Client::try_from` stacks it. Driven twice: with a token file (a `tokio::sync::RwLock`) and with an
//! exec plugin (a `tokio::sync::Mutex`), which here is `cat` with an answer that is valid for long. An inline token is
//! no case: kube hands it to tower-http's `AddAuthorization`. Left out: reading the file again, once a minute.

use std::{fs, path::PathBuf};

use compare::Case;
use kube_client::{
    Config,
    client::{ConfigExt, middleware::AuthLayer},
    config::{AuthInfo, ExecConfig, ExecInteractiveMode},
};
use serde_json::json;

use crate::case::{self, BoxError, token};

pub(crate) fn token_file(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let file = TempFile::new("token", token())?;
    let layer = layer(AuthInfo { token_file: Some(file.path()?), ..AuthInfo::default() })?;
    case::layered("kube-client AuthLayer, token file", floor, &layer)
}

pub(crate) fn exec(floor: &'static str) -> Result<Box<dyn Case>, BoxError> {
    let answer = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token(), "expirationTimestamp": "2999-01-01T00:00:00Z" },
    });
    let file = TempFile::new("exec", &answer.to_string())?;
    let layer = layer(AuthInfo {
        exec: Some(ExecConfig {
            api_version: Some("client.authentication.k8s.io/v1".to_owned()),
            command: Some("cat".to_owned()),
            args: Some(vec![file.path()?]),
            interactive_mode: Some(ExecInteractiveMode::Never),
            ..ExecConfig::default()
        }),
        ..AuthInfo::default()
    })?;
    case::layered("kube-client AuthLayer, exec", floor, &layer)
}

fn layer(auth_info: AuthInfo) -> Result<AuthLayer, BoxError> {
    let mut config = Config::new("https://api.example.com".parse()?);
    config.auth_info = auth_info;
    Ok(config.auth_layer()?.ok_or("kube-client sees no credentials")?)
}

/// Removed as soon as the layer has read it: a token that cannot be read again stays in use.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &str) -> Result<Self, BoxError> {
        let name = format!("tower-token-peers-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content)?;
        Ok(Self(path))
    }

    fn path(&self) -> Result<String, BoxError> {
        Ok(self.0.to_str().ok_or("not a UTF-8 path")?.to_owned())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // A file left behind does no harm.
        let _ = fs::remove_file(&self.0);
    }
}
