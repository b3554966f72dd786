//! The only place that names every room: what one sees is carried to the next.

pub(crate) mod control;
pub(crate) mod guard;
pub(crate) mod share;
