//! What the staff may learn from a week's quarantine, on a page for those who keep the mail, and as a notice to print.

use maud::{Markup, html};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::wiring::mail::release;
use crate::wiring::mail::training::span::Span;
use crate::wiring::mail::training::{self, Counts, Lure, Week, notice};

const TITLE: Both = ("Mails to learn from", "不審メールのお知らせ");
const NEEDS: Needs = Needs::May(Permission::Mail);

pub(super) const ROUTES: &[Route] = &[
    Route::page("/mail/training", TITLE, NEEDS, show),
    Route::page("/mail/training/notice", ("Notice to print", "印刷用のお知らせ"), NEEDS, print).audited(),
];

/// The week that is asked for: `?week=2026-W47`, else this one.
fn asked(visit: &Visit<'_>) -> Result<(Span, Week), Trouble> {
    let training = &visit.console.settings.training;
    let span = match visit.query.get("week") {
        "" => Span::this_week(visit.now, &training.zone)?,
        week => {
            Span::week(week).map_err(|_| Trouble::Bad("There is no such week.", "その週はありません。"))?
        }
    };
    let store = release::open(&release::folder(&visit.console.settings.state_dir))?;
    let week = training::week(store.as_ref(), &span, training, visit.now)?;
    Ok((span, week))
}

/// A page that needs nothing but its own style.
fn print(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (_, week) = asked(visit)?;
    let page = notice::page(&week, &visit.console.settings.training, visit.lang);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";
    Ok(Reply::text("text/html; charset=utf-8", page.into_bytes()).with("content-security-policy", policy))
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (span, week) = asked(visit)?;
    let lang = visit.lang;
    let name = span.name().unwrap_or_default();
    let beside = |days, word: &'static str| {
        let week = span.shifted(days).ok().and_then(|span| span.name());
        html! { @if let Some(week) = week { a href={ "/mail/training?week=" (week) } { (word) } " " } }
    };
    let next = html! {
        a href={ "/mail/training/notice?week=" (name) } target="_blank" rel="noopener" {
            (lang.pick("Open the notice and print it (one page of A4)", "お知らせを開いて印刷する（A4 1枚）"))
        }
    };
    Ok(visit.show(html! {
        (layout::opening(visit.pick(TITLE), &notice::sum(&week, lang), Some(next), lang))
        p { (name) ": " (notice::days(&week, lang)) }
        p { (beside(-7, lang.pick("the week before", "前の週"))) (beside(7, lang.pick("the week after", "次の週"))) }
        (departments(visit, &week))
        (lures(visit, &week))
    }))
}

fn departments(visit: &Visit<'_>, week: &Week) -> Markup {
    let lang = visit.lang;
    let title = visit.pick(("Mails that were held back, by department", "部署ごとの隔離件数"));
    let heads = [
        visit.pick(("Department", "部署")),
        visit.pick(("Dangerous file", "危険なファイル")),
        visit.pick(("Phishing", "フィッシング")),
        visit.pick(("Suspicious", "要注意")),
        visit.pick(("Unreadable", "検査不能")),
        visit.pick(("False alarms", "誤判定（解放済み）")),
        visit.pick(("Delivered with a mark", "印を付けて配送")),
    ];
    let numbers = |counts: Counts| {
        let Counts { malicious, phishing, suspicious, unreadable, released, tagged } = counts;
        html! {
            @for count in [malicious, phishing, suspicious, unreadable, released, tagged] { td.number { (words::count(count.into())) } }
        }
    };
    let mut rows: Vec<Markup> = week
        .departments
        .iter()
        .map(|it| html! { th scope="row" { (notice::name(it, lang)) } (numbers(it.counts)) })
        .collect();
    rows.push(html! { th scope="row" { (lang.pick("All mails, each once", "全体（1通を1件と数えます）")) } (numbers(week.mails)) });
    html! {
        (parts::table(title, &heads, &rows))
        p.soft {
            (lang.pick("Departments are named in the configuration, under ", "部署は設定の "))
            code { "[mail.departments]" }
            (lang.pick(". A mail to several people counts for each of them.", " に書きます。複数の宛先があるメールは、宛先ごとに数えます。"))
        }
    }
}

fn lures(visit: &Visit<'_>, week: &Week) -> Markup {
    let lang = visit.lang;
    let title = visit.pick(("The most frequent lures", "多かった手口"));
    let heads = [
        visit.pick(("Subject", "件名")),
        visit.pick(("Mails", "件数")),
        visit.pick(("Poses as", "かたった名前")),
        visit.pick(("From", "差出人")),
        visit.pick(("Leads to", "リンク先")),
        visit.pick(("Why", "理由")),
    ];
    let row = |lure: &Lure| {
        html! {
            th scope="row" { (lure.subject) }
            td.number { (words::count(lure.seen.into())) }
            td { @if let Some(whose) = &lure.posing_as { (whose.pick(lang)) } }
            td { code { (lure.from) } }
            td { @for link in &lure.links { p { code { (link) } } } }
            td { @for why in &lure.why { p { (why.pick(lang)) } } }
        }
    };
    let rows: Vec<Markup> = week.lures.iter().map(row).collect();
    html! { @if !rows.is_empty() { (parts::table(title, &heads, &rows)) } }
}
