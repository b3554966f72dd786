//! `chartward vault key list|add|remove|passwd`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{Table, presets};
use jiff::Timestamp;
use prove::{Fact, Ledger};
use recover::vault::{KeyCost, Vault};
use serde_json::json;

use super::super::lang::LangArgs;
use super::super::password::PasswordArgs;
use super::super::state_dir;
use super::super::vault_args::VaultArgs;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the keys, one for each passphrase
    List(Common),
    /// Let a further passphrase open the vault
    Add(New),
    /// Take a passphrase away
    Remove {
        /// The first digits of the key's id
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        common: Common,
    },
    /// Put a new passphrase in the place of the present one
    Passwd(New),
}

#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    vault: VaultArgs,
    /// State folder, with the ledger
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct New {
    #[command(flatten)]
    common: Common,
    /// File that holds the new passphrase (else a prompt)
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(common) => list(&common),
        Command::Add(new) => {
            let now = Timestamp::now();
            let ledger = new.common.ledger(now)?;
            let (vault, present) = new.common.vault.open_with()?;
            let password = PasswordArgs::read_further(new.new_password_file.as_deref())?;
            let id = vault.add_key(&present, &password, KeyCost::RESTIC)?.to_string();
            record(&ledger, &vault, &id, true, now)?;
            new.common.say(
                &id,
                "added",
                ("A further passphrase opens the vault now: key", "パスフレーズを追加しました。鍵"),
            )
        }
        Command::Remove { key, common } => {
            let now = Timestamp::now();
            let ledger = common.ledger(now)?;
            let vault = common.vault.open()?;
            let id = vault.remove_key(&key)?.to_string();
            record(&ledger, &vault, &id, false, now)?;
            common.say(&id, "removed", ("No passphrase opens this key any more:", "鍵を削除しました。鍵"))
        }
        Command::Passwd(new) => {
            let now = Timestamp::now();
            let ledger = new.common.ledger(now)?;
            let (mut vault, present) = new.common.vault.open_with()?;
            let password = PasswordArgs::read_further(new.new_password_file.as_deref())?;
            let old = vault.keys()?.0.into_iter().find(|key| key.is_current).map(|key| key.id);
            let id = vault.change_password(&present, &password, KeyCost::RESTIC)?.to_string();
            record(&ledger, &vault, &id, true, now)?;
            old.map_or(Ok(()), |old| record(&ledger, &vault, &old.to_string(), false, now))?;
            new.common.say(
                &id,
                "changed",
                (
                    "The new passphrase opens the vault, the old one does not. Print a new recovery sheet. Key",
                    "新しいパスフレーズに変更しました。復旧シートを印刷し直してください。鍵",
                ),
            )
        }
    }
}

impl Common {
    /// Opened first: what nobody can record is not done.
    fn ledger(&self, now: Timestamp) -> anyhow::Result<Ledger> {
        Ok(Ledger::open(&state_dir(self.state.clone())?, now)?)
    }

    fn say(&self, id: &str, what: &str, (en, ja): (&str, &str)) -> anyhow::Result<ExitCode> {
        let output = Output::new(self.json);
        output.line(&json!({ "type": "key", "id": id, "what": what }))?;
        output.say(format_args!("{} {}", self.lang.lang().pick(en, ja), id.get(..8).unwrap_or(id)));
        Ok(ExitCode::SUCCESS)
    }
}

fn record(ledger: &Ledger, vault: &Vault, key: &str, added: bool, now: Timestamp) -> anyhow::Result<()> {
    let fact = Fact::VaultKeyChanged { vault_id: vault.id().to_owned(), key: key.to_owned(), added };
    ledger.append(fact, now)?;
    Ok(())
}

fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let output = Output::new(common.json);
    let lang = common.lang.lang();
    let (keys, damaged) = common.vault.open()?.keys()?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(
        lang.pick(["", "id", "user", "host", "made"], ["", "ID", "利用者", "ホスト", "作成日時"]),
    );
    for key in &keys {
        output.line(&json!({
            "type": "key",
            "id": key.id,
            "current": key.is_current,
            "username": key.username,
            "hostname": key.hostname,
            "created": key.created,
        }))?;
        table.add_row([
            if key.is_current { "*" } else { "" }.to_owned(),
            key.id.short(),
            printable(&key.username),
            printable(&key.hostname),
            key.created.to_string(),
        ]);
    }
    if output == Output::People {
        output.say(table);
    }
    for error in &damaged {
        eprintln!("chartward: {}", printable(&error.to_string()));
    }
    Ok(if damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
