//! What other rooms of the program add to the viewer: routes of their own, and a fragment on every chart's page.

use std::sync::Arc;

use axum::Router;
use maud::Markup;
use recover::charts::Chart;

use super::Viewer;
use super::visit::Visit;

/// Makes what stands on a chart's page below its alerts, such as the notes of this downtime and the form for a new
/// one. It is called for each page on a thread that may wait for a disk.
pub(crate) type Beside = Arc<dyn Fn(&Visit, &Chart) -> Markup + Send + Sync>;

/// An addition to the viewer.
pub(crate) struct Extra {
    /// Merged into the viewer's routes. A handler that takes a [`Visit`] is reached by readers only.
    pub(crate) routes: Router<Viewer>,
    /// Its part of a chart's page.
    pub(crate) beside: Beside,
    /// Styles of its elements, added to the viewer's own.
    pub(crate) style: &'static str,
    /// A script for the viewer's pages, run after the viewer's own; empty for none. Everything has to work without it.
    pub(crate) script: &'static str,
}
