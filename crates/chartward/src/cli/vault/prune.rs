//! `chartward vault prune`: says what it would do; `--apply` does it, `--cancel` takes it back. And `chartward vault unlock`.

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::{Table, presets};
use jiff::{SignedDuration, Timestamp};
use prove::{Fact, Ledger};
use recover::vault::{MaxUnused, Packs, PrunePlan, PruneReport, PruneRequest, Unlock, Vault};
use schema::Lang;
use serde_json::{Value, json};

use super::super::lang::LangArgs;
use super::super::progress::Bar;
use super::super::state_dir;
use super::super::vault_args::VaultArgs;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    vault: VaultArgs,
    /// What may stay although nobody needs it: 5%, a number of bytes (500M), or "unlimited"
    #[arg(long, value_name = "LIMIT", default_value = "5%", value_parser = max_unused)]
    max_unused: MaxUnused,
    /// Copy no more than so many bytes (2G)
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    max_repack_size: Option<u64>,
    /// Remove packs so long after they were marked (24h, 90m)
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = delay)]
    delay: SignedDuration,
    /// Do it; without this, nothing is changed
    #[arg(long)]
    apply: bool,
    /// Take back what is marked and not yet removed
    #[arg(long, conflicts_with = "apply")]
    cancel: bool,
    /// State folder, with the ledger
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

fn max_unused(text: &str) -> Result<MaxUnused, String> {
    if text == "unlimited" {
        return Ok(MaxUnused::Unlimited);
    }
    match text.strip_suffix('%') {
        Some(number) => match number.parse() {
            Ok(percent @ 0..=100) => Ok(MaxUnused::Percent(percent)),
            _ => Err(format!("{text} is no whole percentage")),
        },
        None => bytes(text).map(MaxUnused::Bytes),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text} is no number of bytes such as 500M or 2G");
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

fn delay(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(delay) if !delay.is_negative() => Ok(delay),
        _ => Err(format!("{text} is no duration such as 24h or 90m")),
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let lang = args.lang.lang();
    let vault = args.vault.open()?;
    if args.cancel {
        return cancel(args, output, lang, &vault);
    }
    let request = PruneRequest {
        max_unused: args.max_unused,
        max_repack: args.max_repack_size,
        delay: args.delay,
        ..PruneRequest::now()
    };
    if !args.apply {
        let plan = vault.plan_prune(&request)?;
        output.line(&plan_json(&plan))?;
        say_plan(output, lang, &plan);
        output.say(match plan.is_empty() {
            true => lang.pick("There is nothing to do.", "行うことはありません。"),
            false => lang.pick(
                "Nothing was changed; `--apply` does it.",
                "まだ何も変更していません。実行するには --apply を付けてください。",
            ),
        });
        return Ok(name(&plan.problems));
    }
    let report = apply(args, output, &vault, &request)?;
    output.line(&plan_json(&report.plan))?;
    say_plan(output, lang, &report.plan);
    output.line(&json!({
        "type": "summary",
        "written": packs_json(report.written),
        "marked": packs_json(report.marked),
        "removed": packs_json(report.removed),
        "problems": report.problems,
    }))?;
    say_report(output, lang, &report);
    Ok(name(&report.problems))
}

fn apply(args: &Args, output: Output, vault: &Vault, request: &PruneRequest) -> anyhow::Result<PruneReport> {
    let now = Timestamp::now();
    let ledger = Ledger::open(&state_dir(args.state.clone())?, now)?;
    let bar = Bar::new(output, "looking");
    let report = vault.prune(request, &|progress| bar.engine(&progress))?;
    bar.finish();
    if report.marked.packs + report.removed.packs > 0 {
        ledger.append(
            Fact::VaultPruned {
                vault_id: vault.id().to_owned(),
                marked: report.marked.packs,
                removed: report.removed.packs,
                removed_bytes: report.removed.bytes,
                taken_back: 0,
            },
            now,
        )?;
    }
    Ok(report)
}

fn cancel(args: &Args, output: Output, lang: Lang, vault: &Vault) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let ledger = Ledger::open(&state_dir(args.state.clone())?, now)?;
    let report = vault.cancel_prune()?;
    let taken_back = report.packs.packs;
    if taken_back > 0 {
        let vault_id = vault.id().to_owned();
        let fact = Fact::VaultPruned { vault_id, marked: 0, removed: 0, removed_bytes: 0, taken_back };
        ledger.append(fact, now)?;
    }
    let (packs, problems) = (packs_json(report.packs), &report.problems);
    output.line(&json!({ "type": "cancelled", "taken_back": packs, "problems": problems }))?;
    output.say(lang.pick(
        format!("{taken_back} packs that were to be removed stay."),
        format!("削除予定だった{taken_back}個のパックを残します。"),
    ));
    Ok(name(&report.problems))
}

