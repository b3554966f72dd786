//! Whose page it is: the frame at the top of every page of a patient.

use schema::Lang;

use super::sheet::{Block, Op, Shade};
use super::text::{Ink, Line, Setter, Span, Style};
use super::words::{Words, own};
use super::{BODY, SMALL};
use crate::charts::words::{day, not_recorded, unread_count};
use crate::charts::{Agent, Alert, AlertKind, Chart, Outcome};

const NAME: Style = Style { size: 17.0, bold: true, ..BODY };
const STRONG: Style = Style { bold: true, ..BODY };
const ALERT: Style = Style { size: 10.0, bold: true, ink: Ink::Red, ..BODY };
/// Lines of alerts in the frame; the others stand in a list of their own on the first page.
const ALERT_LINES_MAX: usize = 3;
/// Lines of each other part of the frame.
const LINES_MAX: usize = 5;
/// Tests for infections that are named.
const INFECTIONS_MAX: usize = 12;

/// The frame, and how many of the chart's alerts are not in it.
pub(super) fn banner<'c>(
    setter: &mut Setter,
    words: &mut Words<'c>,
    chart: &'c Chart,
    width: f32,
    lang: Lang,
) -> (Block, usize) {
    let inner = width - 14.0;
    let id = setter.cut(
        &[own(format!("ID {}", words.bounded(&chart.patient.0, 40, lang)), Style { size: 13.0, ..NAME })],
        inner * 0.45,
    );
    let name = setter.cut(&name(words, chart, lang), inner - id.width() - 8.0);
    let mut ops = vec![Op::Text { x: 7.0 + inner - id.width(), y: 20.0, line: id }];
    ops.push(Op::Text { x: 7.0, y: 21.0, line: name });
    let mut y = 26.0;
    for spans in [person(words, chart, lang), place(words, chart, lang), infections(words, chart, lang)] {
        let mut set = setter.lines(&spans, inner);
        if set.len() > LINES_MAX {
            set.truncate(LINES_MAX - 1);
            set.push(setter.cut(&[own(lang.pick("… (goes on)", "…（続きは省略）"), STRONG)], inner));
        }
        lines(set, BODY.size, &mut y, &mut ops);
    }
    let (alerts, rest) = alerts(setter, chart, inner, lang);
    if !alerts.is_empty() {
        y += 2.0;
        let height = ALERT.size * 1.32 * alerts.len() as f32 + 3.0;
        ops.push(Op::Fill { x: 1.0, y, width: width - 2.0, height, shade: Shade::Pale });
        y += 1.0;
        lines(alerts, ALERT.size, &mut y, &mut ops);
        y += 1.0;
    }
    y += 2.0;
    let thickness = if chart.alerts.is_empty() && chart.unread.is_empty() { 1.0 } else { 2.0 };
    ops.push(Op::Frame { x: 0.0, y: 0.0, width, height: y, thickness, ink: Ink::Black });
    (Block { ops, height: y + 4.0 }, rest)
}

/// Who a page's foot names.
pub(super) fn foot_lead(chart: &Chart) -> String {
    let name: String = chart.banner.name.as_deref().unwrap_or("–").chars().take(40).collect();
    let id: String = chart.patient.0.chars().take(40).collect();
    format!("{name} · ID {id}")
}

fn lines(set: Vec<Line>, size: f32, y: &mut f32, ops: &mut Vec<Op>) {
    for line in set {
        ops.push(Op::Text { x: 7.0, y: *y + size * 1.02, line });
        *y += size * 1.32;
    }
}

fn name<'c>(words: &mut Words<'c>, chart: &'c Chart, lang: Lang) -> Vec<Span> {
    let banner = &chart.banner;
    let name = banner.name.as_deref().unwrap_or_else(|| not_recorded(lang));
    let mut spans = vec![own(words.bounded(name, 60, lang), NAME)];
    spans.extend(banner.from.as_ref().map(|from| words.mark(from)));
    if let Some(kana) = &banner.kana {
        spans.push(own(format!("  {}", words.bounded(kana, 80, lang)), Style { size: 10.5, ..BODY }));
    }
    spans
}

fn person(words: &mut Words<'_>, chart: &Chart, lang: Lang) -> Vec<Span> {
    let banner = &chart.banner;
    let absent = not_recorded(lang);
    let born = banner.birth_date.map_or_else(|| absent.to_owned(), |date| day(Some(date)));
    let age =
        banner.age.map_or_else(String::new, |age| lang.pick(format!("{age} years"), format!("{age}歳")));
    let sex = banner.sex.map_or(absent, |sex| sex.word(lang));
    let mut spans = vec![
        label(lang.pick("born ", "生年月日 ")),
        own(format!("{born}  "), Style { size: 11.0, ..STRONG }),
        own(format!("{age}  "), Style { size: 11.0, ..STRONG }),
        label(lang.pick("sex ", "性別 ")),
        own(format!("{sex}  "), Style { size: 11.0, ..STRONG }),
    ];
    for (title, value) in [
        (lang.pick("height ", "身長 "), &banner.height),
        (lang.pick("weight ", "体重 "), &banner.weight),
        (lang.pick("phone ", "電話 "), &banner.phone),
        (lang.pick("address ", "住所 "), &banner.address),
    ] {
        if let Some(value) = value {
            spans.extend([label(title), own(format!("{}  ", words.bounded(value, 80, lang)), BODY)]);
        }
    }
    spans
}

