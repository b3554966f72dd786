//! The answer for people.

use comfy_table::Table;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schema::Lang;

use super::{Evidence, Link};
use crate::output::printable;

/// Rows of a table; `--json` has them all.
const ROWS_MAX: usize = 50;

/// The whole answer.
pub(crate) fn text(evidence: &Evidence, lang: Lang, zone: &TimeZone) -> String {
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let mut parts =
        vec![head(evidence, lang, &time), statement(evidence, lang), coverage(evidence, lang, &time)];
    if !evidence.outside.is_empty() {
        let title = lang.pick("To and from outside:", "外部との通信:");
        parts.push(format!("{title}\n{}", table(&evidence.outside, lang, &time)));
    }
    if !evidence.hosts.is_empty() {
        let title = lang.pick("Inside, with the hosts in question:", "対象の機械と通信した院内の機械:");
        let none = lang.pick("none was seen", "観測されませんでした");
        let inside = if evidence.inside.is_empty() {
            format!("  {none}")
        } else {
            table(&evidence.inside, lang, &time)
        };
        parts.push(format!("{title}\n{inside}"));
    }
    if !evidence.findings.is_empty() {
        let rows = evidence.findings.iter().take(ROWS_MAX).map(|it| {
            let at = Timestamp::from_microsecond(it.at).map(&time).unwrap_or_default();
            format!("  {at}  {}  {}", it.detector, printable(lang.pick(&it.title, &it.title_ja)))
        });
        let title = lang.pick("What the sensor told of in this time:", "この期間の検知:");
        parts.push(format!("{title}\n{}", rows.collect::<Vec<_>>().join("\n")));
    }
    parts.join("\n\n")
}

/// In one line: what was seen to leave, and what that rests on.
pub(super) fn summary(evidence: &Evidence, lang: Lang, zone: &TimeZone) -> String {
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    format!("{}{}{}", head(evidence, lang, &time), lang.pick(": ", "："), statement(evidence, lang))
}

fn head(evidence: &Evidence, lang: Lang, time: &dyn Fn(Timestamp) -> String) -> String {
    let hosts: Vec<String> = evidence.hosts.iter().map(ToString::to_string).collect();
    let hosts = match (hosts.as_slice(), lang) {
        ([], Lang::En) => "all hosts inside".to_owned(),
        ([], Lang::Ja) => "院内のすべての機械".to_owned(),
        _ => hosts.join(", "),
    };
    match lang {
        Lang::En => format!("{} to {}, {hosts}", time(evidence.from), time(evidence.to)),
        Lang::Ja => format!("期間 {} 〜 {}、対象 {hosts}", time(evidence.from), time(evidence.to)),
    }
}

/// The one sentence, which never stands without what it rests on.
fn statement(evidence: &Evidence, lang: Lang) -> String {
    let observation = &evidence.observation;
    if observation.covered_seconds == 0 {
        return lang
            .pick(
                "No sensor watched in this time: nothing can be said about what left the network.",
                "この期間は観測していません。外部に何が出たかは、何も言えません。",
            )
            .to_owned();
    }
    let sent: u64 = evidence.outside.iter().map(|link| link.payload_sent).sum();
    let peers = evidence.outside.iter().filter(|link| link.payload_sent > 0).count();
    let rests = match (observation.complete, lang) {
        (true, Lang::En) => "All of the time was observed.".to_owned(),
        (true, Lang::Ja) => "期間のすべてを観測しています。".to_owned(),
        (false, Lang::En) => format!(
            "The observation has holes (below): {} % of the time was watched. What passed in them is not known.",
            observation.covered_percent
        ),
        (false, Lang::Ja) => format!(
            "観測には欠けた部分があります（下記）。観測できたのは期間の{}%で、欠けた部分の通信は分かりません。",
            observation.covered_percent
        ),
    };
    let seen = match (peers, lang) {
        (0, Lang::En) => {
            "Nothing was seen to leave the network, on the interfaces that were watched.".to_owned()
        }
        (0, Lang::Ja) => {
            "監視していたインターフェースでは、外部に出たデータは観測されませんでした。".to_owned()
        }
        (_, Lang::En) => format!(
            "{} of data were seen to leave the network, in {peers} pairs of host and peer.",
            size(sent)
        ),
        (_, Lang::Ja) => {
            format!("外部に出たデータが{}観測されました（院内の機械と外部の相手の組は{peers}）。", size(sent))
        }
    };
    format!("{seen} {rests}")
}

