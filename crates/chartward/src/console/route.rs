//! The shape of a line in the one table that makes the router, the navigation, the permissions and the API's document.

use super::reply::{Reply, Trouble};
use super::visit::Visit;
use super::words::Both;
use crate::access::Permission;

/// The two methods that there are: one looks, the other changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
}

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Anybody, also without an account.
    Nothing,
    /// Anybody who logged in.
    Account,
    /// Whoever has this permission.
    May(Permission),
}

/// How a route is answered when something goes wrong, and where it is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page or a form: troubles are pages.
    Page,
    /// JSON: troubles are JSON, tokens are taken, and OpenAPI names it.
    Api(Api),
}

/// What OpenAPI says about a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Api {
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// Name of the schema of its answer.
    pub(super) answer: &'static str,
    /// Parameters of the query, each with what it means.
    pub(super) query: &'static [Both],
}

pub(crate) type Handle = fn(&Visit<'_>) -> Result<Reply, Trouble>;

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(super) verb: Verb,
    /// As axum writes it: `/incidents/{id}`.
    pub(super) path: &'static str,
    pub(super) title: Both,
    pub(super) needs: Needs,
    pub(super) kind: Kind,
    /// Whether it stands in the navigation.
    pub(super) in_nav: bool,
    /// Whether looking at it is written into the ledger. Forms always are.
    pub(super) audited: bool,
    pub(super) handle: Handle,
}

impl Route {
    pub(super) const fn page(path: &'static str, title: Both, needs: Needs, handle: Handle) -> Self {
        Self { verb: Verb::Get, path, title, needs, kind: Kind::Page, in_nav: false, audited: false, handle }
    }

    /// A form that changes something.
    pub(super) const fn form(path: &'static str, title: Both, needs: Needs, handle: Handle) -> Self {
        Self { verb: Verb::Post, ..Self::page(path, title, needs, handle) }
    }

    pub(super) const fn api(verb: Verb, path: &'static str, needs: Needs, api: Api, handle: Handle) -> Self {
        let title = (api.summary, api.summary);
        Self { verb, kind: Kind::Api(api), ..Self::page(path, title, needs, handle) }
    }

    pub(super) const fn in_nav(self) -> Self {
        Self { in_nav: true, ..self }
    }

    pub(super) const fn audited(self) -> Self {
        Self { audited: true, ..self }
    }
}
