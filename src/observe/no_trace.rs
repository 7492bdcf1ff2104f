//! Nothing is traced without the feature `tracing`.

use std::marker::PhantomData;

use super::event::{Event, Level};

pub(super) fn emit(_level: Level, _event: &Event<'_>) {}

pub(super) struct FetchSpan;

impl FetchSpan {
    pub(super) fn new(_engine: &str, _reason: &'static str, _attempt: u32) -> FetchSpan {
        FetchSpan
    }

    pub(super) fn ended(&self, _generation: Option<u64>, _error_type: Option<&'static str>) {}

    pub(super) fn enter(&self) -> Entered<'_> {
        Entered(PhantomData)
    }
}

#[cfg(feature = "grant")]
pub(crate) fn nested<T>(work: impl std::future::Future<Output = T> + Send) -> impl std::future::Future<Output = T> + Send {
    work
}

pub(crate) struct Entered<'a>(PhantomData<&'a ()>);
