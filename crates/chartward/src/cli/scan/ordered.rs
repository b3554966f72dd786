//! Work on all cores whose results come out in the order in which it was given, with a bound on what is under way.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How much is under way at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Pieces of work.
    pub(super) count: usize,
    /// What they weigh together; a piece that is heavier than that goes alone.
    pub(super) weight: usize,
}

/// Runs `work` on as many threads as the machine has cores for everything that `feed` gives, and gives the results to `take` in the order of
/// the work. `feed` runs on a thread of its own and is told `false` once `take` wants no more.
pub(super) fn run<T: Send, R: Send>(
    bounds: Bounds,
    feed: impl FnOnce(&mut dyn FnMut(usize, T) -> bool) + Send,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> bool,
) {
    let room = Room::default();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (give, jobs) = crossbeam_channel::bounded::<(u64, usize, T)>(threads);
    let (done, results) = crossbeam_channel::unbounded::<(u64, usize, R)>();
    thread::scope(|scope| {
        scope.spawn(|| {
            let give = give;
            let mut number = 0;
            feed(&mut |weight, job| {
                let goes_on = room.enter(weight, bounds) && give.send((number, weight, job)).is_ok();
                number += 1;
                goes_on
            });
        });
        for _ in 0..threads {
            let (jobs, done, work) = (jobs.clone(), done.clone(), &work);
            scope.spawn(move || {
                for (number, weight, job) in jobs {
                    if done.send((number, weight, work(job))).is_err() {
                        return;
                    }
                }
            });
        }
        // The workers hold what they need; without this the results would never end.
        drop((jobs, done));
        let mut waiting: BTreeMap<u64, (usize, R)> = BTreeMap::new();
        let mut next = 0;
        for (number, weight, result) in results {
            waiting.insert(number, (weight, result));
            while let Some((weight, result)) = waiting.remove(&next) {
                next += 1;
                room.leave(weight);
                if !room.is_closed() && !take(result) {
                    room.close();
                }
            }
        }
    });
}

/// What is under way.
#[derive(Default)]
struct Room {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    count: usize,
    weight: usize,
    closed: bool,
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room; `false` once nothing more is wanted.
    fn enter(&self, weight: usize, bounds: Bounds) -> bool {
        let is_full = |now: &mut Now| {
            !now.closed && now.count > 0 && (now.count >= bounds.count || now.weight + weight > bounds.weight)
        };
        let mut now = self.changed.wait_while(self.lock(), is_full).unwrap_or_else(PoisonError::into_inner);
        now.count += 1;
        now.weight += weight;
        !now.closed
    }

    fn leave(&self, weight: usize) {
        let mut now = self.lock();
        now.count -= 1;
        now.weight -= weight;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const BOUNDS: Bounds = Bounds { count: 8, weight: 100 };

    #[test]
    fn results_come_in_the_order_of_the_work_and_no_more_is_under_way_than_allowed() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut results = Vec::new();
        run(
            BOUNDS,
            |give| {
                for job in 0..500_u64 {
                    let weight = (job % 7) as usize * 30;
                    assert!(give(weight, (job, weight)));
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                }
            },
            |(job, _)| {
                thread::sleep(std::time::Duration::from_micros(job * 37 % 500));
                job
            },
            |job| {
                now.fetch_sub(1, Ordering::SeqCst);
                results.push(job);
                true
            },
        );
        assert_eq!(results, (0..500).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= BOUNDS.count + 1);
    }

    #[test]
    fn it_ends_soon_after_nobody_wants_more() {
        let given = AtomicUsize::new(0);
        let mut taken = 0;
        run(
            BOUNDS,
            |give| while given.fetch_add(1, Ordering::SeqCst) < 1_000_000 && give(1, ()) {},
            |()| (),
            |()| {
                taken += 1;
                taken < 10
            },
        );
        assert_eq!(taken, 10);
        assert!(given.load(Ordering::SeqCst) < 1_000);
    }
}
