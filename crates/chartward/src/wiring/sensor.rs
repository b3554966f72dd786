//! The network sensor's loop: observe takes packets and makes flows of them, judge weighs these, and summaries are kept.

pub(crate) mod evidence;
mod flows;
mod report;
mod settings;
mod standing;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod voice;
pub(crate) mod zone;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use judge::network::{Detectors, Rules};
use observe::network::live::{Capture, Change, Memory};
use observe::network::{Pipeline, Settings as Bounds};
use schema::{Finding, Micros, NetCoverage, NetEvent};

use crate::supervise::Confinement;
use crate::supervise::confine::restrict_self;
use flows::Flows;
pub(crate) use report::{Report, as_json, words};
use settings::replaceable;
pub(crate) use settings::{Settings, domain, read_list};
use standing::Standing;
use state::Kept;
use store::{Cover, Keeper, Keeping, Record, Store, Told};
use voice::Voice;

/// The longest sleep when nothing comes.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it says how it stands.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// How often flows are summed up and put on the disk.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
/// How often what was learnt is put on the disk.
const KEEP_EVERY: Duration = Duration::from_secs(300);
/// How long the last packets may take.
const DRAIN: Duration = Duration::from_secs(3);
/// Flows that are told in one minute; all are kept.
const TOLD_MAX: usize = 1_000;

/// Where it works.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its own folder: what was learnt, flows.
    pub(crate) folder: PathBuf,
    pub(crate) control: Option<PathBuf>,
    /// The configuration, read anew when asked to; `None`: settings came from the hub.
    pub(crate) config: Option<PathBuf>,
}

impl Place {
    pub(crate) fn flows(folder: &Path) -> PathBuf {
        folder.join("flows")
    }
}

/// Reads the settings anew.
pub(crate) type Again = Box<dyn Fn() -> anyhow::Result<Settings>>;

/// Watches until `stop` says otherwise.
pub(crate) fn watch(
    settings: Settings,
    place: &Place,
    again: Again,
    stop: &AtomicBool,
    tell: impl FnMut(Report) + Send + 'static,
) -> anyhow::Result<()> {
    ensure!(!settings.interfaces.is_empty(), "name an interface: --interface eth1");
    act::evidence::private_dir(&place.folder)?;
    let capture =
        Capture::open(&settings.interfaces, Memory { ring_bytes: settings.ring_bytes, ..Memory::default() })?;
    // From here on without rights; packets need none.
    let not_enforced = restrict_self(&confinement(&settings, place)).context("give up rights")?;
    let rules = settings.with_lists()?;
    let kept = Kept::load(&place.folder, Timestamp::now(), settings.learn_seconds)?;
    let rules = kept.rules(rules);
    let keeping = Keeping { days: settings.flows_keep_days, bytes_max: settings.flows_bytes_max };
    let mut store = Store::open(&Place::flows(&place.folder), keeping)?;
    let begun = Timestamp::now();
    let start = Record::Start {
        at: begun.as_microsecond(),
        interfaces: settings.interfaces.clone(),
        internal: rules.internal.clone(),
    };
    store.append(&[start], begun)?;
    let standing = Standing::serve(place.control.as_deref())?;
    let now = Instant::now();
    let bounds = Bounds { told_every_seconds: 60, ..Bounds::default() };
    let mut sensor = Sensor {
        detectors: kept.detectors(&rules),
        rules,
        settings,
        again,
        kept,
        capture,
        pipeline: Pipeline::new(bounds),
        flows: Flows::default(),
        store: Keeper::start(store)?,
        standing,
        voice: Voice::new(tell),
        number: 0,
        findings: 0,
        covered: begun,
        before: NetCoverage::default(),
        went_down: BTreeSet::new(),
        unwritten: Vec::new(),
        due: Due { health: now + HEALTH_EVERY, flush: now + FLUSH_EVERY, keep: now },
    };
    sensor.begin(not_enforced);
    while !stop.load(Ordering::Relaxed) {
        sensor.turn()?;
    }
    sensor.end();
    Ok(())
}

/// Of a sensor that nobody else confined.
fn confinement(settings: &Settings, place: &Place) -> Confinement {
    let control = place.control.iter().filter_map(|socket| socket.parent()).map(Path::to_owned);
    let control = control.map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir });
    Confinement {
        read: settings.readable().chain(place.config.as_deref().map(replaceable)).collect(),
        write: control.collect(),
        caps: Vec::new(),
        packets: false,
        ..Confinement::sensor(place.folder.clone())
    }
}

/// Interfaces that went or came: both say that for a while nothing was seen of them.
fn down(changes: &[Change]) -> impl Iterator<Item = String> + '_ {
    let was_blind = |change: &&Change| !change.before.is_up() || !change.now.is_up();
    changes.iter().filter(was_blind).map(|change| change.interface.clone())
}

