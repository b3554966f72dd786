//! `chartward scan evtx`: Windows event logs against Sigma rules, or the logons that they tell of.

mod line;
mod logons;
mod rules;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, bail};
use decode::evtx::{Item, Reader};
use jiff::Timestamp;
use judge::sigma::{Engine, Matcher, Sighting, SigmaHit, logon_record};
use observe::logs::evtx::{self as logs, Block, Kind, Limits, Piece};
use schema::{Lang, LogRecord, Micros, Severity};
use serde::Serialize;

use self::line::Telling;
use self::logons::Logons;
use super::ordered::{self, Bounds};
use crate::cli::lang::LangArgs;
use crate::cli::progress::Bar;
use crate::output::{Output, printable};

/// Blocks that are under way: some megabytes each at most.
const UNDER_WAY: Bounds = Bounds { count: 32, weight: 64 << 20 };
/// What rules saw for correlations is kept until all is read, so that several logs are taken in the order of their events; beyond this many
/// it is taken in portions.
const SIGHTINGS_MAX: usize = 1_000_000;
/// Damages of one block that are told one by one.
const TOLD_MAX: usize = 20;

#[derive(clap::Args)]
pub(crate) struct EvtxArgs {
    /// EVTX files, forwarded events as XML or JSON lines, packed with gzip or in ZIP archives, folders of them; `-` for the standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Sigma rules: files or folders of them; can be given several times (default: those that come with Chartward)
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// Use the rules that come with Chartward beside those of --rules
    #[arg(long)]
    own_rules: bool,
    /// Only rules of this level and above: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", default_value = "informational", value_parser = rules::level)]
    level: Severity,
    /// Only rules with this tag, such as attack.t1110; can be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Tell the logons beside what rules find
    #[arg(long)]
    logons: bool,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

/// What all logs came to.
#[derive(Default, Serialize)]
struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    seconds: f64,
    events: u64,
    events_per_second: f64,
    findings: u64,
    rules: u64,
    rules_not_loaded: u64,
    /// Records that say something of a logon.
    logons: u64,
    /// Pieces that were damaged and read all the same.
    damaged: u64,
    /// Records or chunks that could not be read.
    lost: u64,
    /// Files that could not be read, or not to their end.
    failed: u64,
}

/// What came of a block.
#[derive(Default)]
struct Done {
    name: Arc<str>,
    records: u64,
    findings: u64,
    /// What tells them.
    lines: Vec<u8>,
    sightings: Vec<Sighting>,
    logons: Logons,
    damaged: u64,
    lost: u64,
    /// What is told of that.
    told: Vec<String>,
    failure: Option<observe::Error>,
}

/// What a thread needs; handed from block to block, as it holds memory that is used again.
struct Worker {
    reader: Reader,
    record: LogRecord,
    logon: LogRecord,
    matcher: Matcher,
    hits: Vec<SigmaHit>,
}

/// Judges each record by itself, on all cores.
struct Judge {
    matcher: Matcher,
    telling: Telling,
    reads_logons: bool,
    idle: Mutex<Vec<Worker>>,
    logons: bool,
    now: Micros,
}

/// Judges what several records say together, in the order of the events of all logs.
struct Together {
    engine: Engine,
    telling: Telling,
    waiting: Vec<(Arc<str>, Sighting)>,
}

