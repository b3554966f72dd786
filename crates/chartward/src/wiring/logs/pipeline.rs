//! Lines become events and records, and these findings: the same way for a file that is read once and for all that is followed.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use decode::auth::{Clock, Reader};
use decode::evtx::{self, Item, Text};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use jiff::tz::TimeZone;
use judge::logins::Detectors;
use judge::sigma::{Engine, SigmaHit};
use observe::logs::Source;
use observe::logs::evtx::Block;
use schema::{AuthEvent, Finding, LogRecord, Micros};

use super::order::Order;

/// Sources whose state is kept; those beyond share one.
const SOURCES_MAX: usize = 4_096;
/// A time that is further ahead of ours than this is not believed.
const AHEAD_MAX: Micros = 300 * 1_000_000;

/// What was found.
pub(crate) enum Told {
    /// By a detector.
    Finding(Box<Finding>),
    /// By a rule.
    Hit(Box<SigmaHit>),
}

/// All that judges lines.
pub(crate) struct Pipeline {
    zone: TimeZone,
    sources: Sources,
    pub(crate) detectors: Detectors,
    pub(crate) engine: Engine,
    wants: Wants,
    order: Order,
    windows: evtx::Reader,
    record: LogRecord,
    hits: Vec<SigmaHit>,
    found: Vec<Finding>,
    pub(crate) counts: Counts,
}

/// What rules there are for; the rest is not made ready for them.
#[derive(Debug, Clone, Copy)]
struct Wants {
    lines: bool,
    records: bool,
    logons: bool,
}

impl Wants {
    fn of(engine: &Engine) -> Self {
        let records = engine.rules().next().is_some();
        Self { lines: engine.reads_lines(), records, logons: engine.reads_logons() }
    }
}

/// In numbers since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    pub(crate) events: u64,
    pub(crate) findings: u64,
    /// Lines that no format knew.
    pub(crate) unknown: u64,
    /// Lines with bytes that are no text, or too long.
    pub(crate) dirty: u64,
    /// Lines whose time was too far ahead to be believed.
    pub(crate) ahead: u64,
    /// By format.
    pub(crate) formats: BTreeMap<&'static str, u64>,
    /// Windows records in text that could not be read.
    pub(crate) broken: u64,
}

type Sources = HashMap<Source, State, RandomState>;

/// What is remembered of a source.
struct State {
    reader: Reader,
    standing: SourceStanding,
    /// The least of what lines took to come, since the last minute began.
    least: Option<Micros>,
    minute: Micros,
}

/// How a source stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceStanding {
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) last: Micros,
    /// Arrival less the time that lines say: the clock's error, where lines come at once.
    pub(crate) skew: Option<Micros>,
}

