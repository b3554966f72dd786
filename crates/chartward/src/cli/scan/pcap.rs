//! `chartward scan pcap`: what the sensor would have said of the traffic in capture files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use jiff::tz::TimeZone;
use judge::network::Rules;
use schema::{Finding, Lang, NetCoverage, Severity};
use serde::Serialize;

use crate::cli::lang::LangArgs;
use crate::cli::progress::Bar;
use crate::config::{Config, Network, Sensor, network};
use crate::output::{Output, printable};
use crate::wiring::network::{self as captures, Outcome, Told};
use crate::wiring::sensor::Settings;

#[derive(clap::Args)]
pub(crate) struct PcapArgs {
    /// Captures (pcap, pcapng, packed with gzip or not), each judged by itself; `-` for the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    /// All flows too, as OCSF Network Activity
    #[arg(long, requires = "json")]
    flows: bool,
    /// A network of the hospital's own; can be given several times (default: as [sensor] of the configuration says, else private addresses)
    #[arg(long, value_name = "NET", value_parser = network)]
    internal: Vec<Network>,
    /// A scanner that is allowed to scan; can be given several times
    #[arg(long, value_name = "ADDR", value_parser = network)]
    known_scanner: Vec<Network>,
    /// Configuration whose [sensor] says what is usual: contracts, managers, lists (default: none)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
}

/// What all captures came to.
#[derive(Default, Serialize)]
struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    seconds: f64,
    packets: u64,
    flows: u64,
    findings: u64,
    /// Captures that could not be read, or not to their end.
    failed: u64,
    /// Captures that show one direction of most flows.
    one_way: u64,
    coverage: NetCoverage,
}

/// A finding, and where it was found.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    #[serde(flatten)]
    told: serde_json::Value,
}

pub(crate) fn run(args: PcapArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let rules = args.rules()?;
    let lang = args.lang.lang();
    let started = Instant::now();
    let mut summary = Summary { kind: "summary", ..Summary::default() };
    let bar = Bar::new(output, "judging");
    for file in &args.files {
        let outcome = one(file, &rules, args.flows, output, lang, &bar, summary.packets)?;
        if let Some(error) = &outcome.failure {
            eprintln!("chartward: {}", printable(&chain(error)));
        }
        summary.add(&outcome);
    }
    bar.finish();
    summary.seconds = started.elapsed().as_secs_f64();
    output.line(&summary)?;
    if !args.json {
        output.say(format!("\n{}", summary.words(lang)));
    }
    let is_clean = summary.findings == 0 && summary.failed == 0;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Reads one capture and says what was found in it.
fn one(
    file: &Path,
    rules: &Rules,
    flows: bool,
    output: Output,
    lang: Lang,
    bar: &Bar,
    before: u64,
) -> anyhow::Result<Outcome> {
    let path = file.to_string_lossy();
    let (mut order, mut last) = (Vec::new(), HashMap::new());
    let outcome = captures::scan(file, rules, flows, &mut |told| match told {
        Told::Packets(packets) => {
            bar.at(before + packets, 0);
            Ok(())
        }
        Told::Flow(told) => output.line(&Line { path: &path, told }),
        Told::Finding(finding) if output == Output::Json => {
            output.line(&Line { path: &path, told: decode::ocsf::write(&finding) })
        }
        // What is told again has grown: its last word says all.
        Told::Finding(finding) => {
            if !last.contains_key(&finding.uid) {
                order.push(finding.uid.clone());
            }
            last.insert(finding.uid.clone(), finding);
            Ok(())
        }
    })?;
    if output == Output::People {
        let all: Vec<&Finding> = order.iter().filter_map(|uid| last.get(uid)).map(Box::as_ref).collect();
        output.say(words(&path, &all, &outcome, lang));
    }
    Ok(outcome)
}

/// An error with its causes.
fn chain(error: &observe::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    format!("cannot {words}")
}

/// For people: a capture and its findings.
fn words(path: &str, findings: &[&Finding], outcome: &Outcome, lang: Lang) -> String {
    let NetCoverage { packets, flows, .. } = outcome.coverage;
    let path = printable(path);
    let mut text = lang.pick(
        format!("{path}: {packets} packets, {flows} flows, {} findings", findings.len()),
        format!("{path}：パケット {packets} 個、通信 {flows} 件、検出 {} 件", findings.len()),
    );
    for finding in findings {
        let mark = if finding.severity_id > Severity::Low {
            lang.pick("ATTACK", "攻撃")
        } else {
            lang.pick("NOTICE", "注意")
        };
        let title = printable(lang.pick(&finding.title, &finding.title_ja));
        text.push_str(&format!("\n  {mark}  {}  {title}", finding.detector));
        for reason in lang.pick(&finding.reasons, &finding.reasons_ja) {
            text.push_str(&format!("\n      {}", printable(reason)));
        }
    }
    if outcome.one_way {
        text.push_str(lang.pick(
            "\n  most connections are seen in one direction only: unanswered ones cannot be told, and scans not judged by them",
            "\n  多くの通信が片方向しか記録されていません。応答の有無を判断できないため、それに基づくスキャンの判定は行いません",
        ));
    }
    text
}

impl Summary {
    fn add(&mut self, outcome: &Outcome) {
        let (all, one) = (&mut self.coverage, &outcome.coverage);
        let is_first = all.packets == 0;
        if one.packets > 0 {
            all.first = if is_first { one.first } else { all.first.min(one.first) };
            all.last = if is_first { one.last } else { all.last.max(one.last) };
        }
        all.packets += one.packets;
        all.bytes += one.bytes;
        all.dropped += one.dropped;
        all.undecoded += one.undecoded;
        all.unread += one.unread;
        all.fragments_lost += one.fragments_lost;
        all.flows += one.flows;
        all.evicted += one.evicted;
        all.two_way += one.two_way;
        all.one_way += one.one_way;
        all.clock_back += one.clock_back;
        (self.packets, self.flows) = (all.packets, all.flows);
        self.findings += outcome.findings;
        self.failed += u64::from(outcome.failure.is_some());
        self.one_way += u64::from(outcome.one_way);
    }

    fn words(&self, lang: Lang) -> String {
        let Summary { packets, flows, findings, failed, seconds, .. } = self;
        let NetCoverage { undecoded, fragments_lost, dropped, .. } = self.coverage;
        lang.pick(
            format!(
                "{packets} packets, {flows} flows in {seconds:.1} s: {findings} findings; {undecoded} packets not decoded, \
                 {fragments_lost} fragments lost, {dropped} missed by the capture, {failed} files not read to their end"
            ),
            format!(
                "パケット {packets} 個、通信 {flows} 件を {seconds:.1} 秒で判定しました：検出 {findings} 件、解読できないパケット {undecoded} 個、\
                 失われた断片 {fragments_lost} 個、記録時の取りこぼし {dropped} 個、最後まで読めないファイル {failed} 個"
            ),
        )
    }
}

impl PcapArgs {
    /// What is usual in this network.
    fn rules(&self) -> anyhow::Result<Rules> {
        let (mut sensor, zone) = match &self.config {
            Some(path) => {
                let config = Config::load(path)
                    .with_context(|| format!("cannot use the configuration {}", path.display()))?;
                let zone = config.zone();
                (config.sensor.unwrap_or_default(), zone)
            }
            None => (Sensor::default(), TimeZone::system()),
        };
        if !self.internal.is_empty() {
            sensor.internal.clone_from(&self.internal);
        }
        sensor.known_scanners.extend(self.known_scanner.iter().copied());
        Settings::of(&sensor, zone).with_lists()
    }
}
