//! The quarter in words, in the order in which such reports are read: what was reached for, what rose, who it was, and what the figures
//! are worth.

use jiff::tz::TimeZone;
use schema::Lang;
use schema::telescope::{
    Article, ArticleBlock, ArticleLine, ArticlePlot, PortRow, QuarterReport, SensorCoverage, Surge,
};

use super::Services;
use super::words::{day, decimal, family, hour, port, share, version};
use crate::lang::count;

const TOP: usize = 5;
/// Points of a plot: six hours each.
const STEP: usize = 6;
const GAPS_SHOWN: usize = 5;

/// The report on a quarter.
pub fn article(report: &QuarterReport, services: &Services, zone: &TimeZone, lang: Lang) -> Article {
    let q = report.quarter;
    let months = (q.quarter * 3 - 2, q.quarter * 3);
    let title = lang.pick(
        format!("Observation report, {} Q{}", q.year, q.quarter),
        format!("定点観測レポート（{}年{}月～{}月）", q.year, months.0, months.1),
    );
    let span = format!("{} – {} ({})", hour(report.begins, zone), hour(report.ends, zone), report.zone);
    let mut blocks = Vec::new();
    overview(report, services, zone, lang, &mut blocks);
    rising(report, services, zone, lang, &mut blocks);
    systems(report, lang, &mut blocks);
    others(report, lang, &mut blocks);
    trend(report, lang, &mut blocks);
    coverage(report, zone, lang, &mut blocks);
    method(report, lang, &mut blocks);
    let foot = lang.pick(
        "Packets that reached addresses nobody uses; sources can be forged.",
        "未使用のアドレスに届いたパケットの集計です。送信元は詐称されている場合があります。",
    );
    Article { title, subtitle: span, foot: foot.to_owned(), blocks }
}

fn heading(text: &str) -> ArticleBlock {
    ArticleBlock::Heading { text: text.to_owned() }
}

fn text(text: impl Into<String>) -> ArticleBlock {
    ArticleBlock::Text { text: text.into() }
}

fn table(widths: &[f32], head: &[&str], right: &[bool], rows: Vec<Vec<String>>) -> ArticleBlock {
    ArticleBlock::Table {
        widths: widths.to_vec(),
        head: head.iter().map(|it| (*it).to_owned()).collect(),
        rows,
        right: right.to_vec(),
    }
}

fn overview(
    report: &QuarterReport,
    services: &Services,
    zone: &TimeZone,
    lang: Lang,
    out: &mut Vec<ArticleBlock>,
) {
    out.push(heading(
        lang.pick("1. Overview: the ports reached for most", "1. 概況（宛先ポート番号の上位）"),
    ));
    let (packets, sources) = (count(report.scan_packets), count(report.scan_sources));
    out.push(text(lang.pick(
        format!("{packets} scanning packets from {sources} different sources were observed. The table ranks the destination ports by packets."),
        format!("本四半期に観測した探索パケットは{packets}個、送信元アドレスは{sources}件でした。宛先ポート番号をパケット数の多い順に示します。"),
    )));
    let row = |row: &PortRow| {
        let previous = match row.previous_rank {
            Some(rank) => rank.to_string(),
            None if report.has_previous => lang.pick("none", "なし").to_owned(),
            None => lang.pick("not observed", "観測なし").to_owned(),
        };
        let share = format!("{:.1}%", row.packet_share * 100.0);
        let service = services.name(row.target).to_owned();
        vec![
            row.rank.to_string(),
            port(row.target),
            service,
            previous,
            count(row.packets),
            share,
            count(row.sources),
        ]
    };
    let head = lang.pick(
        ["Rank", "Port", "Service", "Last quarter", "Packets", "Share", "Sources"],
        ["順位", "宛先ポート", "サービス", "前四半期の順位", "パケット数", "割合", "送信元数"],
    );
    let right = [true, false, false, true, true, true, true];
    let rows: Vec<Vec<String>> = report.ports.iter().take(TOP).map(row).collect();
    if rows.is_empty() {
        out.push(text(lang.pick("Nothing was observed.", "観測されたパケットはありません。")));
        return;
    }
    out.push(table(&[0.8, 1.3, 2.4, 1.4, 1.3, 1.0, 1.2], &head, &right, rows));
    let title =
        lang.pick("Packets in six hours, by destination port", "6時間ごとのパケット数（宛先ポート別）");
    let plot = plot(
        report,
        zone,
        title,
        report.ports.iter().take(TOP).map(|row| (port(row.target), row.hourly.as_slice())),
    );
    out.push(ArticleBlock::Plot(plot));
}

