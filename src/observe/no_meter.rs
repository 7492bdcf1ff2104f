//! Nothing is counted without the feature `metrics`.

use std::borrow::Cow;

pub(super) const ON: bool = false;

pub(super) type Label<'a> = (&'static str, &'a Cow<'static, str>);

pub(super) fn count(_name: &'static str, _labels: &[Label<'_>]) {}

pub(super) fn record(_name: &'static str, _labels: &[Label<'_>], _value: f64) {}

pub(super) fn set(_name: &'static str, _labels: &[Label<'_>], _value: f64) {}
