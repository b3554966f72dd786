//! One request, taken apart, with who makes it.

use std::net::IpAddr;

use jiff::Timestamp;
use maud::Markup;
use schema::Lang;

use super::Console;
use super::form::Form;
use super::layout::{self, Theme};
use super::reply::{Reply, Trouble};
use super::route::Route;
use super::who::{Permission, Session};
use super::words;

/// What every page works from.
pub(crate) struct Visit<'a> {
    pub(super) console: &'a Console,
    pub(super) route: &'a Route,
    pub(super) path: &'a str,
    pub(super) params: Vec<(String, String)>,
    pub(super) query: Form,
    pub(super) form: Form,
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
        self.session.as_ref().is_some_and(|session| session.who.may(permission))
    }

    /// Who asks, as it stands in the ledger.
    pub(super) fn by(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.who.name)
    }

    pub(super) fn csrf(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.csrf)
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
        maud::html! {
            time datetime=(at.to_string()) {
                (words::clock(at, self.now, &self.console.settings.zone, self.lang))
                " " span.ago { "(" (words::from_now(at, self.now, self.lang)) ")" }
            }
        }
    }
}
