//! `chartward logons timeline`: what one did, one line for each go.

use std::process::ExitCode;

use comfy_table::Table;
use judge::logins::story::{Timeline, Who};
use schema::{AuthOutcome, Lang};
use serde_json::json;

use super::Common;
use crate::output::{Output, printable};

#[derive(clap::Args)]
#[group(id = "whose", required = true, multiple = false, args = ["account", "source", "host"])]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Of this source: an address, or the name of a workstation
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Of this machine that is logged in to
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let who = match (&args.account, &args.source, &args.host) {
        (Some(account), ..) => Who::Account(account.clone()),
        (_, Some(source), _) => {
            source.parse().map_or_else(|_| Who::Workstation(source.clone()), Who::Address)
        }
        (.., host) => Who::Host(host.clone().unwrap_or_default()),
    };
    let mut timeline = Timeline::new(who);
    let outcome = args.common.read(&desk, |event| timeline.take(event, &desk.rules))?;
    let timeline = timeline.finished();
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(desk.lang.pick(
        ["first", "last", "times", "result", "account", "from", "to", "how"],
        ["最初", "最後", "回数", "結果", "アカウント", "接続元", "接続先", "方式"],
    ));
    for moment in &timeline.moments {
        let mut line = serde_json::to_value(moment)?;
        line["type"] = "moment".into();
        desk.output.line(&line)?;
        table.add_row([
            desk.local(moment.first),
            desk.local(moment.last),
            moment.count.to_string(),
            result(moment.outcome, desk.lang).to_owned(),
            printable(moment.account.as_deref().unwrap_or_default()),
            moment.source.as_ref().map(|source| printable(&source.to_string())).unwrap_or_default(),
            printable(&moment.host),
            format!("{:?}", moment.protocol),
        ]);
    }
    if timeline.left_out > 0 {
        desk.output.line(&json!({"type": "left_out", "events": timeline.left_out}))?;
        eprintln!("chartward: {} events found no room in the timeline", timeline.left_out);
    }
    if desk.output == Output::People && !timeline.moments.is_empty() {
        desk.output.say(table);
    }
    desk.finish(&outcome, 0)
}

fn result(outcome: AuthOutcome, lang: Lang) -> &'static str {
    match outcome {
        AuthOutcome::Reached => lang.pick("reached", "接続"),
        AuthOutcome::Failure => lang.pick("refused", "失敗"),
        AuthOutcome::Success => lang.pick("got in", "成功"),
        AuthOutcome::Ended => lang.pick("left", "終了"),
        AuthOutcome::Resumed => lang.pick("came back", "再接続"),
    }
}
