//! `chartward wall test`: whether a connection would pass, by what is loaded.

use std::net::IpAddr;
use std::process::ExitCode;

use act::wall::policy::{Action, Cause, Moment, Policy, Transport, verdict_words};
use act::wall::sessions::Asked;
use act::wall::{Barrier, Wall, barred as find_barred};
use anyhow::{Context, bail};
use jiff::Timestamp;
use schema::Lang;
use serde_json::json;

use super::{Common, Desk};
use crate::output::{Output, printable};
use crate::wiring::wall::host;

#[derive(clap::Args)]
pub(super) struct TestArgs {
    /// Who begins: an address, or a host of [[protect]]
    from: String,
    /// To whom: an address, or a host of [[protect]]
    to: String,
    /// The port, the name of a service with one port, or ping
    port: String,
    /// UDP instead of TCP
    #[arg(long)]
    udp: bool,
    /// The interface it comes in by (default: the one that leads to the sender)
    #[arg(long = "in", value_name = "IF")]
    in_interface: Option<String>,
    /// The interface it goes out by (default: the one that leads to the receiver)
    #[arg(long = "out", value_name = "IF")]
    out_interface: Option<String>,
    /// When, such as 2026-11-23T08:00:00+09:00 (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Ask the policy of the configuration instead of what is in force
    #[arg(long)]
    declared: bool,
    #[command(flatten)]
    common: Common,
}

pub(super) fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let (source, destination) = (host(&desk.config, &args.from)?, host(&desk.config, &args.to)?);
    if source.is_ipv4() != destination.is_ipv4() {
        bail!("one of the addresses is IPv4 and the other IPv6");
    }
    let standing = desk.site.gate.standing(Timestamp::now())?;
    let policy = match args.declared {
        true => Some(desk.policy()?.clone()),
        false => standing.current.as_ref().map(|kept| kept.policy.clone()),
    };
    let transport = transport(args, &desk.site.policy)?;
    let asked = Asked {
        source,
        destination,
        transport,
        in_interface: args.in_interface.as_deref(),
        out_interface: args.out_interface.as_deref(),
        at: Moment::of(args.at.unwrap_or_else(Timestamp::now)),
    };
    if let Some(barrier) = barred(&desk, source, destination)? {
        return tell(&desk, false, &json!({"cause": "act", "rule": barrier.0}), &barrier.1);
    }
    let Some(policy) = policy else {
        let words = desk.lang.pick("no policy is in force", "有効な規則がありません").to_owned();
        return tell(&desk, true, &json!({"cause": "none"}), &words);
    };
    let whereabouts = desk.site.gate.whereabouts();
    let answer = desk.site.gate.answer(&policy, &whereabouts, &asked).map_err(|zone| {
        anyhow::anyhow!(
            "nobody can tell whether it is of the zone {zone}; name the interfaces with --in and --out"
        )
    })?;
    let rule = match answer.cause {
        Cause::Allow(number) => format!("allow {number}"),
        Cause::Default => format!("default {} → {}", answer.from, answer.to),
        Cause::Spared => "never_touch".to_owned(),
        Cause::Reach => "reachable".to_owned(),
    };
    let words = verdict_words(&policy, &answer, desk.lang);
    let detail = json!({
        "cause": answer.cause, "rule": rule, "from_zone": answer.from, "to_zone": answer.to,
        "action": answer.action, "limits": answer.limits,
    });
    let passes = answer.action != Action::Refuse;
    if !args.declared && standing.drift(desk.site.gate.loaded()?.as_ref()).is_some() {
        eprintln!(
            "{}",
            desk.lang.pick(
                "chartward: the packet filter holds something else than was loaded; run `chartward wall load`",
                "chartward: パケットフィルターの内容が変わっています。`chartward wall load` を実行してください"
            )
        );
    }
    tell(&desk, passes, &detail, &words)
}

fn tell(desk: &Desk, passes: bool, detail: &serde_json::Value, words: &str) -> anyhow::Result<ExitCode> {
    let mut line = json!({"type": "test", "allowed": passes, "because": words});
    if let (Some(line), Some(detail)) = (line.as_object_mut(), detail.as_object()) {
        line.extend(detail.clone());
    }
    desk.output.line(&line)?;
    if desk.output == Output::People {
        let verdict = match passes {
            true => desk.lang.pick("allowed", "許可"),
            false => desk.lang.pick("refused", "拒否"),
        };
        desk.output.say(format!("{verdict}: {}", printable(words)));
    }
    Ok(ExitCode::from(u8::from(!passes)))
}

fn transport(args: &TestArgs, policy: &Policy) -> anyhow::Result<Transport> {
    if args.port == "ping" {
        return Ok(Transport::Ping);
    }
    let number = args.port.parse::<u16>().ok().filter(|port| *port > 0);
    let of_service = || {
        let ports = policy.ports(&args.port)?;
        let ranges = if args.udp { ports.udp } else { ports.tcp };
        ranges.first().map(|(first, _)| *first)
    };
    let port = number
        .or_else(of_service)
        .with_context(|| format!("{} is neither a port nor a service with one", printable(&args.port)))?;
    Ok(if args.udp { Transport::Udp(port) } else { Transport::Tcp(port) })
}

/// What acts have put in force against one of the two.
fn barred(
    desk: &Desk,
    source: IpAddr,
    destination: IpAddr,
) -> anyhow::Result<Option<(&'static str, String)>> {
    let settings = &desk.site.bans;
    let Ok(standing) = Wall::new(settings.clone()).in_force() else { return Ok(None) };
    let (en, ja) = match find_barred(&standing, settings, source, destination) {
        None => return Ok(None),
        Some(known) => {
            let who = known.address;
            match known.barrier {
                Barrier::Ban => (format!("{who} is blocked"), format!("{who} は遮断されています")),
                Barrier::Isolate => (format!("{who} is isolated"), format!("{who} は隔離されています")),
                Barrier::Egress => (
                    format!("{who} may not begin connections"),
                    format!("{who} からの発信は遮断されています"),
                ),
            }
        }
    };
    Ok(Some((
        "act",
        match desk.lang {
            Lang::En => en,
            Lang::Ja => ja,
        },
    )))
}
