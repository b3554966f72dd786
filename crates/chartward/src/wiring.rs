//! The only place that names every room: what one sees is carried to the next.

pub(crate) mod control;
pub(crate) mod guard;
pub(crate) mod logins;
pub(crate) mod logs;
pub(crate) mod mail;
pub(crate) mod network;
pub(crate) mod said;
pub(crate) mod sensor;
pub(crate) mod share;
pub(crate) mod telescope;
pub(crate) mod up;
pub(crate) mod wall;
