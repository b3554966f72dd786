//! How long to wait before a watcher is started again.

use std::time::Duration;

use super::Limits;

/// Doubles from the first pause to the longest; a good long run sets it back.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    forgiven_after: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(limits: &Limits) -> Self {
        let first = Duration::from_millis(limits.restart_after_ms);
        Self {
            first,
            most: Duration::from_millis(limits.restart_after_ms_max).max(first),
            forgiven_after: Duration::from_millis(limits.forgiven_after_ms),
            next: first,
        }
    }

    /// The pause after a run that was ready for `ready`; `None` for one that never was.
    pub(super) fn pause(&mut self, ready: Option<Duration>) -> Duration {
        if ready.is_some_and(|ready| ready >= self.forgiven_after) {
            self.forgive();
        }
        let pause = self.next;
        self.next = self.next.saturating_mul(2).min(self.most);
        pause
    }

    pub(super) fn forgive(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_five_good_minutes_forgive() {
        let mut backoff = Backoff::new(&Limits::default());
        let mut check = |ready_s: Option<u64>, pause_s: u64| {
            assert_eq!(backoff.pause(ready_s.map(Duration::from_secs)), Duration::from_secs(pause_s));
        };
        for pause_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            check(None, pause_s);
        }
        check(Some(299), 60);
        check(Some(300), 1);
        check(Some(10), 2);
    }
}