fn plot<'a>(
    report: &QuarterReport,
    zone: &TimeZone,
    title: &str,
    lines: impl Iterator<Item = (String, &'a [Option<u64>])>,
) -> ArticlePlot {
    let lines: Vec<ArticleLine> =
        lines.map(|(name, hours)| ArticleLine { name, points: stepped(hours) }).collect();
    let hours = ((report.ends.as_second() - report.begins.as_second()) / 3600).max(1);
    let mut marks = Vec::new();
    for place in 0..hours {
        let at = jiff::Timestamp::from_second(report.begins.as_second() + place * 3600).unwrap_or_default();
        let local = at.to_zoned(zone.clone());
        if local.hour() == 0 && matches!(local.day(), 1 | 15) {
            marks.push((place as f32 / hours as f32, local.strftime("%m-%d").to_string()));
        }
    }
    ArticlePlot { title: title.to_owned(), marks, lines, events: Vec::new() }
}

/// Sums of several hours; a point of which nothing was observed is none.
fn stepped(hours: &[Option<u64>]) -> Vec<Option<f32>> {
    let sum = |part: &[Option<u64>]| {
        let seen: Vec<u64> = part.iter().flatten().copied().collect();
        // What was not observed is taken to have been like the rest of its six hours.
        (!seen.is_empty()).then(|| seen.iter().sum::<u64>() as f32 * part.len() as f32 / seen.len() as f32)
    };
    hours.chunks(STEP).map(sum).collect()
}

fn rising(
    report: &QuarterReport,
    services: &Services,
    zone: &TimeZone,
    lang: Lang,
    out: &mut Vec<ArticleBlock>,
) {
    out.push(heading(lang.pick("2. What rose", "2. 注目された現象")));
    let test = report.surge_test;
    let (ports, hours) = (count(u64::from(test.ports)), count(test.hours));
    if report.surges.is_empty() {
        out.push(text(lang.pick(
            format!("No port was suddenly reached for by more sources: none found by the test below, over {ports} ports and {hours} port-hours."),
            format!("送信元数が急増したポートはありませんでした（{ports}ポート、延べ{hours}時間を下記の方法で検査）。"),
        )));
    }
    for surge in &report.surges {
        out.push(text(surge_words(surge, services, zone, lang)));
        if let Some(row) = report.ports.iter().find(|row| row.target == surge.target) {
            let name = port(row.target);
            let title = lang.pick(
                format!("{name}: sources an hour, summed over six hours"),
                format!("{name}：1時間ごとの送信元数（6時間の合計）"),
            );
            let mut plot = plot(report, zone, &title, std::iter::once((name, row.hourly_sources.as_slice())));
            let whole = (report.ends.as_second() - report.begins.as_second()).max(1) as f32;
            let place = (surge.onset.as_second() - report.begins.as_second()) as f32 / whole;
            plot.events.push((place, day(surge.onset, zone, lang)));
            out.push(ArticleBlock::Plot(plot));
        }
    }
    out.push(text(lang.pick(
        format!(
            "Test: negative-binomial CUSUM of distinct sources an hour over the median of that hour of the week in the eight weeks before; threshold h = {}, step ×{}. In simulation it raises {:.1} false alarms in a year of one port and finds such a step after {:.0} hours on average.",
            test.threshold, test.step, test.false_alarms_per_port_year, test.delay_hours
        ),
        format!(
            "検査方法：1時間ごとの送信元数を、直近8週間の同じ曜日・時刻の中央値と比較する負の二項分布のCUSUM（しきい値h={}、検出対象は{}倍の増加）。シミュレーションでは誤検出は1ポートあたり年{:.1}回、検出の遅れは平均{:.0}時間です。",
            test.threshold, test.step, test.false_alarms_per_port_year, test.delay_hours
        ),
    )));
}