fn coverage(evidence: &Evidence, lang: Lang, time: &dyn Fn(Timestamp) -> String) -> String {
    let it = &evidence.observation;
    let interfaces = it.interfaces.join(", ");
    let length =
        |seconds: u64| format!("{:#}", SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
    let mut lines = match lang {
        Lang::En => vec![
            "Coverage:".to_owned(),
            format!("  interfaces: {interfaces}"),
            format!(
                "  watched: {} of {} ({} %)",
                length(it.covered_seconds),
                length(it.seconds),
                it.covered_percent
            ),
            format!(
                "  packets: {}; dropped by the kernel: {} ({} %); not decoded: {}",
                it.packets, it.dropped, it.dropped_percent, it.undecoded
            ),
            format!("  TCP flows seen in one direction only: {} %", it.one_way_percent),
        ],
        Lang::Ja => vec![
            "観測の範囲:".to_owned(),
            format!("  インターフェース: {interfaces}"),
            format!(
                "  観測した時間: {} / {}（{}%）",
                length(it.covered_seconds),
                length(it.seconds),
                it.covered_percent
            ),
            format!(
                "  パケット: {}個、取りこぼし: {}個（{}%）、解読できなかったもの: {}個",
                it.packets, it.dropped, it.dropped_percent, it.undecoded
            ),
            format!("  片方向しか見えなかったTCP通信: {}%", it.one_way_percent),
        ],
    };
    for gap in it.gaps.iter().take(ROWS_MAX) {
        let (from, to) = (time(gap.from), time(gap.to));
        lines.push(match lang {
            Lang::En => format!("  nobody watched from {from} to {to}"),
            Lang::Ja => format!("  観測なし: {from} 〜 {to}"),
        });
    }
    for (name, seconds) in &it.down {
        lines.push(match lang {
            Lang::En => format!("  {name} gave nothing for about {}", length(*seconds)),
            Lang::Ja => format!("  {name} は約{}のあいだ停止していました", length(*seconds)),
        });
    }
    for (number, en, ja) in [
        (it.unread, "frames of a kind that is not read", "読み取れない種類のフレーム"),
        (it.fragments_lost, "fragments lost", "失われた断片"),
        (it.unnamed_flows, "flows whose peers are not known one by one", "相手を個別に記録できなかった通信"),
        (it.pairs_left_out, "pairs that found no room in this answer", "この回答に入りきらなかった組"),
        (it.torn_files, "files of flows with a torn end", "末尾が壊れた記録ファイル"),
        (it.unreadable_lines, "records that could not be read", "読めなかった記録"),
    ] {
        if number > 0 {
            lines.push(format!("  {}: {number}", lang.pick(en, ja)));
        }
    }
    lines.join("\n")
}

fn table(links: &[Link], lang: Lang, time: &dyn Fn(Timestamp) -> String) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(match lang {
        Lang::En => ["host", "peer", "sent", "received", "opened by", "ports", "first", "last", "names"],
        Lang::Ja => ["機械", "相手", "送信", "受信", "接続した側", "ポート", "最初", "最後", "名前"],
    });
    for link in links.iter().take(ROWS_MAX) {
        let opened = match (link.opened_by_host > 0, link.opened_by_peer > 0) {
            (true, true) => lang.pick("both", "両方"),
            (false, true) => lang.pick("peer", "相手"),
            (true, false) => lang.pick("host", "機械"),
            (false, false) => lang.pick("not answered", "応答なし"),
        };
        let ports: Vec<String> = link.ports.iter().map(ToString::to_string).collect();
        let names: Vec<String> = link.names.iter().map(|name| printable(name)).collect();
        table.add_row([
            link.host.to_string(),
            link.peer.to_string(),
            size(link.bytes_sent),
            size(link.bytes_received),
            opened.to_owned(),
            ports.join(","),
            time(link.first),
            time(link.last),
            names.join(" "),
        ]);
    }
    let more = links.len().saturating_sub(ROWS_MAX);
    let more = match (more, lang) {
        (0, _) => String::new(),
        (more, Lang::En) => format!("\n  and {more} further; --json has them all"),
        (more, Lang::Ja) => format!("\n  ほか{more}件（--json ですべて出ます）"),
    };
    format!("{table}{more}")
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut number = bytes as f64;
    let mut unit = 0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    let unit_name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} B") } else { format!("{number:.1} {unit_name}") }
}
