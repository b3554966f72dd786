//! The alarms in both languages: what is wrong, and what to do next.

use schema::{Alarm, Proof, Severity, Shortfall, ShortfallKind, SnapshotId};

use super::{Remembered, Words};
use crate::vault::Coverage;

/// Says which job an alarm is about; an empty label says nothing.
pub(super) fn about(alarm: Alarm, label: &str) -> Alarm {
    if label.is_empty() {
        return alarm;
    }
    Alarm {
        title: format!("{label}: {}", alarm.title),
        title_ja: format!("{label}: {}", alarm.title_ja),
        ..alarm
    }
}

pub(super) fn medium_absent(remembered: Option<&Remembered>) -> Alarm {
    let (en, ja) = last_known(remembered);
    alarm(
        "backup.medium_absent",
        Severity::Critical,
        (format!("The backup medium is not there{en}."), format!("バックアップ媒体がありません{ja}。")),
        (
            "Plug in or mount the medium, then run `chartward status` again.",
            "媒体を接続またはマウントし、`chartward status` をもう一度実行してください。",
        ),
    )
}

pub(super) fn medium_empty(remembered: Option<&Remembered>) -> Alarm {
    let (en, ja) = last_known(remembered);
    alarm(
        "backup.medium_empty",
        Severity::Critical,
        (
            format!("The backup medium holds no backup at all{en}."),
            format!("バックアップ媒体にバックアップが一つもありません{ja}。"),
        ),
        (
            "Check that the right medium is mounted; if it is, run `chartward vault init` and `chartward backup` now.",
            "正しい媒体か確かめてください。正しければ今すぐ `chartward vault init` と `chartward backup` を実行してください。",
        ),
    )
}

fn last_known(remembered: Option<&Remembered>) -> (String, String) {
    remembered.map_or_else(Default::default, |known| {
        let (id, time) = (known.snapshot.short(), known.time);
        (
            format!(", although the ledger recorded snapshot {id} of {time} as written"),
            format!("（台帳にはスナップショット {id}（{time}）が書き込み済みと記録されています）"),
        )
    })
}

pub(super) fn damaged(packs: u64, files: u64) -> Option<Alarm> {
    (packs + files > 0).then(|| {
        alarm(
            "backup.damaged",
            Severity::Critical,
            (
                format!(
                    "The vault is damaged: {packs} packs are missing or cut short, \
                     {files} files of its index or list cannot be read."
                ),
                format!("保管庫が壊れています: 欠落または途中で切れたパック {packs} 個、読めない索引・一覧 {files} 個。"),
            ),
            (
                "Run `chartward vault check --read-data` to see which files are lost, and back up to a second medium now.",
                "`chartward vault check --read-data` で失われたファイルを確かめ、今すぐ別の媒体にもバックアップしてください。",
            ),
        )
    })
}

/// Reading a part of the vault at each check no longer reaches all of it in time.
pub(super) fn unread(coverage: &Coverage) -> Option<Alarm> {
    let overdue = (u128::from(coverage.bytes_overdue) * 100).div_ceil(u128::from(coverage.bytes.max(1)));
    (coverage.bytes_overdue > 0).then(|| {
        alarm(
            "backup.unread",
            Severity::Medium,
            (
                format!(
                    "{overdue} % of the vault's bytes were not read and found right in 31 days; {} % were.",
                    coverage.percent()
                ),
                format!(
                    "保管庫のデータのうち{overdue}％が、31日以内に読み取りで確認されていません（確認済みは{}％）。",
                    coverage.percent()
                ),
            ),
            (
                "The check that reads data has stopped or reads too little: run `chartward vault check --read-data`,                  or raise its part.",
                "データを読む検査が止まっているか、読む量が足りません。`chartward vault check --read-data` を実行するか、1回に読む量を増やしてください。",
            ),
        )
    })
}

pub(super) fn no_snapshot() -> Alarm {
    alarm(
        "backup.none",
        Severity::Critical,
        (
            "The vault holds no snapshot: nothing was ever backed up.".to_owned(),
            "保管庫にスナップショットがありません。一度もバックアップされていません。".to_owned(),
        ),
        (
            "Run `chartward backup SRC… --vault DIR` now.",
            "今すぐ `chartward backup SRC… --vault DIR` を実行してください。",
        ),
    )
}

