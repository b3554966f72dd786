//! The mail gateway: places that can be listened at and sent to, a watcher that has one to run, and who belongs to which department.

use std::collections::HashMap;

use observe::mail::dns::Dns;
use observe::mail::milter::Listen;
use observe::mail::reinject::Way;

use super::{Findings, Gravity, Node, Words};
use crate::config::fields::ENTRIES_MAX;
use crate::wiring::mail::training::departments::Mailboxes;

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let mail = file.table("mail");
    let watches: Vec<_> = file.tables("watch");
    let gateways: Vec<_> = watches.iter().filter(|watch| watch.get("mail").is_some()).collect();
    if let Some(watch) = gateways.first().filter(|_| mail.is_none()) {
        let what =
            Words::new("there is no [mail] that says what it does", "動作を決める [mail] がありません");
        watch.add(found, Gravity::Error, what, Words::new("add [mail]", "[mail] を書き足してください"));
    }
    if let Some(watch) = gateways.get(1) {
        let what = Words::new("there can be one mail gateway only", "メールの関所は1つだけです");
        let remedy = Words::new("keep one of the two", "片方を消してください");
        watch.add(found, Gravity::Error, what, remedy);
    }
    let Some(mail) = mail else { return };
    departments(&mail, found);
    let fits = |key: &str, text: &str| match key {
        "listen" => text.parse::<Listen>().is_ok(),
        "dns" => text == "off" || text.parse::<Dns>().is_ok(),
        _ => text.parse::<Way>().is_ok(),
    };
    for (key, en, ja) in [
        (
            "listen",
            "write inet:PORT@127.0.0.1 or unix:/PATH",
            "inet:ポート@127.0.0.1 か unix:/パス の形で書いてください",
        ),
        ("dns", "write system, off or an address", "system、off、アドレスのいずれかを書いてください"),
        (
            "release_to",
            "write ADDRESS:PORT or the absolute path of a program",
            "アドレス:ポート か、プログラムの絶対パスを書いてください",
        ),
    ] {
        let Some(at) = mail.text(key).filter(|at| !fits(key, at.text)) else { continue };
        let what = Words::new(
            format!("{:?} does not fit here", at.text),
            format!("{:?} はここに書けません", at.text),
        );
        at.add(found, Gravity::Error, what, Words::new(en, ja));
    }
}

/// Each entry is a sort of mailboxes, and nobody's in two departments.
fn departments(mail: &Node<'_, '_>, found: &mut Findings<'_>) {
    let Some(departments) = mail.table("departments") else { return };
    let mut seen: HashMap<String, &str> = HashMap::new();
    for name in departments.table.keys().map(|key| key.get_ref().as_ref()).take(ENTRIES_MAX) {
        for at in departments.texts(name) {
            let Ok(mailboxes) = at.text.parse::<Mailboxes>() else {
                let what = Words::new(
                    format!("{:?} names no mailboxes", at.text),
                    format!("{:?} は宛先の形になっていません", at.text),
                );
                let remedy = Words::new(
                    "write an address, @DOMAIN, or the beginning of addresses with *",
                    "アドレス、@ドメイン、または * で終わるアドレスの先頭を書いてください",
                );
                at.add(found, Gravity::Error, what, remedy);
                continue;
            };
            if let Some(first) = seen.insert(mailboxes.to_string(), name).filter(|first| *first != name) {
                let what = Words::new(
                    format!("{:?} is of the department {first} already", at.text),
                    format!("{:?} は、すでに {first} の宛先です", at.text),
                );
                let remedy = Words::new("keep one of the two", "片方を消してください");
                at.add(found, Gravity::Error, what, remedy);
            }
        }
    }
}
