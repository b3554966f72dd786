/// What counts as a surge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The sum at which it is certain enough: 20 gives 1.0 false alarms in a year of one port, and half as large a step again is seen
    /// after 11 hours (simulated with autocorrelated noise); 12 gives 6.4 and 5 hours.
    pub threshold: f64,
    /// The step that is looked for, as a factor.
    pub step: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { threshold: 20.0, step: 1.5 }
    }
}

/// A surge in a series; places are hours from its beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// When it began: the first hour after the sum was zero for the last time.
    pub onset: usize,
    /// When the sum passed the threshold.
    pub detected: usize,
    /// When the sum was zero again: it ended, or had become usual. `None` at the end of the series.
    pub until: Option<usize>,
    /// What was usual at the hours of its first week, on average.
    pub usual: f64,
    /// What there was in them.
    pub during: f64,
}

const WEEK: usize = 168;
/// Weeks that an hour is compared with, and how many of them must have been observed.
const WEEKS: usize = 8;
const WEEKS_MIN: usize = 4;
/// Hours that the spread is taken from.
const SPREAD_HOURS: usize = 4 * WEEK;
/// With fewer, this spread (1/r) is taken; and it never falls below the other, since no network is a die.
const SPREAD_AT_FIRST: f64 = 0.1;
const SPREAD_MIN: f64 = 0.02;
/// Never so little is usual that a single packet more would be a step.
const USUAL_MIN: f64 = 0.5;
/// Surges of one port with less between them are one.
const APART: usize = WEEK;

/// Surges in hourly counts, and how many hours could be tested.
///
/// A sum of log-likelihood ratios (CUSUM) of the negative binomial distribution: the mean of an hour is the median of the same hour of
/// the week in the eight weeks before, each taken with its two neighbours; its spread is that of the last four weeks. Hours that
/// nobody observed neither add nor take away.
pub fn judge(values: &[Option<f64>], settings: Settings) -> (Vec<Judged>, u64) {
    let mut found: Vec<Judged> = Vec::new();
    let mut spread = Spread::default();
    let (mut sum, mut onset, mut tested) = (0.0f64, None, 0);
    let mut open: Option<(usize, usize)> = None;
    for (hour, value) in values.iter().enumerate() {
        let (Some(value), Some(usual)) = (*value, usual(values, hour)) else { continue };
        tested += 1;
        sum += ratio(value, usual, spread.of(), settings.step);
        if sum <= 0.0 {
            sum = 0.0;
            onset = None;
            if let Some((began, detected)) = open.take() {
                close(&mut found, values, (began, detected), Some(hour));
            }
        } else {
            let began = *onset.get_or_insert(hour);
            if sum >= settings.threshold {
                open.get_or_insert((began, hour));
            }
            // Else a great surge would seem to go on for as long as it was great.
            sum = sum.min(2.0 * settings.threshold);
        }
        if open.is_none() {
            spread.add(value, usual);
        }
    }
    if let Some(surge) = open {
        close(&mut found, values, surge, None);
    }
    (found, tested)
}

/// Logarithm of how much more likely a count is after the step than before it.
fn ratio(value: f64, usual: f64, spread: f64, step: f64) -> f64 {
    let r = 1.0 / spread;
    let grown = ((r + usual * step) / (r + usual)).ln();
    value * (step.ln() - grown) - r * grown
}

/// The median of the weeks before; `None` where too few were observed.
fn usual(values: &[Option<f64>], hour: usize) -> Option<f64> {
    let mut weeks = [0.0; WEEKS];
    let mut count = 0;
    for week in 1..=WEEKS {
        let Some(middle) = hour.checked_sub(week * WEEK) else { break };
        let around = values.get(middle.saturating_sub(1)..(middle + 2).min(values.len())).unwrap_or_default();
        let (sum, n) = around.iter().flatten().fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
        if n > 0.0 {
            weeks[count] = sum / n;
            count += 1;
        }
    }
    let weeks = &mut weeks[..count];
    weeks.sort_by(f64::total_cmp);
    let median = (weeks.get(count.saturating_sub(1) / 2)? + weeks.get(count / 2)?) / 2.0;
    (count >= WEEKS_MIN).then_some(median.max(USUAL_MIN))
}

/// How much more counts vary than those of rare independent events: 1/r of the negative binomial, by moments.
#[derive(Default)]
struct Spread {
    terms: std::collections::VecDeque<(f64, f64)>,
    sums: (f64, f64),
}

impl Spread {
    fn of(&self) -> f64 {
        if self.terms.len() < WEEK {
            SPREAD_AT_FIRST
        } else {
            (self.sums.0 / self.sums.1).clamp(SPREAD_MIN, 2.0)
        }
    }

