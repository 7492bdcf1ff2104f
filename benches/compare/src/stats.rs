//! Medians, and how far to trust them.

/// A median and the interval that holds the true one with 95 % confidence, whatever the distribution.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The middle of all samples.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// The median of samples, with the order statistics that bound it: those at n/2 ± 0.98 √n.
pub fn median(mut samples: Vec<f64>) -> Estimate {
    samples.sort_by(f64::total_cmp);
    let (n, last) = (samples.len() as f64, samples.len().saturating_sub(1));
    let at = |rank: f64| samples.get((rank.max(0.0) as usize).min(last)).copied().unwrap_or(f64::NAN);
    let margin = 0.98 * n.sqrt();
    Estimate { median: at((n - 1.0) / 2.0), low: at((n / 2.0 - margin).floor()), high: at((n / 2.0 + margin).ceil()) }
}

/// The sample below which this share of all lies.
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get((samples.len() as f64 * share) as usize).or(samples.last()).copied().unwrap_or(f64::NAN)
}
