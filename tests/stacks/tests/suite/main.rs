//! Each rule of the layer over each stack: see `rules` for what they say, and the README for the table.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod grpc;
mod issuer;
mod rules;
mod stack;
mod stacks;

/// A test for each rule over each stack, so that a failure names both.
macro_rules! over {
    ($($name:ident: $stack:ty),* $(,)?) => {
        $(over! { @ $name: $stack:
            fresh, first_token, replayed, replayed_once, burst, late, refresh_failed, stream, foreign_origin, redirect, cancel,
            no_token, callers_own,
        })*
    };
    (@ $name:ident: $stack:ty: $($rule:ident),* $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $rule() {
                    let rule = crate::rules::$rule::<$stack>();
                    tokio::time::timeout(crate::rules::LIMIT, rule).await.expect("nothing hangs");
                }
            )*
        }
    };
}

over! {
    mock: crate::stacks::Mock,
    hyper_http1: crate::stacks::Hyper<1>,
    hyper_http2: crate::stacks::Hyper<2>,
    reqwest: crate::stacks::Reqwest<true>,
    reqwest_over: crate::stacks::Reqwest<false>,
    reqwest_middleware: crate::stacks::ReqwestMiddleware<true>,
    reqwest_middleware_over: crate::stacks::ReqwestMiddleware<false>,
    tonic_channel: crate::stacks::Tonic,
}
