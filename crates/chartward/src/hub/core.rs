//! The core: one thread that owns the correlation and decides, and writes down what it decided before anybody acts on it.
//!
//! The order in which things are written: a watcher's line in the lake's journal; then, in one transaction, the
//! incidents and countermeasures that follow from it; then the hands act, while [`super::scribe`] waits for the disk and has the
//! ledger tell. Killed between any two of them, the next start goes on from the journal: the same lines give the same
//! incidents, and what was approved is applied.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use act::never::NeverTouch;
use act::playbook::Playbook;
use crossbeam_channel::{Receiver, Sender, never, select};
use jiff::{SignedDuration, Timestamp};
use judge::correlate::Correlator;
use prove::lake::{Lake, Written};
use prove::{Fact, Ledger, State};
use schema::{ActKind, CountermeasureId, IncidentId, WatcherClass};

use super::book::Book;
use super::clock::Clock;
use super::handle::{Answer, Hub, Live, Refusal, Request, RunJob};
use super::hands::{Done, Order};
use super::intake::{self, Batch, Heard};
use super::outcomes::Expiring;
use super::pending::Pending;
use super::replay::Replay;
use super::scribe::{Note, Scribe};
use super::settle::Part;
use super::wall_kept::WallTold;
use crate::supervise::{Message, Supervisor};

/// Lines that are judged together; the first of them waits for no more.
const BATCH_MAX: usize = 2048;
/// How far apart batches begin at least: in a flood, what each of them costs by itself would be most of the work.
const BATCH_EVERY: Duration = Duration::from_millis(10);
/// How often the correlation's own state is kept, so that less of the journal is read again after a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(200);
const A_MILLISECOND: SignedDuration = SignedDuration::from_millis(1);
/// Events that wait for a journal that takes none; what comes beyond is judged and lost with a crash.
const UNJOURNALED_MAX: usize = 20_000;
/// The name under which the correlation's state stands in the checkpoints.
pub(super) const PART: &str = "correlate";

/// What the configuration says about deciding.
pub(crate) struct Rules {
    pub(crate) playbooks: Vec<Playbook>,
    pub(crate) never: NeverTouch,
    /// Networks of the hospital, as the wall's zones name them.
    pub(crate) internal: Vec<ipnet::IpNet>,
    /// Names of what is protected.
    pub(crate) protects: Vec<String>,
    /// Class of each watcher by its name.
    pub(crate) classes: BTreeMap<String, WatcherClass>,
    /// Language of those who are told, and the least severity that they are told of, by channel.
    pub(crate) channels: BTreeMap<String, (schema::Lang, schema::Severity)>,
    /// Names of hosts by their address.
    pub(crate) hosts: BTreeMap<std::net::IpAddr, String>,
    /// Names of what is protected, by the host that it lies on.
    pub(crate) stores: BTreeMap<String, Vec<String>>,
}

/// What the core hears.
pub(crate) struct Ears {
    pub(crate) lines: Receiver<Message>,
    pub(crate) requests: Receiver<Request>,
    pub(crate) done: Receiver<Done>,
    pub(crate) wall_said: Receiver<WallTold>,
    /// Closed, or told once, when the hub is to end.
    pub(crate) end: Receiver<()>,
}

