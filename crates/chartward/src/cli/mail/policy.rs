//! `chartward mail policy`: how mail is weighed differently here.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use prove::Ledger;
use schema::Lang;
use serde_json::{Value, json};

use crate::cli::account::by_whom;
use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::config::{self, Config};
use crate::output::{Output, printable};
use crate::wiring::mail::weighing::{Change, Gateway, Hand, Tuning, Version, Weighing, all_reasons};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Reasons that weigh something else here, and senders that are let through
    Show(Show),
    /// Make a reason weigh more
    Raise(Shift),
    /// Make a reason weigh less
    Lower(Shift),
    /// Do not look at a reason any more
    Silence(One),
    /// Let a sender through: an address, or a domain with all below it; only where SPF or DKIM holds for it
    Allow(One),
    /// Take a reason or a sender out of the policy
    Remove(One),
    /// Take back the last change
    Undo(Reasoned),
    /// All changes that are remembered, the newest first
    History(Common),
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The file, where it is neither named in the configuration nor beside the quarantine
    #[arg(long, value_name = "FILE")]
    weighing: Option<PathBuf>,
    /// Socket of the running gateway (default: that of the hub's)
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Also the reasons that weigh what they do everywhere
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Reasoned {
    /// Why, for whoever reads the policy and the ledger later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    because: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct One {
    /// A reason's id as `show --all` lists it, or a sender
    #[arg(value_name = "REASON|SENDER")]
    what: String,
    #[command(flatten)]
    reasoned: Reasoned,
}

#[derive(Debug, clap::Args)]
struct Shift {
    /// By how much: 1 makes the odds about three times as high
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0)]
    by: f64,
    #[command(flatten)]
    one: One,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Show(args) => show(&args),
        Command::History(common) => history(&common),
        Command::Raise(Shift { by, one }) => {
            change(&one.reasoned, &Change::Shift { id: one.what.clone(), by })
        }
        Command::Lower(Shift { by, one }) => {
            change(&one.reasoned, &Change::Shift { id: one.what.clone(), by: -by })
        }
        Command::Silence(one) => change(&one.reasoned, &Change::Silence { id: one.what.clone() }),
        Command::Allow(one) => change(&one.reasoned, &Change::Allow { sender: one.what.clone() }),
        Command::Remove(one) => change(&one.reasoned, &Change::Remove { what: one.what.clone() }),
        Command::Undo(reasoned) => with(&reasoned, |weighing, hand, ledger| weighing.undo(hand, ledger)),
    }
}

impl Common {
    /// The policy, and the state folder that it belongs to.
    fn weighing(&self) -> anyhow::Result<(Weighing, PathBuf)> {
        let config = config::find(self.config.as_deref()).as_deref().map(Config::load).transpose()?;
        let state = self.state.clone().or_else(|| config.as_ref()?.state.clone());
        let state = state_dir(state)?;
        let named = self.weighing.clone().or_else(|| config?.mail?.weighing);
        Ok((Weighing::new(&state, named.as_deref()), state))
    }

    fn output(&self) -> Output {
        Output::new(self.json)
    }
}

fn change(reasoned: &Reasoned, change: &Change) -> anyhow::Result<ExitCode> {
    with(reasoned, |weighing, hand, ledger| weighing.change(change, hand, ledger))
}