pub(crate) fn run(args: EvtxArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let lang = args.lang.lang();
    for path in args.paths.iter().filter(|path| *path != Path::new("-")) {
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    let mut summary = Summary { kind: "summary", ..Summary::default() };
    let engine = engine(&args, output, lang, &mut summary)?;
    // Who names no rules wants to see what there is.
    let telling = Telling { output, lang };
    let judge = Judge::new(&engine, args.logons || args.rules.is_empty(), telling);
    let mut together = Together { engine, telling, waiting: Vec::new() };
    let started = Instant::now();
    let mut logons = Logons::default();
    scan(&args, &judge, output, &mut together, &mut summary, &mut logons)?;
    summary.findings += together.join()?;
    summary.seconds = started.elapsed().as_secs_f64();
    summary.events_per_second = (summary.events as f64 / summary.seconds.max(1e-9)).round();
    if summary.events == 0 && summary.failed + summary.lost == 0 {
        bail!("no Windows events in what was named");
    }
    if judge.logons {
        logons.tell(output, lang)?;
    }
    output.line(&summary)?;
    if !args.json {
        output.say(summary.words(lang));
    }
    let is_clean = summary.findings == 0 && summary.failed == 0 && summary.lost == 0;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Reads and judges all records.
fn scan(
    args: &EvtxArgs,
    judge: &Judge,
    output: Output,
    together: &mut Together,
    summary: &mut Summary,
    logons: &mut Logons,
) -> anyhow::Result<()> {
    let bar = Bar::new(output, "judging");
    let mut outcome = Ok(());
    ordered::run(
        UNDER_WAY,
        |give| {
            let limits = Limits::default();
            let mut feed = |piece: Piece| {
                let weight = if let Piece::Block(block) = &piece { block.bytes.len() } else { 0 };
                give(weight, piece)
            };
            args.paths.iter().all(|path| logs::read(path, &limits, &mut feed));
        },
        |piece| match piece {
            Piece::Block(block) => judge.block(&block),
            Piece::Failed(error) => Done { failure: Some(error), ..Done::default() },
        },
        |mut done| {
            summary.add(&done);
            bar.at(summary.events, 0);
            for told in &done.told {
                eprintln!("chartward: {}", printable(told));
            }
            if let Some(error) = &done.failure {
                eprintln!("chartward: {}", printable(&chain(error)));
            }
            logons.add(std::mem::take(&mut done.logons));
            let joined = Output::lines(&done.lines).map_err(anyhow::Error::from);
            outcome = joined.and_then(|()| {
                summary.findings += together.take(&done.name, done.sightings)?;
                Ok(())
            });
            outcome.is_ok()
        },
    );
    bar.finish();
    outcome
}

/// Loads the rules, and tells which were not loaded and why.
fn engine(args: &EvtxArgs, output: Output, lang: Lang, summary: &mut Summary) -> anyhow::Result<Engine> {
    let with_own = args.own_rules || args.rules.is_empty();
    let (engine, not_loaded) = rules::load(&args.rules, with_own, args.level, &args.tag)?;
    rules::tell(output, lang, &not_loaded)?;
    summary.rules = engine.rules().count() as u64;
    summary.rules_not_loaded = not_loaded.len() as u64;
    Ok(engine)
}

impl Judge {
    fn new(engine: &Engine, logons: bool, telling: Telling) -> Judge {
        Judge {
            matcher: engine.matcher(),
            telling,
            reads_logons: engine.reads_logons(),
            idle: Mutex::default(),
            logons,
            now: Timestamp::now().as_microsecond(),
        }
    }

    /// Judges the records of a block, each by itself.
    fn block(&self, block: &Block) -> Done {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let mut worker = waiting.unwrap_or_else(|| Worker {
            reader: Reader::new(),
            record: LogRecord::default(),
            logon: LogRecord::default(),
            matcher: self.matcher.clone(),
            hits: Vec::new(),
        });
        let mut done = Done { name: Arc::clone(&block.name), ..Done::default() };
        let Worker { reader, record, logon, matcher, hits } = &mut worker;
        // It is never told to stop.
        let _ = block.read(reader, record, |item| {
            match item {
                Item::Record(record) => {
                    done.records += 1;
                    matcher.look(record, self.now, hits, &mut done.sightings);
                    if !self.logons && !self.reads_logons {
                        return ControlFlow::Continue(());
                    }
                    let Some(event) = decode::evtx::auth(record) else { return ControlFlow::Continue(()) };
                    if self.logons {
                        done.logons.take(&event);
                    }
                    if self.reads_logons {
                        logon_record(&event, record.number, logon);
                        matcher.look(logon, self.now, hits, &mut done.sightings);
                    }
                }
                Item::Damage(damage) => {
                    *(if damage.is_lost { &mut done.lost } else { &mut done.damaged }) += 1;
                    if done.told.len() < TOLD_MAX {
                        done.told.push(line::damage(&block.name, block.kind == Kind::Chunks, damage));
                    }
                }
            }
            ControlFlow::Continue(())
        });
        done.findings = hits.len() as u64;
        self.telling.add(&block.name, hits, &mut done.lines);
        hits.clear();
        idle().push(worker);
        done
    }
}

impl Together {
    /// Takes in what rules saw in a block; gives the number of findings.
    fn take(&mut self, name: &Arc<str>, sightings: Vec<Sighting>) -> anyhow::Result<u64> {
        self.waiting.extend(sightings.into_iter().map(|sighting| (Arc::clone(name), sighting)));
        if self.waiting.len() < SIGHTINGS_MAX { Ok(0) } else { self.join() }
    }

    /// Joins what waits, in the order of the events.
    fn join(&mut self) -> anyhow::Result<u64> {
        self.waiting.sort_by_key(|(_, sighting)| sighting.at());
        let (mut hits, mut lines, mut findings) = (Vec::new(), Vec::new(), 0);
        for (name, sighting) in self.waiting.drain(..) {
            self.engine.join(std::slice::from_ref(&sighting), &mut hits);
            findings += hits.len() as u64;
            self.telling.add(&name, &hits, &mut lines);
            Output::lines(&lines)?;
            hits.clear();
            lines.clear();
        }
        Ok(findings)
    }
}

impl Summary {
    fn add(&mut self, done: &Done) {
        self.events += done.records;
        self.findings += done.findings;
        self.logons += done.logons.events();
        self.damaged += done.damaged;
        self.lost += done.lost;
        self.failed += u64::from(done.failure.is_some());
    }

    fn words(&self, lang: Lang) -> String {
        let Summary { seconds, events, findings, rules, rules_not_loaded, damaged, lost, failed, .. } = self;
        lang.pick(
            format!(
                "\n{events} events in {seconds:.1} s: {findings} findings of {rules} rules ({rules_not_loaded} not loaded); {damaged} damaged \
                 pieces read all the same, {lost} lost, {failed} files not read to their end"
            ),
            format!(
                "\nイベント {events} 件を {seconds:.1} 秒で判定しました：検出 {findings} 件（ルール {rules} 件、読み込めないルール {rules_not_loaded} 件）、\
                 損傷があっても読めた箇所 {damaged}、失われた記録 {lost}、最後まで読めないファイル {failed} 個"
            ),
        )
    }
}

/// An error with its causes.
fn chain(error: &observe::Error) -> String {
    let mut words = format!("cannot {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
