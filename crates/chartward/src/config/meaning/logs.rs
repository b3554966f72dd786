//! The watcher of logs: something to read, and doors that can be opened.

use super::{Findings, Gravity, Node, Words};
use crate::wiring::logs::Door;

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let logs = file.table("logs");
    let watches = file.tables("watch");
    let watchers: Vec<_> = watches.iter().filter(|watch| watch.get("logs").is_some()).collect();
    let reads = |logs: &Node<'_, '_>| {
        logs.get("journal").is_some()
            || ["files", "syslog", "http"].iter().any(|key| !logs.texts(key).is_empty())
    };
    if let Some(watch) = watchers.first().filter(|_| !logs.as_ref().is_some_and(reads)) {
        let what = Words::new("the watcher of logs has nothing to read", "ログの監視が読むものがありません");
        let remedy = Words::new(
            "add [logs] with files = [\"/var/log/auth.log\"] or syslog = [\"udp://0.0.0.0:514\"]",
            "[logs] に files = [\"/var/log/auth.log\"] や syslog = [\"udp://0.0.0.0:514\"] のように書き足してください",
        );
        watch.add(found, Gravity::Error, what, remedy);
    }
    if let Some(watch) = watchers.get(1) {
        let what = Words::new("there can be one watcher of logs only", "ログの監視は1つだけです");
        watch.add(found, Gravity::Error, what, Words::new("keep one of the two", "片方を消してください"));
    }
    let Some(logs) = logs else { return };
    for at in logs.texts("syslog").iter().chain(&logs.texts("http")) {
        if let Err(why) = at.text.parse::<Door>() {
            let what = Words::new(
                format!("{:?} does not fit here", at.text),
                format!("{:?} はここに書けません", at.text),
            );
            let remedy = Words::new(
                why,
                "udp://、tcp://、tls://、https:// のあとにアドレスとポートを書いてください（http:// はこの機械の中だけです）",
            );
            at.add(found, Gravity::Error, what, remedy);
        }
    }
}
