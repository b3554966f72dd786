//! Changing what is in force, and taking it back.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use act::wall::gate::Standing;
use act::wall::policy::{Moment, Policy};
use act::wall::sessions::Session;
use anyhow::{Context, bail};
use jiff::Timestamp;
use prove::Ledger;
use serde_json::json;

use super::{Common, Desk};
use crate::cli::account::by_whom;
use crate::config;
use crate::output::{Output, printable};
use crate::wiring::wall::recorded::{Changed, Hand, Recorded};

/// A person needs a moment to open a second session and see that it works.
const TRIAL: &str = "60s";

/// Why, for whoever reads the ledger later.
#[derive(clap::Args)]
struct Because {
    /// Why, for whoever reads the ledger later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    because: String,
}

#[derive(clap::Args)]
pub(super) struct ConfirmArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    because: Because,
}

#[derive(clap::Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    because: Because,
    /// How long `chartward wall confirm` is waited for; then what was before comes back by itself. 0s: keep it at once
    #[arg(long, value_name = "TIME", default_value = TRIAL)]
    confirm_within: String,
    /// Also when a session to this machine could not begin anew under the policy
    #[arg(long)]
    even_if_cut_off: bool,
}

#[derive(clap::Args)]
pub(super) struct UndoArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    because: Because,
    /// Also when a session to this machine could not begin anew under what comes back
    #[arg(long)]
    even_if_cut_off: bool,
}

pub(super) fn apply(args: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let policy = desk.policy()?;
    let period = config::period(&args.confirm_within)
        .map_err(|fault| anyhow::anyhow!("--confirm-within: {}", fault.what.en))?;
    let lasts = Duration::from_secs(period.0.as_secs().unsigned_abs());
    desk.site.gate.try_out(policy)?;
    desk.spare_sessions(policy, args.even_if_cut_off)?;
    let trial = Some(lasts).filter(|lasts| !lasts.is_zero());
    let Changed { standing, changes } =
        desk.recorded(&args.because.because, |gate, hand| gate.apply(policy, trial, hand))?;
    desk.output.line(&json!({
        "type": "applied", "number": number(&standing), "changes": changes,
        "confirm_until": standing.trial.as_ref().map(|trial| trial.until),
    }))?;
    if desk.output == Output::People {
        let words = match &standing.trial {
            Some(_) => desk.lang.pick(
                format!(
                    "In force, on trial for {}. Open a second session now; if it works, run `chartward wall confirm`. \
                     Otherwise what was before comes back by itself.",
                    args.confirm_within
                ),
                format!(
                    "試行として有効にしました({})。別の接続を開いて確かめ、問題なければ `chartward wall confirm` を実行してください。\
                     実行しなければ、自動で元に戻ります。",
                    args.confirm_within
                ),
            ),
            None => desk.lang.pick("In force.", "有効にしました。").to_owned(),
        };
        desk.output.say(words);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn confirm(args: &ConfirmArgs) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let Changed { standing, .. } = desk.recorded(&args.because.because, |gate, hand| gate.confirm(hand))?;
    tell(&desk, "confirmed", &standing, desk.lang.pick("It stays in force.", "このまま有効にします。"))
}

/// Early in a boot the state folder may not be writable yet: a wall without a line in the ledger is better than none.
pub(super) fn load(desk: &Desk) -> anyhow::Result<ExitCode> {
    let standing = match Ledger::open(&desk.site.state, Timestamp::now()) {
        Ok(_) => desk.recorded("", |gate, hand| gate.load(hand))?.standing,
        Err(error) => {
            let standing = desk.site.gate.load(Timestamp::now())?;
            let error = anyhow::Error::from(error);
            eprintln!(
                "chartward: {}: {}",
                desk.lang.pick("the ledger could not be told of it", "台帳に記録できませんでした"),
                printable(&format!("{error:#}"))
            );
            standing
        }
    };
    let words = match standing.current {
        Some(_) => {
            desk.lang.pick("What was confirmed is in force again.", "確定済みの内容を読み込みました。")
        }
        None => desk.lang.pick("No policy was confirmed; none is in force.", "確定済みの内容はありません。"),
    };
    tell(desk, "loaded", &standing, words)
}

pub(super) fn undo(args: &UndoArgs) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let back = desk.site.gate.undone(Timestamp::now())?;
    if let Some(kept) = &back {
        desk.spare_sessions(&kept.policy, args.even_if_cut_off)?;
    }
    let Changed { standing, .. } = desk.recorded(&args.because.because, |gate, hand| gate.undo(hand))?;
    let words = match standing.current {
        Some(_) => desk.lang.pick("What was before is in force again.", "前の状態に戻しました。"),
        None => desk
            .lang
            .pick("There was no policy before; none is in force.", "前の状態(規則なし)に戻しました。"),
    };
    tell(&desk, "undone", &standing, words)
}

fn tell(desk: &Desk, kind: &str, standing: &Standing, words: &str) -> anyhow::Result<ExitCode> {
    desk.output.line(&json!({"type": kind, "number": number(standing)}))?;
    if desk.output == Output::People {
        desk.output.say(words);
    }
    Ok(ExitCode::SUCCESS)
}

fn number(standing: &Standing) -> Option<u64> {
    standing.current.as_ref().map(|kept| kept.number)
}

impl Desk {
    /// Carries out a change with its line in the ledger.
    fn recorded(
        &self,
        because: &str,
        carry_out: impl FnOnce(Recorded<'_>, Hand<'_>) -> anyhow::Result<Changed>,
    ) -> anyhow::Result<Changed> {
        let (at, by) = (Timestamp::now(), by_whom());
        // Opened first: what nobody can record is not done.
        let ledger = Ledger::open(&self.site.state, at)?;
        carry_out(Recorded { gate: &self.site.gate, ledger: &ledger }, Hand { by: &by, because, at })
    }

    /// Refuses a policy under which somebody who works on this machine now could not come back.
    fn spare_sessions(&self, policy: &Policy, even_if_cut_off: bool) -> anyhow::Result<()> {
        let mut sessions =
            self.site.gate.sessions(&self.site.ssh_ports).context("look for sessions to this machine")?;
        sessions.extend(env::var("SSH_CONNECTION").ok().and_then(|text| Session::of_ssh(&text)));
        let cut = self.site.gate.cut_off(policy, &sessions, Moment::of(Timestamp::now()));
        if cut.is_empty() || even_if_cut_off {
            return Ok(());
        }
        let named: Vec<String> =
            cut.iter().take(5).map(|it| format!("{} → {} port {}", it.from, it.to, it.port)).collect();
        let named = printable(&named.join(", "));
        bail!(
            "{}",
            self.lang.pick(
                format!(
                    "nothing was changed: it would shut out {named}; allow it in [[wall.allow]] (to = [\"self\"]), or add \
                     --even-if-cut-off"
                ),
                format!(
                    "何も変更していません。次の接続が締め出されます: {named}。[[wall.allow]](to = [\"self\"])で許可するか、\
                     --even-if-cut-off を付けてください"
                ),
            )
        )
    }
}
