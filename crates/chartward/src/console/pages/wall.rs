//! The wall: what is in force, what it has seen, who is cut off, and how it differs from what was declared.

use act::wall::gate::{Drift, Standing};
use act::wall::policy::{differences, rule_words};
use act::wall::{Barrier, InForce, Wall};
use maud::{Markup, html};

use crate::access::Permission;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::console::{layout, parts};
use crate::wiring::wall::Site;

const WALL: Both = ("Wall", "ウォール");

pub(super) const ROUTES: &[Route] = &[Route::page("/wall", WALL, Needs::May(Permission::See), show).in_nav()];

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let site = visit.console.settings.shows.wall.as_ref();
    let standing = site.and_then(|site| site.gate.standing(visit.now).ok());
    let (Some(site), Some(standing)) = (site, standing.filter(|standing| standing.current.is_some())) else {
        let lead = lang.pick(
            "No policy is in force; only single hosts are blocked or isolated.",
            "有効な規則はありません。個別の遮断と隔離だけを行います。",
        );
        let next = html! { (lang.pick("declare zones and rules in the configuration, then run ", "設定にゾーンと規則を書き、")) code { "chartward wall plan" } (lang.pick(".", " を実行してください。")) };
        return Ok(visit.show(layout::opening(visit.pick(WALL), lead, Some(next), lang)));
    };
    let (lead, next) = lead(visit, site, &standing);
    let bans = Wall::new(site.bans.clone()).in_force().unwrap_or_default();
    Ok(visit.show(html! {
        (layout::opening(visit.pick(WALL), &lead, next, lang))
        (rules(visit, site, &standing))
        (cut_off(visit, &bans))
    }))
}

/// The one sentence, and what to do about it.
fn lead(visit: &Visit<'_>, site: &Site, standing: &Standing) -> (String, Option<Markup>) {
    let lang = visit.lang;
    let run = |command: &str| {
        Some(html! { (lang.pick("run ", "")) code { (command) } (lang.pick(".", " を実行してください。")) })
    };
    let drift = match site.gate.loaded() {
        Ok(loaded) => standing.drift(loaded.as_ref()),
        Err(_) => {
            let lead =
                lang.pick("The packet filter cannot be asked.", "パケットフィルターを確認できません。");
            return (lead.to_owned(), run("chartward wall status"));
        }
    };
    let declared = (!site.policy.zones.is_empty()).then_some(&site.policy);
    let changes = differences(standing.current.as_ref().map(|kept| &kept.policy), declared, lang).len();
    if let Some(trial) = &standing.trial {
        let until = words::from_now(trial.until, visit.now, lang);
        let lead =
            lang.pick(format!("A policy is on trial: {until}."), format!("規則を試行中です({until})。"));
        return (lead, run("chartward wall confirm"));
    }
    match drift {
        Some(Drift::Gone) => {
            let lead = lang.pick(
                "The packet filter does not hold the policy.",
                "パケットフィルターに規則がありません。",
            );
            (lead.to_owned(), run("chartward wall load"))
        }
        Some(Drift::Changed) => {
            let lead = lang.pick(
                "Somebody changed the policy in the packet filter.",
                "パケットフィルターの規則が変更されています。",
            );
            (lead.to_owned(), run("chartward wall load"))
        }
        None if changes > 0 => {
            let lead = lang.pick(
                format!("In force, and {changes} sentences differ from the configuration."),
                format!("有効ですが、設定と {changes} 箇所が異なります。"),
            );
            (lead, run("chartward wall plan"))
        }
        None => (lang.pick("In force, as declared.", "設定どおり有効です。").to_owned(), None),
    }
}

fn rules(visit: &Visit<'_>, site: &Site, standing: &Standing) -> Markup {
    let lang = visit.lang;
    let Some(kept) = &standing.current else { return html! {} };
    let loaded = site.gate.loaded().ok().flatten();
    let packets = |name: &str| {
        let counters = loaded.as_ref().map(|loaded| &loaded.counters);
        counters.and_then(|all| all.get(&(kept.number, name.to_owned()))).map_or(0, |it| it.packets)
    };
    let heads = [lang.pick("Rule", "規則"), lang.pick("First packets", "新規接続など")];
    let rows: Vec<Markup> = rule_words(&kept.policy, lang)
        .into_iter()
        .map(|(name, words)| html! { td { (words) } td.number { (words::count(packets(&name))) } })
        .collect();
    let title = lang.pick("What passes and what does not", "通す通信と拒否する通信");
    html! { section aria-labelledby="rules" { h2 #rules { (title) } (parts::table(title, &heads, &rows)) } }
}

fn cut_off(visit: &Visit<'_>, bans: &[InForce]) -> Markup {
    /// More than that is read on the command line.
    const SHOWN_MAX: usize = 200;
    let lang = visit.lang;
    let title = lang.pick("Who is cut off", "遮断・隔離中の相手");
    let heads =
        [lang.pick("Address", "アドレス"), lang.pick("How", "内容"), lang.pick("Time left", "残り時間")];
    let row = |it: &InForce| {
        let how = match it.barrier {
            Barrier::Ban => lang.pick("blocked", "遮断"),
            Barrier::Isolate => lang.pick("isolated", "隔離"),
            Barrier::Egress => lang.pick("may not begin connections", "発信の遮断"),
        };
        let left = match it.remaining {
            Some(left) => words::duration(left.as_secs_f64(), lang),
            None => lang.pick("until it is undone", "取り消すまで").to_owned(),
        };
        html! { td { code { (it.address) } } td { (how) } td { (left) } }
    };
    let rows: Vec<Markup> = bans.iter().take(SHOWN_MAX).map(row).collect();
    html! {
        section aria-labelledby="cut" {
            h2 #cut { (title) }
            @if rows.is_empty() { p { (lang.pick("Nobody.", "ありません。")) } } @else { (parts::table(title, &heads, &rows)) }
        }
    }
}
