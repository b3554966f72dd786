//! The notice that hangs on a wall: one page of A4 that needs nothing but itself.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use schema::{Lang, MailVerdict};

use super::{Both, Counts, Department, Lure, Training, Week};

const STYLE: &str = include_str!("notice.css");
/// From so many lures on, each has fewer reasons and smaller letters, so that one page holds them.
const FULL: usize = 4;
/// As many rows fit beside the lures; the others stand in one row.
const ROWS_MAX: usize = 7;
/// Length of the longest bar.
const BAR: u32 = 1_000;

impl Both {
    pub(crate) fn pick(&self, lang: Lang) -> &str {
        lang.pick(&self.en, &self.ja)
    }
}

/// The whole page.
pub(crate) fn page(week: &Week, training: &Training, lang: Lang) -> String {
    let title = title(week, lang);
    let is_full = week.lures.len() >= FULL;
    let reasons = if is_full { 2 } else { 3 };
    let page = html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " " (week.from) }
                style { (PreEscaped(STYLE)) }
            }
            body.full[is_full] {
                header {
                    h1 { (title) }
                    p { (training.hospital) br; (days(week, lang)) }
                }
                p.sum { (sum(week, lang)) }
                h2 { (lang.pick("What they look like", "こんなメールです")) }
                @if week.lures.is_empty() { p { (lang.pick("None in these days.", "この期間にはありませんでした。")) } }
                ol.lures { @for lure in &week.lures { (shown(lure, reasons, lang)) } }
                @if week.other_lures > 0 { p.small { (others(week.other_lures, lang)) } }
                (what_to_do(&training.contact, lang))
                (departments(week, lang))
                p.small {
                    (lang.pick(
                        "Links are written so that they do not work, and names and addresses of recipients are left out. Counted are mails that \
                         the gateway held back, and apart from them those that were delivered with a mark; those that were refused are not counted.",
                        "リンクは開けない形に直し、宛先の氏名やアドレスは載せていません。件数は隔離したメールの数で、印を付けて届けたメールは\
                         別に数えます（受け取りを拒否したメールは含みません）。",
                    ))
                }
            }
        }
    };
    page.into_string()
}

fn title(week: &Week, lang: Lang) -> &'static str {
    match week.week {
        Some(_) => lang.pick("Suspicious mails of this week", "今週届いた不審メール"),
        None => lang.pick("Suspicious mails of these days", "最近届いた不審メール"),
    }
}

/// The days that it tells of.
pub(crate) fn days(week: &Week, lang: Lang) -> String {
    let unfinished = if week.unfinished { lang.pick(" (so far)", "（途中経過）") } else { "" };
    lang.pick(
        format!("{} to {}{unfinished}", week.from, week.to),
        format!("{}〜{}{unfinished}", japanese(&week.from), japanese(&week.to)),
    )
}

fn japanese(day: &str) -> String {
    let mut parts = day.split('-').map(|part| part.trim_start_matches('0'));
    match (parts.next(), parts.next(), parts.next()) {
        (Some(year), Some(month), Some(day)) => format!("{year}年{month}月{day}日"),
        _ => day.to_owned(),
    }
}

/// What happened, in a few sentences.
pub(crate) fn sum(week: &Week, lang: Lang) -> String {
    let Counts { malicious, unreadable, released, tagged, .. } = week.mails;
    let bad = week.mails.held().saturating_sub(unreadable);
    let files = match malicious {
        0 => String::new(),
        n => lang.pick(format!(" ({n} with a dangerous file)"), format!("（うち危険なファイル付き{n}件）")),
    };
    let mut text = match bad {
        0 => lang.pick("No dangerous mail came.", "危険なメールは届きませんでした。").to_owned(),
        n => lang.pick(
            format!("{n} dangerous or suspicious mails were stopped before they reached anybody{files}."),
            format!("危険・不審なメール{n}件を、届く前に止めました{files}。"),
        ),
    };
    if unreadable > 0 {
        text += &lang.pick(
            format!(" {unreadable} could not be examined and are held back too."),
            format!("検査できなかったメール{unreadable}件も隔離しています。"),
        );
    }
    if released > 0 {
        text += &lang.pick(
            format!(" {released} more were false alarms and have been delivered."),
            format!("このほか{released}件は誤判定だったため、配送しました。"),
        );
    }
    if tagged > 0 {
        text += &lang.pick(
            format!(" {tagged} were delivered with a warning mark."),
            format!("注意の印を付けて届けたメールは{tagged}件です。"),
        );
    }
    text
}

fn others(count: usize, lang: Lang) -> String {
    lang.pick(format!("There were {count} other sorts."), format!("このほかに{count}種類ありました。"))
}