pub(super) fn clock_is_wrong(ahead: Words) -> Alarm {
    alarm(
        "backup.clock",
        Severity::High,
        (
            format!("The newest snapshot is dated {} in the future.", ahead.en()),
            format!("最新のスナップショットの日時が{}未来になっています。", ahead.ja()),
        ),
        (
            "Correct the clock of this machine or of the one that made the backup; until then ages cannot be trusted.",
            "この機械かバックアップ元の時計を直してください。それまで経過時間は信用できません。",
        ),
    )
}

pub(super) fn drill_failed(proof: &Proof) -> Alarm {
    let id = proof.snapshot.short();
    if proof.shortfalls.iter().any(|(kind, _)| *kind == ShortfallKind::Encrypted) {
        return alarm(
            "backup.encrypted",
            Severity::Critical,
            (
                format!("Snapshot {id} holds records that are themselves encrypted."),
                format!("スナップショット {id} の中の記録そのものが暗号化されています。"),
            ),
            (
                "The store was under attack when it was captured: isolate it, and restore an earlier snapshot.",
                "取り込み時に攻撃を受けていました。隔離し、より古いスナップショットから復元してください。",
            ),
        );
    }
    let found: Vec<String> =
        proof.shortfalls.iter().map(|(kind, count)| format!("{count} {kind:?}")).collect();
    let found = found.join(", ");
    alarm(
        "backup.drill_failed",
        Severity::Critical,
        (
            format!("The last drill of snapshot {id} failed: {found}."),
            format!("スナップショット {id} の復元訓練は不合格でした: {found}。"),
        ),
        (
            "Run `chartward drill --vault DIR` to see what is missing by name.",
            "`chartward drill --vault DIR` を実行すると、欠けているものが名前で分かります。",
        ),
    )
}

pub(super) fn alarm(
    id: &str,
    severity_id: Severity,
    (title, title_ja): (String, String),
    (step, step_ja): (&str, &str),
) -> Alarm {
    Alarm {
        id: id.to_owned(),
        severity_id,
        title,
        title_ja,
        next_step: step.to_owned(),
        next_step_ja: step_ja.to_owned(),
    }
}

pub(super) fn config_lost() -> Alarm {
    alarm(
        "backup.damaged",
        Severity::Critical,
        (
            "The vault's file `config` is gone: its data is there, and nobody can open it.".to_owned(),
            "保管庫の `config` ファイルがありません。データは残っていますが、開けません。".to_owned(),
        ),
        (
            "Fetch the file `config` from another copy of this vault, then run `chartward status` again.",
            "この保管庫の別の複製から `config` ファイルを取り戻し、`chartward status` をもう一度実行してください。",
        ),
    )
}

pub(super) fn missing(known: &Remembered) -> Alarm {
    let (id, time) = (known.snapshot.short(), known.time);
    alarm(
        "backup.snapshot_missing",
        Severity::Critical,
        (
            format!("Snapshot {id} of {time} was sealed according to the ledger and is not in the vault."),
            format!("台帳では封印済みのスナップショット {id}（{time}）が保管庫にありません。"),
        ),
        (
            "Somebody or something removed it, or this is another medium: find out which before you rely on it.",
            "削除されたか、別の媒体です。頼る前にどちらか確かめてください。",
        ),
    )
}

pub(super) fn stale(age: Words, limit: Words) -> Alarm {
    alarm(
        "backup.stale",
        Severity::High,
        (
            format!("The newest backup is {} old; it should be at most {}.", age.en(), limit.en()),
            format!("最新のバックアップは{}前のものです（許容は{}）。", age.ja(), limit.ja()),
        ),
        (
            "The backup has stopped or fails: run `chartward backup SRC… --vault DIR` and see what it says.",
            "バックアップが止まっているか失敗しています。`chartward backup` を実行して表示を確かめてください。",
        ),
    )
}

pub(super) fn empty(id: &SnapshotId) -> Alarm {
    let id = id.short();
    alarm(
        "backup.empty",
        Severity::Critical,
        (
            format!("The newest snapshot {id} says success and holds no file."),
            format!("最新のスナップショット {id} は成功と言いながらファイルが一つもありません。"),
        ),
        (
            "The folder it reads is empty or not mounted: mount it and back up again.",
            "読み取るフォルダが空かマウントされていません。マウントしてからもう一度バックアップしてください。",
        ),
    )
}

pub(super) fn incomplete(id: &SnapshotId, count: u64) -> Alarm {
    let id = id.short();
    alarm(
        "backup.incomplete",
        Severity::Medium,
        (
            format!("The newest snapshot {id} names {count} files that are not in it as they should be."),
            format!(
                "最新のスナップショット {id} には、正しく取り込めなかったファイルが {count} 個あります。"
            ),
        ),
        (
            "See them with `chartward snapshots --exceptions`, and mend or exclude them.",
            "`chartward snapshots --exceptions` で確かめ、直すか除外してください。",
        ),
    )
}

