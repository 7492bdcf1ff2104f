//! Rows of a page.

use std::{collections::HashSet, future::Future, panic::AssertUnwindSafe, pin::Pin};

use futures::FutureExt;

/// What a page says, in its own words, and a check that panics where it is not so.
pub(crate) struct Row {
    says: Vec<&'static str>,
    holds: Pin<Box<dyn Future<Output = ()>>>,
}

/// What a page says that no client can keep or break, and why.
pub(crate) type NotOurs = [(&'static str, &'static str)];

pub(crate) fn row<const N: usize>(says: [&'static str; N], holds: impl Future<Output = ()> + 'static) -> Row {
    Row { says: says.to_vec(), holds: Box::pin(holds) }
}

/// Checks all rows, and names each one that does not hold. Nothing is both held and disowned.
pub(crate) async fn hold(rows: Vec<Row>, not_ours: &NotOurs) {
    let told: HashSet<_> = rows.iter().flat_map(|row| &row.says).copied().collect();
    for (says, reason) in not_ours {
        assert!(!told.contains(says) && !reason.is_empty(), "{says}");
    }
    let mut broken = Vec::new();
    for row in rows {
        if AssertUnwindSafe(row.holds).catch_unwind().await.is_err() {
            broken.push(row.says);
        }
    }
    assert!(broken.is_empty(), "not so: {broken:#?}");
}