impl Pipeline {
    pub(crate) fn new(zone: TimeZone, detectors: Detectors, engine: Engine) -> Self {
        Self {
            wants: Wants::of(&engine),
            zone,
            sources: Sources::default(),
            detectors,
            engine,
            order: Order::default(),
            windows: evtx::Reader::new(),
            record: LogRecord::default(),
            hits: Vec::new(),
            found: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Other rules from now on.
    pub(crate) fn rules_changed(&mut self) {
        self.wants = Wants::of(&self.engine);
    }

    /// One line. `arrived` is when it came, or when its file was written last; `is_live` says which.
    pub(crate) fn line(&mut self, source: &Source, line: &[u8], arrived: Micros, is_live: bool, number: u64) {
        self.counts.lines += 1;
        self.counts.bytes += line.len() as u64;
        if let Some(text) = evtx::text(line)
            && self.windows(source, text, arrived, is_live, number)
        {
            return;
        }
        let Self { zone, sources, order, counts, record, .. } = self;
        let state = state(sources, source, zone, arrived);
        state.reader.clock().set_now(arrived);
        let mut events = 0;
        let mut ahead = 0;
        // A line that says nothing must not be the one before it.
        record.clear();
        let wanted = self.wants.lines.then_some(&mut *record);
        let seen = state.reader.read(line, wanted, &mut |event| {
            events += 1;
            let (event, was_ahead) = believed(event, arrived, is_live);
            ahead += u64::from(was_ahead);
            order.put(&event, arrived);
        });
        counts.events += events;
        counts.ahead += ahead;
        counts.dirty += u64::from(seen.dirty);
        match seen.format {
            Some(format) => *counts.formats.entry(format).or_default() += 1,
            None => counts.unknown += 1,
        }
        state.note(seen.at, arrived, events, is_live);
        if self.wants.lines && !self.record.is_empty() {
            self.record.number = number;
            self.engine.step(&self.record, arrived, &mut self.hits);
        }
    }

    /// A Windows record in JSON or XML; `false`: it is none, or none that can be read.
    fn windows(
        &mut self,
        source: &Source,
        text: Text<'_>,
        arrived: Micros,
        is_live: bool,
        number: u64,
    ) -> bool {
        let (mut windows, mut record) = (std::mem::take(&mut self.windows), std::mem::take(&mut self.record));
        let (mut taken, mut broken) = (0, 0);
        match text {
            Text::Json(body) => {
                if windows.json(body, &mut record).is_ok() {
                    taken = 1;
                    record.number = record.number.max(number);
                    self.record(source, &record, arrived, is_live);
                }
            }
            Text::Xml(body) => {
                let _ = windows.xml(body, &mut record, |read| {
                    match read {
                        Ok(record) => {
                            taken += 1;
                            self.record(source, record, arrived, is_live);
                        }
                        Err(_) => broken += 1,
                    }
                    ControlFlow::Continue(())
                });
            }
        }
        (self.windows, self.record) = (windows, record);
        self.counts.broken += broken;
        taken > 0
    }

    /// Records of a Windows log.
    pub(crate) fn block(&mut self, source: &Source, block: &Block, arrived: Micros, is_live: bool) {
        let (mut windows, mut record) = (std::mem::take(&mut self.windows), std::mem::take(&mut self.record));
        let _ = block.read(&mut windows, &mut record, |item| {
            match item {
                Item::Record(record) => {
                    self.counts.lines += 1;
                    self.record(source, record, arrived, is_live);
                }
                Item::Damage(_) => self.counts.broken += 1,
            }
            ControlFlow::Continue(())
        });
        (self.windows, self.record) = (windows, record);
        self.counts.bytes += block.bytes.len() as u64;
    }

    /// One Windows record, whatever it came in.
    fn record(&mut self, source: &Source, record: &LogRecord, arrived: Micros, is_live: bool) {
        let Self { zone, sources, order, counts, engine, hits, wants, .. } = self;
        let mut events = 0;
        if let Some(event) = evtx::auth(record) {
            events = 1;
            let (event, was_ahead) = believed(&event, arrived, is_live);
            counts.ahead += u64::from(was_ahead);
            order.put(&event, arrived);
        }
        counts.events += events;
        *counts.formats.entry("windows").or_default() += 1;
        state(sources, source, zone, arrived).note(Some(record.at), arrived, events, is_live);
        if wants.records {
            engine.step(record, arrived, hits);
        }
    }

    /// Judges the events that came before `until`; what was found goes to `told`.
    pub(crate) fn settle(&mut self, until: Micros, mut told: impl FnMut(Told)) {
        let Self { order, detectors, found, hits, counts, engine, record, wants, .. } = self;
        order.take(until, |event| {
            detectors.step(event, 0, found);
            if wants.logons {
                engine.step_logon(event, record, hits);
            }
        });
        counts.findings += (found.len() + hits.len()) as u64;
        found.drain(..).for_each(|finding| told(Told::Finding(Box::new(finding))));
        hits.drain(..).for_each(|hit| told(Told::Hit(Box::new(hit))));
    }

    /// Events that came after younger ones had been judged.
    pub(crate) fn late(&self) -> u64 {
        self.order.late
    }

    /// How each source stands.
    pub(crate) fn standing(&self) -> impl Iterator<Item = (&str, &SourceStanding)> {
        self.sources.iter().map(|(source, state)| (&*source.name, &state.standing))
    }

    /// The latest time that a source's lines said.
    pub(crate) fn last_of(&self, source: &Source) -> Option<Micros> {
        self.sources.get(source).map(|state| state.standing.last)
    }
}

impl State {
    fn note(&mut self, at: Option<Micros>, arrived: Micros, events: u64, is_live: bool) {
        self.standing.lines += 1;
        self.standing.events += events;
        let Some(at) = at else { return };
        self.standing.last = at;
        if !is_live {
            return;
        }
        let took = arrived.saturating_sub(at);
        // What waited on the way says nothing of the clock: the quickest line of a minute does.
        self.least = Some(self.least.map_or(took, |least| least.min(took)));
        if arrived.saturating_sub(self.minute) > 60_000_000 || self.standing.skew.is_none() {
            self.standing.skew = self.least.take();
            self.minute = arrived;
        }
    }
}

/// What a source is remembered by; beyond the bound all share one.
fn state<'s>(sources: &'s mut Sources, source: &Source, zone: &TimeZone, arrived: Micros) -> &'s mut State {
    let fresh = || State {
        reader: Reader::new(Clock::new(arrived, zone.clone())),
        standing: SourceStanding::default(),
        least: None,
        minute: arrived,
    };
    let source = if sources.len() < SOURCES_MAX || sources.contains_key(source) {
        source.clone()
    } else {
        Source::new("further sources")
    };
    sources.entry(source).or_insert_with(fresh)
}

/// An event whose time is far ahead happened when it came.
fn believed<'a>(event: &AuthEvent<'a>, arrived: Micros, is_live: bool) -> (AuthEvent<'a>, bool) {
    let is_ahead = is_live && event.at > arrived.saturating_add(AHEAD_MAX);
    (AuthEvent { at: if is_ahead { arrived } else { event.at }, ..*event }, is_ahead)
}

#[cfg(test)]
mod tests {
    use judge::logins::Rules;
    use judge::sigma::Filter;

    use super::*;

    /// What is no record behind its beginning is read as the text it is.
    #[test]
    fn collectors_records_are_read_behind_their_headers_and_other_lines_as_text() {
        let (engine, _) = Engine::load(Vec::new(), &Filter::default());
        let mut pipeline = Pipeline::new(TimeZone::UTC, Detectors::new(&Rules::default()), engine);
        let source = Source::new("collector");
        let record = r#"{"EventID":4625,"Channel":"Security","Hostname":"AD1","EventTime":"2026-11-23 10:00:00","TargetUserName":"tanaka","LogonType":3,"Status":"0xc000006d","IpAddress":"192.0.2.9"}"#;
        let nxlog = format!("<14>1 2026-11-23T10:00:00Z ad1 app 7 - [NXLOG@14506 Keywords=\"1\"] {record}");
        let text = "198.51.100.7 - yamada [23/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 401 5 \"-\" \"<Event><System/></Event>\"";
        for line in [&nxlog, text, "<Event and no more"] {
            pipeline.line(&source, line.as_bytes(), 0, false, 1);
        }
        let counts = &pipeline.counts;
        assert_eq!((counts.events, counts.unknown, counts.broken), (2, 1, 1), "{counts:?}");
        assert_eq!(
            counts.formats.iter().map(|(name, many)| (*name, *many)).collect::<Vec<_>>(),
            [("access", 1), ("windows", 1)]
        );
    }
}
