//! The loop of the watcher of logs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use crossbeam_channel::RecvTimeoutError;
use jiff::Timestamp;
use judge::logins::Detectors;
use judge::sigma::NotLoaded;
use observe::logs::{Batch, Position};
use rustls::ServerConfig;
use schema::Micros;

use super::Settings;
use super::pipeline::{Pipeline, Told};
use super::report::{self, Health, Ready, Report, SourceHealth};
use super::sources::{Sources, key, now};
use super::standing::{self, Request, Standing};
use super::state;
use crate::wiring::sensor::voice::Voice;

/// The longest sleep when nothing comes.
const PATIENCE: Duration = Duration::from_millis(50);
/// So long an event waits for older ones of other sources.
const REORDER: Micros = 400_000;
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// How often places and memory are put on the disk.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How often the rules' files are looked at.
const RULES_EVERY: Duration = Duration::from_secs(5);
/// Sources that health names; the busiest.
const SOURCES_TOLD: usize = 100;

/// Where it works.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its own folder: places, memory, the certificate.
    pub(crate) folder: PathBuf,
    pub(crate) control: Option<PathBuf>,
}

/// Reads the settings anew.
pub(crate) type Again = Box<dyn Fn() -> anyhow::Result<Settings>>;

/// Signals that the process got.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) reload: Arc<AtomicBool>,
}

/// Watches until told to stop.
pub(crate) fn watch(
    settings: Settings,
    place: &Place,
    again: Again,
    tls: Option<Arc<ServerConfig>>,
    asked: &Asked,
    tell: impl FnMut(Report) + Send + 'static,
) -> anyhow::Result<()> {
    ensure!(
        !settings.is_empty(),
        "name a file, --syslog, --http or --journal, or fill in [logs] of the configuration"
    );
    act::evidence::private_dir(&place.folder)?;
    let (engine, not_loaded) = settings.engine()?;
    let (kept, trouble) = state::load(&place.folder);
    let detectors = Detectors::resume(&settings.logins, kept.logins);
    let mut pipeline = Pipeline::new(settings.zone.clone(), detectors, engine);
    pipeline.engine.restore(&kept.sigma);
    let standing = Standing::serve(place.control.as_deref())?;
    let sources = Sources::open(&settings, tls, &kept.positions)?;
    let start = Instant::now();
    let mut watcher = Watcher {
        mark: settings.rules_mark(),
        settings,
        again,
        folder: place.folder.clone(),
        pipeline,
        sources,
        positions: kept.positions,
        standing,
        voice: Voice::new(tell),
        number: 0,
        is_changed: false,
        rate: (start, 0, 0.0),
        due: Due { health: start + HEALTH_EVERY, keep: start + KEEP_EVERY, rules: start + RULES_EVERY },
    };
    watcher.begin(&not_loaded, trouble);
    while !asked.stop.load(Ordering::Relaxed) {
        watcher.turn();
        if asked.reload.swap(false, Ordering::Relaxed) {
            watcher.reload();
        }
    }
    watcher.end();
    Ok(())
}

/// When what is done next.
#[derive(Debug, Clone, Copy)]
struct Due {
    health: Instant,
    keep: Instant,
    rules: Instant,
}

struct Watcher {
    settings: Settings,
    again: Again,
    folder: PathBuf,
    pipeline: Pipeline,
    sources: Sources,
    positions: BTreeMap<String, Position>,
    standing: Standing,
    voice: Voice<Report>,
    number: u64,
    /// Whether there is anything new to keep.
    is_changed: bool,
    /// What the rules' files were when they were read.
    mark: (u64, usize),
    /// Since when, lines then, and the rate of the time before.
    rate: (Instant, u64, f64),
    due: Due,
}

impl Watcher {
    fn begin(&mut self, not_loaded: &[NotLoaded], trouble: Option<String>) {
        let paths = self.settings.files.iter().map(|path| path.display().to_string());
        let journal = self.settings.journal.then(|| "journal".to_owned());
        let ready = Ready {
            mode: "logs",
            paths: paths.chain(self.sources.doors.iter().cloned()).chain(journal).collect(),
            formats: decode::auth::formats().chain(["windows"]).collect(),
            covers: report::covers(),
            rules: self.pipeline.engine.rules().count(),
            rules_not_loaded: report::not_loaded(not_loaded),
            rules_not_loaded_count: not_loaded.len(),
            blind_spots: self.blind_spots(),
            not_enforced: Vec::new(),
        };
        self.voice.say(Report::Ready(Box::new(ready)));
        if let Some(message) = trouble {
            self.voice.say(Report::Trouble { message });
        }
    }

    fn blind_spots(&self) -> Vec<String> {
        let mut spots = vec![
            "machines and devices whose logs do not come here, and what their audit policy does not write".to_owned(),
            "lines that an intruder with the rights of root or SYSTEM changed or kept back before they were sent".to_owned(),
            "programs whose lines have no known format: health counts them as unknown".to_owned(),
        ];
        let mut add = |missing: bool, words: &str| {
            if missing {
                spots.push(words.to_owned());
            }
        };
        let has = |udp: &str| self.sources.doors.iter().any(|door| door.starts_with(udp));
        add(has("udp://"), "syslog over UDP: who sends can be forged, and lost datagrams leave no trace");
        add(has("udp://") || has("tcp://"), "syslog without TLS: anybody in between can read and change it");
        add(!self.pipeline.has_rules, "everything but logons: no rules are given (--rules, [logs] rules)");
        add(
            self.settings.logins.contractors.is_empty(),
            "contractors' accounts: none is declared, so no agreement can be broken",
        );
        spots
    }

