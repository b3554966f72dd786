//! `chartward vault serve`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use jiff::SignedDuration;
use recover::host::{Host, Noted, Settings};
use schema::Lang;
use serde_json::json;

use super::HostArgs;
use crate::output::{Output, printable};
use crate::vault_host;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Address and port to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Name or address under which clients reach this host, for its certificate (repeatable)
    #[arg(long = "name", value_name = "NAME", default_values = ["localhost", "127.0.0.1"])]
    names: Vec<String>,
    /// Serve without TLS; only on this machine's own addresses
    #[arg(long)]
    no_tls: bool,
    /// How many days after its receipt nothing is removed for good
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=36500))]
    retain_days: u32,
    /// How many hours a removal can be cancelled
    #[arg(long, value_name = "HOURS", default_value_t = 72, value_parser = clap::value_parser!(u32).range(..=87600))]
    removal_delay_hours: u32,
    /// How many seconds a client may send or take nothing before it is cut off; a whole upload gets twice that and a second for every 8 KiB
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    client_timeout: u64,
    /// Whether files get the immutable flag (chattr +i)
    #[arg(long, value_enum, default_value_t = Immutable::Auto)]
    immutable: Immutable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Immutable {
    /// Where it can be set
    Auto,
    /// Always; do not start where it cannot be set
    Require,
    /// Never
    Off,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let output = args.host.output();
    let lang = args.host.lang.lang();
    let root = &args.host.host;
    let mut settings = Settings {
        retain: SignedDuration::from_hours(24 * i64::from(args.retain_days)),
        delay: SignedDuration::from_hours(args.removal_delay_hours.into()),
        immutable: false,
    };
    // Makes the folder, in which the flag is then tried.
    Host::visit(root, settings)?;
    let tried = Host::try_immutable(root);
    settings.immutable = args.immutable != Immutable::Off && tried.is_ok();
    if let (Immutable::Require, Err(cause)) = (args.immutable, tried) {
        return Err(cause).context("the immutable flag is required and cannot be set (it takes CAP_LINUX_IMMUTABLE, and ext4, xfs or btrfs)");
    }
    let host = Host::serve(root, settings)?;
    let patience = vault_host::Patience::of(Duration::from_secs(args.client_timeout));
    let serving = vault_host::Settings {
        listen: args.listen,
        names: args.names.clone(),
        tls: !args.no_tls,
        lang,
        patience,
    };
    host.note("started", "", "host", &format!("listening at {}", args.listen))?;
    let ready = |ready: &vault_host::Ready| tell(output, lang, ready, settings);
    vault_host::serve(host, serving, ready, if args.host.json { show_json } else { show })?;
    Ok(ExitCode::SUCCESS)
}

fn tell(output: Output, lang: Lang, ready: &vault_host::Ready, settings: Settings) -> anyhow::Result<()> {
    output.line(&json!({
        "type": "ready",
        "addr": ready.addr,
        "fingerprint": ready.fingerprint,
        "immutable": settings.immutable,
    }))?;
    if output == Output::People {
        let addr = ready.addr;
        output.say(lang.pick(format!("Serving at {addr}."), format!("{addr} で待ち受けています。")));
        if let Some(fingerprint) = &ready.fingerprint {
            output.say(lang.pick(
                "SHA-256 of the certificate, for the clients:",
                "証明書の SHA-256(クライアントに設定):",
            ));
            output.say(fingerprint);
        }
        output.say(if settings.immutable {
            lang.pick("Files get the immutable flag.", "保存したファイルには変更禁止属性(immutable)を付けます。")
        } else {
            lang.pick(
                "Files do not get the immutable flag: it takes CAP_LINUX_IMMUTABLE and ext4, xfs or btrfs. Whoever is root or this user here can delete them.",
                "変更禁止属性(immutable)は付けられません(CAP_LINUX_IMMUTABLE 権限と ext4・xfs・btrfs が必要です)。このホストの root と実行ユーザーはファイルを消せます。",
            )
        });
    }
    Ok(())
}

fn show(noted: &Noted) {
    let (what, client, by) = (&noted.what, &noted.client, &noted.by);
    let times = if noted.times > 1 { format!(" ({} times)", noted.times) } else { String::new() };
    eprintln!("chartward: {what} {client} (by {by}): {}{times}", printable(&noted.detail));
}

fn show_json(noted: &Noted) {
    if let Ok(serde_json::Value::Object(mut line)) = serde_json::to_value(noted) {
        line.insert("type".to_owned(), "audit".into());
        let _ = Output::Json.line(&line);
    }
}
