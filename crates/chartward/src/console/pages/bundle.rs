//! How the static bundle stands, on the page of what is protected.

use maud::{Markup, html};
use recover::bundle::Presence;

use crate::console::icon::{self, Tone};
use crate::console::parts;
use crate::console::visit::Visit;
use crate::console::words;
use crate::hub::bundle::{Lack, Standing};

pub(super) fn section(visit: &Visit<'_>, standing: &Standing) -> Markup {
    let title = visit
        .pick(("Charts on a stick (for a PC without network)", "持ち出し用カルテ（ネットワークのないPC用）"));
    let heads = [
        visit.pick(("Place", "置き場所")),
        visit.pick(("State", "状態")),
        visit.pick(("Written", "更新時刻")),
        visit.pick(("Patients", "患者数")),
        visit.pick(("In place now", "現在")),
    ];
    let (sign, word) = match (standing.lack(visit.now), &standing.failed) {
        (None, None) => ((icon::CHECK, Tone::Good), ("of the newest proof", "最新の復元実証と一致")),
        (_, Some(_)) => ((icon::CROSS, Tone::Bad), ("could not be renewed", "更新失敗")),
        (Some(Lack::Missing), None) => ((icon::CLOCK, Tone::Warn), ("not written yet", "未作成")),
        (Some(Lack::Outrun), None) => {
            ((icon::WARN, Tone::Warn), ("older than the newest proof", "最新の復元実証より古い"))
        }
        (Some(Lack::Old), None) => ((icon::WARN, Tone::Bad), ("too old", "古すぎます")),
        (Some(Lack::Other), None) => {
            ((icon::WARN, Tone::Bad), ("another one, or damaged", "別のもの、または破損"))
        }
    };
    let place = match (&standing.presence, standing.is_in) {
        (_, false) => ("absent (stick not plugged in)", "媒体が入っていません"),
        (Presence::Absent | Presence::Empty, true) => ("empty", "空です"),
        (Presence::Unreadable { .. }, true) => ("cannot be read", "読めません"),
        (Presence::Bundle { .. }, true) => ("there", "あります"),
    };
    let row = html! {
        th scope="row" { code { (standing.to.display()) } }
        td { (parts::badge(sign, visit.pick(word))) }
        td { @match &standing.built { Some(built) => { (visit.time(built.made_at)) } None => { (visit.pick(("never", "なし"))) } } }
        td.number { @if let Some(built) = &standing.built { (words::count(built.patients)) " (" (words::count(built.bytes / 1_000_000)) " MB)" } }
        td { (visit.pick(place)) }
    };
    html! {
        section aria-labelledby="bundle" {
            h2 #bundle { (title) }
            (parts::table(title, &heads, &[row]))
        }
    }
}
