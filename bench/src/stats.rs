//! Medians and their spread.

use serde::Serialize;

/// Five numbers that stand for a set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) lower_quartile: f64,
    pub(crate) median: f64,
    pub(crate) upper_quartile: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` when there are no samples.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            min: *sorted.first()?,
            lower_quartile: quantile(&sorted, 1, 4)?,
            median: quantile(&sorted, 1, 2)?,
            upper_quartile: quantile(&sorted, 3, 4)?,
            max: *sorted.last()?,
        })
    }
}

/// The value at `numerator / denominator` of the way through, between neighbours in proportion.
fn quantile(sorted: &[f64], numerator: usize, denominator: usize) -> Option<f64> {
    let way = sorted.len().checked_sub(1)? * numerator;
    let (index, rest) = (way / denominator, way % denominator);
    let low = *sorted.get(index)?;
    let high = *sorted.get(index + 1).unwrap_or(&low);
    let part = f64::from(u32::try_from(rest).ok()?) / f64::from(u32::try_from(denominator).ok()?);
    Some(low + (high - low) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).expect("samples");
        assert_eq!(summary.min, 1.0);
        assert_eq!(summary.lower_quartile, 1.75);
        assert_eq!(summary.median, 2.5);
        assert_eq!(summary.upper_quartile, 3.25);
        assert_eq!(summary.max, 4.0);
    }

    #[test]
    fn single_sample_is_its_own_summary() {
        let summary = Summary::of(&[7.0]).expect("samples");
        assert_eq!((summary.min, summary.median, summary.max), (7.0, 7.0, 7.0));
    }

    #[test]
    fn empty_samples_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
    }
}
