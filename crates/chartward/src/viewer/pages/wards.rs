//! Wards, and who lies on one.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::super::page::encoded;
use super::super::record::Act;
use super::super::visit::Visit;
use super::super::{Viewer, blocking};

const PATIENCE: Duration = Duration::from_millis(1_500);
const NAME_MAX: usize = 100;

pub(in crate::viewer) async fn all(State(viewer): State<Viewer>, visit: Visit) -> Response {
    blocking(move || {
        let (lang, state) = (visit.lang, viewer.shelf().state(PATIENCE));
        let (wards, patients) = {
            let index = viewer.shelf().index();
            (index.wards(), index.len())
        };
        let title = lang.pick("Wards", "病棟一覧");
        let content = html! {
            h1 { (title) }
            (viewer.look().basis(lang))
            (super::reading(state, patients, lang))
            ul.wards {
                @for ward in &wards {
                    li { a data-row href={ "/ward/" (encoded(&ward.name)) } {
                        b { (if ward.name.is_empty() { "–" } else { &ward.name }) }
                        (lang.pick(format!("{} patients", ward.patients), format!("{} 人", ward.patients)))
                    } }
                }
            }
            @if wards.is_empty() { p { (lang.pick("No admission is recorded.", "入院の記録がありません。")) } }
        };
        viewer.page(&visit, title, &content)
    })
    .await
}

pub(in crate::viewer) async fn one(
    State(viewer): State<Viewer>,
    visit: Visit,
    Path(ward): Path<String>,
) -> Response {
    blocking(move || {
        let ward: String = ward.chars().take(NAME_MAX).collect();
        let (lang, state) = (visit.lang, viewer.shelf().state(PATIENCE));
        let (lines, patients) = {
            let index = viewer.shelf().index();
            (index.ward(&ward), index.len())
        };
        let recorded = viewer.record(&visit, Act::WardOpened { ward: ward.clone() });
        let title = lang.pick(format!("Ward {ward}"), format!("病棟 {ward}"));
        let caption = lang.pick(
            format!("{} patients by bed, as their last movement says", lines.len()),
            format!("{} 人（病床順・最後の入院／転棟の記録による）", lines.len()),
        );
        let content = html! {
            (viewer.not_recorded(&recorded, lang))
            nav.round { a href="/wards" data-keys="Escape" { "← " (lang.pick("All wards", "病棟一覧")) } }
            h1 { (title) }
            (viewer.look().basis(lang))
            (super::reading(state, patients, lang))
            (super::people(&lines, &caption, lang))
        };
        let status = if lines.is_empty() && state.is_whole { StatusCode::NOT_FOUND } else { StatusCode::OK };
        viewer.look().page(status, &visit, &title, &content)
    })
    .await
}
