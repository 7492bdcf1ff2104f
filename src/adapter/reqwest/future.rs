use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use reqwest::{Client, Request, Url};
use tower_service::Service;

use super::{error::ReqwestError, redirect::mark};
use crate::error::{ErrorKind, TokenError};

/// The future of a [`ReqwestService`](super::ReqwestService).
///
/// # Cancel safety
///
/// Dropping it drops the request.
pub struct ResponseFuture(State);

type Pending = <Client as Service<Request>>::Future;

enum State {
    Sent { pending: Pending, url: Box<Url> },
    Failed(Option<ReqwestError>),
}

impl ResponseFuture {
    pub(super) fn sent(pending: Pending, url: Url) -> ResponseFuture {
        ResponseFuture(State::Sent { pending, url: Box::new(url) })
    }

    pub(super) fn failed(error: ReqwestError) -> ResponseFuture {
        ResponseFuture(State::Failed(Some(error)))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<reqwest::Body>, ReqwestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match &mut self.0 {
            State::Sent { pending, url } => match ready!(Pin::new(pending).poll(cx)) {
                Ok(mut response) => {
                    mark(&mut response, url);
                    Ok(response.into())
                }
                Err(error) => Err(ReqwestError::reqwest(error)),
            },
            State::Failed(error) => Err(error.take().unwrap_or_else(|| {
                let text = "the future of a response was polled after its end";
                ReqwestError::Unsent(TokenError::new(ErrorKind::Misconfigured, text))
            })),
        })
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
