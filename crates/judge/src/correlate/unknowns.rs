//! What an incident leaves open. Nothing is called absent that nobody looked at.

use schema::{Tactic, Unknown, WatcherClass};

use super::Settings;
use super::case::{Case, Kind};

/// What nobody looks at while no watcher of a class runs: English and Japanese.
const NOT_LOOKED_AT: [(&[WatcherClass], &str, &str); 4] = [
    (
        &[WatcherClass::Mail],
        "Nobody looks at mail, so a deceptive mail as the way in: not looked at, not absent.",
        "メールは監視していません。不審なメールによる侵入は「無かった」のではなく「調べていない」状態です。",
    ),
    (
        &[WatcherClass::Logs],
        "Nobody looks at logs, so logins, new accounts and programs that were started: not looked at, not absent.",
        "ログは監視していません。ログイン・アカウント追加・プログラムの実行は「無かった」のではなく「調べていない」状態です。",
    ),
    (
        &[WatcherClass::Sensor],
        "Nobody looks at the network, so scans, remote control and data that left: not looked at, not absent.",
        "ネットワークは監視していません。探索・遠隔操作・データの持ち出しは「無かった」のではなく「調べていない」状態です。",
    ),
    (
        &[WatcherClass::Guard, WatcherClass::Share],
        "Nobody looks at the stores of records, so changed or encrypted files: not looked at, not absent.",
        "記録の保存先は監視していません。ファイルの改変や暗号化は「無かった」のではなく「調べていない」状態です。",
    ),
];

pub(super) fn of(case: &Case, settings: &Settings) -> Vec<Unknown> {
    let looks = |classes: &[WatcherClass]| classes.iter().any(|class| settings.watching.contains(class));
    let mut open = Vec::new();
    match case.kind {
        Kind::Attack => attack(case, settings, &mut open),
        Kind::Scans => open.push(unknown(
            "A scan alone does not show whether one of these addresses got in.",
            "探索だけでは、これらのアドレスのいずれかが侵入したかどうかは分かりません。",
        )),
        Kind::Signs(_) => {}
        Kind::Weak(_) => open.push(unknown(
            "Whether somebody made use of these weak spots does not show in them.",
            "これらの弱点が実際に悪用されたかどうかは、弱点の情報だけでは分かりません。",
        )),
    }
    if matches!(case.kind, Kind::Attack | Kind::Scans) {
        let blind = NOT_LOOKED_AT.iter().filter(|(classes, ..)| !looks(classes));
        open.extend(blind.map(|(_, en, ja)| unknown(en, ja)));
    }
    if case.parts_more {
        open.push(unknown(
            "More hosts, accounts or addresses are in it than are remembered by name.",
            "関係する機器・アカウント・アドレスが多く、一部は名前を保持していません。",
        ));
    }
    open
}

fn attack(case: &Case, settings: &Settings, open: &mut Vec<Unknown>) {
    let saw = |tactic| case.tactics.contains_key(&tactic);
    let looks = |class| settings.watching.contains(&class);
    let mut ask = |en, ja| open.push(unknown(en, ja));
    let names_actor = case.parts.values().any(|part| part.actor > 0);
    if !names_actor {
        ask("Who or what did it is not known.", "誰が、または何が行ったのかは分かっていません。");
    }
    if !saw(Tactic::InitialAccess) {
        ask("How the attacker came in is not known.", "攻撃者がどこから侵入したのかは分かっていません。");
    }
    if !saw(Tactic::Persistence) {
        ask(
            "Whether the attacker left a way to come back is not known.",
            "攻撃者が再び侵入する手段を残したかどうかは分かっていません。",
        );
    }
    if !saw(Tactic::Exfiltration) {
        let (en, ja) = if looks(WatcherClass::Sensor) {
            (
                "No sign that data left was seen by the network sensor. What does not pass its port was not looked at.",
                "ネットワーク監視では、データ持ち出しの兆候は見つかっていません。監視口を通らない通信は調べていません。",
            )
        } else {
            (
                "Whether data left the hospital is not known.",
                "データが院外に持ち出されたかどうかは分かっていません。",
            )
        };
        ask(en, ja);
    }
    if !saw(Tactic::LateralMovement) {
        let (en, ja) = if looks(WatcherClass::Sensor) || looks(WatcherClass::Logs) {
            (
                "No sign that further machines were entered was seen. Machines whose traffic and logs do not reach us were not looked at.",
                "他の機器への侵入の兆候は見つかっていません。通信やログが届かない機器は調べていません。",
            )
        } else {
            (
                "Whether further machines were entered is not known.",
                "他の機器にも侵入されたかどうかは分かっていません。",
            )
        };
        ask(en, ja);
    }
    if !saw(Tactic::Impact) && (looks(WatcherClass::Guard) || looks(WatcherClass::Share)) {
        ask(
            "No sign that records were changed was seen so far, in the stores that are watched.",
            "監視中の保存先では、記録が改変された兆候は今のところ見つかっていません。",
        );
    }
}

fn unknown(en: &str, ja: &str) -> Unknown {
    Unknown { en: en.to_owned(), ja: ja.to_owned() }
}
