//! What the sensor says. Nothing here holds what a packet carried.

use anyhow::Error;
use ipnet::IpNet;
use jiff::Timestamp;
use judge::network::{Effort, Rules};
use observe::network::live::{Change, Counters, State};
use schema::{Finding, Lang, NetCoverage, Severity};
use serde::Serialize;
use serde_json::{Value, json};

use super::Settings;
use super::flows::Summary;
use crate::wiring::network::activity::{self, Passed};
use crate::wiring::said::Said;

/// Something that the sensor has to say.
#[derive(Debug)]
pub(crate) enum Report {
    /// It watches from now on.
    Ready(Box<Ready>),
    /// A detector spoke.
    Finding(Box<Finding>),
    /// The largest flows of the last minute.
    Flows { told: Vec<Summary>, internal: Vec<IpNet> },
    /// How it stands.
    Health(Box<Health>),
    /// An interface went or came back.
    Interface(Change),
    /// Something does not work.
    Trouble {
        /// What and why.
        message: String,
    },
    /// It has ended, and everything is on the disk.
    Stopped,
}

/// What is watched, and what is not seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ready {
    mode: &'static str,
    /// Interfaces.
    paths: Vec<String>,
    interfaces: Vec<Counters>,
    internal: Vec<IpNet>,
    /// What it judges.
    covers: Vec<&'static str>,
    contracts: usize,
    learnt: usize,
    learning_until: Option<Timestamp>,
    #[serde(flatten)]
    blind_spots: Said,
    not_enforced: Vec<String>,
}

/// How it stands, in numbers since its start.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(super) at: Timestamp,
    pub(super) coverage: NetCoverage,
    /// Flows that go on now.
    pub(super) going: u64,
    pub(super) one_way: bool,
    pub(super) interfaces: Vec<Counters>,
    pub(super) findings: u64,
    pub(super) learnt: u64,
    pub(super) effort: Effort,
    pub(super) lost_lines: u64,
}

impl Report {
    pub(super) fn trouble(error: &Error) -> Self {
        Report::Trouble { message: format!("{error:#}") }
    }
}

impl Health {
    /// Of TCP flows with data, in percent, those of which one direction alone was seen.
    fn one_way_percent(&self) -> f64 {
        percent(self.coverage.one_way, self.coverage.one_way + self.coverage.two_way)
    }
}

/// With one digit behind the point.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 * 1_000.0 / whole as f64).round() / 10.0
}

pub(super) fn ready(
    settings: &Settings,
    rules: &Rules,
    interfaces: &[Counters],
    not_enforced: Vec<String>,
) -> Ready {
    let mut blind_spots = Said::new(
        "blind_spots",
        [
            [
                "traffic that does not pass by these interfaces: within one switch, or between virtual machines of one host, unless it is \
                 mirrored",
                "これらのインターフェースを通らない通信（ミラーされていない、同じスイッチ内や同じホストの仮想マシン間の通信）",
            ],
            [
                "what is inside TLS, VPNs and encrypted SMB: only its shape, its names and its amounts are judged",
                "TLS、VPN、暗号化SMBの内容（形、名前、量だけで判定します）",
            ],
            ["names that are asked for over encrypted DNS", "暗号化DNSで問い合わせた名前"],
        ],
    );
    let mut add = |missing: bool, en: &str, ja: &str| {
        if missing {
            blind_spots.add(en, ja);
        }
    };
    add(
        rules.contracts.is_empty(),
        "contractors' links: no [[sensor.contract]] is declared, so none can be broken",
        "業者の接続（[[sensor.contract]] がないため、逸脱を判定できません）",
    );
    add(
        rules.names_malware.is_empty() && rules.names_phishing.is_empty(),
        "names of known malware and phishing: no list is given; look-alikes are judged",
        "既知の不正プログラムやフィッシングの名前（一覧が指定されていません。類似した名前は判定します）",
    );
    add(
        settings.rules.internal == Rules::default().internal,
        "which public addresses are the hospital's own: [sensor] internal does not say, so private ones count as inside",
        "どの公開アドレスが院内のものか（[sensor] internal に指定がないため、プライベートアドレスを院内とみなします）",
    );
    let learning_until = rules.learning_until.and_then(|at| Timestamp::from_microsecond(at).ok());
    let learning_until = learning_until.filter(|until| *until > Timestamp::now());
    if let Some(until) = learning_until {
        blind_spots.add(
            format!("first contacts between machines inside: until {until} they are learnt and not told"),
            format!("院内の機器どうしの初めての通信（{until} までは学習し、通知しません）"),
        );
    }
    for interface in interfaces.iter().filter(|interface| !interface.state.is_up()) {
        let (name, [en, ja]) = (&interface.name, Lang::ALL.map(|lang| state(interface.state, lang)));
        blind_spots.add(format!("everything on {name}: {en}"), format!("{name} のすべての通信：{ja}"));
    }
    Ready {
        mode: "sensor",
        paths: settings.interfaces.clone(),
        interfaces: interfaces.to_vec(),
        internal: rules.internal.clone(),
        covers: covers(),
        contracts: rules.contracts.len(),
        learnt: rules.learnt.len(),
        learning_until,
        blind_spots,
        not_enforced,
    }
}

