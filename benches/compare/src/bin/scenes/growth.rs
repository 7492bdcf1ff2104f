//! How cost grows: with handles, clones, waiters, headers, and the length of the token.

use std::{
    ops::Range,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use bytes::Bytes;
use compare::{
    added_ns, engine,
    harness::{Noop, case, four, many, send, token},
    stats::median,
};
use http::HeaderValue;
use http_body_util::Empty;
use tokio::{runtime::Builder, sync::watch};
use tower::{BoxError, Layer, Service};
use tower_token::{AccessToken, BearerAuthLayer, Origins, StaticToken, TokenError, TokenHandle, source_fn};

type Body = Empty<Bytes>;

pub(crate) fn run() -> Result<(), BoxError> {
    println!("how cost grows; a call is one with a cached token whose request is kept, without what the bare service takes\n");
    println!("{:>14} {:>10} {:>16}   {:>12}", "", "", "ns", "bytes");
    for count in [1, 10, 100, 1_000, 10_000] {
        handles(count)?;
    }
    for count in [1, 10, 100, 1_000, 10_000] {
        clones(count)?;
    }
    for count in [1, 100, 10_000, 100_000] {
        waiters(count)?;
    }
    for count in [0, 4, 10, 20, 40] {
        headers(count)?;
    }
    for length in [32, 128, 1_024, 8_192] {
        token_length(length)?;
    }
    println!();
    Ok(())
}

fn row(what: &str, count: usize, ns: f64, of: &str, bytes: Option<(i64, &str)>) {
    let bytes = bytes.map_or(String::new(), |(bytes, of)| format!("{bytes:>12} {of}"));
    println!("{what:>14} {count:>10} {ns:>9.0} {of:8} {bytes}");
}

fn origins() -> Result<Origins, BoxError> {
    Ok("https://api.example.com".parse()?)
}

/// Each with its engine, its layer and a service. Engines idle on this thread's runtime, so that all their memory is counted.
fn handles(count: usize) -> Result<(), BoxError> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let origins = origins()?;
    let mut services = Vec::with_capacity(count);
    let mut outcome = Ok::<(), BoxError>(());
    let taken = allocation_counter::measure(|| {
        for _ in 0..count {
            let one = StaticToken::new(token()).map(TokenHandle::new).and_then(|tokens| {
                runtime.block_on(tokens.token())?;
                Ok(BearerAuthLayer::new(origins.clone(), tokens).layer(Noop::default()))
            });
            match one {
                Ok(service) => services.push(service),
                Err(error) => outcome = Err(error.into()),
            }
        }
        // The second call makes the clone's own header.
        call_each(&mut services, 0..2 * count);
    });
    outcome?;
    row(
        "handles",
        count,
        ns_of(&mut services),
        "a call",
        Some((taken.bytes_current / count as i64, "a handle with its service")),
    );
    Ok(())
}

fn clones(count: usize) -> Result<(), BoxError> {
    let mut services = Vec::with_capacity(count);
    let service = BearerAuthLayer::new(origins()?, engine(&token())).layer(Noop::default());
    let taken = allocation_counter::measure(|| {
        services.extend(std::iter::repeat_n(&service, count).cloned());
        call_each(&mut services, 0..2 * count);
    });
    row("clones", count, ns_of(&mut services), "a call", Some((taken.bytes_current / count as i64, "a clone in use")));
    Ok(())
}

/// Calls that wait for the first token; the time is that of answering one, once the token is there.
fn waiters(count: usize) -> Result<(), BoxError> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let go = watch::Sender::new(false);
    let gate = go.subscribe();
    let tokens = TokenHandle::new(source_fn(move |_cx| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.map_err(TokenError::transient)?;
            AccessToken::new("t")
        }
    }));
    let mut service = BearerAuthLayer::new(origins()?, tokens.clone()).layer(Noop::default());
    let make = four(Body::new);
    let mut cx = Context::from_waker(Waker::noop());
    let _entered = runtime.enter();
    let mut waiting: Vec<Pin<Box<_>>> = Vec::with_capacity(count);
    let taken = allocation_counter::measure(|| {
        for _ in 0..count {
            let mut call = Box::pin(service.call(make(&HeaderValue::from_static("static"))));
            if call.as_mut().poll(&mut cx).is_pending() {
                waiting.push(call);
            }
        }
    });
    if waiting.len() != count {
        return Err("a call was answered without a token".into());
    }
    go.send_replace(true);
    runtime.block_on(tokens.token())?;
    let start = Instant::now();
    for call in &mut waiting {
        match call.as_mut().poll(&mut cx) {
            Poll::Ready(Ok(_)) => {}
            _ => return Err("a call that waited was not answered".into()),
        }
    }
    let ns = start.elapsed().as_nanos() as f64 / count as f64;
    row("waiters", count, ns, "each", Some((taken.bytes_current / count as i64, "a call that waits")));
    Ok(())
}

fn headers(count: usize) -> Result<(), BoxError> {
    let service = BearerAuthLayer::new(origins()?, engine(&token())).layer(Noop::default());
    let floor = case("floor", "floor", Noop::default, many(count, Body::new));
    let kept = case("kept", "floor", move || service.clone(), many(count, Body::new));
    let bytes = |make: &compare::Make| {
        let mut case = make();
        case.run(2);
        allocation_counter::measure(|| case.run(1)).bytes_total as i64
    };
    row(
        "headers",
        count,
        added_ns(kept(), floor()).median,
        "a call",
        Some((bytes(&kept) - bytes(&floor), "a copy of the request")),
    );
    Ok(())
}

fn token_length(length: usize) -> Result<(), BoxError> {
    let service = BearerAuthLayer::new(origins()?, engine(&"t".repeat(length))).layer(Noop::default());
    let floor = case("floor", "floor", Noop::default, four(Body::new));
    let kept = case("kept", "floor", move || service.clone(), four(Body::new));
    row("token's bytes", length, added_ns(kept(), floor()).median, "a call", None);
    Ok(())
}

/// Calls to services in an order that no cache foresees.
fn call_each<S: Service<http::Request<Body>>>(services: &mut [S], calls: Range<usize>) {
    let (make, id) = (four(Body::new), HeaderValue::from_static("6f1c2c9e-6a53-4c0a-9d55-0a7f3f6b9a11"));
    let count = services.len();
    for call in calls {
        send(&mut services[call.wrapping_mul(7919) % count], make(&id));
    }
}

/// What a call adds to one of the bare service.
fn ns_of<S: Service<http::Request<Body>>>(services: &mut [S]) -> f64 {
    // In a round: few enough that most rounds are not interrupted.
    const CALLS: usize = 500;
    let mut bare = vec![Noop::default(); services.len()];
    let rounds = (0..501).map(|round| {
        let calls = || round * CALLS..(round + 1) * CALLS;
        let start = Instant::now();
        allocation_counter::opt_out(|| call_each(services, calls()));
        let ours = start.elapsed();
        let start = Instant::now();
        allocation_counter::opt_out(|| call_each(&mut bare, calls()));
        (ours.as_nanos() as f64 - start.elapsed().as_nanos() as f64) / CALLS as f64
    });
    median(rounds.collect()).median
}
