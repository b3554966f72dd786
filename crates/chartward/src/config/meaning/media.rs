//! Media that take turns: a vault to copy, places of their own, sets that can be told apart.

use std::collections::HashSet;

use super::{Findings, Gravity, Node, Words, overlap};

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let vault = file.table("vault");
    for media in file.tables("media") {
        if vault.is_none() {
            let what = Words::new("there is no [vault] to copy", "写す元の [vault] がありません");
            let remedy = Words::new("add [vault]", "[vault] を書き足してください");
            media.add(found, Gravity::Error, what, remedy);
        }
        let mut seen = HashSet::new();
        for set in media.texts("sets") {
            if seen.insert(set.text) {
                continue;
            }
            let what = Words::new(
                format!("the set \"{}\" is named twice", set.text),
                format!("媒体 \"{}\" が二度書かれています", set.text),
            );
            let remedy = Words::new(
                "give each set a label of its own: one medium cannot have two turns",
                "媒体ごとに別のラベルを付けてください",
            );
            set.add(found, Gravity::Error, what, remedy);
        }
        one_set(&media, found);
        let dir = vault.as_ref().and_then(|vault| vault.text("dir"));
        for path in media.texts("paths") {
            let Some(dir) = dir.as_ref().filter(|dir| overlap(dir.text, path.text)) else { continue };
            let what = Words::new(
                format!("{} and the vault {} lie in each other", path.text, dir.text),
                format!("{} と保管庫 {} が重なっています", path.text, dir.text),
            );
            let remedy = Words::new(
                "a medium that takes turns is a second copy: keep the vault elsewhere",
                "交代する媒体は二つ目の写しです。保管庫は別の場所に置いてください",
            );
            path.add(found, Gravity::Error, what, remedy);
        }
    }
}

fn one_set(media: &Node<'_, '_>, found: &mut Findings<'_>) {
    if media.texts("sets").len() != 1 {
        return;
    }
    let what = Words::new(
        "with one set there is no generation outside of the machine while it is in",
        "媒体が一つだけでは、入れている間、機器の外に世代が残りません",
    );
    let remedy = Words::new("use at least two sets", "二つ以上の媒体を使ってください");
    media.add(found, Gravity::Warning, what, remedy);
}
