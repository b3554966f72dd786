use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::telescope::LetterEvidence;
use schema::{Lang, Micros};

use super::Letter;
use crate::lang::count;
use crate::observation::Services;
use crate::observation::words::{port, version};

pub(super) fn text(letter: &Letter, services: &Services, zone: &TimeZone, lang: Lang) -> String {
    let network = &letter.network;
    let mail = if network.email.is_empty() {
        lang.pick("(address not known)", "（連絡先不明）")
    } else {
        &network.email
    };
    let (name, subject) = (&network.name, subject(letter, lang));
    let head = lang.pick(
        format!("To: {name} <{mail}>\nSubject: {subject}"),
        format!("宛先：{name} <{mail}>\n件名：{subject}"),
    );
    format!("{head}\n\n{}", body(letter, services, zone, lang))
}

pub(super) fn subject(letter: &Letter, lang: Lang) -> String {
    let (id, prefix) = (&letter.id, &letter.network.prefix);
    lang.pick(
        format!("[{id}] Scanning packets from your network {prefix}"),
        format!("【{id}】貴ネットワーク（{prefix}）からの不審な通信について"),
    )
}

pub(super) fn body(letter: &Letter, services: &Services, zone: &TimeZone, lang: Lang) -> String {
    let (id, sender) = (&letter.id, &letter.sender);
    let addresses = letter.evidence.len() as u64 + letter.more;
    let (from, to) = (minute(letter.from, zone), minute(letter.to, zone));
    let (name, prefix) = (&letter.network.name, &letter.network.prefix);
    let mut out = match lang {
        Lang::En => format!(
            "To those responsible for {prefix},\n\n\
             Sensors of ours, at addresses that nobody uses, received packets from {} of your addresses between {from} and {to}. \
             Nobody has a reason to send packets there, so the hosts behind those addresses may be infected or misused. \
             Please look into them, and tell us what you find: the answer helps others too.\n\n\
             Senders of such packets can be forged; addresses with a few packets alone are left out for that reason. \
             All times are in the zone that stands with them.\n\n",
            count(addresses)
        ),
        Lang::Ja => format!(
            "{name} ご担当者様\n\n\
             {from}から{to}までの間に、当方が観測用に設置している未使用のアドレスに対し、貴ネットワークの{}件のアドレスからパケットが届きました。\
             正当な理由で届くことのない通信であり、当該機器がマルウェアに感染しているか、第三者に悪用されている可能性があります。\n\
             お手数をおかけしますが、ご確認のうえ、結果をお知らせいただけますと幸いです。\n\n\
             なお、送信元アドレスは詐称されている場合があるため、パケット数の少ないアドレスは除いております。時刻には時間帯を併記しています。\n\n",
            count(addresses)
        ),
    };
    for it in &letter.evidence {
        evidence(it, services, zone, lang, &mut out);
    }
    if letter.more > 0 {
        let more = count(letter.more);
        let _ = writeln!(out, "{}", lang.pick(format!("and {more} more addresses"), format!("ほか{more}件")));
    }
    let _ = write!(
        out,
        "\n{}\n{sender}\n",
        lang.pick(
            format!("Please answer with the number {id} in the subject.\n\nWith kind regards"),
            format!("ご返信の際は、件名に {id} をお残しください。どうぞよろしくお願いいたします。\n"),
        )
    );
    out
}

fn evidence(it: &LetterEvidence, services: &Services, zone: &TimeZone, lang: Lang, out: &mut String) {
    let targets: Vec<String> = it
        .targets
        .iter()
        .map(|(target, packets)| {
            let name = services.name(*target);
            let name = if name.is_empty() { String::new() } else { format!(" {name}") };
            lang.pick(
                format!("{}{name}: {packets} packets", port(*target)),
                format!("{}{name}：{packets}個", port(*target)),
            )
        })
        .collect();
    let (first, last) = (second(it.first, zone), second(it.last, zone));
    let _ = writeln!(out, "{}\n  {first} – {last}\n  {}", it.source, targets.join(lang.pick("; ", "、")));
    if !it.said.is_empty() {
        let said: Vec<String> = it.said.iter().map(|it| version(*it)).collect();
        let said = said.join(", ");
        let _ = writeln!(
            out,
            "  {}",
            lang.pick(
                format!("calls itself {said} (a claim)"),
                format!("申告されたOS：{said}（自己申告であり未確認）")
            )
        );
    }
}

fn minute(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %:z").to_string()
}

fn second(at: Micros, zone: &TimeZone) -> String {
    let at = Timestamp::from_microsecond(at).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
