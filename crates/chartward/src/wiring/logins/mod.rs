//! Logons between the rooms: what is open for contractors, logs that are read once, and what pages show.

pub(crate) mod grants;
pub(crate) mod kept;
pub(crate) mod read;
pub(crate) mod shown;

/// The folder below the state folder.
pub(crate) const FOLDER: &str = "logins";
