//! Internet mail (RFC 5322, MIME) as values: who it says it is from, what a reader sees, where its links go, what it carries.
//!
//! Broken mail is read as far as it can be, the way a mail program would show it; every bound that was met and everything
//! that is malformed is a [`Flaw`]. Memory is bounded by [`Limits`] and a small multiple of the input, time is linear in it.

mod address;
mod charset;
mod fields;
mod flowed;
mod header;
mod html;
mod links;
mod mailbox;
mod message;
mod parameters;
mod parts;
mod results;
#[cfg(test)]
mod tests;
mod tlds;
mod transfer;
mod url;
mod uuencode;
mod values;
mod words;

pub use links::urls;
pub use mailbox::{Mailbox, messages};
pub use message::{page, read};
pub use url::host_of;
pub use values::{Address, AuthenticationResults, Body, Flaw, Form, Limits, Link, LinkKind, Message, Part};
