//! Pieces that several pages are made of.

use maud::{Markup, html};
use schema::{Countermeasure, CountermeasureState, IncidentStatus, Lang, Severity, WatcherState};

use super::icon::{self, Icon, Tone};
use super::visit::Visit;
use super::words;
use crate::access::Permission;
use crate::hub;

/// A sign with its word.
pub(super) fn badge((icon, tone): (Icon, Tone), word: &str) -> Markup {
    html! { span.badge.(tone.class()) { (icon) (word) } }
}

pub(super) fn severity(severity: Severity, lang: Lang) -> Markup {
    let (en, ja) = words::severity(severity);
    let word = lang.pick(format!("{en} severity"), format!("重要度：{ja}"));
    badge(icon::severity(severity), &word)
}

pub(super) fn incident_status(status: IncidentStatus, lang: Lang) -> Markup {
    badge(icon::incident_status(status), hub::status_in_words(status, lang))
}

pub(super) fn countermeasure_state(state: CountermeasureState, lang: Lang) -> Markup {
    badge(icon::countermeasure_state(state), hub::state_in_words(state, lang))
}

pub(super) fn watcher_state(state: WatcherState, lang: Lang) -> Markup {
    let (en, ja) = words::watcher_state(state);
    badge(icon::watcher_state(state), lang.pick(en, ja))
}

/// A table that scrolls by itself where it is wider than the screen, also with the keyboard.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}

/// A form that is one button.
pub(super) fn button(visit: &Visit<'_>, action: &str, class: &str, word: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (visit.csrf())
            button.(class) type="submit" { (word) }
        }
    }
}

/// A field with its label, its hint and what is wrong with it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) hint: &'a str,
    pub(super) kind: &'a str,
    pub(super) autocomplete: &'a str,
    pub(super) value: &'a str,
    pub(super) error: Option<&'a str>,
    pub(super) optional: bool,
}

impl Field<'_> {
    pub(super) fn show(&self) -> Markup {
        let (hint, error) = (format!("{}-hint", self.name), format!("{}-error", self.name));
        let described = match (self.hint.is_empty(), self.error.is_some()) {
            (true, false) => None,
            (false, false) => Some(hint.clone()),
            (true, true) => Some(error.clone()),
            (false, true) => Some(format!("{hint} {error}")),
        };
        let numeric = self.autocomplete == "one-time-code";
        html! {
            div.field {
                label for=(self.name) { (self.label) }
                @if !self.hint.is_empty() { p.hint id=(hint) { (self.hint) } }
                @if let Some(text) = self.error { p.error id=(error) { (icon::WARN) " " (text) } }
                input id=(self.name) name=(self.name) type=(self.kind) autocomplete=(self.autocomplete) value=(self.value)
                    maxlength="200" autocapitalize="none" spellcheck="false" inputmode=[numeric.then_some("text")]
                    required[!self.optional] aria-invalid=[self.error.map(|_| "true")] aria-describedby=[described];
            }
        }
    }
}

/// One countermeasure: what, why, how it stands, and what can be done about it now.
pub(super) fn countermeasure(visit: &Visit<'_>, it: &Countermeasure, level: u8) -> Markup {
    let lang = visit.lang;
    let id = it.id.0;
    let what = words::act(&it.act, lang);
    let consequence = visit.pick(words::consequence(it.act.kind()));
    let is_open = it.state == CountermeasureState::Proposed && visit.now < it.deadline;
    html! {
        article.card id={ "countermeasure-" (id) } aria-labelledby={ "countermeasure-" (id) "-what" } {
            @if level == 2 { h2 id={ "countermeasure-" (id) "-what" } { (what) } }
            @else { h3 id={ "countermeasure-" (id) "-what" } { (what) } }
            p { (countermeasure_state(it.state, lang)) }
            dl.facts {
                dt { (lang.pick("Why", "理由")) } dd { (lang.pick(&it.because, &it.because_ja)) }
                dt { (lang.pick("What happens", "実施するとどうなるか")) } dd { (consequence) }
                @if let Some(incident) = it.incident {
                    dt { (lang.pick("Incident", "インシデント")) } dd { a href={ "/incidents/" (incident.0) } { (incident) } }
                }
                dt { (lang.pick("Ends", "継続時間")) }
                dd {
                    @match it.lasts_seconds {
                        Some(seconds) => {
                            (lang.pick("by itself after ", "実施から")) (words::duration(seconds as f64, lang)) (lang.pick("", "で自動終了"))
                        }
                        None => { (lang.pick("when somebody takes it back", "取り消すまで継続")) }
                    }
                }
                @if is_open { dt { (lang.pick("Decide by", "承認期限")) } dd { (visit.time(it.deadline)) } }
                @if let Some(by) = &it.approved_by { dt { (lang.pick("Approved by", "承認者")) } dd { (by) } }
                @if let Some(at) = it.applied_at { dt { (lang.pick("In force since", "実施時刻")) } dd { (visit.time(at)) } }
                @if let Some(at) = it.undone_at { dt { (lang.pick("Taken back", "取り消し時刻")) } dd { (visit.time(at)) } }
                @if !it.detail.is_empty() { dt { (lang.pick("Outcome", "結果")) } dd { (it.detail) } }
            }
            (decision(visit, it, is_open, &what))
        }
    }
}

fn decision(visit: &Visit<'_>, it: &Countermeasure, is_open: bool, what: &str) -> Markup {
    let lang = visit.lang;
    let path = format!("/countermeasures/{}", it.id.0);
    let is_undoable = it.state == CountermeasureState::Applied && it.act.kind() != schema::ActKind::Notify;
    html! {
        @if is_open && visit.may(Permission::Approve) {
            div.actions {
                a.button href={ (path) "/approve" } {
                    (lang.pick("Approve…", "承認する…")) span.hidden { " " (what) }
                }
                form method="post" action={ (path) "/reject" } {
                    (visit.csrf())
                    button.second type="submit" { (lang.pick("Reject", "却下する")) span.hidden { " " (what) } }
                }
            }
        } @else if is_open {
            p.soft { (lang.pick("An operator or administrator decides this.", "担当者または管理者が承認します。")) }
        }
        @if is_undoable && (visit.may(Permission::Undo) || visit.may(Permission::Reconnect)) {
            div.actions {
                @if let (schema::Act::IsolateHost { address }, true) = (&it.act, visit.may(Permission::Reconnect)) {
                    form method="post" action="/hosts/reconnect" {
                        (visit.csrf()) input type="hidden" name="host" value=(address);
                        button type="submit" {
                            (lang.pick("Reconnect once it is proven clean", "安全を確認して再接続する")) span.hidden { " " (what) }
                        }
                    }
                }
                @if visit.may(Permission::Undo) {
                    a.button.second href={ (path) "/undo" } { (lang.pick("Take back…", "取り消す…")) span.hidden { " " (what) } }
                }
            }
        }
    }
}