/// What is damaged is something found, though the prune is done.
fn name(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("chartward: {}", printable(problem));
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn packs_json(packs: Packs) -> Value {
    json!({ "packs": packs.packs, "bytes": packs.bytes, "used_bytes": packs.used })
}

fn plan_json(plan: &PrunePlan) -> Value {
    json!({
        "type": "plan",
        "keep": packs_json(plan.keep),
        "repack": packs_json(plan.repack),
        "remove": packs_json(plan.remove),
        "waiting": packs_json(plan.waiting),
        "due": packs_json(plan.due),
        "take_back": packs_json(plan.take_back),
        "bytes_before": plan.bytes_before,
        "bytes_after": plan.bytes_after,
        "unused_after": plan.unused_after,
        "due_at": plan.due_at,
        "problems": plan.problems,
    })
}

fn say_plan(output: Output, lang: Lang, plan: &PrunePlan) {
    if output == Output::Json {
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(lang.pick(["", "packs", "bytes", "needed"], ["", "パック", "バイト", "必要なバイト"]));
    for (what, packs) in [
        (lang.pick("stay", "残す"), plan.keep),
        (lang.pick("copied from, then marked", "必要分を写して削除予定に"), plan.repack),
        (lang.pick("marked", "削除予定に"), plan.remove),
        (lang.pick("wait until their delay is over", "猶予期間中"), plan.waiting),
        (lang.pick("removed", "削除"), plan.due),
        (lang.pick("taken back into the index", "索引に戻す"), plan.take_back),
    ] {
        if packs.packs > 0 {
            let numbers = [packs.packs, packs.bytes, packs.used].map(|number| number.to_string());
            table.add_row([what.to_owned()].into_iter().chain(numbers));
        }
    }
    output.say(table);
    let (before, after, unused) = (plan.bytes_before, plan.bytes_after, plan.unused_after);
    output.say(lang.pick(
        format!("{before} bytes now, {after} in the end, {unused} of them needed by nobody."),
        format!("現在{before}バイト、最終的に{after}バイト（うち不要{unused}バイト）。"),
    ));
    if let Some(at) = plan.due_at {
        output.say(lang.pick(
            format!(
                "What is marked can be removed from {at} on; until then `vault prune --cancel` takes it back."
            ),
            format!(
                "削除予定のものは{at}以降に削除できます。それまでは vault prune --cancel で取り消せます。"
            ),
        ));
    }
}

fn say_report(output: Output, lang: Lang, report: &PruneReport) {
    let (written, marked, removed) = (report.written.packs, report.marked.packs, report.removed.packs);
    let bytes = report.removed.bytes;
    output.say(lang.pick(
        format!("Done: {written} packs written, {marked} marked, {removed} removed ({bytes} bytes)."),
        format!("完了: 書込{written}個、削除予定{marked}個、削除{removed}個（{bytes}バイト）。"),
    ));
}

#[derive(clap::Args)]
pub(crate) struct UnlockArgs {
    #[command(flatten)]
    vault: VaultArgs,
    /// Also locks of other hosts that look alive; never those of processes that run on this host
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn unlock(args: &UnlockArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let lang = args.lang.lang();
    let vault = args.vault.open()?;
    let removed = vault.unlock(if args.all { Unlock::All } else { Unlock::Stale })?;
    for owner in &removed {
        output.line(&json!({ "type": "unlocked", "owner": owner }))?;
        output.say(lang.pick(
            format!("Removed the lock of {}.", printable(owner)),
            format!("ロックを解除しました: {}", printable(owner)),
        ));
    }
    let count = removed.len();
    output.line(&json!({ "type": "summary", "removed": count }))?;
    output.say(lang.pick(format!("{count} locks removed."), format!("解除したロック: {count}件")));
    Ok(ExitCode::SUCCESS)
}
