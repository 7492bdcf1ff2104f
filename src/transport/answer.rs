use zeroize::Zeroizing;

use super::Reply;
use crate::error::{ErrorKind, TokenError};

/// How far a token call came: what matters where a server acts on a request but once.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A reply, read whole.
    Whole(Reply),
    /// A reply whose body broke off, was too big, or took too long; what has come of it.
    Partial(Reply, TokenError),
    /// No reply began, and nobody knows whether the request has arrived.
    Lost(TokenError),
    /// The request did not leave.
    Unsent(TokenError),
}

impl Answer {
    /// The reply, as far as it has come.
    pub(crate) fn reply(&self) -> Option<&Reply> {
        match self {
            Answer::Whole(reply) | Answer::Partial(reply, _) => Some(reply),
            Answer::Lost(_) | Answer::Unsent(_) => None,
        }
    }

    /// Why it is not whole.
    pub(super) fn error(&self) -> Option<&TokenError> {
        match self {
            Answer::Whole(_) => None,
            Answer::Partial(_, error) | Answer::Lost(error) | Answer::Unsent(error) => Some(error),
        }
    }

    /// For whoever asks for a reply or an error: of a failure the body merely explains, so that its status is answer enough.
    pub(super) fn into_result(self) -> Result<Reply, TokenError> {
        match self {
            Answer::Whole(reply) => Ok(reply),
            Answer::Partial(reply, error) if error.kind() != ErrorKind::Timeout && !reply.status().is_success() => {
                Ok(Reply::new(reply.status(), reply.headers().clone(), Zeroizing::default()))
            }
            Answer::Partial(_, error) | Answer::Lost(error) | Answer::Unsent(error) => Err(error),
        }
    }
}
