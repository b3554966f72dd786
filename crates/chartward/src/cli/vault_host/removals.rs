//! `chartward vault removals`: what administrators removed and can still be put back.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Subcommand;
use recover::host::{ClientName, Host, Removal};
use schema::Lang;
use serde_json::json;

use super::{HostArgs, client_name, operator, when};
use crate::output::Output;
use crate::vault_host;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the removals that wait
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Put every file of a removal back
    Cancel {
        /// Whose repository
        #[arg(value_parser = client_name)]
        client: ClientName,
        /// The removal's number
        number: u64,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Remove for good what may go by now; the process that serves does it by itself
    Run {
        #[command(flatten)]
        host: HostArgs,
    },
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::List { host } => list(host, &host.visit()?),
        Command::Cancel { client, number, host } => cancel(host, client, *number),
        Command::Run { host } => {
            let store = host.visit()?;
            let (files, bytes) = vault_host::remove_due(&store, |_| ())?;
            let output = host.output();
            output.line(&json!({ "type": "removed", "files": files, "bytes": bytes }))?;
            if output == Output::People {
                output.say(host.lang.lang().pick(
                    format!("{files} files with {bytes} bytes were removed for good."),
                    format!("{files} 個のファイル({bytes} バイト)を完全に削除しました。"),
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn cancel(host: &HostArgs, client: &ClientName, number: u64) -> anyhow::Result<ExitCode> {
    let store = host.visit()?;
    let files = store.repository(client)?.cancel(number, &operator())?;
    ensure!(files > 0, "the repository {client} has no removal {number} that could be cancelled");
    store.note(
        "removal-cancelled",
        client.as_str(),
        &operator(),
        &format!("removal {number}: {files} files put back"),
    )?;
    let output = host.output();
    output.line(&json!({ "type": "cancelled", "client": client, "removal": number, "files": files }))?;
    if output == Output::People {
        output.say(host.lang.lang().pick(
            format!("{files} files are back in {client}."),
            format!("{client} に {files} 個のファイルを戻しました。"),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(host: &HostArgs, store: &Host) -> anyhow::Result<ExitCode> {
    let output = host.output();
    for client in store.registry().clients()?.iter().filter(|client| !client.is_admin()) {
        for removal in store.repository(&client.name)?.removals()? {
            output.line(&json!({
                "type": "removal",
                "client": removal.repository,
                "removal": removal.number,
                "by": removal.by,
                "opened": removal.opened,
                "first_due": removal.first_due,
                "last_due": removal.last_due,
                "files": removal.files,
                "snapshots": removal.snapshots,
                "bytes": removal.bytes,
            }))?;
            if output == Output::People {
                output.say(sentence(&removal, host.lang.lang()));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn sentence(removal: &Removal, lang: Lang) -> String {
    let Removal { number, repository, by, files, snapshots, .. } = removal;
    let (opened, due, mib) = (when(removal.opened), when(removal.first_due), removal.bytes >> 20);
    lang.pick(
        format!(
            "{repository} {number}: {files} files ({snapshots} snapshots, {mib} MiB), removed by {by} on {opened}; nothing goes for good before {due}. Cancel: chartward vault removals cancel {repository} {number}"
        ),
        format!(
            "{repository} {number}: {files} 個のファイル(スナップショット {snapshots} 個、{mib} MiB)。{by} が {opened} に削除を依頼。{due} までは完全には消えません。取り消し: chartward vault removals cancel {repository} {number}"
        ),
    )
}