fn surge_words(surge: &Surge, services: &Services, zone: &TimeZone, lang: Lang) -> String {
    let name = match services.name(surge.target) {
        "" => port(surge.target),
        service => format!("{} ({service})", port(surge.target)),
    };
    let onset = day(surge.onset, zone, lang);
    let (usual, during) = (decimal(surge.usual), decimal(surge.during));
    let mut words = lang.pick(
        format!("Packets to {name} rose from {onset}: in the first week {during} sources an hour, where {usual} were usual (certain at {}).", hour(surge.detected, zone)),
        format!("{name}宛のパケットが{onset}頃から増加しました。増加後1週間の送信元数は1時間あたり{during}件で、通常は{usual}件です（判定時刻 {}）。", hour(surge.detected, zone)),
    );
    words.push_str(&match surge.until {
        Some(until) => lang.pick(
            format!(" By {} it had ended or become usual.", day(until, zone, lang)),
            format!("{}までに収束したか、平常の水準となりました。", day(until, zone, lang)),
        ),
        None => lang.pick(
            " It went on at the end of the observation.".to_owned(),
            "観測期間の終わりまで続いています。".to_owned(),
        ),
    });
    if let Some(system) = &surge.systems {
        let (of, share) = (family(system.family, lang), share(system.share, lang));
        words.push_str(&lang.pick(
            format!(" Of its sources in that week, {share} looked like: {of}."),
            format!("この週の送信元のうち、{of}の特徴を示したものは{share}でした。"),
        ));
    }
    words
}

fn systems(report: &QuarterReport, lang: Lang, out: &mut Vec<ArticleBlock>) {
    out.push(heading(lang.pick("3. What the sources run", "3. 送信元のOS")));
    out.push(text(lang.pick(
        "Told by the shape of SYN packets alone. Server 2003 and XP cannot be told apart by it; shapes can be forged and are changed by some routers.",
        "SYNパケットの特徴だけから推定した割合です。Server 2003とXPはこの方法では区別できません。特徴は偽装が可能で、経路上の機器により変わることもあります。",
    )));
    let mut rows = Vec::new();
    for row in report.ports.iter().take(TOP) {
        for system in row.systems.iter().take(3) {
            rows.push(vec![
                port(row.target),
                family(system.family, lang).to_owned(),
                share(system.share, lang),
            ]);
        }
    }
    let head =
        lang.pick(["Port", "Family", "Share of sources"], ["宛先ポート", "OSの系統", "送信元に占める割合"]);
    if !rows.is_empty() {
        out.push(table(&[1.0, 3.0, 3.2], &head, &[false; 3], rows));
    }
    let confirmed: Vec<Vec<String>> = report
        .ports
        .iter()
        .flat_map(|row| {
            row.confirmed.iter().map(|it| vec![port(row.target), version(it.version), share(it.share, lang)])
        })
        .collect();
    if confirmed.is_empty() {
        out.push(text(lang.pick(
            "No source told the responder its version.",
            "応答システムに版を名乗った送信元はありません。",
        )));
        return;
    }
    out.push(text(lang.pick(
        "What sources that spoke with the responder said of themselves. A client's word: it can be forged, and those that spoke are not all.",
        "応答システムと通信した送信元が自ら名乗った版です。クライアントの申告であるため偽装が可能で、通信した送信元は全体の一部です。",
    )));
    let head = lang.pick(
        ["Port", "Said to be", "Share of those that spoke"],
        ["宛先ポート", "申告された版", "通信した送信元に占める割合"],
    );
    out.push(table(&[1.0, 3.0, 3.2], &head, &[false; 3], confirmed));
}

fn others(report: &QuarterReport, lang: Lang, out: &mut Vec<ArticleBlock>) {
    out.push(heading(lang.pick("4. Backscatter and other packets", "4. 跳ね返りパケットなど")));
    let (packets, victims) = (count(report.backscatter_packets), count(report.backscatter_sources));
    let (icmp, other) = (count(report.icmp_packets), count(report.other_packets));
    out.push(text(lang.pick(
        format!("{packets} packets answered what nobody here had asked: {victims} hosts elsewhere were attacked with forged sources. They are not in the ranks above, nor are {icmp} echo requests and {other} packets that neither ask nor answer."),
        format!("こちらからの通信がないのに届いた応答（跳ね返り）は{packets}個で、送信元を詐称した攻撃を受けたとみられるホストは{victims}件です。このほかICMPエコー要求{icmp}個、いずれにも当たらないパケット{other}個は、上記の順位に含めていません。"),
    )));
    let rows: Vec<Vec<String>> = report
        .backscatter
        .iter()
        .map(|row| vec![port(row.target), count(row.packets), count(row.sources)])
        .collect();
    let head =
        lang.pick(["Attacked port", "Packets", "Hosts"], ["攻撃されたポート", "パケット数", "ホスト数"]);
    if !rows.is_empty() {
        out.push(table(&[2.0, 1.0, 1.0], &head, &[false, true, true], rows));
    }
}

