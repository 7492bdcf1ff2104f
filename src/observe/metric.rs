//! The names of all metrics. The guide's page and the dashboard are tested against this file.

pub(super) const FETCHES: &str = "tower_token_fetches_total";
pub(super) const FETCH_DURATION: &str = "tower_token_fetch_duration_seconds";
pub(super) const REJECTIONS: &str = "tower_token_rejections_total";
pub(super) const REPLAYS: &str = "tower_token_replays_total";
pub(super) const UNAVAILABLE: &str = "tower_token_unavailable_total";
pub(super) const WAIT: &str = "tower_token_wait_duration_seconds";
pub(super) const EXPIRY: &str = "tower_token_expiry_timestamp_seconds";
pub(super) const STATE: &str = "tower_token_state";
#[cfg(feature = "grant")]
pub(super) const STORE_FAILURES: &str = "tower_token_store_failures_total";
#[cfg(feature = "grant")]
pub(super) const STORE_FAILING: &str = "tower_token_store_failing";

/// The labels: no metric has another one.
pub(super) const ENGINE: &str = "engine";
pub(super) const OUTCOME: &str = "outcome";
pub(super) const REASON: &str = "reason";
pub(super) const ERROR_TYPE: &str = "error_type";
pub(super) const STATE_LABEL: &str = "state";
