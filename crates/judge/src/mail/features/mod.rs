//! What speaks for or against a mail: one row for each, one file for each group.
//!
//! Each is meant to hold on today's mail and on tomorrow's: it has a story of why a deceiver does it and an honest sender does not. What only
//! tells where the examples were collected (Received, X-*, Date, To, that a field is there at all) is never looked at. What is honest today
//! but did not exist when the honest examples were written (HTML alone, images, many links) is bounded: to about the logarithm of how much
//! oftener deceivers of today do it than honest senders of today, however seldom the old examples did.

mod attachment;
mod auth;
mod brand;
mod flaws;
mod html;
mod link;
mod sender;
mod text;

use schema::MailVerdict;

use super::view::View;

/// One thing that can speak for or against a mail.
#[derive(Debug, Clone, Copy)]
pub struct Feature {
    /// `group.name`.
    pub id: &'static str,
    /// One sentence that a nurse understands.
    pub text: &'static str,
    /// The same in Japanese.
    pub text_ja: &'static str,
    /// What its weight may be at least and at most, whatever was counted; equal where it is set by hand because there is nothing to count.
    pub bounds: (f64, f64),
    /// What a mail with it is at least, whatever else speaks for it.
    pub at_least: Option<MailVerdict>,
    pub(super) look: Look,
}

/// Looks at a mail; evidence where the feature is there, which may be empty.
pub(super) type Look = fn(&View) -> Option<Vec<String>>;

/// All of them, by group.
pub(super) const GROUPS: &[&[Feature]] = &[
    brand::FEATURES,
    sender::FEATURES,
    link::FEATURES,
    html::FEATURES,
    text::FEATURES,
    auth::FEATURES,
    attachment::FEATURES,
    flaws::FEATURES,
];

/// All of them, in one order.
pub fn features() -> impl Iterator<Item = &'static Feature> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// A row of a table.
const fn row(
    id: &'static str,
    bounds: (f64, f64),
    text: &'static str,
    text_ja: &'static str,
    look: Look,
) -> Feature {
    Feature { id, text, text_ja, bounds, at_least: None, look }
}

/// `Some` where there is any evidence.
fn any(evidence: Vec<String>) -> Option<Vec<String>> {
    (!evidence.is_empty()).then_some(evidence)
}

/// At most four, each once.
fn few(evidence: impl Iterator<Item = String>) -> Vec<String> {
    let mut few: Vec<String> = Vec::new();
    for one in evidence {
        if few.len() == 4 {
            break;
        }
        if !few.contains(&one) {
            few.push(one);
        }
    }
    few
}
