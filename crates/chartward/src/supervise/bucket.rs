//! A token bucket: so many lines a second, more after a quiet time.

use std::time::Instant;

#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// Full. A rate of nothing would silence the watcher for good, so one line a second is the least.
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        let most = f64::from(burst).max(per_second);
        Self { per_second, most, tokens: most, filled: now }
    }

    /// Whether one more line may be taken.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.most);
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_to_its_share_and_a_quiet_time_earns_a_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 300, start);
        let mut taken = |at_ms: u64, offered: u32| {
            let now = start + Duration::from_millis(at_ms);
            (0..offered).filter(|_| bucket.take(now)).count()
        };
        for (at_ms, offered, expected) in
            [(0, 1_000, 300), (500, 1_000, 50), (1_500, 1_000, 100), (2_000, 20, 20), (60_000, 1_000, 300)]
        {
            assert_eq!(taken(at_ms, offered), expected, "at {at_ms} ms");
        }
    }
}