pub(super) fn shrunk(id: &SnapshotId, lost: &[Shortfall]) -> Alarm {
    let id = id.short();
    let lost: Vec<String> = lost.iter().map(|lost| format!("{}: {}", lost.what, lost.detail)).collect();
    let lost = lost.join("; ");
    alarm(
        "backup.shrunk",
        Severity::Critical,
        (
            format!("The newest snapshot {id} holds less than the last proven one: {lost}."),
            format!("最新のスナップショット {id} の内容が、最後に証明されたものより減っています: {lost}。"),
        ),
        (
            "Records do not vanish by themselves: look at the store now, and keep the proven snapshot.",
            "記録がひとりでに消えることはありません。今すぐ記録庫を確かめ、証明済みのスナップショットを残してください。",
        ),
    )
}

pub(super) fn fraction(id: &SnapshotId, was: u64, is: u64, (what, what_ja): (&str, &str)) -> Alarm {
    let id = id.short();
    implausible(
        format!(
            "The newest snapshot {id} says success and holds {is} {what}; the last proven one held {was}."
        ),
        format!(
            "最新のスナップショット {id} は成功していますが {is}{what_ja}です。最後に証明されたものは {was}{what_ja}でした。"
        ),
    )
}

pub(super) fn went_back(id: &SnapshotId, by: Words) -> Alarm {
    let id = id.short();
    implausible(
        format!(
            "The newest record in snapshot {id} is {} older than the one in the last proven snapshot.",
            by.en()
        ),
        format!(
            "スナップショット {id} の最新の記録が、最後に証明されたものより{}古くなっています。",
            by.ja()
        ),
    )
}

pub(super) fn silent(id: &SnapshotId, silence: Words) -> Alarm {
    let id = id.short();
    implausible(
        format!("Snapshot {id} says success, and nothing was recorded in it for {}.", silence.en()),
        format!("スナップショット {id} は成功していますが、{}の間、新しい記録がありません。", silence.ja()),
    )
}

fn implausible(title: String, title_ja: String) -> Alarm {
    alarm(
        "backup.implausible",
        Severity::High,
        (title, title_ja),
        (
            "Look whether the folders that are read are still the ones in use, and whether all of it is mounted.",
            "読み取っているフォルダが現在使われているものか、すべてマウントされているかを確かめてください。",
        ),
    )
}

pub(super) fn medium_full(free: u64) -> Alarm {
    let free = free >> 20;
    alarm(
        "backup.medium_full",
        Severity::High,
        (
            format!("The backup medium is nearly full: {free} MiB are free."),
            format!("バックアップ媒体の空きが残りわずかです（{free} MiB）。"),
        ),
        (
            "Use a larger medium, or remove old snapshots with `chartward forget` and `chartward prune`.",
            "より大きな媒体に替えるか、`chartward forget` と `chartward prune` で古いスナップショットを整理してください。",
        ),
    )
}

pub(super) fn record_from_the_future(ahead: Words) -> Alarm {
    alarm(
        "backup.record_time",
        Severity::High,
        (
            format!(
                "The newest record is dated {} after it was captured: its age proves nothing.",
                ahead.en()
            ),
            format!("最新の記録の日時が取り込みより{}未来です。経過時間の根拠になりません。", ahead.ja()),
        ),
        (
            "Find the record and correct the clock that wrote it; until then a store that stopped growing would go unnoticed.",
            "その記録と、書いた機械の時計を直してください。それまで、止まった記録庫に気づけません。",
        ),
    )
}

const DRILL_NOW: (&str, &str) =
    ("Run `chartward drill --vault DIR` now.", "今すぐ `chartward drill --vault DIR` を実行してください。");

pub(super) fn unproven() -> Alarm {
    alarm(
        "backup.unproven",
        Severity::High,
        (
            "No backup in this vault is proven by restoring it.".to_owned(),
            "この保管庫のバックアップで、復元して証明されたものがありません。".to_owned(),
        ),
        DRILL_NOW,
    )
}

pub(super) fn proof_stale(age: Words, limit: Words) -> Alarm {
    alarm(
        "backup.proof_stale",
        Severity::Medium,
        (
            format!("The last passed drill is {} old; it should be at most {}.", age.en(), limit.en()),
            format!("最後に合格した復元訓練は{}前です（許容は{}）。", age.ja(), limit.ja()),
        ),
        DRILL_NOW,
    )
}
