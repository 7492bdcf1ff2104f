//! The span and the events, by `tracing`. Names of fields are OpenTelemetry's where it has one.

use std::{mem, time::Duration};

use tracing::{Span, field};

use super::{
    event::{Event, Level},
    shield::shielded,
};

/// Of all that is traced here.
const TARGET: &str = "tower_token";

/// Each call site has a level of its own.
macro_rules! emit_at {
    ($level:ident, $event:expr) => {
        tracing::event!(
            target: TARGET,
            tracing::Level::$level,
            tower_token.engine = $event.engine,
            tower_token.generation = $event.generation,
            tower_token.expires_in = $event.expires_in.map(seconds),
            tower_token.retry_in = $event.retry_in.map(seconds),
            tower_token.waited = $event.waited.map(seconds),
            tower_token.serving = $event.serving,
            error.type = $event.error_type,
            exception.message = $event.error.map(field::display),
            http.response.status_code = $event.status_code,
            http.request.resend_count = $event.resend_count,
            server.address = $event.server_address,
            server.port = $event.server_port,
            "{}",
            $event.message
        )
    };
}

pub(super) fn emit(level: Level, event: &Event<'_>) {
    shielded(|| match level {
        Level::Error => emit_at!(ERROR, event),
        Level::Warn => emit_at!(WARN, event),
        Level::Info => emit_at!(INFO, event),
        Level::Debug => emit_at!(DEBUG, event),
    });
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Around a fetch, so that what the source does nests in it.
pub(super) struct FetchSpan(Span);

impl FetchSpan {
    pub(super) fn new(engine: &str, reason: &'static str, attempt: u32) -> FetchSpan {
        let span = shielded(|| {
            tracing::info_span!(
                target: TARGET,
                "tower_token.fetch",
                tower_token.engine = engine,
                tower_token.fetch.reason = reason,
                tower_token.fetch.attempt = attempt,
                tower_token.generation = field::Empty,
                error.type = field::Empty,
                otel.status_code = field::Empty,
            )
        });
        FetchSpan(span.unwrap_or_else(Span::none))
    }

    pub(super) fn ended(&self, generation: Option<u64>, error_type: Option<&'static str>) {
        shielded(|| {
            self.0.record("tower_token.generation", generation);
            self.0.record("error.type", error_type);
            // What `tracing-opentelemetry` makes the span's status of.
            self.0.record("otel.status_code", error_type.map(|_| "ERROR"));
        });
    }

    pub(super) fn enter(&self) -> Entered<'_> {
        Entered(shielded(|| self.0.enter()))
    }
}

impl Drop for FetchSpan {
    fn drop(&mut self) {
        shielded(|| drop(mem::replace(&mut self.0, Span::none())));
    }
}

/// For work that goes on in a task of its own: what it does nests where it was begun.
#[cfg(feature = "grant")]
pub(crate) fn nested<T>(work: impl std::future::Future<Output = T> + Send) -> impl std::future::Future<Output = T> + Send {
    let span = FetchSpan(shielded(Span::current).unwrap_or_else(Span::none));
    let mut work = Box::pin(work);
    std::future::poll_fn(move |cx| {
        let _entered = span.enter();
        work.as_mut().poll(cx)
    })
}

/// While it lives, what is traced on this thread nests in the fetch.
pub(crate) struct Entered<'a>(Option<tracing::span::Entered<'a>>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        shielded(|| drop(self.0.take()));
    }
}
