//! `chartward scan logs`: what the watcher of logs would have said of these.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::Lang;
use serde::Serialize;
use serde_json::Value;

use crate::cli::lang::LangArgs;
use crate::config::Config;
use crate::output::{Output, printable};
use crate::wiring::logs::{self, Level, Outcome, Report, Settings, Told};

#[derive(clap::Args)]
pub(crate) struct LogsArgs {
    /// Files (also packed with gzip, also UTF-16) and folders; `-` for the standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A folder of Sigma rules; can be given several times
    #[arg(long, value_name = "DIR")]
    rules: Vec<PathBuf>,
    /// The least level of rules that are used
    #[arg(long, value_name = "LEVEL", default_value = "low")]
    level: Level,
    /// Only rules with this tag, such as attack.t1110; can be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Zone of lines that do not say theirs, such as Asia/Tokyo (default: the configuration's, else this machine's)
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Configuration that says who is who: contractors, networks (default: none)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

/// What all files came to.
#[derive(Serialize)]
struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    seconds: f64,
    files: u64,
    lines: u64,
    events: u64,
    findings: u64,
    /// Files that could not be read, or not to their end.
    failed: u64,
    /// Lines of no known format.
    unknown: u64,
    dirty: u64,
    cut: u64,
    formats: Value,
    rules: usize,
    rules_not_loaded: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    #[serde(flatten)]
    told: Value,
}

pub(crate) fn run(args: LogsArgs) -> anyhow::Result<ExitCode> {
    judge(&args.paths, &args.settings()?, Output::new(args.json), args.lang.lang())
}

/// Judges files with these settings, from their beginnings to their ends.
pub(crate) fn judge(
    paths: &[PathBuf],
    settings: &Settings,
    output: Output,
    lang: Lang,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut last: HashMap<String, (usize, String)> = HashMap::new();
    let outcome = logs::scan(paths, settings, Timestamp::now().as_microsecond(), &mut |path, told| {
        let report = match told {
            Told::Finding(finding) => Report::Finding(finding),
            Told::Hit(hit) => Report::Hit(hit),
        };
        if output == Output::Json {
            return output.line(&Line { path: &path.to_string_lossy(), told: logs::as_json(&report) });
        }
        // What is told again has grown: its last word says all.
        let uid = match &report {
            Report::Finding(finding) => finding.uid.clone(),
            _ => format!("#{}", last.len()),
        };
        let words = logs::words(&report, lang).unwrap_or_default();
        let next = last.len();
        last.entry(uid).and_modify(|entry| entry.1.clone_from(&words)).or_insert((next, words));
        Ok(())
    })?;
    let mut told: Vec<_> = last.into_values().collect();
    told.sort();
    told.iter().for_each(|(_, words)| output.say(printable(words)));
    finish(&outcome, output, lang, started)
}

fn finish(outcome: &Outcome, output: Output, lang: Lang, started: Instant) -> anyhow::Result<ExitCode> {
    for failure in &outcome.failed {
        eprintln!("chartward: {}", printable(failure));
    }
    let counts = &outcome.pipeline.counts;
    let summary = Summary {
        kind: "summary",
        seconds: started.elapsed().as_secs_f64(),
        files: outcome.files,
        lines: counts.lines,
        events: counts.events,
        findings: counts.findings,
        failed: outcome.failed.len() as u64,
        unknown: counts.unknown,
        dirty: counts.dirty,
        cut: outcome.cut,
        formats: serde_json::to_value(&counts.formats)?,
        rules: outcome.pipeline.engine.rules().count(),
        rules_not_loaded: outcome.not_loaded.len(),
    };
    for why in logs::not_loaded(&outcome.not_loaded) {
        eprintln!("chartward: {}: {}", lang.pick("a rule was not loaded", "使えないルール"), printable(&why));
    }
    output.line(&summary)?;
    if output == Output::People {
        output.say(summary.words(&logs::coverage(&counts.formats), lang));
    }
    let is_clean = summary.findings == 0 && summary.failed == 0;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Summary {
    fn words(&self, formats: &str, lang: Lang) -> String {
        let Summary { seconds, files, lines, events, findings, failed, unknown, dirty, cut, .. } = self;
        lang.pick(
            format!(
                "\n{files} files, {lines} lines, {events} logons in {seconds:.1} s: {findings} findings; {unknown} lines of no known \
                 format, {dirty} dirty, {cut} cut, {failed} files not read to their end\nformats: {formats}"
            ),
            format!(
                "\nファイル {files} 個、{lines} 行、ログオン {events} 件を {seconds:.1} 秒で判定しました：検出 {findings} 件、形式の分からない行 {unknown}、\
                 文字の壊れた行 {dirty}、途中で切った行 {cut}、最後まで読めないファイル {failed} 個\n形式: {formats}"
            ),
        )
    }
}

impl LogsArgs {
    fn settings(&self) -> anyhow::Result<Settings> {
        let config = self.config.as_deref().map(load).transpose()?;
        let zone = match (&self.zone, &config) {
            (Some(name), _) => TimeZone::get(name).with_context(|| format!("find the time zone {name:?}"))?,
            (None, Some(config)) => config.zone(),
            (None, None) => TimeZone::system(),
        };
        let base = Settings::of(config.as_ref(), zone);
        let rules = base.rules.iter().chain(&self.rules).cloned().collect();
        Ok(Settings { rules, level_min: self.level, tags: self.tag.clone(), ..base })
    }
}

fn load(path: &Path) -> anyhow::Result<Config> {
    Config::load(path).with_context(|| format!("cannot use the configuration {}", path.display()))
}
