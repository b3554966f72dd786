use jiff::civil::Date;
use schema::telescope::Trend;

/// Days that the means are taken of, and how many of them must have been observed.
const DAYS: usize = 30;
const DAYS_MIN: usize = 20;

/// DShield's trend figure: √((S−s)²/s + (T−t)²/t). A mean of nothing counts as one.
pub fn figure(sources: f64, sources_mean: f64, targets: f64, targets_mean: f64) -> f64 {
    let (s, t) = (sources_mean.max(1.0), targets_mean.max(1.0));
    ((sources - s).powi(2) / s + (targets - t).powi(2) / t).sqrt()
}

/// The day from `from` on on which more sources came than usual and the figure is largest. `days`: sources and targets of each day in
/// order, `None` where too little was observed.
pub(super) fn largest(days: &[(Date, Option<(u64, u64)>)], from: Date) -> Option<Trend> {
    let mut best: Option<Trend> = None;
    for (place, (day, counts)) in days.iter().enumerate() {
        let Some((sources, targets)) = counts.filter(|_| *day >= from) else { continue };
        let before = days.get(place.saturating_sub(DAYS)..place).unwrap_or_default();
        let (mut n, mut all) = (0usize, (0u64, 0u64));
        for (_, counts) in before {
            if let Some((sources, targets)) = counts {
                n += 1;
                all = (all.0 + sources, all.1 + targets);
            }
        }
        let (sources_mean, targets_mean) = (all.0 as f64 / n.max(1) as f64, all.1 as f64 / n.max(1) as f64);
        if n < DAYS_MIN || (sources as f64) <= sources_mean {
            continue;
        }
        let figure = figure(sources as f64, sources_mean, targets as f64, targets_mean);
        if best.is_none_or(|best| best.figure < figure) {
            best = Some(Trend { day: *day, figure, sources, sources_mean, targets, targets_mean });
        }
    }
    best
}
