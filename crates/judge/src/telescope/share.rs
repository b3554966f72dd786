use schema::telescope::Share;

/// Quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_964;

/// A share with its 95 % interval (Wilson, JASA 22, 1927), which holds for small numbers and near 0 and 1 too.
pub fn wilson(count: u64, n: u64) -> Share {
    let count = count.min(n);
    if n == 0 {
        return Share { count: 0, n: 0, share: 0.0, low: 0.0, high: 1.0 };
    }
    let (p, size) = (count as f64 / n as f64, n as f64);
    let scale = 1.0 + Z * Z / size;
    let middle = (p + Z * Z / (2.0 * size)) / scale;
    let half = Z * (p * (1.0 - p) / size + Z * Z / (4.0 * size * size)).sqrt() / scale;
    Share { count, n, share: p, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

/// The same for counts of which some are estimates of sketches: their error is added to the interval's. The count and the others of `n`
/// err independently, so the quotient errs by p(1−p)√2 of what each of them does.
pub(super) fn wilson_estimated(count: u64, n: u64) -> Share {
    let share = wilson(count, n);
    let half = Z * share.share * (1.0 - share.share) * std::f64::consts::SQRT_2 * super::RELATIVE_ERROR;
    let wider = |end: f64| (end - share.share).hypot(half);
    Share {
        low: (share.share - wider(share.low)).max(0.0),
        high: (share.share + wider(share.high)).min(1.0),
        ..share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Brown, Cai, DasGupta (2001), and R's prop.test(…, correct = FALSE).
        for (count, n, low, high) in [
            (0, 10, 0.0, 0.2775),
            (5, 10, 0.2366, 0.7634),
            (80, 100, 0.7112, 0.8666),
            (10, 10, 0.7225, 1.0),
            (0, 0, 0.0, 1.0),
        ] {
            let share = wilson(count, n);
            assert!((share.low - low).abs() < 1e-3 && (share.high - high).abs() < 1e-3, "{share:?}");
        }
    }
}
