//! Where the time of a held open goes: the steps of the guard's loop, each timed, without a verdict.
//!
//!     cargo build --release -p observe --example hold_rate
//!     sudo target/release/examples/hold_rate DIR STORE    (ends on SIGTERM; prints JSON: microseconds per open, by step)
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example speaks to whoever runs it")]

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use observe::files::fanotify::{Change, Closed, Message, Waiting, Watch, path_of};
use observe::files::{Asked, Lineage, Stamp, Store, Tracker, pins};

struct Bench {
    watch: Watch,
    tracker: Tracker,
    lineage: Lineage,
    asked: Asked,
    opens: u64,
    spent: BTreeMap<&'static str, Duration>,
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    let (dir, store) = (PathBuf::from(args.next().unwrap()), PathBuf::from(args.next().unwrap()));
    let store = Store::open(Path::new(&store), 2 << 30).unwrap();
    let tracker = Tracker::new(store, pins());
    let watch = Watch::start(&[dir]).unwrap();
    println!("{{\"type\": \"ready\"}}");
    let mut bench = Bench {
        watch,
        tracker,
        lineage: Lineage::new(),
        asked: Asked::default(),
        opens: 0,
        spent: BTreeMap::new(),
    };
    bench.run();
    let opens = bench.opens.max(1) as f64;
    let parts: Vec<String> = bench
        .spent
        .iter()
        .map(|(step, time)| format!("\"{step}_us\": {:.2}", time.as_secs_f64() * 1e6 / opens))
        .collect();
    println!("{{\"opens\": {}, {}}}", bench.opens, parts.join(", "));
}

impl Bench {
    fn run(&mut self) {
        let mut next_tick = Instant::now();
        loop {
            match self.watch.next(Duration::from_millis(100)) {
                Some(Message::Open(waiting)) => self.open(waiting),
                Some(Message::Past) => self.timed("between", Self::past),
                Some(Message::Terminate | Message::Broken(_)) => return,
                Some(_) | None => {}
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + Duration::from_millis(100);
                self.timed("tick", |bench| {
                    for actor in bench.tracker.unmeasured() {
                        bench.tracker.evidence(actor);
                    }
                    bench.tracker.expire(Timestamp::now());
                });
            }
        }
    }

    fn timed<T>(&mut self, step: &'static str, work: impl FnOnce(&mut Self) -> T) -> T {
        let began = Instant::now();
        let done = work(self);
        *self.spent.entry(step).or_default() += began.elapsed();
        done
    }

    /// As in the guard: everything before the answer is what the opener waits for.
    fn open(&mut self, waiting: Waiting) {
        self.opens += 1;
        self.timed("open_1_past", Self::past);
        let Some(actor) = self.timed("open_2_actor", |bench| bench.lineage.actor(waiting.tid)) else {
            return;
        };
        self.timed("open_3_evidence", |bench| bench.tracker.evidence(actor));
        let Some(path) = self.timed("open_4_path", |_| path_of(waiting.file.as_fd())) else { return };
        let is_file = waiting.file.metadata().is_ok_and(|meta| meta.is_file());
        if is_file {
            let file = std::sync::Arc::clone(&waiting.file);
            let intent = self.timed("open_5_intent", |bench| bench.asked.intent(waiting.tid));
            self.timed("open_6_kept", |bench| {
                bench.tracker.opened(actor, file, path, intent, Timestamp::now())
            });
        }
        self.timed("open_7_answer", |_| drop(waiting));
    }

    fn past(&mut self) {
        self.names();
        for Closed { file, tid } in self.watch.closes().unwrap_or_default() {
            let actor = self.lineage.actor(tid);
            if let Ok(stamp) = Stamp::of(&file) {
                self.tracker.closed(actor, &stamp, Timestamp::now());
            }
        }
    }

    fn names(&mut self) {
        for change in self.watch.names().0 {
            let now = Timestamp::now();
            let actor = self.lineage.actor(change.pid);
            match (change.change, change.is_directory) {
                (Change::Renamed { from, to }, false) => {
                    self.tracker.renamed(actor, from.as_deref(), to, now)
                }
                (Change::Created(path), false) => {
                    if let Some(actor) = actor {
                        self.tracker.created(actor, path, now);
                    }
                }
                (Change::Deleted(path), false) => self.tracker.deleted(actor, &path, now),
                (Change::Exchanged { .. }, false) | (_, true) => {}
            }
        }
    }
}
