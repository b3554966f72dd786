//! Logons: who logs in where, what was learnt and can be taken back, contractors and what is open for them, doors to close.

use jiff::Timestamp;
use judge::logins::story::Link;
use judge::logins::{Forget, Grant, Learnt, Pair};
use maud::{Markup, html};
use schema::Micros;

use crate::access::Permission;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::Both;
use crate::console::{layout, logon_graph};
use crate::wiring::logins::forget;
use crate::wiring::logins::grants::Grants;
use crate::wiring::logins::shown::Shown;

const LOGINS: Both = ("Logons", "ログイン");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/logins", LOGINS, Needs::May(Permission::See), show).in_nav(),
    Route::form(
        "/logins/forget",
        ("Forget what was learnt", "学習の取り消し"),
        Needs::May(Permission::Settings),
        forget,
    ),
    Route::form(
        "/logins/revoke/{id}",
        ("Take an opening back", "許可の取り消し"),
        Needs::May(Permission::Settings),
        revoke,
    ),
];

const PAIRS_SHOWN: usize = 50;
const LINES_SHOWN: usize = 100;

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let state = &visit.console.settings.state_dir;
    let grants = Grants::load(state)?.grants;
    let Some(shown) = Shown::load(state) else {
        let lead = lang.pick(
            "No log of logons is being watched, so that nothing can be said about them.",
            "ログインのログを監視していないため、状況は分かりません。",
        );
        let next = html! { (lang.pick("declare [logs] in the configuration, or judge logs once with ", "設定に [logs] を書くか、一度だけ調べる場合は ")) code { "chartward logons" } (lang.pick(".", " を実行してください。")) };
        return Ok(visit.show(html! {
            (layout::opening(visit.pick(LOGINS), lead, Some(next), lang))
            (contractors(visit, &grants))
        }));
    };
    let open = shown.advice.len();
    let lead = lang.pick(
        format!("{} logons were judged; {open} doors should be looked at.", shown.events),
        format!("{} 件のログインを判定しました。確認が必要な入口は {open} 件です。", shown.events),
    );
    let next = shown.advice.first().map(|advice| {
        html! { strong { (advice.door.host) } ": " (lang.pick(&advice.todo[0], &advice.todo[1])) }
    });
    Ok(visit.show(html! {
        (layout::opening(visit.pick(LOGINS), &lead, next, lang))
        p.soft { (lang.pick("As the watcher of logs saw it: ", "ログの監視による状況：")) (visit.time(shown.at)) }
        (doors(visit, &shown))
        (graph(visit, &shown))
        (timeline(visit, &shown))
        (learning(visit, &shown))
        (contractors(visit, &grants))
    }))
}

fn doors(visit: &Visit<'_>, shown: &Shown) -> Markup {
    let title = visit.pick(("What to close first", "優先して閉じる入口"));
    let heads =
        [visit.pick(("Machine", "機械")), visit.pick(("Why", "理由")), visit.pick(("What to do", "対処"))];
    let row = |advice: &judge::logins::Advice| {
        html! {
            th scope="row" { code { (advice.door.host) } " " (parts::severity(advice.severity, visit.lang)) }
            td { (visit.lang.pick(&advice.why[0], &advice.why[1])) }
            td { (visit.lang.pick(&advice.todo[0], &advice.todo[1])) }
        }
    };
    let rows: Vec<Markup> = shown.advice.iter().take(LINES_SHOWN).map(row).collect();
    let none = visit.pick((
        "No door that is open to the outside was seen in these logs.",
        "これらのログには、外部に開いた入口は見当たりません。",
    ));
    section(
        "doors",
        title,
        if rows.is_empty() {
            html! { p { (none) } }
        } else {
            parts::table(title, &heads, &rows)
        },
    )
}

fn graph(visit: &Visit<'_>, shown: &Shown) -> Markup {
    let title = visit.pick(("Who logs in where", "ログインの関係図"));
    let zone = &visit.console.settings.zone;
    let hint = visit.pick((
        "Sources on the left, accounts in the middle, machines on the right; what most leads through is drawn. The story of an incident: ",
        "左が接続元、中央がアカウント、右が接続先です。多くの経路が通るものを表示しています。侵入経路を調べるには ",
    ));
    section(
        "graph",
        title,
        html! {
            p.soft { (hint) code { "chartward logons story LOG…" } }
            @if shown.picture.nodes.is_empty() { p { (visit.pick(("Nothing yet.", "まだ記録がありません。"))) } }
            @else { div.scroll role="region" aria-label=(title) tabindex="0" { (logon_graph::svg(&shown.picture, zone, visit.lang)) } }
        },
    )
}

