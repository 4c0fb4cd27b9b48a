//! Measures how well a threshold separates two samples.

/// A measure of how well a threshold separates two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Separation {
    /// The area under the curve of all thresholds: the probability that a member of one sample is
    /// larger than one of the other, from 0.5, which is a guess, to 1. The sample with the larger
    /// values is chosen.
    pub auc: f64,
    /// Its standard deviation between samples of one distribution.
    pub deviation: f64,
}

/// Computes it from the ranks of all values (Mann and Whitney); equal values share a rank.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of samples are far below 2^52"
)]
pub fn separation(first: &[f64], second: &[f64]) -> Separation {
    let mut values: Vec<(f64, bool)> = first
        .iter()
        .map(|value| (*value, true))
        .chain(second.iter().map(|value| (*value, false)))
        .collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut ranks_of_first = 0.0;
    let mut begin = 0;
    while begin < values.len() {
        let equal = values[begin..]
            .iter()
            .take_while(|value| value.0.total_cmp(&values[begin].0).is_eq())
            .count();
        let rank = begin as f64 + f64::midpoint(equal as f64, 1.0);
        let of_first = values[begin..begin + equal]
            .iter()
            .filter(|value| value.1)
            .count();
        ranks_of_first += rank * of_first as f64;
        begin += equal;
    }
    let (m, n) = (first.len() as f64, second.len() as f64);
    let auc = (ranks_of_first - m * (m + 1.0) / 2.0) / (m * n);
    Separation {
        auc: auc.max(1.0 - auc),
        deviation: ((m + n + 1.0) / (12.0 * m * n)).sqrt(),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "fractions of few samples are exact")]
mod tests {
    use super::*;

    #[test]
    fn what_a_threshold_parts_is_told_apart_and_what_is_equal_is_not() {
        assert_eq!(separation(&[1.0, 2.0], &[3.0, 4.0]).auc, 1.0);
        assert_eq!(separation(&[3.0, 4.0], &[1.0, 2.0]).auc, 1.0);
        assert_eq!(separation(&[1.0, 2.0], &[1.0, 2.0]).auc, 0.5);
        assert_eq!(separation(&[5.0; 4], &[5.0; 3]).auc, 0.5);
        assert_eq!(separation(&[1.0, 3.0], &[2.0, 4.0]).auc, 0.75);
    }

    #[test]
    fn chance_leaves_less_the_more_samples_there_are() {
        let many = vec![1.0; 10_000];
        assert!(separation(&many, &many).deviation < 0.005);
    }
}
