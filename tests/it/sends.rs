//! Whatever a server answers and a source does, a request is sent once or twice.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use proptest::prelude::*;
use tower::{Layer, ServiceExt};
use tower_token::{
    AuthError, BearerAuthLayer, TokenError,
    middleware::{NoReplay, NotReplayed},
};

use crate::support::{API, Mint, origins};

const STATUSES: [u16; 5] = [200, 401, 401, 403, 500];

/// One request: what the server answers to its first and its second send, and whether it may be sent again.
#[derive(Clone, Debug)]
struct Case {
    first: u16,
    second: u16,
    opts_out: bool,
    /// When it is sent, and what the source does from then on.
    after: Duration,
    down: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let status = || prop::sample::select(&STATUSES[..]);
    (status(), status(), any::<bool>(), 0_u64..3000, prop::bool::weighted(0.2)).prop_map(
        |(first, second, opts_out, after, down)| Case { first, second, opts_out, after: Duration::from_millis(after), down },
    )
}

fn generation(header: &str) -> u64 {
    header.strip_prefix("Bearer token-").unwrap().parse().unwrap()
}

/// Sends all of them, and checks each.
async fn check(cases: Vec<Case>) -> Result<(), TestCaseError> {
    let (mint, seen) = (Mint::living(Duration::from_secs(2)), Arc::new(Mutex::new(HashMap::<usize, Vec<u64>>::new())));
    let api = tower::service_fn({
        let (cases, seen) = (cases.clone(), Arc::clone(&seen));
        move |request: Request<String>| {
            let id: usize = request.body().parse().unwrap();
            let values: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
            assert_eq!(values.len(), 1, "R11");
            let mut seen = seen.lock().unwrap();
            let sends = seen.entry(id).or_default();
            sends.push(generation(values[0].to_str().unwrap()));
            let mut response = Response::new(String::new());
            let status = if sends.len() == 1 { cases[id].first } else { cases[id].second };
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            async { Ok::<_, Infallible>(response) }
        }
    });
    let service = BearerAuthLayer::new(origins(), mint.source()).layer(api);
    let calls = cases.iter().enumerate().map(|(id, case)| {
        let (service, mint) = (service.clone(), mint.clone());
        async move {
            tokio::time::sleep(case.after).await;
            mint.down(case.down);
            let mut request = Request::get(API).body(id.to_string()).unwrap();
            if case.opts_out {
                request.extensions_mut().insert(NoReplay);
            }
            service.oneshot(request).await
        }
    });
    let answers = join_all(calls).await;
    let seen = seen.lock().unwrap();
    for (id, (case, answer)) in cases.iter().zip(answers).enumerate() {
        let sends = seen.get(&id).map_or(&[][..], Vec::as_slice);
        let Ok(response) = answer else {
            prop_assert!(matches!(answer, Err(AuthError::Token(_))) && sends.is_empty(), "an error is said of what was not sent");
            continue;
        };
        let status = response.status().as_u16();
        let excused = response.extensions().get::<TokenError>().is_some() || response.extensions().get::<NotReplayed>().is_some();
        match *sends {
            [_] => {
                prop_assert_eq!(status, case.first);
                prop_assert_eq!(case.first == 401, excused, "a 401 that was not acted upon says why");
            }
            [one, two] => {
                prop_assert!(case.first == 401 && !case.opts_out && one < two, "{:?}: {} then {}", case, one, two);
                prop_assert_eq!(status, case.second, "the second answer comes back as it is");
            }
            _ => prop_assert!(false, "R1: sent {} times", sends.len()),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// R1: at most one replay, with a newer token, of what was answered 401 and may be sent again.
    #[test]
    fn a_request_is_sent_twice_at_most(cases in prop::collection::vec(case(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(cases))?;
    }
}