/// Of the one that is asked for, else the latest.
fn timeline(visit: &Visit<'_>, shown: &Shown) -> Markup {
    let title = visit.pick(("Timeline", "時系列"));
    let of = visit.query.get("of").to_lowercase();
    let source = |link: &Link| link.source.as_ref().map(ToString::to_string).unwrap_or_default();
    let is_his = |link: &&Link| {
        of.is_empty()
            || link.account.as_deref() == Some(of.as_str())
            || *link.host == *of
            || source(link).to_lowercase() == of
    };
    let heads = [
        visit.pick(("Last", "最後")),
        visit.pick(("First", "最初")),
        visit.pick(("Account", "アカウント")),
        visit.pick(("From", "接続元")),
        visit.pick(("To", "接続先")),
        visit.pick(("Got in", "成功")),
        visit.pick(("Refused", "失敗")),
    ];
    let link_to = |name: &str| html! { @if !name.is_empty() { a href={ "/logins?" (visit.query.with("of", name)) "#timeline" } { (name) } } };
    let row = |link: &Link| {
        html! {
            td { (visit.time(instant(link.last))) }
            td { (visit.time(instant(link.first))) }
            td { (link_to(link.account.as_deref().unwrap_or_default())) }
            td { (link_to(&source(link))) }
            td { (link_to(&link.host)) }
            td.number { (link.succeeded) }
            td.number { (link.failed) }
        }
    };
    let rows: Vec<Markup> = shown.links.iter().filter(is_his).take(LINES_SHOWN).map(row).collect();
    section(
        "timeline",
        title,
        html! {
            form method="get" action="/logins#timeline" {
                label for="of" { (visit.pick(("Of this account, source or machine", "アカウント・接続元・機械を指定"))) }
                input #of name="of" type="search" maxlength="200" autocapitalize="none" spellcheck="false" value=(of);
                button type="submit" { (visit.pick(("Show", "表示"))) }
            }
            (parts::table(title, &heads, &rows))
        },
    )
}

fn learning(visit: &Visit<'_>, shown: &Shown) -> Markup {
    let title = visit.pick(("What was learnt", "学習した組み合わせ"));
    let learning = &shown.learning;
    let until = learning.until.map(instant);
    let is_over = until.is_some_and(|until| until <= visit.now);
    let heads = [
        visit.pick(("Pair", "組")),
        visit.pick(("", "")),
        visit.pick(("First", "最初")),
        visit.pick(("Times", "回数")),
        visit.pick(("Forget", "取り消し")),
    ];
    let may = visit.may(Permission::Settings);
    let rows: Vec<Markup> =
        shown.learnt.iter().take(PAIRS_SHOWN).map(|pair| learnt(visit, pair, may)).collect();
    section(
        "learnt",
        title,
        html! {
            p {
                (visit.pick(("Pairs: ", "組の数："))) (learning.pairs) ". "
                @if let Some(until) = until {
                    @if is_over { (visit.pick(("First-seen ones are told since ", "初めての組を知らせています。開始："))) }
                    @else { (visit.pick(("It learns, and tells of no first-seen ones, until ", "学習中のため、初めての組は知らせません。終了："))) }
                    (visit.time(until))
                }
            }
            @if !learning.anew.is_empty() {
                p { (visit.pick(("Learnt anew: ", "学習し直し中："))) @for (name, _) in &learning.anew { code { (name) } " " } }
            }
            (parts::table(title, &heads, &rows))
            @if may { (reset(visit)) }
        },
    )
}

