//! Who logs in where: values whose shape is a text, and contractors that could never log in.

use super::{Findings, Gravity, Node, Words};
use crate::config::sensor::Hours;

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let Some(logins) = file.table("logins") else { return };
    let contractors = logins.tables("contractor");
    super::unique_names(&contractors, found);
    for contractor in contractors {
        if let Some(at) = contractor.text("hours").filter(|at| at.text.parse::<Hours>().is_err()) {
            let what = Words::new(
                format!("{:?} does not fit here", at.text),
                format!("{:?} はここに書けません", at.text),
            );
            let remedy = Words::new(
                "write hours as \"09:00-17:30\"",
                "時間帯は \"09:00-17:30\" のように書いてください",
            );
            at.add(found, Gravity::Error, what, remedy);
        }
    }
}
