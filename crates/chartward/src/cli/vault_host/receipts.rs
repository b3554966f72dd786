//! `chartward vault receipts`: what was received when, by the host's clock, beside what the snapshots say of themselves.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use recover::host::{ClientName, Event, Host, Kind};
use recover::vault::Vault;
use schema::Lang;
use serde_json::json;

use super::{HostArgs, client_name, when};
use crate::cli::password::PasswordArgs;
use crate::output::{Output, printable};

/// Clocks differ by minutes; a backup that took longer than a day between its own date and its arrival is worth a word.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(15);
const BEHIND_MAX: SignedDuration = SignedDuration::from_hours(24);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Whose repository
    #[arg(value_parser = client_name)]
    client: ClientName,
    /// List every file, not only snapshots
    #[arg(long)]
    all: bool,
    /// Open the repository and compare the snapshots' own dates with their receipts
    #[arg(long)]
    compare: bool,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    host: HostArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let output = args.host.output();
    let lang = args.host.lang.lang();
    let host = args.host.visit()?;
    host.registry()
        .client(&args.client)?
        .with_context(|| format!("{} is not a client of this host", args.client))?;
    let (receipts, broken_at) = host.receipts(&args.client)?;
    let dates = if args.compare { dates(&host, args)? } else { HashMap::new() };
    let mut odd = false;
    for receipt in receipts {
        let name = receipt.name();
        if !args.all && name.kind != Kind::Snapshots {
            continue;
        }
        let dated = dates.get(&name.id.to_string()).filter(|_| name.kind == Kind::Snapshots).copied();
        let verdict = dated.and_then(|dated| verdict(dated, receipt.at));
        odd |= verdict.is_some();
        output.line(&json!({
            "type": "receipt",
            "at": receipt.at,
            "event": receipt.event,
            "file": name.to_string(),
            "size": receipt.size,
            "by": receipt.by,
            "removal": receipt.removal,
            "keep_until": receipt.keep_until,
            "dated": dated,
            "odd": verdict.map(|verdict| verdict.pick_name()),
        }))?;
        if output == Output::People {
            let said =
                verdict.map(|verdict| verdict.text(dated.unwrap_or(receipt.at), lang)).unwrap_or_default();
            let event = event(receipt.event, lang);
            output.say(format!(
                "{} {event} {name} {} B ({}){said}",
                when(receipt.at),
                receipt.size,
                printable(&receipt.by)
            ));
        }
    }
    if let Some(line) = broken_at {
        odd = true;
        output.line(&json!({ "type": "broken", "line": line }))?;
        eprintln!(
            "chartward: {}",
            lang.pick(
                format!("the receipts do not follow from each other at line {line}: somebody changed them"),
                format!("受領記録の {line} 行目が前の行とつながりません。書き換えられた疑いがあります")
            )
        );
    }
    if !args.compare && output == Output::People {
        output.say(lang.pick(
            "The snapshots' own dates were not looked at: --compare opens the repository and needs its passphrase.",
            "スナップショット自身の日付は確認していません(--compare で確認できます。パスフレーズが必要です)。",
        ));
    }
    Ok(if odd { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// What the snapshots say of themselves.
fn dates(host: &Host, args: &Args) -> anyhow::Result<HashMap<String, Timestamp>> {
    let repository = host.repository(&args.client)?;
    let vault = Vault::open(repository.path(), &args.password.read()?)?;
    let (snapshots, unreadable) = vault.snapshots()?;
    for error in unreadable {
        eprintln!("chartward: {}", printable(&error.to_string()));
    }
    Ok(snapshots.into_iter().map(|snapshot| (snapshot.id.0, snapshot.time)).collect())
}

#[derive(Clone, Copy)]
enum Odd {
    Ahead,
    Behind,
}

/// Whether a date does not go with a receipt.
fn verdict(dated: Timestamp, received: Timestamp) -> Option<Odd> {
    let age = received.duration_since(dated);
    match () {
        () if age < -AHEAD_MAX => Some(Odd::Ahead),
        () if age > BEHIND_MAX => Some(Odd::Behind),
        () => None,
    }
}

impl Odd {
    fn pick_name(self) -> &'static str {
        match self {
            Odd::Ahead => "dated-after-receipt",
            Odd::Behind => "dated-long-before-receipt",
        }
    }

    fn text(self, dated: Timestamp, lang: Lang) -> String {
        let dated = when(dated);
        match (self, lang) {
            (Odd::Ahead, Lang::En) => format!(" ← dated {dated}, after it was received"),
            (Odd::Ahead, Lang::Ja) => format!(" ← 日付が {dated} で、受領より後になっています"),
            (Odd::Behind, Lang::En) => format!(" ← dated {dated}, long before it was received"),
            (Odd::Behind, Lang::Ja) => format!(" ← 日付が {dated} で、受領よりかなり前です"),
        }
    }
}

fn event(event: Event, lang: Lang) -> &'static str {
    match event {
        Event::Received => lang.pick("received", "受領"),
        Event::Found => lang.pick("found without a receipt", "受領記録なしで発見"),
        Event::SetAside => lang.pick("set aside", "退避"),
        Event::PutBack => lang.pick("put back", "復帰"),
        Event::Removed => lang.pick("removed", "削除"),
    }
}