/// Ids of the detectors of this watcher, from the registry.
fn covers() -> Vec<&'static str> {
    let is_ours = |entry: &&judge::Entry| matches!(entry.make, judge::Detector::Network(_));
    judge::REGISTRY.iter().filter(is_ours).map(|entry| entry.id).collect()
}

fn state(state: State, lang: Lang) -> &'static str {
    match state {
        State::Up => lang.pick("it is up", "動作しています"),
        State::NoCarrier => lang.pick("nothing is plugged in", "ケーブルがつながっていません"),
        State::Down => lang.pick("it is down", "停止しています"),
        State::Gone => lang.pick("it is gone", "なくなりました"),
    }
}

pub(super) fn health_fields(health: &Health) -> Value {
    let NetCoverage {
        packets,
        bytes,
        dropped,
        undecoded,
        unread,
        fragments_lost,
        flows,
        evicted,
        clock_back,
        ..
    } = health.coverage;
    json!({
        "at": health.at,
        "packets": packets,
        "bytes": bytes,
        "dropped": dropped,
        "undecoded": undecoded,
        "unread": unread,
        "fragments_lost": fragments_lost,
        "flows": flows,
        "flows_going": health.going,
        "flows_evicted": evicted,
        "clock_back": clock_back,
        "one_way_percent": health.one_way_percent(),
        "one_way_mirror": health.one_way,
        "interfaces": health.interfaces,
        "findings": health.findings,
        "learnt": health.learnt,
        "forgotten": health.effort.forgotten,
        "lost_lines": health.lost_lines,
    })
}

/// OCSF Network Activity (4001, Traffic): flows of one pair and port within a minute.
fn activity(flow: &Summary, internal: &[IpNet]) -> Value {
    const TRAFFIC: u32 = 6;
    let passed = Passed {
        activity_id: TRAFFIC,
        client: flow.pair.client,
        server: flow.pair.server,
        port: flow.pair.port,
        transport: flow.pair.transport,
        vlan: flow.pair.vlan,
        first: flow.first,
        last: flow.last,
        bytes: flow.bytes,
        packets: flow.packets,
    };
    let mut line = activity::line(&passed, internal);
    line["count"] = flow.flows.into();
    line["unanswered"] = flow.unanswered.into();
    if let Some(name) = flow.names.first() {
        line["dst_endpoint"]["hostname"] = name.as_ref().into();
        line["names"] = json!(flow.names);
    }
    line
}

/// The lines for the hub.
pub(crate) fn as_json(report: &Report) -> Vec<Value> {
    match report {
        Report::Ready(ready) => {
            let mut line = serde_json::to_value(ready).unwrap_or_default();
            line["type"] = "ready".into();
            vec![line]
        }
        Report::Finding(finding) => vec![decode::ocsf::write(finding)],
        Report::Flows { told, internal } => told.iter().map(|flow| activity(flow, internal)).collect(),
        Report::Health(health) => {
            let mut line = health_fields(health);
            line["type"] = "health".into();
            line["message"] = told_health(health, Lang::En).into();
            vec![line]
        }
        Report::Interface(change) => vec![json!({
            "type": "interface",
            "interface": change.interface,
            "before": change.before,
            "state": change.now,
            "message": told_change(change, Lang::En),
        })],
        Report::Trouble { message } => vec![json!({"type": "trouble", "message": message})],
        Report::Stopped => vec![json!({"type": "stopped", "message": "the sensor has ended"})],
    }
}

fn told_change(change: &Change, lang: Lang) -> String {
    format!("{}: {}", change.interface, state(change.now, lang))
}

fn told_health(health: &Health, lang: Lang) -> String {
    let NetCoverage { packets, dropped, flows, .. } = health.coverage;
    let one_way = health.one_way_percent();
    match lang {
        Lang::En => format!(
            "{packets} packets, {dropped} dropped by the kernel, {flows} flows, {one_way} % of them seen in one direction only"
        ),
        Lang::Ja => {
            format!(
                "パケット{packets}個（うち取りこぼし{dropped}個）、通信{flows}件（片方向しか見えないもの{one_way}%）"
            )
        }
    }
}

/// For people; `None` where there is nothing to say to them.
pub(crate) fn words(report: &Report, lang: Lang) -> Option<String> {
    Some(match report {
        Report::Ready(ready) => {
            let spots: Vec<String> = ready.blind_spots.iter(lang).map(|spot| format!("  - {spot}")).collect();
            let seen = ready.paths.join(", ");
            format!(
                "{}\n{}\n{}",
                lang.pick(format!("watching {seen}"), format!("{seen} を監視しています")),
                lang.pick("Not seen:", "見えないもの:"),
                spots.join("\n")
            )
        }
        Report::Finding(finding) => {
            let mark = if finding.severity_id > Severity::Low {
                lang.pick("ATTACK", "攻撃")
            } else {
                lang.pick("NOTICE", "注意")
            };
            let reasons = lang.pick(&finding.reasons, &finding.reasons_ja).join("; ");
            format!("{mark}: {}: {reasons}", lang.pick(&finding.title, &finding.title_ja))
        }
        Report::Health(health) if health.coverage.dropped > 0 || health.one_way => told_health(health, lang),
        Report::Health(_) | Report::Flows { .. } => return None,
        Report::Interface(change) => told_change(change, lang),
        Report::Trouble { message } => message.clone(),
        Report::Stopped => lang.pick("the sensor has ended", "センサーを終了しました").to_owned(),
    })
}
