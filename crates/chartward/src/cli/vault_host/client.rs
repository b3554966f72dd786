//! `chartward vault client`.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use recover::host::{Client, ClientName, Host};
use schema::Lang;
use serde_json::json;

use super::{HostArgs, bytes, client_name, operator, when};
use crate::output::Output;

const QUOTA: &str = "1TiB";

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add a client; its key is shown once
    Add {
        /// Its name, which is also its repository's
        #[arg(value_parser = client_name)]
        name: ClientName,
        /// Bytes that its repository may take, such as 500GiB
        #[arg(long, value_parser = bytes, default_value = QUOTA, conflicts_with = "admin")]
        quota: u64,
        /// An administrator's key: it may set files of other repositories aside
        #[arg(long, requires = "of")]
        admin: bool,
        /// The repository that the administrator's key is for (repeatable)
        #[arg(long, value_name = "CLIENT", value_parser = client_name, requires = "admin")]
        of: Vec<ClientName>,
        #[command(flatten)]
        host: HostArgs,
    },
    /// List the clients
    List {
        #[command(flatten)]
        host: HostArgs,
    },
    /// Give a client a new key; the old one is refused from now on
    Renew {
        /// Its name
        #[arg(value_parser = client_name)]
        name: ClientName,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Refuse a client's key from now on; its repository stays
    Revoke {
        /// Its name
        #[arg(value_parser = client_name)]
        name: ClientName,
        #[command(flatten)]
        host: HostArgs,
    },
    /// Change how much a client's repository may take
    Quota {
        /// Its name
        #[arg(value_parser = client_name)]
        name: ClientName,
        /// Such as 500GiB
        #[arg(value_parser = bytes)]
        quota: u64,
        #[command(flatten)]
        host: HostArgs,
    },
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    match &args.command {
        Command::Add { name, quota, of, host, .. } => {
            let store = host.visit()?;
            let quota = if of.is_empty() { *quota } else { 0 };
            let key = store.registry().add(name.clone(), of.clone(), quota, now)?;
            let detail = if of.is_empty() {
                format!("a repository of up to {quota} bytes")
            } else {
                let of: Vec<_> = of.iter().map(ClientName::as_str).collect();
                format!("an administrator's key for {}", of.join(", "))
            };
            store.note("client-added", name.as_str(), &operator(), &detail)?;
            show_key(host, name, &key)
        }
        Command::Renew { name, host } => {
            let store = host.visit()?;
            let key = store.registry().renew(name, now)?;
            store.note("key-renewed", name.as_str(), &operator(), "the old key is refused")?;
            show_key(host, name, &key)
        }
        Command::Revoke { name, host } => {
            let store = host.visit()?;
            store.registry().revoke(name, now)?;
            store.note("key-revoked", name.as_str(), &operator(), "the repository stays")?;
            done(
                host,
                name,
                "revoked",
                "Its key is refused from now on; its repository stays.",
                "この鍵は今後使えません。リポジトリは残ります。",
            )
        }
        Command::Quota { name, quota, host } => {
            let store = host.visit()?;
            store.registry().set_quota(name, *quota)?;
            store.note("quota-set", name.as_str(), &operator(), &format!("{quota} bytes"))?;
            done(host, name, "quota", "Its share is changed.", "割当容量を変更しました。")
        }
        Command::List { host } => list(host, &host.visit()?),
    }
}

fn show_key(host: &HostArgs, name: &ClientName, key: &str) -> anyhow::Result<ExitCode> {
    let output = host.output();
    output.line(&json!({ "type": "key", "client": name, "key": key }))?;
    if output == Output::People {
        let lang = host.lang.lang();
        output.say(lang.pick(
            format!("The key of {name}. It is shown this once and stored nowhere:"),
            format!("{name} の鍵です。表示は今回だけで、どこにも保存されません:"),
        ));
        output.say(key);
    }
    Ok(ExitCode::SUCCESS)
}

fn done(host: &HostArgs, name: &ClientName, what: &str, en: &str, ja: &str) -> anyhow::Result<ExitCode> {
    let output = host.output();
    output.line(&json!({ "type": what, "client": name }))?;
    if output == Output::People {
        output.say(host.lang.lang().pick(en, ja));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(host: &HostArgs, store: &Host) -> anyhow::Result<ExitCode> {
    let output = host.output();
    let clients = store.registry().clients()?;
    for client in &clients {
        let used = if client.is_admin() { 0 } else { store.repository(&client.name)?.usage()?.0 };
        output.line(&json!({
            "type": "client",
            "name": client.name,
            "administers": client.administers,
            "quota": client.quota,
            "used": used,
            "added": client.added,
            "key_made": client.key_made,
            "revoked": client.revoked,
        }))?;
        if output == Output::People {
            output.say(sentence(client, used, host.lang.lang()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn sentence(client: &Client, used: u64, lang: Lang) -> String {
    let (name, used, quota) = (&client.name, used >> 20, client.quota >> 20);
    let what = if client.is_admin() {
        let of: Vec<_> = client.administers.iter().map(ClientName::as_str).collect();
        lang.pick(format!("administrator of {}", of.join(", ")), format!("{} の管理者", of.join("、")))
    } else {
        lang.pick(format!("{used} of {quota} MiB used"), format!("{quota} MiB 中 {used} MiB 使用"))
    };
    let key = match client.revoked {
        Some(time) => {
            lang.pick(format!("key revoked {}", when(time)), format!("鍵は {} に無効化", when(time)))
        }
        None => {
            let made = when(client.key_made);
            lang.pick(format!("key of {made}"), format!("鍵の作成 {made}"))
        }
    };
    format!("{name}: {what}, {key}")
}