/// What the core works on.
pub(crate) struct Core {
    pub(super) hub: Hub,
    /// The state folder, for reports.
    pub(super) folder: std::path::PathBuf,
    pub(super) state: State,
    pub(super) ledger: Arc<Ledger>,
    pub(super) lake: Arc<Lake>,
    pub(super) correlator: Correlator,
    pub(super) rules: Rules,
    pub(super) orders: Sender<Order>,
    pub(super) supervisor: Option<Supervisor>,
    pub(super) run_job: RunJob,
    /// What an administrator armed.
    pub(super) armed: BTreeSet<(ActKind, WatcherClass)>,
    /// When acts against somebody were planned, for the bound of a minute.
    pub(super) planned: VecDeque<(Timestamp, WatcherClass)>,
    /// When people were last told that somebody changed the packet filter.
    pub(super) wall_told_at: Option<Instant>,
    /// Countermeasures that are taken back because their time is over.
    pub(super) expiring: Expiring,
    /// Hosts whose isolation is being taken back after a proof.
    pub(super) reconnecting: BTreeMap<CountermeasureId, super::reconnect::Reconnecting>,
    /// Incidents in which targets were left out since a bound was reached.
    pub(super) left_out: BTreeSet<IncidentId>,
    pub(super) book: Book,
    pub(super) pending: Pending,
    /// What is to be done as soon as it is written down.
    pub(super) ready: Vec<Order>,
    /// While the journal is read again after a start.
    pub(super) replay: Option<Replay>,
    /// People who wait for what comes of a countermeasure.
    pub(super) waiting: BTreeMap<CountermeasureId, Vec<Sender<Result<Answer, Refusal>>>>,
    /// Incidents that grew since they were written down.
    pub(super) dirty: BTreeSet<IncidentId>,
    /// The last of those that were written in this round, when others still wait.
    pub(super) written_to: Option<IncidentId>,
    /// Counts of lines since the last checkpoint.
    pub(super) daily: Vec<prove::state::Daily>,
    /// Place in the journal up to which everything was judged.
    pub(super) watermark: u64,
    pub(super) facts: Vec<Fact>,
    pub(super) scribe: Scribe,
    /// What was written since the scribe was told.
    pub(super) to_keep: Note,
    /// Events that stand in the journal and may not be on the disk yet.
    pub(super) unsynced: VecDeque<(Written, Vec<schema::Event>)>,
    pub(super) written: Instant,
    pub(super) checkpointed: (u64, Instant),
    /// What takes nothing at the moment, and why; what is decided is acted on all the same.
    pub(super) trouble: BTreeMap<Part, String>,
    /// Events that the journal did not take, until it does.
    pub(super) unjournaled: Vec<schema::Event>,
    /// The time of the last batch: no two batches have the same, so that they are told apart when the journal is read again.
    pub(super) batched_at: Timestamp,
    pub(super) clock: Clock,
    /// Which start of the machine this is.
    pub(super) boot: String,
    /// Kept open, so that a hub without watchers waits for people; dropped when the watchers are to end.
    pub(super) lines_open: Option<Sender<Message>>,
}

impl Core {
    /// Runs until the hub is to end and everything that the watchers said was judged and written.
    pub(crate) fn run(mut self, ears: Ears) -> anyhow::Result<()> {
        let mut end = ears.end.clone();
        let mut ticked = Instant::now();
        let mut heard = Instant::now();
        let mut stopping = None;
        let kept = self.scribe.kept.clone();
        loop {
            self.look_at_clock();
            select! {
                recv(kept) -> kept => if let Ok(kept) = kept { self.kept(kept) },
                recv(ears.lines) -> message => match message {
                    Ok(first) => {
                        std::thread::sleep(BATCH_EVERY.saturating_sub(heard.elapsed()));
                        heard = Instant::now();
                        self.hear(std::iter::once(first).chain(ears.lines.try_iter().take(BATCH_MAX - 1)));
                    }
                    // All watchers have ended and were heard out.
                    Err(_) => break,
                },
                recv(ears.requests) -> request => if let Ok(request) = request { self.request(request) },
                recv(ears.done) -> done => if let Ok(first) = done {
                    self.done(std::iter::once(first).chain(ears.done.try_iter().take(BATCH_MAX - 1)));
                },
                recv(ears.wall_said) -> said => if let Ok(told) = said { self.wall_told(&told) },
                recv(end) -> _ => {
                    end = never();
                    self.lines_open = None;
                    // In a thread of its own: while the watchers end, what they still say is taken in here.
                    stopping = self.supervisor.take().map(|supervisor| std::thread::spawn(move || supervisor.stop()));
                },
                default(TICK) => {}
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.look_at_clock();
                self.tick();
            }
        }
        if let Some(thread) = stopping {
            let _ = thread.join();
        }
        self.finish()
    }

    /// A batch of lines, from the journal to the hands.
    fn hear(&mut self, messages: impl Iterator<Item = Message>) {
        let mut lines = Vec::new();
        for message in messages {
            match message {
                Message::Line { watcher, class, bytes, arrived } => {
                    lines.push((watcher, class, bytes, arrived))
                }
                Message::Health(health) => self
                    .hub
                    .show(|shown| super::alarms::note(shown, health, Timestamp::now()), Live::Watchers),
            }
        }
        if lines.is_empty() {
            return;
        }
        let heard = lines.iter().map(|(watcher, class, bytes, arrived)| Heard {
            watcher,
            class: *class,
            bytes,
            arrived: *arrived,
        });
        let batch = intake::read(heard);
        for (watcher, line) in &batch.garbage {
            if let Some(supervisor) = &self.supervisor {
                supervisor.garbage(watcher, line);
            }
        }
        self.judge(batch);
    }

