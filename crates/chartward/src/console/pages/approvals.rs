//! What waits for a person, and the three things a person may say: yes, no, take it back.

use maud::html;
use prove::state::CountermeasureFilter;
use schema::{Countermeasure, CountermeasureId, CountermeasureState};

use super::home::waiting;
use crate::access::Permission;
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub::Command;

const APPROVE: Both = ("Approve", "対処の承認");
const UNDO: Both = ("Take back", "対処の取り消し");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/approvals", ("Approvals", "承認"), Needs::May(Permission::See), show).in_nav(),
    Route::page("/countermeasures/{id}/approve", APPROVE, Needs::May(Permission::Approve), ask_approve),
    Route::form("/countermeasures/{id}/approve", APPROVE, Needs::May(Permission::Approve), approve),
    Route::form(
        "/countermeasures/{id}/reject",
        ("Reject", "対処の却下"),
        Needs::May(Permission::Approve),
        reject,
    ),
    Route::page("/countermeasures/{id}/undo", UNDO, Needs::May(Permission::Undo), ask_undo),
    Route::form("/countermeasures/{id}/undo", UNDO, Needs::May(Permission::Undo), undo),
];

const SHOWN_MAX: u32 = 20;

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let waiting = waiting(visit)?;
    let of = |states: &[CountermeasureState]| {
        let filter = CountermeasureFilter { states: states.to_vec(), ..CountermeasureFilter::default() };
        visit.console.hub.state.countermeasures(&filter, SHOWN_MAX, None)
    };
    let in_force = of(&[CountermeasureState::Applied, CountermeasureState::Approved])?;
    let observed = of(&[CountermeasureState::ObserveOnly])?;
    let lead = match waiting.len() {
        0 => lang.pick("Nothing waits for approval.".to_owned(), "承認待ちの対処はありません。".to_owned()),
        n => lang.pick(format!("{n} wait for a decision."), format!("{n}件の対処が承認を待っています。")),
    };
    let list = |id: &str, title: Both, all: &[Countermeasure], none: Both| {
        html! {
            section aria-labelledby=(id) {
                h2 id=(id) { (visit.pick(title)) }
                @if all.is_empty() { p { (visit.pick(none)) } }
                @for it in all { (parts::countermeasure(visit, it, 3)) }
            }
        }
    };
    let content = html! {
        (layout::opening(visit.pick(visit.route.title), &lead, None, lang))
        @if visit.may(Permission::Plan) {
            div.actions { a.button.second href="/act" { (lang.pick("Act by hand…", "手動で対処する…")) } }
        }
        @if !waiting.is_empty() { (list("waits", ("Waits for you", "承認待ち"), &waiting, ("", ""))) }
        (list("force", ("In force", "実施中の対処"), &in_force, ("Nothing is in force.", "実施中の対処はありません。")))
        (list("observed", ("What would have been done", "設定により実施しなかった対処"), &observed,
            ("Nothing was held back.", "該当する対処はありません。")))
    };
    Ok(visit.show(content))
}

fn find(visit: &Visit<'_>) -> Result<Countermeasure, Trouble> {
    visit.console.hub.state.countermeasure(CountermeasureId(visit.id("id")?))?.ok_or(Trouble::NotFound)
}

/// Where the decision is looked at: its incident, or the list.
fn home_of(it: &Countermeasure) -> String {
    match it.incident {
        Some(incident) => format!("/incidents/{}#countermeasure-{}", incident.0, it.id.0),
        None => format!("/approvals#countermeasure-{}", it.id.0),
    }
}

fn ask(visit: &Visit<'_>, it: &Countermeasure, lead: &str, submit: Both) -> Reply {
    let lang = visit.lang;
    visit.show(html! {
        (layout::opening(&words::act(&it.act, lang), lead, None, lang))
        dl.facts {
            dt { (lang.pick("Why", "理由")) } dd { (lang.pick(&it.because, &it.because_ja)) }
            dt { (lang.pick("Decide by", "期限")) } dd { (visit.time(it.deadline)) }
        }
        form method="post" action=(visit.path) {
            (visit.csrf())
            div.actions {
                button #confirm type="submit" { (visit.pick(submit)) }
                a.button.second href=(home_of(it)) { (lang.pick("Cancel", "キャンセル")) }
            }
        }
    })
}

fn ask_approve(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let it = find(visit)?;
    let lead = visit.pick(words::consequence(it.act.kind()));
    Ok(ask(visit, &it, lead, ("Yes, do it now", "承認して実施する")))
}

fn ask_undo(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let it = find(visit)?;
    let lead = visit.pick((
        "It is taken back at once. If the attacker is still there, they can go on.",
        "ただちに取り消されます。攻撃者がまだ活動している場合、攻撃が再開するおそれがあります。",
    ));
    Ok(ask(visit, &it, lead, ("Yes, take it back", "取り消す")))
}

fn carry_out(visit: &Visit<'_>, command: fn(CountermeasureId) -> Command) -> Result<Reply, Trouble> {
    let it = find(visit)?;
    visit.console.hub.ask(command(it.id), visit.by())?;
    Ok(Reply::see(home_of(&it)))
}

fn approve(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    carry_out(visit, |id| Command::Approve { id })
}

fn reject(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    carry_out(visit, |id| Command::Reject { id })
}

fn undo(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    carry_out(visit, |id| Command::Undo { id })
}