fn trend(report: &QuarterReport, lang: Lang, out: &mut Vec<ArticleBlock>) {
    let row = |row: &PortRow| {
        let it = row.trend?;
        let figures = [
            decimal(it.figure),
            count(it.sources),
            decimal(it.sources_mean),
            count(it.targets),
            decimal(it.targets_mean),
        ];
        Some([port(row.target), it.day.to_string()].into_iter().chain(figures).collect())
    };
    let rows: Vec<Vec<String>> = report.ports.iter().take(TOP).filter_map(row).collect();
    if rows.is_empty() {
        return;
    }
    out.push(heading(lang.pick("5. Trend figure", "5. トレンド指標")));
    out.push(text(lang.pick(
        "The largest value of √((S−s)²/s+(T−t)²/t) in the quarter (as DShield computes it): sources S and targets T of a day against the means s and t of the 30 days before.",
        "√((S−s)²/s+(T−t)²/t) の四半期中の最大値です（DShieldの指標）。Sは1日の送信元数、Tは宛先数、sとtは直前30日間の平均です。",
    )));
    let head = lang.pick(
        ["Port", "Day", "Figure", "S", "s", "T", "t"],
        ["宛先ポート", "日", "指標", "S", "s", "T", "t"],
    );
    out.push(table(
        &[1.2, 1.4, 1.0, 1.0, 1.0, 1.0, 1.0],
        &head,
        &[false, false, true, true, true, true, true],
        rows,
    ));
}

fn coverage(report: &QuarterReport, zone: &TimeZone, lang: Lang, out: &mut Vec<ArticleBlock>) {
    out.push(heading(lang.pick("6. Sensors and coverage", "6. センサーと観測時間")));
    let row = |it: &SensorCoverage| {
        let share = it.hours_observed as f64 / it.hours.max(1) as f64 * 100.0;
        let observed = format!("{} / {} ({share:.1}%)", count(it.hours_observed), count(it.hours));
        let mut gaps: Vec<String> = it
            .gaps
            .iter()
            .take(GAPS_SHOWN)
            .map(|(from, until)| format!("{} – {}", hour(*from, zone), hour(*until, zone)))
            .collect();
        let more = it.gap_count.saturating_sub(gaps.len() as u64);
        if more > 0 {
            gaps.push(lang.pick(format!("and {more} more"), format!("ほか{more}件")));
        }
        vec![it.sensor.clone(), observed, count(it.packets), count(it.lost), gaps.join("\n")]
    };
    let rows: Vec<Vec<String>> = report.sensors.iter().map(row).collect();
    if rows.is_empty() {
        out.push(text(lang.pick("No sensor has left anything.", "センサーの記録がありません。")));
        return;
    }
    let head = lang.pick(
        ["Sensor", "Hours observed", "Packets", "Lost", "Gaps"],
        ["センサー", "観測時間", "パケット数", "欠落", "観測の途切れ"],
    );
    out.push(table(&[1.2, 1.8, 1.0, 0.8, 3.0], &head, &[false, true, true, true, false], rows));
    let folded: u64 = report.sensors.iter().map(|it| it.folded).sum();
    if folded > 0 {
        let folded = count(folded);
        out.push(text(lang.pick(
            format!("{folded} packets to rarely used ports came in hours with too many ports to count each; they are in no rank."),
            format!("ポートの種類が多すぎた時間帯のまれなポート宛のパケット{folded}個は、個別に数えておらず順位に含めていません。"),
        )));
    }
}

fn method(report: &QuarterReport, lang: Lang, out: &mut Vec<ArticleBlock>) {
    out.push(heading(lang.pick("7. What the figures are worth", "7. 数値の精度")));
    let (exact, error) = (report.exact_below, report.relative_error * 100.0);
    out.push(text(lang.pick(
        format!("Different addresses are counted exactly up to {exact} and estimated beyond (HyperLogLog, standard error {error:.2}%). Intervals are Wilson's at 95%, wider by that error where counts are estimates. An address is not a host: several may share one, and one may change its own."),
        format!("異なるアドレスの数は{exact}件までは正確な値、それを超えると推定値です（HyperLogLog、標準誤差{error:.2}％）。信頼区間はWilsonの方法による95％区間で、推定値についてはこの誤差を加えています。1つのアドレスを複数の機器が使うことも、1台の機器のアドレスが変わることもあります。"),
    )));
}