fn place<'c>(words: &mut Words<'c>, chart: &'c Chart, lang: Lang) -> Vec<Span> {
    let banner = &chart.banner;
    let mut spans = vec![label(lang.pick("ward ", "病棟 "))];
    match &banner.ward {
        Some(ward) => {
            spans.push(own(words.bounded(&ward.value.place(), 40, lang), STRONG));
            spans.push(words.mark(&ward.from));
        }
        None => spans.push(own(lang.pick("no admission recorded", "入院の記録なし"), BODY)),
    }
    spans.push(label(lang.pick("   blood type ", "   血液型 ")));
    let blood: Vec<_> = [&banner.blood_abo, &banner.blood_rh].into_iter().flatten().collect();
    if blood.is_empty() {
        spans.push(own(not_recorded(lang), BODY));
    }
    for answer in blood {
        spans.push(own(format!(" {}", words.bounded(&answer.value.value, 20, lang)), STRONG));
        spans.push(words.mark(&answer.from));
    }
    spans
}

/// Each agent that staff ask about is named, recorded or not.
pub(super) fn infections<'c>(words: &mut Words<'c>, chart: &'c Chart, lang: Lang) -> Vec<Span> {
    let found = &chart.banner.infections;
    let mut spans = vec![label(lang.pick("infections ", "感染症 "))];
    for item in found.iter().take(INFECTIONS_MAX) {
        let infection = &item.value;
        let shown = match infection.outcome.sign() {
            "" => words.bounded(&infection.value, 30, lang),
            sign => sign.to_owned(),
        };
        let is_alarming = infection.outcome == Outcome::Positive && infection.agent != Agent::HbsAntibody;
        let style = if is_alarming { Style { ink: Ink::Red, ..STRONG } } else { BODY };
        spans.push(own(format!(" {} {shown}", infection.agent.word(lang)), style));
        spans.push(words.mark(&item.from));
    }
    let left = found.len().saturating_sub(INFECTIONS_MAX);
    if left > 0 {
        words.left_out.rows += left as u64;
        spans.push(own(lang.pick(format!(" and {left} more"), format!(" ほか{left}件")), STRONG));
    }
    let is_missing = |agent: &Agent| !found.iter().any(|item| item.value.agent == *agent);
    let missing: Vec<_> =
        Agent::ALWAYS.into_iter().filter(is_missing).map(|agent| agent.word(lang)).collect();
    if !missing.is_empty() {
        spans.push(own(format!(" {}: {}", missing.join("・"), not_recorded(lang)), BODY));
    }
    spans
}

/// As many alerts as the frame holds, and how many it does not.
fn alerts(setter: &mut Setter, chart: &Chart, width: f32, lang: Lang) -> (Vec<Line>, usize) {
    let all = alert_lines(chart, lang);
    let mut shown = Vec::new();
    for count in 1..=all.len() {
        let rest = all.len() - count;
        let mut text = format!("▲ {}", all[..count].join("  ▲ "));
        if rest > 0 {
            text +=
                &lang.pick(format!("  and {rest} more: see page 1"), format!("  ほか{rest}件は1ページ目"));
        }
        let lines = setter.lines(&[own(text, ALERT)], width);
        if lines.len() > ALERT_LINES_MAX {
            if count == 1 {
                shown = lines;
                shown.truncate(ALERT_LINES_MAX);
            }
            return (shown, rest + 1);
        }
        shown = lines;
    }
    (shown, 0)
}

/// What must be known before anything is done; records that could not be read are counted together, and listed elsewhere.
pub(super) fn alert_lines(chart: &Chart, lang: Lang) -> Vec<String> {
    let unread = (!chart.unread.is_empty()).then(|| unread_count(chart.unread.len(), lang));
    let others = chart.alerts.iter().filter(|alert| alert.kind != AlertKind::Unread);
    unread.into_iter().chain(others.map(|alert| alert_words(alert, lang))).collect()
}

fn alert_words(alert: &Alert, lang: Lang) -> String {
    let what: String = alert.what.chars().take(80).collect();
    let dots = if alert.what.chars().nth(80).is_some() { "…" } else { "" };
    format!("{}: {what}{dots}", alert.kind.word(lang))
}

fn label(text: &str) -> Span {
    own(text, Style { size: 8.5, ..SMALL })
}
