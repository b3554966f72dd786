//! The style sheet, the script and the icon; and whether anybody is at home.

use crate::console::assets;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;

pub(super) const ROUTES: &[Route] = &[
    Route::page("/assets/{hash}/{name}", ("Asset", "ファイル"), Needs::Nothing, asset),
    Route::page("/healthz", ("Health", "稼働確認"), Needs::Nothing, health),
];

fn asset(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let asset = assets::find(visit.param("name")).ok_or(Trouble::NotFound)?;
    // Its address carries its hash, so what was fetched once never changes.
    Ok(Reply::text(asset.content_type, asset.content)
        .with("cache-control", "public, max-age=31536000, immutable"))
}

fn health(_: &Visit<'_>) -> Result<Reply, Trouble> {
    Ok(Reply::text("text/plain; charset=utf-8", "ok\n"))
}
