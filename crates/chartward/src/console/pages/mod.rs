//! One file for each page, and the table of them all.

mod account;
mod approvals;
mod assets;
mod bundle;
mod by_hand;
mod charts;
mod home;
mod incident;
mod incidents;
mod ledger;
mod login;
mod logins;
mod mail;
mod mail_policy;
mod mail_training;
mod people;
mod protected;
mod settings;
mod wall;
mod watchers;

use super::reply::{Reply, Trouble};
use super::route::{Needs, Route};
use super::visit::Visit;

/// Every page and form, in the order of the navigation. A new page is a file and a line here.
const PAGES: &[&[Route]] = &[
    home::ROUTES,
    incidents::ROUTES,
    incident::ROUTES,
    approvals::ROUTES,
    by_hand::ROUTES,
    protected::ROUTES,
    charts::ROUTES,
    watchers::ROUTES,
    wall::ROUTES,
    logins::ROUTES,
    mail::ROUTES,
    mail_policy::ROUTES,
    mail_training::ROUTES,
    ledger::ROUTES,
    settings::ROUTES,
    people::ROUTES,
    account::ROUTES,
    login::ROUTES,
    assets::ROUTES,
    super::api::ROUTES,
];

/// Every route.
pub(super) fn all() -> impl Iterator<Item = &'static Route> {
    PAGES.iter().copied().flatten()
}

/// What answers where no route does.
pub(super) static MISSING: Route =
    Route::page("", ("Not found", "ページが見つかりません"), Needs::Nothing, missing);

fn missing(_: &Visit<'_>) -> Result<Reply, Trouble> {
    Err(Trouble::NotFound)
}

pub(super) use incidents::{before, filter};
