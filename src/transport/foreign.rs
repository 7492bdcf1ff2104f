//! Errors of other people's services, before they may become the source of one of ours.

use std::{error::Error, fmt, io, iter::successors};

use crate::error::{BoxError, ErrorKind, TokenError};

/// Wraps the error of a service, as something that may pass.
///
/// It is kept as it is, unless it or one of its causes shows a URL: a URL may hold a secret in its query or user info, and
/// whoever logs the chain of sources would print it. Such an error is replaced by its own text with those parts cut out.
/// A [`TokenError`] is passed on, and so is one that is a cause: it says what kind of failure it is.
///
/// The message names the kind of an I/O error at the bottom, as `connection refused`: the error itself is not shown. A host's name
/// that is not found has no kind of its own.
pub(super) fn wrap(message: &'static str, error: BoxError) -> TokenError {
    if let Some(own) = chain(&*error).find_map(|error| error.downcast_ref::<TokenError>()) {
        return own.clone();
    }
    let io = chain(&*error).filter_map(|error| error.downcast_ref::<io::Error>()).last();
    let kind = io.map(|io| io.kind()).filter(|kind| *kind != io::ErrorKind::Other);
    // "Uncategorized" cannot be named but by its text.
    let message = match kind.map(|kind| kind.to_string()).filter(|kind| !kind.starts_with("uncategorized")) {
        Some(kind) => format!("{message}: {kind}"),
        None if is_connect(&*error) => format!("{message}: the host's name was not found, or it was not reached"),
        None => message.to_owned(),
    };
    let source = if shows_url(&*error) { Scrubbed::boxed(&*error) } else { error };
    TokenError::wrap(ErrorKind::Transient, message, source)
}

/// Whether a client could not even connect, so that nothing was sent.
///
/// Only hyper's client and reqwest say so in a way that can be relied on: the kind of an I/O error does not tell when it happened.
pub(super) fn is_connect(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| hyper_says_connect(error) || reqwest_says_connect(error))
}

#[cfg(feature = "client")]
fn hyper_says_connect(error: &(dyn Error + 'static)) -> bool {
    use hyper_util::client::legacy;
    error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect)
}

#[cfg(not(feature = "client"))]
fn hyper_says_connect(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(feature = "reqwest")]
fn reqwest_says_connect(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
}

#[cfg(not(feature = "reqwest"))]
fn reqwest_says_connect(_: &(dyn Error + 'static)) -> bool {
    false
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

/// `Debug` is looked at as well: there a URL may be spread over fields.
fn shows_url(error: &(dyn Error + 'static)) -> bool {
    let suspicious = |text: String| ["://", "?", "@", "query"].iter().any(|part| text.contains(part));
    chain(error).any(|error| suspicious(error.to_string()) || suspicious(format!("{error:?}")))
}

/// What is left of an error that showed a URL.
#[derive(Debug)]
struct Scrubbed(String);

impl Scrubbed {
    fn boxed(error: &(dyn Error + 'static)) -> BoxError {
        let texts: Vec<String> = chain(error).map(|error| scrub(&error.to_string())).collect();
        Box::new(Scrubbed(texts.join(": ")))
    }
}

impl fmt::Display for Scrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Scrubbed {}

/// Cuts query, fragment and user info out of every URL and every path in a text.
pub(crate) fn scrub(text: &str) -> String {
    let ends_word = |c: char| c.is_whitespace() || "\"'`<>()".contains(c);
    let mut clean = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends_word) {
        let (word, end) = match piece.char_indices().next_back() {
            Some((at, last)) if ends_word(last) => piece.split_at(at),
            _ => (piece, ""),
        };
        let word = &word[..word.find(['?', '#']).unwrap_or(word.len())];
        match word.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                clean.extend([scheme, "://", host, path, end]);
            }
            None => clean.extend([word, end]),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S5: no query and no user info survives, and the rest does.
    #[test]
    fn urls_lose_query_and_user_info() {
        for (given, left) in [
            ("connect to https://a.test/x?key=canary failed", "connect to https://a.test/x failed"),
            ("error for url (https://u:canary@a.test:8443/x?y#z): no", "error for url (https://a.test:8443/x): no"),
            ("GET /x?key=canary", "GET /x"),
            ("\"https://canary@a.test\"", "\"https://a.test\""),
            ("https://a.test/x#canary", "https://a.test/x"),
            ("two https://a.test?canary https://b.test?canary", "two https://a.test https://b.test"),
            ("plain text, no URL", "plain text, no URL"),
            ("ends in a multi-byte blank\u{2003}", "ends in a multi-byte blank\u{2003}"),
            ("", ""),
        ] {
            assert_eq!(scrub(given), left);
        }
    }

    #[test]
    fn an_error_that_shows_no_url_is_kept_and_one_that_does_is_replaced() {
        let kept = wrap("failed", Box::new(io::Error::new(io::ErrorKind::ConnectionReset, "reset")));
        assert!(kept.source().is_some_and(|source| source.is::<io::Error>()));

        let cut = wrap("failed", Box::new(io::Error::other("no route to https://a.test/t?secret=canary")));
        let source = cut.source().expect("a source");
        assert_eq!(source.to_string(), "no route to https://a.test/t");
        assert!(!format!("{source:?}").contains("canary"));
    }

    #[derive(Debug)]
    struct Because<E>(E);

    impl<E> fmt::Display for Because<E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("failed because")
        }
    }

    impl<E: Error + 'static> Error for Because<E> {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    /// F2: rotation may go on where nothing was sent, and only there; reqwest's errors are known by themselves, without hyper's.
    #[cfg(feature = "reqwest")]
    #[tokio::test]
    async fn reqwest_says_whether_it_could_connect() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::new();
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let (lost, ()) = tokio::join!(client.get(&url).send(), hang_up);
        assert!(!is_connect(&Because(lost.unwrap_err())));
        drop(listener);
        let unsent = client.get(&url).send().await.unwrap_err();
        assert!(reqwest_says_connect(&unsent));
        assert!(is_connect(&Because(unsent)));
    }

    /// As where a name is not found, which on most platforms is no error number of I/O.
    #[cfg(feature = "client")]
    #[tokio::test]
    async fn an_error_without_a_kind_says_at_least_whether_there_was_a_connection() {
        use std::future;

        use hyper_util::{
            client::legacy::Client,
            rt::{TokioExecutor, TokioIo},
        };
        use tokio::net::TcpStream;

        let nameless = || io::Error::from_raw_os_error(987_654);
        let connector = tower::service_fn(move |_: http::Uri| future::ready(Err::<TokioIo<TcpStream>, _>(nameless())));
        let client = Client::builder(TokioExecutor::new()).build::<_, String>(connector);
        let error = client.get(http::Uri::from_static("http://a.test")).await.expect_err("no connection");
        assert_eq!(wrap("failed", error.into()).to_string(), "failed: the host's name was not found, or it was not reached");
        assert_eq!(wrap("failed", nameless().into()).to_string(), "failed");
    }

    #[test]
    fn a_token_error_is_passed_on() {
        let own = wrap("failed", Box::new(TokenError::refused("no")));
        assert_eq!(own.kind(), ErrorKind::Refused);
        let cause = wrap("failed", Box::new(Because(TokenError::refused("no"))));
        assert_eq!(cause.kind(), ErrorKind::Refused);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_scrubbed(text in ".*", user in "[a-z]{1,8}", query in "[a-z=&]{1,8}") {
            let _ = scrub(&text);
            let url = format!("https://{user}CANARY@host.test/path?{query}CANARY");
            proptest::prop_assert_eq!(scrub(&url), "https://host.test/path");
        }
    }
}
