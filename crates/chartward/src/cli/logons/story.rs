//! `chartward logons story`: the graph, its order for triage, the ways from what the detectors found or from what is named.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::Table;
use jiff::Timestamp;
use judge::logins::Detectors;
use judge::logins::story::{Node, Picture, Ranked, Start, Step, ranks, walk};
use schema::{Finding, Lang, Severity};
use serde_json::json;

use super::{Common, Desk};
use crate::console::logon_graph;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Follow the way from this address or machine; can be given several times (default: from what the detectors found)
    #[arg(long, value_name = "MACHINE")]
    from: Vec<String>,
    /// Follow the way of this account; can be given several times
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// Since then, such as 2025-06-01T12:00:00Z (default: from the beginning)
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Write the picture there
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Draw the whole graph and not the way
    #[arg(long)]
    whole: bool,
    /// Draw so many accounts and machines
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(2..=200))]
    nodes: u16,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let mut detectors = Detectors::new(&desk.rules);
    let mut found = Vec::new();
    let outcome = args.common.read(&desk, |event| detectors.step(event, 0, &mut found))?;
    let starts = starts(args, &found);
    let graph = detectors.graph();
    let steps = walk(graph, &starts);
    let order = ranks(graph);
    for ranked in &order {
        desk.output.line(&json!({"type": "rank", "node": ranked.node, "rank": ranked.rank}))?;
    }
    for start in &starts {
        desk.output.line(&json!({"type": "start", "node": start.node, "since_us": start.since}))?;
    }
    for step in &steps {
        let mut line = serde_json::to_value(step)?;
        line["type"] = "step".into();
        desk.output.line(&line)?;
    }
    let nodes = usize::from(args.nodes);
    let is_whole = args.whole || steps.is_empty();
    let picture = if is_whole { Picture::overview(graph, nodes) } else { Picture::way(&steps, nodes) };
    if let Some(file) = &args.svg {
        let drawn = logon_graph::svg(&picture, &desk.zone, desk.lang).into_string();
        fs::write(file, drawn).with_context(|| format!("write the picture {}", file.display()))?;
    }
    desk.output.line(&json!({"type": "picture", "picture": picture}))?;
    if desk.output == Output::People {
        say(&desk, &order, &steps);
    }
    desk.finish(&outcome, steps.len())
}

/// What was named; else whom findings of level high and above name as doing it, from when they begin.
fn starts(args: &Args, found: &[Finding]) -> Vec<Start> {
    let since = args.since.map_or(i64::MIN, Timestamp::as_microsecond);
    let lower = |name: &String| -> Box<str> { name.to_lowercase().into() };
    let machines = args.from.iter().map(|name| Node::Machine(lower(name)));
    let accounts = args.account.iter().map(|name| Node::Account(lower(name)));
    let named: Vec<Start> = machines.chain(accounts).map(|node| Start { node, since }).collect();
    if !named.is_empty() {
        return named;
    }
    let grave = found.iter().filter(|finding| finding.severity_id >= Severity::High);
    grave.flat_map(|finding| Start::of(finding, since.max(finding.time.as_microsecond()))).collect()
}

fn say(desk: &Desk, order: &[Ranked], steps: &[Step]) {
    const SHOWN: usize = 15;
    let lang = desk.lang;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(lang.pick(["look at first", "", "share"], ["優先して調べる対象", "", "比重"]));
    for ranked in order.iter().take(SHOWN) {
        let kind = match ranked.node {
            Node::Account(_) => lang.pick("account", "アカウント"),
            Node::Machine(_) => lang.pick("machine", "機械"),
        };
        table.add_row([
            printable(ranked.node.name()),
            kind.to_owned(),
            format!("{:.1} %", ranked.rank * 100.0),
        ]);
    }
    desk.output.say(table);
    if steps.is_empty() {
        desk.output.say(lang.pick(
            "\nNo way to follow: nothing grave was found; name a start with --from or --account.",
            "\n重大な検知がないため、たどる経路がありません。--from または --account で起点を指定できます。",
        ));
        return;
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(lang.pick(
        ["when", "account", "from", "to", "how", "sure"],
        ["時刻", "アカウント", "接続元", "接続先", "方式", "確度"],
    ));
    let name = |node: &Option<Node>| node.as_ref().map(|node| printable(node.name())).unwrap_or_default();
    for step in steps {
        table.add_row([
            desk.local(step.at),
            name(&step.account),
            name(&step.from),
            printable(step.to.name()),
            format!("{:?}", step.protocol),
            sure(step, lang).to_owned(),
        ]);
    }
    desk.output.say(format!("\n{table}"));
}

fn sure(step: &Step, lang: Lang) -> &'static str {
    if step.sure {
        lang.pick("yes", "確実")
    } else {
        lang.pick("perhaps somebody else", "別人の可能性")
    }
}
