use reqwest::{Body, Request};

use crate::middleware::{Kept, ReplayPolicy};

/// A request, kept so that it can be sent again.
pub(super) struct Copy {
    /// Without its body.
    head: Request,
    /// `None` for a request that has none.
    body: Option<Kept<Body>>,
}

impl Copy {
    /// Takes a copy of `request`, before it gets the token, if `policy` keeps its body.
    pub(super) fn take(request: &mut Request, policy: &impl ReplayPolicy<Body>) -> Option<Copy> {
        let mut body = request.body_mut().take();
        // Of a request without a body always to be had: timeout and extensions are in it, which nothing else gives.
        let head = request.try_clone();
        // A policy that keeps nothing does not keep a request without a body either.
        let kept = match &mut body {
            Some(body) => policy.keep(body).map(Some),
            None => policy.keep(&mut Body::default()).map(|_empty| None),
        };
        *request.body_mut() = body;
        Some(Copy { head: head?, body: kept? })
    }

    /// Whether its body is repeatable in any case.
    pub(super) fn is_certain(&self) -> bool {
        self.body.as_ref().is_none_or(Kept::is_certain)
    }

    /// The request again; `None` if its body turns out not to be repeatable.
    pub(super) fn restore(mut self) -> Option<Request> {
        if let Some(body) = self.body {
            *self.head.body_mut() = Some(body.into_body()?);
        }
        Some(self.head)
    }
}
