//! The static bundle: the charts of a snapshot, encrypted, in files that an ordinary browser opens from a USB stick with no server, no
//! installation and no network.
//!
//! A bundle is a folder: `index.html`, `app.js`, `app.css`, `README.txt`, `manifest.js` and `data/*.js`. What may not be read is
//! AES-256-GCM under a random data key that the passphrase unwraps (PBKDF2-HMAC-SHA-256). Every part is bound to its bundle and its name,
//! and its digest stands in the encrypted manifest: a part that is missing, changed, swapped or of another age is said on the screen.
//!
//! An export writes only the parts whose content changed, each into a new file; replacing `manifest.js` is the moment at which the new
//! bundle takes the place of the old. Whenever an export is cut short, the folder holds one of the two.
//!
//! docs/bundle.md describes the format and what it protects against.

mod book;
mod check;
mod edition;
mod error;
mod export;
mod files;
mod index;
mod keys;
mod manifest;
mod page;
mod parts;
mod seal;
#[cfg(test)]
mod tests;
mod twin;

pub use book::{Book, Known};
pub use check::{Checked, check};
pub use error::Error;
pub use export::{Exported, Request, export};
pub use files::{Presence, look};
pub use manifest::public_key;