fn shown(lure: &Lure, reasons: usize, lang: Lang) -> Markup {
    let mails = lang.pick(format!("{} mails", lure.seen), format!("{}件", lure.seen));
    html! {
        li {
            div.head {
                p.subject {
                    @if lure.subject.is_empty() { (lang.pick("(no subject)", "（件名なし）")) }
                    @else { (lang.pick("\u{201c}", "「")) (lure.subject) (lang.pick("\u{201d}", "」")) }
                }
                p.count {
                    @if let Some(whose) = &lure.posing_as { (lang.pick("poses as ", "かたった名前：")) (whose.pick(lang)) " / " }
                    @if lure.verdict == MailVerdict::Malicious { (lang.pick("dangerous file", "危険なファイル付き")) " / " }
                    (mails)
                }
            }
            p.facts { (lang.pick("from ", "差出人：")) code { (lure.from) }
            }
            @if !lure.links.is_empty() {
                p.facts { (lang.pick("leads to ", "リンク先：")) @for link in &lure.links { code { (link) } " " } }
            }
            ul.why { @for why in lure.why.iter().take(reasons) { li { (why.pick(lang)) } } }
        }
    }
}

fn what_to_do(contact: &str, lang: Lang) -> Markup {
    html! {
        section.do {
            ol {
                li { strong { (lang.pick("Do not open it", "開かない")) }
                    (lang.pick(": no link, no file, no password, no answer.", "：リンクも添付ファイルも開かず、パスワードを入力せず、返信もしない。")) }
                li { strong { (lang.pick("Call the IT staff", "情報システム担当へ連絡")) }
                    (lang.pick(", also when you are not sure.", "：迷ったときも、まず電話で。")) }
                li { strong { (lang.pick("If you opened it, say so at once", "開いてしまったら、すぐに連絡")) }
                    (lang.pick(". Pull the network cable, and leave the machine on. Nobody is blamed.", "：LANケーブルを抜き、電源は切らずに待つ。とがめられることはありません。")) }
            }
            div {
                strong { (lang.pick("IT staff", "情報システム担当")) }
                @if !contact.is_empty() { p.blank { (lang.pick("Contact: ", "連絡先：")) (contact) } }
                p.blank { (lang.pick("Telephone: ", "電話（内線）：")) }
                p.blank { (lang.pick("Name: ", "担当者：")) }
            }
        }
    }
}

fn departments(week: &Week, lang: Lang) -> Markup {
    let rows = rows(&week.departments);
    let any_tagged = rows.iter().any(|row| row.counts.tagged > 0);
    let most = rows.iter().map(|row| row.counts.held()).max().unwrap_or_default().max(1);
    let held = |place: usize, counts: Counts| parts(counts).get(place).copied().unwrap_or_default();
    html! {
        @if !rows.is_empty() {
            h2 { (lang.pick("By department", "部署ごとの件数")) }
            table {
                thead { tr {
                    th scope="col" { (lang.pick("Department", "部署")) }
                    @for (at, sort) in SORTS.iter().enumerate() {
                        th.n scope="col" { i class={ "k b" (at + 1) } {} (lang.pick(sort.0, sort.1)) }
                    }
                    th.n scope="col" { (lang.pick("all", "計")) }
                    @if any_tagged { th.n scope="col" { (lang.pick("with a mark", "印付き")) } }
                    th scope="col" {}
                } }
                tbody { @for row in &rows {
                    tr {
                        th scope="row" { (name(row, lang)) }
                        @for at in 0..SORTS.len() { td.n { (held(at, row.counts)) } }
                        td.n { strong { (row.counts.held()) } }
                        @if any_tagged { td.n { (row.counts.tagged) } }
                        td.bar { (bar(row.counts, most)) }
                    }
                } }
            }
        }
    }
}

const SORTS: [(&str, &str); 4] = [
    ("dangerous file", "危険なファイル"),
    ("phishing", "フィッシング"),
    ("suspicious", "要注意"),
    ("unreadable", "検査不能"),
];

fn parts(counts: Counts) -> [u32; 4] {
    [counts.malicious, counts.phishing, counts.suspicious, counts.unreadable]
}

/// What a department is called.
pub(crate) fn name(department: &Department, lang: Lang) -> &str {
    department.name.as_deref().unwrap_or(lang.pick("others", "その他"))
}

/// The first ones, and the rest of them as one row.
fn rows(all: &[Department]) -> Vec<Department> {
    if all.len() <= ROWS_MAX {
        return all.to_vec();
    }
    let (shown, rest) = all.split_at(ROWS_MAX - 1);
    let counts = rest.iter().fold(Counts::default(), |sum, it| sum.plus(it.counts));
    shown.iter().cloned().chain([Department { name: None, counts }]).collect()
}

fn bar(counts: Counts, most: u32) -> Markup {
    let scaled = |count: u32| u64::from(count) * u64::from(BAR) / u64::from(most);
    let mut begin = 0;
    let pieces = parts(counts).map(|count| {
        let piece = (begin, scaled(count));
        begin += piece.1;
        piece
    });
    html! {
        svg viewBox={ "0 0 " (BAR) " 10" } preserveAspectRatio="none" aria-hidden="true" {
            @for (at, (x, width)) in pieces.iter().enumerate() {
                @if *width > 0 { rect class={ "b" (at + 1) } x=(x) y="0" width=(width) height="10" {} }
            }
        }
    }
}
