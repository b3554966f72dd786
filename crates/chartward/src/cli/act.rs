//! `chartward act plan|apply|undo|approve|reject|list|arm|disarm`: countermeasures, asked of the running hub.

mod emit;
mod lift;

use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use prove::state::{CountermeasureFilter, State};
use schema::{Act, ActKind, Countermeasure, CountermeasureId, CountermeasureState, Lang, WatcherClass};
use serde_json::json;

use super::hub_args::HubArgs;
use crate::hub::{self, Answer, Command as Ask};
use crate::output::{Output, printable};

const LISTED_MAX: u32 = 1_000;

/// Plan, apply and undo countermeasures
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what would be done; changes nothing but the list of plans
    Plan {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Do it now, or apply a plan by its number
    Apply {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Take an applied countermeasure back
    Undo {
        /// Its number, as `act list` shows it
        id: u64,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Take back whatever is in force against addresses, or against everybody; works without a running hub, too
    Lift(lift::LiftArgs),
    /// Print a script for machines where nothing of ours is installed (not tested on Windows); changes nothing
    Emit(emit::EmitArgs),
    /// Say no to a plan
    Reject {
        /// Its number, as `act list` shows it
        id: u64,
        #[command(flatten)]
        common: HubArgs,
    },
    /// List countermeasures, latest first
    List {
        /// Those that are over as well
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Let the findings of a class of watchers cause an act, as the playbooks say; without it they are only noted
    Arm {
        #[command(flatten)]
        pair: Pair,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Let the findings of a class of watchers only be noted again
    Disarm {
        #[command(flatten)]
        pair: Pair,
        #[command(flatten)]
        common: HubArgs,
    },
}

#[derive(clap::Args)]
struct What {
    /// block_address, block_egress, isolate_host, freeze, freeze_cgroup, snapshot_now, lock_vault, start_viewer or notify; for `apply` also the number of a plan
    act: String,
    /// An address (block_address, block_egress, isolate_host), a process id (freeze), a path below the cgroup mount (freeze_cgroup), a name under [[protect]] (snapshot_now) or under [[notify]] (notify)
    target: Option<String>,
    /// Why, for the record (default: that it was asked for on the command line)
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    because: String,
}

#[derive(clap::Args)]
struct Pair {
    /// block_address, block_egress, isolate_host, freeze, freeze_cgroup, snapshot_now, lock_vault, start_viewer or notify
    #[arg(value_parser = kind)]
    act: ActKind,
    /// Class of watchers: guard, share, sensor, logs, mail or external
    #[arg(value_parser = class)]
    watchers: WatcherClass,
}

fn kind(text: &str) -> Result<ActKind, String> {
    let known = || ActKind::ALL.map(ActKind::id).join(", ");
    ActKind::from_id(text).ok_or_else(|| format!("{text} is no act; there are: {}", known()))
}

fn class(text: &str) -> Result<WatcherClass, String> {
    let known = || WatcherClass::ALL.map(WatcherClass::id).join(", ");
    WatcherClass::from_id(text)
        .ok_or_else(|| format!("{text} is no class of watchers; there are: {}", known()))
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (ask, common) = match args.command {
        Command::List { all, common } => return list(all, common),
        Command::Lift(args) => return lift::lift(args),
        Command::Emit(args) => return emit::emit(&args),
        Command::Plan { what, common } => (planned(&what, false)?, common),
        Command::Apply { what, common } => (planned(&what, true)?, common),
        Command::Undo { id, common } => (Ask::Undo { id: CountermeasureId(id) }, common),
        Command::Reject { id, common } => (Ask::Reject { id: CountermeasureId(id) }, common),
        Command::Arm { pair, common } => {
            (Ask::Arm { kind: pair.act, class: pair.watchers, armed: true }, common)
        }
        Command::Disarm { pair, common } => {
            (Ask::Arm { kind: pair.act, class: pair.watchers, armed: false }, common)
        }
    };
    tell(&common.folder()?, ask, common.lang(), common.output())
}

fn planned(what: &What, apply: bool) -> anyhow::Result<Ask> {
    if let Ok(id) = what.act.parse() {
        anyhow::ensure!(apply, "plan {id} is planned already; `chartward act apply {id}` applies it");
        return Ok(Ask::Approve { id: CountermeasureId(id) });
    }
    let kind = kind(&what.act).map_err(anyhow::Error::msg)?;
    let target = || what.target.clone().ok_or_else(|| anyhow::anyhow!("{} needs a target", kind.id()));
    let address = || -> anyhow::Result<IpAddr> {
        let text = target()?;
        text.parse()
            .map_err(|_| anyhow::anyhow!("{} is no address; names are not looked up", printable(&text)))
    };
    let act = match kind {
        ActKind::BlockAddress => Act::BlockAddress { address: address()? },
        ActKind::BlockEgress => Act::BlockEgress { address: address()? },
        ActKind::IsolateHost => Act::IsolateHost { address: address()? },
        ActKind::Freeze => process(&target()?)?,
        ActKind::FreezeCgroup => Act::FreezeCgroup { path: target()? },
        ActKind::SnapshotNow => Act::SnapshotNow { protect: target()? },
        ActKind::LockVault => Act::LockVault,
        ActKind::StartViewer => Act::StartViewer,
        ActKind::Notify => Act::Notify { channel: target()? },
    };
    let because = if what.because.is_empty() {
        "asked for on the command line".to_owned()
    } else {
        what.because.clone()
    };
    Ok(Ask::Plan { act, because, apply })
}

/// The process as it runs now; a later one with the same number is another one.
fn process(text: &str) -> anyhow::Result<Act> {
    let pid: i32 = text.parse().map_err(|_| anyhow::anyhow!("{} is no process id", printable(text)))?;
    let stat = observe::files::Stat::of(pid).ok_or_else(|| anyhow::anyhow!("there is no process {pid}"))?;
    Ok(Act::Freeze { pid, start_ticks: stat.start_ticks })
}

/// Asks the hub and says what it answered. Exit status 1 when it refused.
pub(crate) fn tell(folder: &Path, ask: Ask, lang: Lang, output: Output) -> anyhow::Result<ExitCode> {
    match hub::ask_running(folder, ask)? {
        Ok(answer) => {
            output.line(&json!({"type": "answer", "answer": answer}))?;
            output.say(printable(&in_words(&answer, lang)));
            Ok(ExitCode::SUCCESS)
        }
        Err(refusal) => {
            output.line(&json!({"type": "refused", "en": refusal.en, "ja": refusal.ja}))?;
            eprintln!("chartward: {}", printable(lang.pick(&refusal.en, &refusal.ja)));
            Ok(ExitCode::from(1))
        }
    }
}

fn in_words(answer: &Answer, lang: Lang) -> String {
    match answer {
        Answer::Done { en, ja } => lang.pick(en, ja).clone(),
        Answer::Incident { incident } => {
            format!("{}: {}", incident.id, lang.pick(&incident.title, &incident.title_ja))
        }
        Answer::Countermeasure { countermeasure } => row(countermeasure, lang).join("  "),
        Answer::Alarms { alarms } => {
            let titles: Vec<&str> =
                alarms.iter().map(|alarm| lang.pick(alarm.title.as_str(), &alarm.title_ja)).collect();
            titles.join("\n")
        }
    }
}

fn list(all: bool, common: HubArgs) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang());
    let state = State::open_read(&common.folder()?)?;
    let live =
        vec![CountermeasureState::Proposed, CountermeasureState::Approved, CountermeasureState::Applied];
    let filter = CountermeasureFilter { incident: None, states: if all { vec![] } else { live } };
    let measures = state.countermeasures(&filter, LISTED_MAX, None)?;
    for measure in &measures {
        output.line(&json!({"type": "countermeasure", "countermeasure": measure}))?;
    }
    output.line(&json!({"type": "summary", "countermeasures": measures.len()}))?;
    if output == Output::People && measures.is_empty() {
        output
            .say(lang.pick("Nothing is in force and nothing waits.", "実行中・承認待ちの対処はありません。"));
    } else if output == Output::People {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(lang.pick(["#", "State", "What", "Why"], ["#", "状態", "内容", "理由"]));
        for measure in &measures {
            table.add_row(row(measure, lang).map(|cell| printable(&cell)));
        }
        output.say(table);
    }
    Ok(ExitCode::SUCCESS)
}

fn row(measure: &Countermeasure, lang: Lang) -> [String; 4] {
    [
        measure.id.0.to_string(),
        hub::state_in_words(measure.state, lang).to_owned(),
        hub::in_words(&measure.act, lang),
        [lang.pick(&measure.because, &measure.because_ja).clone(), measure.detail.clone()].join(" "),
    ]
}