/// Carries it out, and has the running gateway weigh by it.
fn with(
    reasoned: &Reasoned,
    carry_out: impl FnOnce(&Weighing, Hand<'_>, &Ledger) -> anyhow::Result<Version>,
) -> anyhow::Result<ExitCode> {
    let Reasoned { because, common } = reasoned;
    let (weighing, state) = common.weighing()?;
    let (at, by) = (Timestamp::now(), by_whom());
    // Opened first: what nobody can record is not done.
    let ledger = Ledger::open(&state, at)?;
    let version = carry_out(&weighing, Hand { by: &by, because, at }, &ledger)?;
    let gateway = weighing.tell(&common.control.clone().unwrap_or_else(|| weighing.socket()))?;
    let (output, lang) = (common.output(), common.lang.lang());
    let (word, told) = match &gateway {
        Gateway::Reloaded => (
            "reloaded",
            lang.pick("The running gateway goes by it.", "稼働中のゲートウェイに反映しました。").to_owned(),
        ),
        Gateway::Absent => (
            "absent",
            lang.pick(
                "No gateway answered: it counts from the gateway's next start on.",
                "応答するゲートウェイがないため、次の起動から有効になります。",
            )
            .to_owned(),
        ),
        Gateway::Refused(cause) => (
            "refused",
            lang.pick(
                format!("The running gateway goes on as before: {cause}"),
                format!("稼働中のゲートウェイには反映できませんでした：{cause}"),
            ),
        ),
    };
    output.line(&json!({
        "type": "mail_policy_changed", "number": version.number, "what": version.what, "by": version.by,
        "because": version.because, "sha256": version.after_sha256, "gateway": word, "file": weighing.file,
    }))?;
    output.say(printable(&format!("{}: {}. {told}", version.number, version.what)));
    Ok(if matches!(gateway, Gateway::Refused(_)) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn show(args: &Show) -> anyhow::Result<ExitCode> {
    let (output, lang) = (args.common.output(), args.common.lang.lang());
    let (weighing, _) = args.common.weighing()?;
    let (sheet, by_hand) = weighing.read()?;
    let mut reasons = comfy_table::Table::new();
    reasons.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    reasons.set_header([
        lang.pick("reason", "理由"),
        lang.pick("weight", "重み"),
        lang.pick("here", "当院での重み"),
        lang.pick("because", "変更の理由"),
        lang.pick("meaning", "内容"),
    ]);
    let silent = || lang.pick("silent", "停止").to_owned();
    let mut shown = 0;
    for (feature, weight) in all_reasons()? {
        let tuned = sheet.reason.iter().find(|tuned| tuned.id == feature.id);
        if tuned.is_none() && !args.all {
            continue;
        }
        shown += 1;
        let here = tuned.map_or(Some(weight), |tuned| tuned.here(weight));
        let note = tuned.map(|tuned| tuned.note.clone()).unwrap_or_default();
        output.line(&json!({
            "type": "mail_reason", "id": feature.id, "weight": weight, "here": here,
            "silent": tuned.is_some_and(|tuned| tuned.tuning() == Tuning::Silent), "changed": tuned.is_some(),
            "because": note.because, "by": note.by, "at": note.at, "text": feature.text, "text_ja": feature.text_ja,
        }))?;
        reasons.add_row([
            feature.id.to_owned(),
            format!("{weight:+.2}"),
            here.map_or_else(silent, |here| format!("{here:+.2}")),
            printable(&note.because.unwrap_or_default()),
            lang.pick(feature.text, feature.text_ja).to_owned(),
        ]);
    }
    for allowed in &sheet.allow {
        let note = &allowed.note;
        output.line(&json!({
            "type": "mail_allowed", "sender": allowed.sender, "because": note.because, "by": note.by, "at": note.at,
        }))?;
    }
    output.line(&json!({"type": "mail_policy", "file": weighing.file, "reasons": sheet.reason.len(),
                        "allowed": sheet.allow.len(), "changed_by_hand": by_hand}))?;
    if output == Output::People {
        if shown > 0 {
            output.say(reasons);
        }
        say_rest(&weighing, &sheet.allow, (sheet.reason.len(), by_hand), lang);
    }
    Ok(ExitCode::SUCCESS)
}

fn say_rest(
    weighing: &Weighing,
    allowed: &[crate::wiring::mail::weighing::Allowed],
    (reasons, by_hand): (usize, bool),
    lang: Lang,
) {
    let output = Output::People;
    for allowed in allowed {
        let because = allowed.note.because.as_deref().unwrap_or_default();
        output.say(printable(&lang.pick(
            format!("allowed where it is verified: {} {because}", allowed.sender),
            format!("認証で確認できれば許可：{} {because}", allowed.sender),
        )));
    }
    let file = printable(&weighing.file.display().to_string());
    if reasons == 0 && allowed.is_empty() {
        output.say(lang.pick(
            format!("Nothing is weighed differently here ({file})."),
            format!("当院での変更はありません（{file}）。"),
        ));
    }
    if by_hand {
        output.say(lang.pick(
            format!("{file} was also changed by hand. The next change here keeps the entries, and comments in the history only."),
            format!("{file} は手作業でも変更されています。次の変更で項目は残り、コメントは履歴にだけ残ります。"),
        ));
    }
}

fn history(common: &Common) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang.lang());
    let versions = common.weighing()?.0.versions()?;
    for version in versions.iter().rev() {
        output.line(&as_json(version, &versions))?;
    }
    if versions.is_empty() {
        output.say(lang.pick("Nothing was ever changed.", "変更の履歴はありません。"));
    } else if output == Output::People {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        let heads = [("", ""), ("when", "日時"), ("by", "変更者"), ("what", "内容"), ("because", "理由")];
        table.set_header(heads.map(|(en, ja)| lang.pick(en, ja)));
        for version in versions.iter().rev() {
            let Version { number, at, by, what, because, .. } = version;
            let cells =
                [number.to_string(), at.to_string(), printable(by), printable(what), printable(because)];
            table.add_row(cells);
        }
        output.say(table);
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(version: &Version, all: &[Version]) -> Value {
    let Version { number, at, by, because, what, before, after_sha256, undoes } = version;
    json!({
        "type": "mail_policy_version", "number": number, "at": at, "by": by, "because": because, "what": what,
        "before": before, "sha256": after_sha256, "undoes": undoes, "next_undone": version.is_next(all),
    })
}