/// When what is done next.
#[derive(Debug, Clone, Copy)]
struct Due {
    health: Instant,
    flush: Instant,
    keep: Instant,
}

struct Sensor {
    settings: Settings,
    again: Again,
    kept: Kept,
    rules: Rules,
    capture: Capture,
    pipeline: Pipeline,
    detectors: Detectors,
    flows: Flows,
    store: Keeper,
    standing: Standing,
    voice: Voice<Report>,
    /// Of the packet that came last.
    number: u64,
    findings: u64,
    /// Up to when the store says that somebody watched.
    covered: Timestamp,
    /// What had been covered then.
    before: NetCoverage,
    /// Interfaces that were down or away since then.
    went_down: BTreeSet<String>,
    /// Findings that wait for the next member of the store.
    unwritten: Vec<Record>,
    due: Due,
}

impl Sensor {
    fn begin(&mut self, not_enforced: Vec<String>) {
        self.capture.look();
        let ready = report::ready(&self.settings, &self.rules, &self.capture.counters(), not_enforced);
        self.voice.say(Report::Ready(Box::new(ready)));
        if let Some(trouble) = self.kept.trouble() {
            self.voice.say(Report::trouble(&trouble));
        }
    }

    /// Packets once around, then what is due.
    fn turn(&mut self) -> anyhow::Result<()> {
        self.capture.wait(PATIENCE)?;
        if self.read() == 0 {
            self.quiet();
        }
        let changes = self.capture.look();
        if !changes.is_empty() {
            self.went_down.extend(down(&changes));
            for change in changes {
                self.voice.say(Report::Interface(change));
            }
            self.due.health = Instant::now();
        }
        self.answer();
        let now = Instant::now();
        if now >= self.due.flush {
            self.due.flush = now + FLUSH_EVERY;
            self.flush();
        }
        self.tell_troubles();
        if now >= self.due.keep {
            self.due.keep = now + KEEP_EVERY;
            self.keep();
        }
        if now >= self.due.health {
            self.due.health = now + HEALTH_EVERY;
            let health = self.health();
            self.voice.say(Report::Health(Box::new(health)));
        }
        Ok(())
    }

    fn read(&mut self) -> u64 {
        let mut events = Vec::new();
        let (pipeline, number) = (&mut self.pipeline, &mut self.number);
        let packets = self.capture.read(|_, batch| {
            pipeline.packets(*number + 1, batch.records, &mut events);
            *number += batch.records.len() as u64;
        });
        self.weigh(&events);
        packets
    }

    /// Nothing came: what waited for an answer did so in vain, what was silent has ended.
    fn quiet(&mut self) {
        let mut events = Vec::new();
        // Packets of the last moment may still lie in a block that is not full.
        let at = Timestamp::now().as_microsecond().saturating_sub(1_000_000);
        self.pipeline.pass(at, &mut events);
        self.weigh(&events);
    }

    fn weigh(&mut self, events: &[NetEvent]) {
        if events.is_empty() {
            return;
        }
        let mut found = Vec::new();
        let latest = events.iter().map(|event| event.at).max().unwrap_or_default();
        // Captured before now; a clock that was set must not carry the detectors into the future.
        let now = latest.min(Timestamp::now().as_microsecond());
        self.detectors.step(events, now, &mut found);
        self.flows.take(events);
        self.tell(found);
    }

    fn tell(&mut self, found: Vec<Finding>) {
        for finding in found {
            self.findings += 1;
            self.unwritten.push(Record::Finding(Told::of(&finding)));
            self.voice.say(Report::Finding(Box::new(finding)));
        }
    }

    /// A minute is over.
    fn flush(&mut self) {
        let mut found = Vec::new();
        self.detectors.flush(self.watermark(), &mut found);
        self.tell(found);
        let now = Timestamp::now();
        let all = self.flows.flush();
        let cover = self.cover(now);
        let told: Vec<_> = all.iter().take(TOLD_MAX).cloned().collect();
        let mut records: Vec<Record> = std::mem::take(&mut self.unwritten);
        records.push(Record::Cover(cover));
        records.extend(all.into_iter().map(Record::Flow));
        if let Err(error) = self.store.append(records, now) {
            self.voice.say(Report::trouble(&error));
        }
        self.voice.say(Report::Flows { told, internal: self.rules.internal.clone() });
    }

    fn tell_troubles(&mut self) {
        for error in self.store.troubles() {
            self.voice.say(Report::trouble(&error));
        }
    }

    fn watermark(&self) -> Micros {
        self.pipeline.coverage().last.min(Timestamp::now().as_microsecond())
    }

