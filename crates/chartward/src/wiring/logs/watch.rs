//! The loop of the watcher of logs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use judge::logins::Detectors;
use judge::sigma::NotLoaded;
use observe::logs::evtx::Block;
use observe::logs::{Batch, Position, Source};
use rustls::ServerConfig;
use schema::Micros;

use super::Settings;
use super::people::People;
use super::pipeline::{Pipeline, Told};
use super::report::{self, Health, Ready, Report, SourceHealth};
use super::sources::{BATCHES_MAX, BLOCKS_MAX, Given, Sources, now};
use super::standing::{self, Request, Standing};
use super::state::{self, Keeping};
use crate::wiring::logins::shown::Shown;
use crate::wiring::said::Said;
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
/// How often it is looked at what people said.
const PEOPLE_EVERY: Duration = Duration::from_secs(1);
/// How often pages get something new to show.
const SHOW_EVERY: Duration = Duration::from_secs(15);
/// Sources that health names; the busiest.
const SOURCES_TOLD: usize = 100;

/// Where it works.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Its own folder: places, memory, the certificate.
    pub(crate) folder: PathBuf,
    /// Where people say what is open for contractors and what is to be forgotten.
    pub(crate) people: Option<PathBuf>,
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
    let _alone = state::alone(&place.folder)?;
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
        people: People::new(place.people.clone(), kept.forgot),
        standing,
        voice: Voice::new(tell),
        number: 0,
        is_changed: false,
        is_shown: true,
        rate: (start, 0, 0.0),
        due: Due {
            health: start + HEALTH_EVERY,
            keep: start + KEEP_EVERY,
            people: start + PEOPLE_EVERY,
            rules: start + RULES_EVERY,
            show: start,
        },
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
    people: Instant,
    rules: Instant,
    show: Instant,
}

struct Watcher {
    settings: Settings,
    again: Again,
    folder: PathBuf,
    pipeline: Pipeline,
    sources: Sources,
    positions: BTreeMap<String, Position>,
    people: People,
    standing: Standing,
    voice: Voice<Report>,
    number: u64,
    /// Whether there is anything new to keep.
    is_changed: bool,
    /// Whether pages show what is kept.
    is_shown: bool,
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
            covers: report::covers(&self.pipeline.engine),
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
        self.hear();
    }

    fn blind_spots(&self) -> Said {
        let mut spots = Said::new(
            "blind_spots",
            [
                [
                    "machines and devices whose logs do not come here, and what their audit policy does not write",
                    "ログが届かない機器と、監査ポリシーが記録しない操作",
                ],
                [
                    "lines that an intruder with the rights of root or SYSTEM changed or kept back before they were sent",
                    "root や SYSTEM の権限を得た侵入者が、送信前に書き換えたり止めたりした行",
                ],
                [
                    "programs whose lines have no known format: health counts them as unknown",
                    "形式の分からないプログラムの行（状態の行に unknown として数えます）",
                ],
            ],
        );
        let has = |door: &str| self.sources.doors.iter().any(|it| it.starts_with(door));
        if has("udp://") {
            spots.add(
                "syslog over UDP: who sends can be forged, and lost datagrams leave no trace",
                "UDP の syslog：送信元は詐称でき、失われたデータグラムは跡を残しません",
            );
        }
        if has("udp://") || has("tcp://") {
            spots.add(
                "syslog without TLS: anybody in between can read and change it",
                "TLS を使わない syslog：途中で読まれ、書き換えられる可能性があります",
            );
        }
        if self.settings.rules.is_empty() {
            spots.add(
                "what only further Sigma rules would tell: none are given (--rules, [logs] rules)",
                "追加の Sigma ルールでしか分からないこと：ルールが指定されていません（--rules、[logs] rules）",
            );
        }
        if self.settings.logins.contractors.is_empty() {
            spots.add(
                "contractors' accounts: none is declared, so no agreement can be broken",
                "業者のアカウント：登録がないため、取り決めからの逸脱を検知できません",
            );
        }
        spots
    }

    /// One batch, then what is due.
    fn turn(&mut self) {
        if let Some(given) = self.sources.next(PATIENCE) {
            self.take(&given);
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
        if at >= self.due.people {
            self.due.people = at + PEOPLE_EVERY;
            self.hear();
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

    fn take(&mut self, given: &Given) {
        match given {
            Given::Lines(batch) => self.lines(batch),
            Given::Events(block) => self.records(block),
        }
        self.is_changed = true;
    }

    fn records(&mut self, block: &Block) {
        self.pipeline.block(&Source { name: Arc::clone(&block.name) }, block, now(), true);
        if let Some(record) = block.last {
            self.positions.insert(block.name.to_string(), Position::Events { record });
        }
    }

    /// What people opened, closed, and want forgotten.
    fn hear(&mut self) {
        match self.people.look(&mut self.pipeline.detectors, now()) {
            Ok(false) => {}
            Ok(true) => {
                self.is_changed = true;
                self.due.show = Instant::now();
            }
            Err(error) => self.voice.say(Report::trouble(&error)),
        }
    }

    fn lines(&mut self, batch: &Batch) {
        for line in batch.lines() {
            self.number += 1;
            self.pipeline.line(&batch.source, line, batch.arrived, true, self.number);
        }
        if let Some(position) = &batch.position {
            self.positions.insert(batch.source.name.to_string(), position.clone());
        }
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
            return self.show();
        }
        self.settle(Micros::MAX);
        let Pipeline { engine, detectors, .. } = &self.pipeline;
        let keeping = Keeping::new(&self.positions, detectors.state(), engine.state(), self.people.forgot);
        match keeping.save(&self.folder) {
            Ok(()) => self.is_changed = false,
            Err(error) => return self.voice.say(Report::trouble(&error)),
        }
        self.is_shown = false;
        self.show();
    }

    /// Pages get what is kept, if that is not what they have, now and then.
    fn show(&mut self) {
        if self.is_shown || Instant::now() < self.due.show {
            return;
        }
        self.due.show = Instant::now() + SHOW_EVERY;
        match Shown::of(&self.pipeline.detectors, Timestamp::now()).save(&self.folder) {
            Ok(()) => self.is_shown = true,
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
                // The openings are not the configuration's.
                self.people.look_again();
                self.hear();
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

    /// What waits is judged, everything is put on the disk. Whoever goes on sending is not waited for.
    fn end(mut self) {
        self.sources.stop();
        for _ in 0..BATCHES_MAX + BLOCKS_MAX {
            let Some(given) = self.sources.next(PATIENCE) else { break };
            self.take(&given);
            self.settle(now().saturating_sub(REORDER));
        }
        self.settle(Micros::MAX);
        self.is_changed = true;
        self.due.show = Instant::now();
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
