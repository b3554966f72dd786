//! Logging in.

use maud::html;

use crate::console::layout;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;

pub(super) const ROUTES: &[Route] = &[Route::page("/login", ("Log in", "ログイン"), Needs::Nothing, show)];

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lead = visit.pick(("Log in to see how things stand.", "状況を確認するにはログインしてください。"));
    Ok(visit.show(html! { (layout::opening(visit.pick(visit.route.title), lead, None, visit.lang)) }))
}