    fn add(&mut self, value: f64, usual: f64) {
        let term = ((value - usual).powi(2) - usual, usual * usual);
        self.terms.push_back(term);
        self.sums = (self.sums.0 + term.0, self.sums.1 + term.1);
        if self.terms.len() > SPREAD_HOURS
            && let Some(old) = self.terms.pop_front()
        {
            self.sums = (self.sums.0 - old.0, self.sums.1 - old.1);
        }
    }
}

fn close(
    found: &mut Vec<Judged>,
    values: &[Option<f64>],
    (onset, detected): (usize, usize),
    until: Option<usize>,
) {
    if let Some(last) = found.last_mut()
        && last.until.is_none_or(|until| onset < until + APART)
    {
        last.until = until;
        return;
    }
    let first_week = onset..until.unwrap_or(values.len()).min(onset + WEEK);
    let pairs = first_week.filter_map(|hour| Some((usual(values, hour)?, (*values.get(hour)?)?)));
    let (mut before, mut during, mut n) = (0.0, 0.0, 0.0);
    for (usual, value) in pairs {
        (before, during, n) = (before + usual, during + value, n + 1.0);
    }
    let n = f64::max(n, 1.0);
    found.push(Judged { onset, detected, until, usual: before / n, during: during / n });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port with a daily and a weekly rhythm and autocorrelated noise.
    struct Port {
        state: u64,
        noise: f64,
    }

    impl Port {
        fn uniform(&mut self) -> f64 {
            self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.state;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (a, b) = (self.uniform().max(1e-12), self.uniform());
            (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
        }

        fn hour(&mut self, hour: usize, mean: f64) -> f64 {
            self.noise = 0.6 * self.noise + 0.12 * self.normal();
            let day = 1.0 + 0.3 * (std::f64::consts::TAU * hour as f64 / 24.0).sin();
            let week = if hour / 24 % 7 < 5 { 1.1 } else { 0.8 };
            let mean = mean * day * week * self.noise.exp();
            (mean + mean.sqrt() * self.normal()).round().max(0.0)
        }
    }

    const YEAR: usize = 8760;

    #[test]
    fn false_alarms_are_as_rare_as_stated() {
        let (ports, mut alarms) = (40, 0);
        for seed in 0..ports {
            let mut port = Port { state: seed * 77 + 5, noise: 0.0 };
            let mean = [3.0, 10.0, 40.0, 200.0][seed as usize % 4];
            let values: Vec<Option<f64>> = (0..YEAR).map(|hour| Some(port.hour(hour, mean))).collect();
            alarms += judge(&values, Settings::default()).0.len();
        }
        assert!(alarms as f64 / ports as f64 <= 1.0, "{alarms} in {ports} years");
    }

    #[test]
    fn a_step_is_found_within_a_day_and_its_onset_to_the_day() {
        let (mut delays, mut runs) = (0.0, 0.0);
        for seed in 0..40u64 {
            let mut port = Port { state: seed * 31 + 7, noise: 0.0 };
            let begin = 20 * WEEK + 30;
            let values: Vec<Option<f64>> = (0..begin + 2 * WEEK)
                .map(|hour| Some(port.hour(hour, if hour < begin { 40.0 } else { 60.0 })))
                .collect();
            let found = judge(&values, Settings::default()).0;
            let surge = found.last().expect("a surge");
            assert!(surge.onset.abs_diff(begin) <= 24, "{surge:?} at {begin}");
            assert!((1.3..1.7).contains(&(surge.during / surge.usual)), "{surge:?}");
            delays += surge.detected as f64 - begin as f64;
            runs += 1.0;
        }
        assert!((4.0..18.0).contains(&(delays / runs)), "{}", delays / runs);
    }

    #[test]
    fn gaps_and_new_series_make_no_surges() {
        let mut port = Port { state: 3, noise: 0.0 };
        let mut values: Vec<Option<f64>> = (0..YEAR / 2).map(|hour| Some(port.hour(hour, 30.0))).collect();
        values[2000..2300].fill(None);
        assert_eq!(judge(&values, Settings::default()).0, []);
        assert_eq!(judge(&[Some(1e9); 400], Settings::default()), (Vec::new(), 0));
        assert_eq!(judge(&[], Settings::default()), (Vec::new(), 0));
        // What ends is said to have ended, and what becomes usual too.
        let mut burst: Vec<Option<f64>> = (0..YEAR / 2).map(|hour| Some(port.hour(hour, 30.0))).collect();
        burst[3000..3060].iter_mut().flatten().for_each(|value| *value *= 3.0);
        let found = judge(&burst, Settings::default()).0;
        assert!(
            matches!(&found[..], [it] if it.onset.abs_diff(3000) < 3 && it.until.is_some_and(|end| end < 3140)),
            "{found:?}"
        );
    }
}
