//! The files that pages load: one style sheet, one script, one icon, all from here.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file that never changes under its address, since that carries its hash.
pub(super) struct Asset {
    name: &'static str,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
    hash: LazyLock<String>,
}

macro_rules! asset {
    ($static:ident, $name:literal, $content_type:literal) => {
        pub(super) static $static: Asset = Asset {
            name: $name,
            content_type: $content_type,
            content: include_str!($name),
            hash: LazyLock::new(|| hex::encode(&Sha256::digest(include_str!($name))[..8])),
        };
    };
}

asset!(STYLE, "console.css", "text/css; charset=utf-8");
asset!(SCRIPT, "console.js", "text/javascript; charset=utf-8");
asset!(ICON, "console.svg", "image/svg+xml");

impl Asset {
    pub(super) fn url(&self) -> String {
        format!("/assets/{}/{}", *self.hash, self.name)
    }
}

/// The asset of that name.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name)
}