fn learnt(visit: &Visit<'_>, pair: &Learnt, may: bool) -> Markup {
    let kind = match pair.pair {
        Pair::AccountSource => visit.pick(("account, source", "アカウントと接続元")),
        Pair::AccountHost => visit.pick(("account, machine", "アカウントと機械")),
        Pair::SourceHost => visit.pick(("source, machine", "接続元と機械")),
    };
    html! {
        th scope="row" { code { (pair.left) } " – " code { (pair.right) } }
        td { (kind) }
        td { (visit.time(instant(pair.first))) }
        td.number { (pair.count) }
        td {
            @if may {
                form method="post" action="/logins/forget" {
                    (visit.csrf())
                    input type="hidden" name="what" value=(id_of(pair.pair));
                    input type="hidden" name="left" value=(pair.left);
                    input type="hidden" name="right" value=(pair.right);
                    button.quiet type="submit" { (visit.pick(("Forget", "取り消す"))) }
                }
            }
        }
    }
}

/// One account, source or machine anew, or all.
fn reset(visit: &Visit<'_>) -> Markup {
    let choices = [
        ("account", visit.pick(("all pairs of this account", "このアカウントのすべての組"))),
        ("source", visit.pick(("all pairs of this source", "この接続元のすべての組"))),
        ("host", visit.pick(("all pairs of this machine", "この機械のすべての組"))),
        ("all", visit.pick(("everything: learning begins anew", "すべて（学習を最初からやり直す）"))),
    ];
    html! {
        form method="post" action="/logins/forget" {
            (visit.csrf())
            label for="what" { (visit.pick(("Learn anew", "学習し直す対象"))) }
            select #what name="what" { @for (value, word) in choices { option value=(value) { (word) } } }
            label for="left" { (visit.pick(("Name or address", "名前またはアドレス"))) }
            input #left name="left" type="text" maxlength="200" autocapitalize="none" spellcheck="false";
            button type="submit" { (visit.pick(("Learn anew", "学習し直す"))) }
        }
    }
}

fn contractors(visit: &Visit<'_>, grants: &[Grant]) -> Markup {
    let title = visit.pick(("What is open for contractors", "業者への許可"));
    let heads = [
        visit.pick(("Contractor", "業者")),
        visit.pick(("Until", "終了")),
        visit.pick(("Reason", "理由")),
        visit.pick(("By", "許可した人")),
        "",
    ];
    let may = visit.may(Permission::Settings);
    let row = |grant: &Grant| {
        let action = format!("/logins/revoke/{}", grant.id);
        html! {
            th scope="row" { (grant.contractor) }
            td { (visit.time(grant.end())) }
            td { (grant.reason) }
            td { (grant.by) }
            td { @if may { (parts::button(visit, &action, "quiet", visit.pick(("Take back", "取り消す")))) } }
        }
    };
    let rows: Vec<Markup> = grants.iter().filter(|grant| grant.is_open(visit.now)).map(row).collect();
    section(
        "contractors",
        title,
        html! {
            @if rows.is_empty() { p { (visit.pick(("Nothing.", "ありません。"))) } } @else { (parts::table(title, &heads, &rows)) }
            p.soft { (visit.pick(("To open: ", "許可するには："))) code { "chartward access grant NAME --hours 2 --reason TEXT" } }
        },
    )
}

fn forget(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let (left, right) = (visit.form.get("left").to_owned(), visit.form.get("right").to_owned());
    let what = match visit.form.get("what") {
        "all" => Forget::All,
        _ if left.is_empty() => {
            return Err(Trouble::Bad(
                "a name or an address is missing",
                "名前またはアドレスを入力してください",
            ));
        }
        "account" => Forget::Account(left),
        "source" => Forget::Source(left),
        "host" => Forget::Host(left),
        id => {
            let pairs = [Pair::AccountSource, Pair::AccountHost, Pair::SourceHost];
            let pair = pairs.into_iter().find(|pair| id_of(*pair) == id);
            let pair = pair.ok_or(Trouble::Bad("there is no such pair", "そのような組はありません"))?;
            Forget::One(pair, left, right)
        }
    };
    forget::ask(&visit.console.settings.state_dir, &what, visit.now)?;
    Ok(Reply::see("/logins#learnt"))
}

fn revoke(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    Grants::revoke(&visit.console.settings.state_dir, visit.id("id")?, visit.by(), visit.now)?;
    Ok(Reply::see("/logins#contractors"))
}

fn id_of(pair: Pair) -> &'static str {
    match pair {
        Pair::AccountSource => "account_source",
        Pair::AccountHost => "account_host",
        Pair::SourceHost => "source_host",
    }
}

fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}

fn instant(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}
