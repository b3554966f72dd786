//! Capture files and interfaces into the observations.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::observe::network::file::CaptureFile;
use ::observe::network::live::{Capture, Memory};
use anyhow::Context;
use decode::packet::{Fault, Link, read};
use ipnet::IpNet;
use jiff::Timestamp;
use judge::telescope::{Counter, Day, Filter, Probe};
use prove::observation::Store;

use super::keep;
use crate::supervise::Confinement;
use crate::supervise::confine::restrict_self;

/// Packets between two looks at whether a day is over.
const BATCH: usize = 4096;
/// Packets that are read together.
const PACKETS: usize = 64;
/// How much of what was counted a power cut may take.
const KEPT_EVERY: Duration = Duration::from_secs(300);
const PATIENCE: Duration = Duration::from_millis(500);
const DAY_SECONDS: i64 = 86_400;
/// 1970 to 2200, in microseconds.
const PLAUSIBLE: std::ops::Range<i64> = 0..7_258_118_400_000_000;

/// What is to be observed.
pub(crate) struct Task<'a> {
    pub(crate) state: &'a Path,
    pub(crate) sensor: &'a str,
    pub(crate) watched: &'a [IpNet],
    pub(crate) keep_days: u16,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) elsewhere: u64,
    /// Days, or parts of them, that were written.
    pub(crate) days: u64,
    pub(crate) seconds: f64,
    /// Files that were not read to their end: what came before counts.
    pub(crate) unread: Vec<(PathBuf, String)>,
}

/// Counts, and keeps what was counted.
struct Keeper<'a> {
    task: &'a Task<'a>,
    store: Store,
    counter: Counter,
    batch: Vec<Probe>,
    done: Observed,
    begun: Instant,
}

impl<'a> Keeper<'a> {
    fn new(task: &'a Task<'a>) -> anyhow::Result<Keeper<'a>> {
        let store = Store::open(task.state)?;
        // Addresses that are old go before new ones come.
        let today = Timestamp::now().as_second().div_euclid(DAY_SECONDS);
        store.forget_addresses(today - i64::from(task.keep_days))?;
        let counter = Counter::new(Filter { watched: task.watched.to_vec() });
        let batch = Vec::with_capacity(BATCH);
        Ok(Keeper { task, store, counter, batch, done: Observed::default(), begun: Instant::now() })
    }

    fn take(&mut self, at: i64, link: Link, bytes: &[u8], orig_len: u32) {
        self.done.packets += 1;
        if !PLAUSIBLE.contains(&at) {
            // It belongs to no day that there will be a report on.
            self.done.lost += 1;
            return;
        }
        match read(link, bytes, orig_len) {
            Ok(packet) => self.batch.push(Probe::of(at, &packet)),
            // No fault of the sensor's: it was awake.
            Err(Fault::NotIp | Fault::Unread) => self.counter.awake(at),
            Err(_) => self.lost(at, 1),
        }
    }

    fn lost(&mut self, at: i64, packets: u64) {
        if packets > 0 && PLAUSIBLE.contains(&at) {
            self.done.lost += packets;
            self.counter.lost(at, packets);
        }
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= BATCH
    }

    fn step(&mut self) -> anyhow::Result<()> {
        self.counter.step(&self.batch);
        self.batch.clear();
        let days = self.counter.finished(self.task.sensor);
        self.keep(days)
    }

    fn keep_all(&mut self) -> anyhow::Result<()> {
        self.step()?;
        let days = self.counter.drain_all(self.task.sensor);
        self.keep(days)
    }

    fn keep(&mut self, days: Vec<Day>) -> anyhow::Result<()> {
        for day in days {
            keep::add(&self.store, day)?;
            self.done.days += 1;
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<Observed> {
        self.keep_all()?;
        self.done.elsewhere = self.counter.elsewhere();
        self.done.seconds = self.begun.elapsed().as_secs_f64();
        Ok(self.done)
    }
}

/// Counts capture files, one after the other.
pub(crate) fn files(task: &Task<'_>, files: &[PathBuf]) -> anyhow::Result<Observed> {
    let mut keeper = Keeper::new(task)?;
    for path in files {
        if let Err(error) = file(&mut keeper, path)? {
            keeper.done.unread.push((path.clone(), error));
        }
        // Between two captures nobody watched.
        keeper.step()?;
        keeper.counter.pause();
    }
    keeper.end()
}

/// The inner error is the file's: others can still be read.
fn file(keeper: &mut Keeper<'_>, path: &Path) -> anyhow::Result<Result<(), String>> {
    let mut capture = match CaptureFile::open(path) {
        Ok(capture) => capture,
        Err(error) => return Ok(Err(format!("{:#}", anyhow::Error::from(error)))),
    };
    let mut last = 0;
    loop {
        let read = capture.batches(PACKETS, |records| {
            for record in records {
                last = record.at;
                keeper.take(record.at, record.link, record.bytes, record.orig_len);
            }
            if keeper.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        keeper.step()?;
        match read {
            Ok(ControlFlow::Break(())) => {}
            Ok(ControlFlow::Continue(())) => {
                keeper.lost(last, capture.dropped());
                return Ok(Ok(()));
            }
            Err(error) => return Ok(Err(format!("{:#}", anyhow::Error::from(error)))),
        }
    }
}

/// Counts what arrives at an interface until a signal ends it. `ready` is called once it does, with what of the confinement could not
/// be enforced.
pub(crate) fn interface(
    task: &Task<'_>,
    name: &str,
    ready: impl FnOnce(&[String]),
) -> anyhow::Result<Observed> {
    let mut keeper = Keeper::new(task)?;
    let over = ended()?;
    let mut capture = Capture::open(&[name.to_owned()], Memory::default()).context("watch the interface")?;
    // What strangers send is read without a right: only the observations can be written.
    let confinement = Confinement { write: vec![task.state.join("telescope")], ..Confinement::default() };
    let not_enforced = restrict_self(&confinement).context("give up rights")?;
    ready(&not_enforced);
    let (mut kept, mut dropped) = (Instant::now(), 0);
    while !over.load(Ordering::Relaxed) {
        capture.wait(PATIENCE).context("wait for packets")?;
        capture.read(|_, batch| {
            for record in batch.records.iter().filter(|_| !batch.outgoing) {
                keeper.take(record.at, record.link, record.bytes, record.orig_len);
            }
        });
        keeper.step()?;
        let now = Timestamp::now().as_microsecond();
        let all_dropped = capture.dropped();
        keeper.lost(now, all_dropped.saturating_sub(dropped));
        dropped = all_dropped;
        // While an interface is down its silence is none of the network's.
        capture.look();
        if capture.counters().iter().all(|it| it.state.is_up()) {
            keeper.counter.awake(now);
        } else {
            keeper.counter.pause();
        }
        if kept.elapsed() >= KEPT_EVERY {
            keeper.keep_all()?;
            kept = Instant::now();
        }
    }
    keeper.end()
}

/// Becomes true with SIGTERM or SIGINT.
pub(super) fn ended() -> anyhow::Result<Arc<AtomicBool>> {
    let over = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&over)).context("listen for signals")?;
    }
    Ok(over)
}
