//! The watchers: whether they watch, what they hold, and what they do not see.

use maud::{Markup, html};
use schema::{Lang, PacketHealth, WatcherHealth, WatcherState};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub::Command;

const WATCHERS: Both = ("Watchers", "監視");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/watchers", WATCHERS, Needs::May(Permission::See), show).in_nav(),
    Route::form("/watchers/restart", WATCHERS, Needs::May(Permission::RestartWatcher), restart),
];

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let watchers = visit.console.hub.shown().watchers;
    let blind = watchers.iter().filter(|it| it.state != WatcherState::Ready).count();
    let lead = match (watchers.len(), blind) {
        (0, _) => lang.pick(
            "No watcher is configured: nothing is watched.".to_owned(),
            "監視が設定されていません。何も監視されていない状態です。".to_owned(),
        ),
        (all, 0) => lang.pick(format!("All {all} watch."), format!("{all}件すべてが監視中です。")),
        (all, n) => {
            lang.pick(format!("{n} of {all} do not watch."), format!("{all}件中{n}件が監視できていません。"))
        }
    };
    let next = (blind > 0).then(|| html! { (lang.pick("read what is wrong with it below, mend it, then restart it.", "下に示す原因を取り除いてから、再起動してください。")) });
    Ok(visit.show(html! {
        (layout::opening(visit.pick(WATCHERS), &lead, next, lang))
        @for watcher in &watchers { (card(visit, watcher)) }
    }))
}

fn card(visit: &Visit<'_>, it: &WatcherHealth) -> Markup {
    let lang = visit.lang;
    html! {
        section.card aria-label=(it.name) {
            h2 { (it.name) }
            p { (parts::watcher_state(it.state, lang)) " " (visit.pick(words::class(it.class))) }
            @if !it.trouble.is_empty() { p { strong { (lang.pick("What went wrong last: ", "直近の問題：")) } (it.trouble) } }
            dl.facts {
                dt { (lang.pick("Watches since", "監視開始")) } dd { @match it.ready_at { Some(at) => { (visit.time(at)) } None => { "–" } } }
                dt { (lang.pick("Last message", "最後の報告")) } dd { @match it.last_line_at { Some(at) => { (visit.time(at)) } None => { "–" } } }
                dt { (lang.pick("Messages", "報告数")) }
                dd {
                    (words::count(it.lines)) (lang.pick(" taken in; ", "件受信、")) (words::count(it.garbage)) (lang.pick(" not understood; ", "件解読不能、"))
                    (words::count(it.dropped)) (lang.pick(" dropped because there were too many", "件は多すぎたため破棄"))
                }
                dt { (lang.pick("Restarts", "再起動回数")) } dd { (it.restarts) }
                @if let Some(packets) = &it.packets { (packets_facts(packets, lang)) }
            }
            h3 { (lang.pick("What it can do and what it does not see", "できることと、見えないもの")) }
            @if it.blind_spots.is_empty() { p { (lang.pick("It has not said so yet.", "まだ報告がありません。")) } }
            ul { @for spot in lang.pick(&it.blind_spots, &it.blind_spots_ja) { li { (spot) } } }
            @if visit.may(Permission::RestartWatcher) {
                form.actions method="post" action="/watchers/restart" {
                    (visit.csrf()) input type="hidden" name="name" value=(it.name);
                    button.second type="submit" { (lang.pick("Restart", "再起動")) span.hidden { " " (it.name) } }
                }
            }
        }
    }
}

/// What a sensor sees, and what it does not.
fn packets_facts(packets: &PacketHealth, lang: Lang) -> Markup {
    html! {
        dt { (lang.pick("Packets", "パケット")) }
        dd {
            (words::count(packets.packets)) (lang.pick(" read; ", "個処理、")) (words::count(packets.dropped))
            (lang.pick(" dropped unseen; ", "個取りこぼし、")) (words::count(packets.flows)) (lang.pick(" flows, ", "通信、片方向しか見えないもの"))
            (packets.one_way_percent) (lang.pick(" % seen in one direction only", "%"))
        }
        dt { (lang.pick("Interfaces", "インターフェース")) }
        dd {
            @for interface in &packets.interfaces {
                (interface.name) ": " (interface_state(&interface.state, lang)) " "
            }
        }
    }
}

fn interface_state(state: &str, lang: Lang) -> &'static str {
    match state {
        "up" => lang.pick("up", "動作中"),
        "no_carrier" => lang.pick("nothing plugged in", "ケーブル未接続"),
        "gone" => lang.pick("gone", "なし"),
        _ => lang.pick("down", "停止中"),
    }
}

fn restart(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let name = visit.form.get("name").to_owned();
    visit.console.hub.ask(Command::RestartWatcher { name }, visit.by())?;
    Ok(Reply::see("/watchers"))
}