    fn judge(&mut self, batch: Batch) {
        let now = self.next_batch_at();
        self.journal(batch.events, now);
        intake::add(&mut self.daily, batch.daily);
        self.decide(&batch.sightings, now);
        for (watcher, said) in batch.said {
            self.tell_what_a_guard_did(&watcher, &said);
        }
        self.settle_if_due(self.is_write_due());
        self.keep();
    }

    /// In whole milliseconds, as the journal keeps it.
    fn next_batch_at(&mut self) -> Timestamp {
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or_default();
        let is_same = now.as_millisecond() == self.batched_at.as_millisecond();
        self.batched_at = if is_same { now.saturating_add(A_MILLISECOND).unwrap_or(now) } else { now };
        self.batched_at
    }

    /// A full disk must not keep the wall from going up: what could not be kept is said, tried again, and acted on.
    fn journal(&mut self, events: Vec<schema::Event>, now: Timestamp) {
        let is_first_try = self.unjournaled.is_empty();
        if !is_first_try {
            let room = UNJOURNALED_MAX.saturating_sub(self.unjournaled.len());
            self.unjournaled.extend(events.into_iter().take(room));
            return;
        }
        match self.lake.write(&events, now) {
            Ok(written) => self.journaled(written, events),
            Err(error) => {
                self.unjournaled = events;
                self.note_trouble(Part::Lake, Err(error));
            }
        }
    }

    fn journal_again(&mut self, now: Timestamp) {
        if self.unjournaled.is_empty() {
            return;
        }
        match self.lake.write(&self.unjournaled, now) {
            Ok(written) => {
                let events = std::mem::take(&mut self.unjournaled);
                self.journaled(written, events);
            }
            Err(error) => self.note_trouble(Part::Lake, Err(error)),
        }
    }

    fn journaled(&mut self, written: Written, events: Vec<schema::Event>) {
        self.watermark = written.position();
        self.to_keep.lake = Some(written);
        self.unsynced.push_back((written, events));
        // A disk that stands still holds the watchers up before it fills the memory.
        if self.unsynced.iter().map(|(_, events)| events.len()).sum::<usize>() > UNJOURNALED_MAX {
            self.keep();
            self.wait();
        }
    }

    fn tick(&mut self) {
        let now = Timestamp::now();
        self.end_what_is_over(now);
        let is_due = self.is_write_due();
        if is_due {
            self.journal_again(now);
        }
        self.settle_if_due(is_due);
        self.keep();
        if self.checkpointed.1.elapsed() >= CHECKPOINT_EVERY {
            self.checkpoint();
            self.end_watched_weeks(now);
            self.ask_for_media();
        }
    }

    /// Keeps the correlation's state; up to here the journal need not be read again.
    fn checkpoint(&mut self) {
        self.checkpointed.1 = Instant::now();
        if self.checkpointed.0 == self.watermark {
            return;
        }
        // What the correlation knows and the incidents do not would be lost with the part of the journal that is not read again.
        if !self.settle() {
            return;
        }
        let watermark = self.watermark;
        // The counts go with the checkpoint: what is read again from the journal is counted again then, and never twice.
        let kept = self.state.write_soon(|tx| {
            tx.add_daily(&self.daily)?;
            tx.put_checkpoint(PART, watermark, &self.correlator)
        });
        match kept {
            Ok(()) => {
                self.checkpointed.0 = watermark;
                self.daily.clear();
                self.to_keep.state = true;
                self.keep();
            }
            Err(error) => self.note_trouble(Part::State, Err(error)),
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.journal_again(Timestamp::now());
        self.settle();
        self.checkpoint();
        self.wait();
        self.lake.flush()?;
        let because = "it was asked to end".to_owned();
        self.ledger.append(Fact::HubStopped { because }, Timestamp::now())?;
        Ok(())
    }
}
