//! One request, taken apart, with who makes it.

use std::net::IpAddr;

use jiff::Timestamp;
use maud::{Markup, html};
use schema::Lang;

use super::Console;
use super::form::Form;
use super::layout::{self, Theme};
use super::reply::{Reply, Trouble};
use super::route::Route;
use super::words;
use crate::access::{Permission, Session, Who};

/// What every page works from.
pub(crate) struct Visit<'a> {
    pub(super) console: &'a Console,
    pub(super) route: &'a Route,
    pub(super) path: &'a str,
    pub(super) params: Vec<(String, String)>,
    pub(super) query: Form,
    pub(super) form: Form,
    /// Who asks: over a session or with a token.
    pub(super) who: Option<Who>,
    /// The session, for a browser.
    pub(super) session: Option<Session>,
    pub(super) lang: Lang,
    pub(super) theme: Theme,
    pub(super) now: Timestamp,
    pub(super) peer: IpAddr,
}

impl Visit<'_> {
    /// A part of the path that is a number.
    pub(super) fn id(&self, name: &str) -> Result<u64, Trouble> {
        let given = self.params.iter().find(|(key, _)| key == name);
        given.and_then(|(_, value)| value.parse().ok()).ok_or(Trouble::NotFound)
    }

    pub(super) fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn may(&self, permission: Permission) -> bool {
        self.who.as_ref().is_some_and(|who| who.may(permission))
    }

    /// Who asks, as it stands in the ledger.
    pub(super) fn by(&self) -> &str {
        self.who.as_ref().map_or("", |who| &who.name)
    }

    pub(super) fn who(&self) -> Result<&Who, Trouble> {
        self.who.as_ref().ok_or(Trouble::LogIn)
    }

    pub(super) fn session(&self) -> Result<&Session, Trouble> {
        self.session.as_ref().ok_or(Trouble::LogIn)
    }

    /// What every form carries, so that no other site can send it.
    pub(super) fn csrf(&self) -> Markup {
        let csrf = self.session.as_ref().map_or("", |session| session.csrf.text());
        html! { input type="hidden" name="csrf" value=(csrf); }
    }

    /// Where to go after logging in: a path of ours, never another site.
    pub(super) fn next(&self) -> &str {
        let asked = if self.form.has("next") { self.form.get("next") } else { self.query.get("next") };
        let ours = asked.starts_with('/') && !asked.starts_with("//") && !asked.contains(['\\', '\r', '\n']);
        if ours { asked } else { "/" }
    }

    pub(super) fn pick<T>(&self, both: (T, T)) -> T {
        self.lang.pick(both.0, both.1)
    }

    /// The page's frame around its content.
    pub(super) fn show(&self, content: Markup) -> Reply {
        Reply::html(layout::page(self, content))
    }

    /// A time as a person reads it, with the exact one behind it.
    pub(super) fn time(&self, at: Timestamp) -> Markup {
        html! {
            time datetime=(at.to_string()) {
                (words::clock(at, self.now, &self.console.settings.zone, self.lang))
                " " span.ago { "(" (words::from_now(at, self.now, self.lang)) ")" }
            }
        }
    }
}
