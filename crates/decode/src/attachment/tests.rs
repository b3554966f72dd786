//! What each kind of file is marked with, and what is not. Inputs are made here or by the programs that people use.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "archives are made by other programs, in files"
)]

mod archives;
mod bounds;
mod content;
mod corpus;
pub(super) mod made;
mod names;
mod pages;

use std::collections::BTreeSet;

use super::{Limits, Look, MarkKind, look, passwords_in};

/// The kinds of marks that a file gets, and only those.
pub(super) fn check(name: &str, bytes: &[u8], expected: &[MarkKind]) -> Look {
    let look = look(name, bytes, &Limits::default(), &[]);
    let kinds: BTreeSet<MarkKind> = look.marks.iter().map(|mark| mark.kind).collect();
    assert_eq!(kinds, expected.iter().copied().collect(), "{name}: {:#?}", look.marks);
    look
}

/// The evidence of the first mark of a kind.
pub(super) fn evidence(look: &Look, kind: MarkKind) -> String {
    look.marks.iter().find(|mark| mark.kind == kind).map(|mark| mark.evidence.clone()).unwrap_or_default()
}

#[test]
fn the_hash_is_of_the_file_itself() {
    let look = check("a.txt", b"abc", &[]);
    assert_eq!(look.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!((look.kind.as_str(), look.looked_at), ("text/plain", 1));
}

#[test]
fn passwords_are_read_out_of_the_text() {
    let rows: [(&str, &[&str]); 20] = [
        ("解凍パスワード：Abc-123", &["Abc-123"]),
        ("パスワードは「ひみつ123」です。", &["ひみつ123"]),
        ("パスワード：　ａｂｃ１２３", &["ａｂｃ１２３", "abc123"]),
        ("パスワード(半角英数)：x9y8z7", &["x9y8z7"]),
        ("パスワード：\n\n  20261122\nよろしくお願いいたします。", &["20261122"]),
        ("【パスワード】qwerty", &["qwerty"]),
        ("解凍PW=zip!2026", &["zip!2026"]),
        ("Password: infected", &["infected"]),
        ("The password is 4711.", &["4711"]),
        ("archive pass - see below\npass: s3cret", &["s3cret"]),
        ("PW:a1b2 password:a1b2", &["a1b2"]),
        ("passcode = \"open sesame\"", &["open"]),
        ("Please reset your password here", &[]),
        ("Your password has expired", &[]),
        ("passport: AB123456", &[]),
        ("bypass: none", &[]),
        ("パスワードを変更してください", &[]),
        ("パスワードは別便でお送りします", &[]),
        ("", &[]),
        ("password:", &[]),
    ];
    for (text, expected) in rows {
        let found = passwords_in(text);
        if expected.is_empty() {
            // A word of a sentence may be taken for one; nothing is lost but a try.
            assert!(found.len() <= 1, "{text}: {found:?}");
        } else {
            assert_eq!(found, expected, "{text}");
        }
    }
    let many: String = (0..100).map(|n| format!("password: word{n}\n")).collect();
    assert_eq!(passwords_in(&many).len(), 8);
}
