//! An act and where things stand, as people say it: the same words in the timeline, on the command line and on pages.

use schema::{Act, CountermeasureState, IncidentStatus, Lang};

/// An act with what it is aimed at.
pub(crate) fn in_words(act: &Act, lang: Lang) -> String {
    match act {
        Act::Freeze { pid, .. } => {
            lang.pick(format!("Freeze process {pid}"), format!("プロセス {pid} の凍結"))
        }
        Act::FreezeCgroup { path } => lang
            .pick(format!("Freeze the control group {path}"), format!("コントロールグループ {path} の凍結")),
        Act::BlockAddress { address } => lang.pick(format!("Block {address}"), format!("{address} の遮断")),
        Act::BlockEgress { address } => {
            lang.pick(format!("Block what {address} begins itself"), format!("{address} からの発信の遮断"))
        }
        Act::IsolateHost { address } => {
            lang.pick(format!("Isolate the host {address}"), format!("端末 {address} の隔離"))
        }
        Act::SnapshotNow { protect } => {
            lang.pick(format!("Snapshot of {protect} now"), format!("{protect} の即時バックアップ"))
        }
        Act::LockVault => lang.pick("Lock the vault against pruning", "保管庫の削除禁止").to_owned(),
        Act::StartViewer => lang.pick("Start the downtime viewer", "カルテ参照画面の起動").to_owned(),
        Act::Notify { channel } => lang.pick(format!("Notify {channel}"), format!("{channel} への通知")),
    }
}

/// Where an incident stands.
pub(crate) fn status_in_words(status: IncidentStatus, lang: Lang) -> &'static str {
    match status {
        IncidentStatus::Open => lang.pick("open", "進行中"),
        IncidentStatus::Contained => lang.pick("contained", "封じ込め済み"),
        IncidentStatus::Closed => lang.pick("closed", "終了"),
        IncidentStatus::FalseAlarm => lang.pick("false alarm", "誤検知"),
    }
}

/// Where a countermeasure stands.
pub(crate) fn state_in_words(state: CountermeasureState, lang: Lang) -> &'static str {
    match state {
        CountermeasureState::ObserveOnly => lang.pick("not done: observe only", "未実施（観察のみの設定）"),
        CountermeasureState::Proposed => lang.pick("waits for approval", "承認待ち"),
        CountermeasureState::Approved => lang.pick("approved, being done", "承認済み・実施中"),
        CountermeasureState::Applied => lang.pick("in force", "実施済み・有効"),
        CountermeasureState::Undone => lang.pick("taken back", "取り消し済み"),
        CountermeasureState::Expired => lang.pick("ended by itself", "期限により終了"),
        CountermeasureState::Rejected => lang.pick("rejected", "却下"),
        CountermeasureState::NeverTouch => {
            lang.pick("not done: on the never-touch list", "未実施（対象外リストに登録）")
        }
        CountermeasureState::Failed => lang.pick("failed", "失敗"),
    }
}