    /// What was observed since the last time.
    fn cover(&mut self, now: Timestamp) -> Cover {
        let is = self.coverage();
        let was = std::mem::replace(&mut self.before, is);
        let from = std::mem::replace(&mut self.covered, now);
        let counters = self.capture.counters();
        let was_down = std::mem::take(&mut self.went_down);
        let down = counters.into_iter().filter(|it| !it.state.is_up()).map(|it| it.name);
        let down = was_down.into_iter().chain(down).collect::<BTreeSet<_>>();
        Cover {
            from: from.as_microsecond(),
            to: now.as_microsecond(),
            packets: is.packets - was.packets,
            bytes: is.bytes - was.bytes,
            dropped: is.dropped.saturating_sub(was.dropped),
            undecoded: is.undecoded - was.undecoded,
            unread: is.unread - was.unread,
            fragments_lost: is.fragments_lost - was.fragments_lost,
            two_way: is.two_way - was.two_way,
            // A flow of which the other direction came late is taken back.
            one_way: is.one_way.saturating_sub(was.one_way),
            down: down.into_iter().collect(),
        }
    }

    fn coverage(&self) -> NetCoverage {
        NetCoverage { dropped: self.capture.dropped(), ..self.pipeline.coverage() }
    }

    fn keep(&mut self) {
        if let Err(error) = self.kept.save(&self.detectors) {
            self.voice.say(Report::trouble(&error));
        }
    }

    fn health(&self) -> report::Health {
        report::Health {
            at: Timestamp::now(),
            coverage: self.coverage(),
            going: self.pipeline.flows() as u64,
            one_way: self.pipeline.is_one_way(),
            interfaces: self.capture.counters(),
            findings: self.findings,
            learnt: self.detectors.learnt().len() as u64,
            effort: self.detectors.effort(),
            lost_lines: self.voice.lost(),
        }
    }

    /// Answers who asks over the control socket.
    fn answer(&mut self) {
        while let Some(asked) = self.standing.next() {
            let answer = match asked.request {
                standing::Request::Health => standing::health(&self.health()),
                standing::Request::Learnt => standing::learnt(&self.detectors.learnt()),
                standing::Request::Forget { client, server, port } => {
                    self.forget(Some((client, server, port)))
                }
                standing::Request::ForgetAll => self.forget(None),
                standing::Request::Reload => self.reload(),
            };
            let _ = asked.answer.send(answer);
        }
    }

    fn forget(&mut self, which: Option<state::Pair>) -> serde_json::Value {
        let before = self.detectors.learnt().len();
        self.detectors.forget(which);
        if which.is_none() {
            self.kept.begin_anew(Timestamp::now());
            self.rules = self.kept.rules(std::mem::take(&mut self.rules));
            self.detectors = Detectors::resume(&self.rules, self.detectors.state().clone());
        }
        self.keep();
        let forgotten = before - self.detectors.learnt().len();
        crate::wiring::control::done(serde_json::json!({"forgotten": forgotten}))
    }

    /// Rules and lists, with what the detectors remember. Interfaces and memory stay as they are until the next start.
    fn reload(&mut self) -> serde_json::Value {
        let read = (self.again)().and_then(|settings| Ok((settings.with_lists()?, settings)));
        match read {
            Ok((rules, settings)) => {
                self.rules = self.kept.rules(rules);
                self.detectors = Detectors::resume(&self.rules, self.detectors.state().clone());
                self.settings = Settings { interfaces: self.settings.interfaces.clone(), ..settings };
                let names = self.rules.names_phishing.len() + self.rules.names_malware.len();
                crate::wiring::control::done(serde_json::json!({
                    "contracts": self.rules.contracts.len(), "names": names,
                }))
            }
            Err(error) => crate::wiring::control::refused(&format!("{error:#}")),
        }
    }

    /// What is in the rings is read, every flow is ended, everything is put on the disk.
    fn end(mut self) {
        self.capture.close_intake();
        let until = Instant::now() + DRAIN;
        let mut silent = 0;
        // A block that is not full is handed over after some milliseconds.
        while silent < 2 && Instant::now() < until {
            silent = if self.capture.wait(PATIENCE).is_ok() && self.read() > 0 { 0 } else { silent + 1 };
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut events = Vec::new();
        self.pipeline.finish(&mut events);
        self.weigh(&events);
        self.unwritten.push(Record::End { at: Timestamp::now().as_microsecond() });
        self.flush();
        self.keep();
        self.store.close();
        self.tell_troubles();
        let health = self.health();
        self.voice.say(Report::Health(Box::new(health)));
        self.voice.say(Report::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use observe::network::live::State;

    use super::*;

    #[test]
    fn a_short_blindness_is_in_the_evidence() {
        let change = |before, now| Change { interface: "eth1".into(), before, now };
        for changes in [
            vec![change(State::Up, State::Down), change(State::Down, State::Up)],
            vec![change(State::NoCarrier, State::Up)],
        ] {
            assert_eq!(down(&changes).collect::<BTreeSet<_>>(), BTreeSet::from(["eth1".to_owned()]));
        }
    }
}
