//! The numbers, by the `metrics` facade.
//!
//! Handles on counters are not kept: one that was made before the program installed its recorder would count nothing for ever.

use std::borrow::Cow;

use metrics::{Key, Level, Metadata, Unit, with_recorder};

use super::{metric, shield::shielded};

pub(super) const ON: bool = true;

pub(super) type Label<'a> = (&'static str, &'a Cow<'static, str>);

const METADATA: Metadata<'static> = Metadata::new("tower_token", Level::INFO, Some("tower_token"));

pub(super) fn count(name: &'static str, labels: &[Label<'_>]) {
    shielded(|| with_recorder(|recorder| recorder.register_counter(&key(name, labels), &METADATA).increment(1)));
}

pub(super) fn record(name: &'static str, labels: &[Label<'_>], value: f64) {
    shielded(|| with_recorder(|recorder| recorder.register_histogram(&key(name, labels), &METADATA).record(value)));
}

pub(super) fn set(name: &'static str, labels: &[Label<'_>], value: f64) {
    shielded(|| with_recorder(|recorder| recorder.register_gauge(&key(name, labels), &METADATA).set(value)));
}

fn key(name: &'static str, labels: &[Label<'_>]) -> Key {
    let labels = labels.iter().map(|(label, value)| metrics::Label::new(*label, (*value).clone()));
    Key::from_parts(name, labels.collect::<Vec<_>>())
}

/// Tells the recorder the unit and the meaning of each metric: what Prometheus shows as `HELP`.
///
/// Call it once, after the recorder was installed. Without it all is counted just the same.
pub fn describe_metrics() {
    let counters = [
        (metric::FETCHES, "Fetches of a token that have ended"),
        (metric::REJECTIONS, "Tokens that a server rejected, or that a request wanted replaced"),
        (metric::REPLAYS, "Rejected requests, by what became of them"),
        (metric::UNAVAILABLE, "Requests for which no token was to be had"),
        #[cfg(feature = "grant")]
        (metric::STORE_FAILURES, "Calls of a token store that have failed"),
    ];
    let histograms = [
        (metric::FETCH_DURATION, "How long a fetch took"),
        (metric::WAIT, "How long a caller waited that found no token at hand"),
    ];
    let gauges = [
        (
            metric::EXPIRY,
            Some(Unit::Seconds),
            "When the latest token expires, in Unix time; +Inf if nobody knows, 0 without a token",
        ),
        (metric::STATE, None, "1 for what the engine is doing, 0 for all else"),
        #[cfg(feature = "grant")]
        (metric::STORE_FAILING, None, "Logins of this process whose latest state could not be stored yet"),
    ];
    with_recorder(|recorder| {
        for (name, text) in counters {
            recorder.describe_counter(name.into(), None, text.into());
        }
        for (name, text) in histograms {
            recorder.describe_histogram(name.into(), Some(Unit::Seconds), text.into());
        }
        for (name, unit, text) in gauges {
            recorder.describe_gauge(name.into(), unit, text.into());
        }
    });
}
