//! `chartward guard allow`: who may encrypt with which program, where and until when.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use schema::Lang;
use serde_json::json;

use super::after::Common;
use crate::output::{Output, printable};
use crate::wiring::guard::approval::{self, Approval, Revoked};

/// Longer approvals belong into the configuration, where they are read again.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Let a program encrypt for a while: who, where, until when and why
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The program's file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "revoke"])]
    tool: Option<PathBuf>,
    /// The user it is run by, by name or number
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A group that whoever runs it is in
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// The folder below which it may write
    #[arg(long = "in", value_name = "DIR", required_unless_present_any = ["list", "revoke"])]
    dir: Option<PathBuf>,
    /// For how long, such as 2h or 90m; at most 31 days
    #[arg(long = "for", value_name = "TIME", conflicts_with = "until")]
    time: Option<SignedDuration>,
    /// Until when, such as 2026-08-01T18:00:00+09:00
    #[arg(long, value_name = "INSTANT")]
    until: Option<Timestamp>,
    /// Why, for the records
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["list", "revoke"])]
    reason: Option<String>,
    /// List all approvals
    #[arg(long, conflicts_with_all = ["tool", "revoke"])]
    list: bool,
    /// Take an approval back
    #[arg(long, value_name = "ID", conflicts_with = "tool")]
    revoke: Option<String>,
    /// With --revoke: it was an attack. A running guard stops whoever used it and puts back what was encrypted
    #[arg(long, requires = "revoke")]
    put_back: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.list {
        return list(&args.common);
    }
    match args.revoke.clone() {
        Some(id) => revoke(&args, &id),
        None => give(args),
    }
}

fn give(args: Args) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let state = args.common.state()?;
    let (Some(tool), Some(dir), Some(reason)) = (args.tool, args.dir, args.reason) else {
        bail!("an approval names --tool, --in and --reason");
    };
    if args.user.is_none() && args.group.is_none() {
        bail!("say who may: --user or --group");
    }
    if reason.trim().is_empty() {
        bail!("say why: --reason");
    }
    let until = match (args.time, args.until) {
        (Some(time), _) => now.checked_add(time).context("add the time")?,
        (None, Some(until)) => until,
        (None, None) => bail!("say for how long: --for or --until"),
    };
    if until <= now || until.duration_since(now) > LONGEST {
        bail!(
            "an approval ends in the future, at most 31 days from now; a standing one belongs into the configuration"
        );
    }
    let (tool, sha256) = approval::tool(&tool)?;
    let (known, refused) = approval::all(&state)?;
    let account =
        |table: &str, name: Option<String>| name.map(|name| approval::account(table, &name)).transpose();
    let approval = Approval {
        id: approval::next_id(&known, &refused),
        tool,
        sha256: Some(sha256),
        user: account("/etc/passwd", args.user)?,
        group: account("/etc/group", args.group)?,
        dir: dir.canonicalize().with_context(|| format!("find the folder {}", dir.display()))?,
        from: now,
        until: Some(until),
        reason,
        by: by_whom(),
        revoked: None,
    };
    approval.write(&state)?;
    show(&approval, args.common.output(), args.common.lang(), now)?;
    Ok(ExitCode::SUCCESS)
}

fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let (approvals, refused) = approval::all(&common.state()?)?;
    let now = Timestamp::now();
    for approval in &approvals {
        show(approval, common.output(), common.lang(), now)?;
    }
    if approvals.is_empty() {
        common.output().say(common.lang().pick("nothing is allowed", "許可はありません"));
    }
    for path in &refused {
        eprintln!("chartward: {} is no approval, or others could have written it", path.display());
    }
    Ok(ExitCode::from(u8::from(!refused.is_empty())))
}

fn revoke(args: &Args, id: &str) -> anyhow::Result<ExitCode> {
    let state = args.common.state()?;
    let (approvals, _) = approval::all(&state)?;
    let Some(approval) = approvals.into_iter().find(|approval| approval.id == id) else {
        bail!("there is no approval {id:?}; `chartward guard allow --list` lists them");
    };
    let revoked = Revoked { at: Timestamp::now(), by: by_whom(), put_back: args.put_back };
    let approval = Approval { revoked: Some(revoked), ..approval };
    approval.write(&state)?;
    show(&approval, args.common.output(), args.common.lang(), Timestamp::now())?;
    Ok(ExitCode::SUCCESS)
}

fn show(approval: &Approval, output: Output, lang: Lang, now: Timestamp) -> anyhow::Result<()> {
    let mut value = serde_json::to_value(approval)?;
    value["type"] = "approval".into();
    value["in_force"] = json!(approval.is_in_force(now));
    output.line(&value)?;
    let who = match (&approval.user, &approval.group, lang) {
        (Some((user, _)), None, _) => user.clone(),
        (None, Some((group, _)), Lang::En) => format!("group {group}"),
        (None, Some((group, _)), Lang::Ja) => format!("グループ {group}"),
        (Some((user, _)), Some((group, _)), Lang::En) => format!("{user} in group {group}"),
        (Some((user, _)), Some((group, _)), Lang::Ja) => format!("グループ {group} の {user}"),
        (None, None, lang) => lang.pick("anybody", "全員").to_owned(),
    };
    let until = approval.until.map(|until| until.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let until = until.unwrap_or_default();
    let standing = match (approval.is_in_force(now), &approval.revoked, lang) {
        (true, _, lang) => lang.pick("in force", "有効").to_owned(),
        (false, Some(revoked), Lang::En) => format!("revoked by {}", revoked.by),
        (false, Some(revoked), Lang::Ja) => format!("{} が取消", revoked.by),
        (false, None, lang) => lang.pick("expired", "期限切れ").to_owned(),
    };
    let (tool, dir) = (approval.tool.display(), approval.dir.display());
    output.say(printable(&match lang {
        Lang::En => format!(
            "{}: {who} may encrypt with {tool} in {dir} until {until} ({standing}; {}, by {})",
            approval.id, approval.reason, approval.by
        ),
        Lang::Ja => format!(
            "{}: {who} は {dir} で {tool} による暗号化を {until} まで行えます（{standing}、理由: {}、許可者: {}）",
            approval.id, approval.reason, approval.by
        ),
    }));
    Ok(())
}

/// Who typed it, as far as the environment says: sudo names the one behind root.
fn by_whom() -> String {
    let name =
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).or_else(|_| std::env::var("LOGNAME"));
    name.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}
