//! Charts on a stick: a vault to take them from, and a place outside of it.

use super::{Findings, Gravity, Node, Words, overlap};

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let Some(bundle) = file.table("bundle") else { return };
    let Some(vault) = file.table("vault") else {
        let what =
            Words::new("there is no [vault] to take charts from", "カルテの元になる [vault] がありません");
        return bundle.add(
            found,
            Gravity::Error,
            what,
            Words::new("add [vault]", "[vault] を書き足してください"),
        );
    };
    if let Some((to, dir)) = bundle.text("to").zip(vault.text("dir"))
        && overlap(to.text, dir.text)
    {
        let what = Words::new(
            format!("{} and the vault {} lie in each other", to.text, dir.text),
            format!("{} と保管庫 {} が重なっています", to.text, dir.text),
        );
        let remedy = Words::new("name a folder of its own", "専用のフォルダーを指定してください");
        to.add(found, Gravity::Error, what, remedy);
    }
}