    /// One batch, then what is due.
    fn turn(&mut self) {
        match self.sources.batches.recv_timeout(PATIENCE) {
            Ok(batch) => self.take(&batch),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PATIENCE),
        }
        self.settle(now().saturating_sub(REORDER));
        self.answer();
        let at = Instant::now();
        if at >= self.due.rules {
            self.due.rules = at + RULES_EVERY;
            if self.settings.rules_mark() != self.mark {
                self.reload();
            }
        }
        if at >= self.due.keep {
            self.due.keep = at + KEEP_EVERY;
            self.keep();
        }
        if at >= self.due.health {
            self.due.health = at + HEALTH_EVERY;
            let health = self.health();
            self.voice.say(Report::Health(Box::new(health)));
        }
    }

    fn take(&mut self, batch: &Batch) {
        for line in batch.lines() {
            self.number += 1;
            self.pipeline.line(&batch.source, line, batch.arrived, true, self.number);
        }
        if let Some(position) = &batch.position {
            self.positions.insert(key(&batch.source), position.clone());
        }
        self.is_changed = true;
    }

    fn settle(&mut self, until: Micros) {
        let voice = &mut self.voice;
        self.pipeline.settle(until, |told| {
            voice.say(match told {
                Told::Finding(finding) => Report::Finding(finding),
                Told::Hit(hit) => Report::Hit(hit),
            });
        });
    }

    /// Everything that was read is judged first, so that places and memory are of one moment.
    fn keep(&mut self) {
        if !self.is_changed {
            return;
        }
        self.settle(Micros::MAX);
        let sigma = self.pipeline.engine.state();
        match state::save(&self.folder, &self.positions, self.pipeline.detectors.state(), sigma) {
            Ok(()) => self.is_changed = false,
            Err(error) => self.voice.say(Report::trouble(&error)),
        }
    }

    fn health(&mut self) -> Health {
        let (since, before, _) = self.rate;
        let lines = self.pipeline.counts.lines;
        let seconds = since.elapsed().as_secs_f64();
        if seconds >= 1.0 {
            self.rate = (Instant::now(), lines, ((lines - before) as f64 / seconds * 10.0).round() / 10.0);
        }
        let mut sources: Vec<SourceHealth> = self
            .pipeline
            .standing()
            .map(|(name, it)| SourceHealth {
                name: name.to_owned(),
                lines: it.lines,
                events: it.events,
                last_at: Timestamp::from_microsecond(it.last).ok().filter(|_| it.last > 0),
                skew_seconds: it.skew.map(|skew| skew as f64 / 1e6),
            })
            .collect();
        sources.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.name.cmp(&b.name)));
        sources.truncate(SOURCES_TOLD);
        Health {
            at: Timestamp::now(),
            counts: self.pipeline.counts.clone(),
            lines_per_second: self.rate.2,
            late: self.pipeline.late(),
            losses: self.sources.losses.all(),
            sources,
            missing: self.sources.missing(),
            rules: self.pipeline.engine.rules().count(),
            lost_lines: self.voice.lost(),
        }
    }

    /// Answers who asks over the control socket.
    fn answer(&mut self) {
        while let Some(asked) = self.standing.next() {
            let answer = match asked.request {
                Request::Health => standing::health(&self.health()),
                Request::Reload => self.reload(),
            };
            let _ = asked.answer.send(answer);
        }
    }

    /// Rules and what the hospital says, with all that is remembered. Files and doors stay as they are until the next start.
    fn reload(&mut self) -> serde_json::Value {
        let read = (self.again)().and_then(|settings| {
            let not_loaded = settings.reload(&mut self.pipeline.engine)?;
            Ok((settings, not_loaded.len()))
        });
        match read {
            Ok((settings, not_loaded)) => {
                self.mark = settings.rules_mark();
                self.pipeline.rules_changed();
                self.pipeline.detectors.set_rules(settings.logins.clone());
                self.settings.logins = settings.logins;
                self.settings.rules = settings.rules;
                let loaded = self.pipeline.engine.rules().count();
                self.voice.say(Report::Rules { loaded, not_loaded });
                crate::wiring::control::done(serde_json::json!({"rules": loaded, "not_loaded": not_loaded}))
            }
            Err(error) => {
                self.mark = self.settings.rules_mark();
                self.voice.say(Report::trouble(&error));
                crate::wiring::control::refused(&format!("{error:#}"))
            }
        }
    }

    /// What waits is judged, everything is put on the disk.
    fn end(mut self) {
        while let Ok(batch) = self.sources.batches.try_recv() {
            self.take(&batch);
        }
        self.settle(Micros::MAX);
        self.is_changed = true;
        self.keep();
        let health = self.health();
        self.voice.say(Report::Health(Box::new(health)));
        self.voice.say(Report::Stopped);
    }
}

/// The certificate of TLS doors.
pub(crate) fn tls(settings: &Settings, folder: &Path) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    use super::settings::Scheme;
    let is_secure = |door: &super::Door| matches!(door.scheme, Scheme::Tls | Scheme::Https);
    if !settings.syslog.iter().chain(&settings.http).any(is_secure) {
        return Ok(None);
    }
    crate::serving::tls::intake(settings.certificate.as_ref(), settings.client_ca.as_deref(), folder)
        .map(Some)
        .context("make ready for TLS")
}
