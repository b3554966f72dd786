//! The ledger: what was done, who looked, and whether the chain is whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use maud::{Markup, html};
use prove::Fact;
use prove::ledger::{self, Expect};
use schema::Lang;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Permission;
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub;

const LEDGER: Both = ("Ledger", "台帳");
const AUDIT: Both = ("Who did what", "操作履歴");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/ledger", LEDGER, Needs::May(Permission::See), show).in_nav(),
    Route::form("/ledger/verify", LEDGER, Needs::May(Permission::ExportLedger), verify),
    Route::form("/ledger/export", LEDGER, Needs::May(Permission::ExportLedger), export),
    Route::page("/audit", AUDIT, Needs::May(Permission::Audit), audit).in_nav().audited(),
];

/// Only the end of the file is read for the page, however long the ledger is.
const TAIL_BYTES: u64 = 512 * 1024;
const SHOWN_MAX: usize = 200;

#[derive(Deserialize)]
struct Line {
    seq: u64,
    at: Timestamp,
    fact: Map<String, Value>,
}

impl Line {
    fn is_access(&self) -> bool {
        self.fact.get("kind").is_some_and(|kind| kind == "access")
    }

    /// What the entry states; [`Fact::Unknown`] where another version of Chartward wrote it.
    fn fact(&self) -> Fact {
        Fact::deserialize(Value::Object(self.fact.clone())).unwrap_or(Fact::Unknown)
    }

    fn details(&self, lang: Lang) -> Markup {
        match self.fact() {
            Fact::CountermeasureChanged { countermeasure: it } => {
                let by = it.approved_by.map(|by| format!(" · {by}")).unwrap_or_default();
                let (what, state) = (hub::in_words(&it.act, lang), hub::state_in_words(it.state, lang));
                html! { "#" (it.id.0) " " (what) " – " (state) (by) }
            }
            _ => html! { span.mono { (details(&self.fact)) } },
        }
    }
}

fn newest(path: &Path) -> Result<Vec<Line>, Trouble> {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().map_err(|cause: std::io::Error| Trouble::Broken(cause.into()))?;
    // The first piece may be the end of a line; it does not parse and is left out.
    Ok(tail.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    Ok(visit.show(page(visit, None)?))
}

fn page(visit: &Visit<'_>, verified: Option<Markup>) -> Result<Markup, Trouble> {
    let lang = visit.lang;
    let mut lines = newest(visit.console.ledger.path())?;
    lines.retain(|line| !line.is_access());
    lines.truncate(SHOWN_MAX);
    let lead = lang.pick(
        "Everything that was done is written here, signed, each line bound to the one before.",
        "実施したことはすべて、前の行と結びつけて署名し、ここに記録されます。後から書き換えることはできません。",
    );
    Ok(html! {
        (layout::opening(visit.pick(LEDGER), lead, None, lang))
        @if let Some(verified) = verified { div.card role="status" { (verified) } }
        @if visit.may(Permission::ExportLedger) {
            div.actions {
                (parts::button(visit, "/ledger/verify", "second", lang.pick("Verify the whole ledger", "台帳全体を検証する")))
                (parts::button(visit, "/ledger/export", "second", lang.pick("Download a verified copy", "検証済みの写しを保存する")))
            }
        }
        h2 { (lang.pick("The newest entries", "最新の記録")) }
        (table(visit, &lines, lang.pick("The newest entries, latest first", "最新の記録（新しい順）")))
        p.soft { (lang.pick(format!("At most {SHOWN_MAX} of them. Who logged in and looked is shown apart."), format!("最大{SHOWN_MAX}件を表示しています。ログインや閲覧の記録は操作履歴に表示されます。"))) }
    })
}

fn audit(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let mut lines = newest(visit.console.ledger.path())?;
    lines.retain(Line::is_access);
    lines.truncate(SHOWN_MAX);
    let lead = lang.pick(
        "Who logged in, looked and changed something, and who was not let.",
        "ログイン・閲覧・変更と、拒否された操作の記録です。",
    );
    Ok(visit.show(html! {
        (layout::opening(visit.pick(AUDIT), lead, None, lang))
        (table(visit, &lines, lang.pick("The newest entries, latest first", "最新の記録（新しい順）")))
    }))
}

fn table(visit: &Visit<'_>, lines: &[Line], caption: &str) -> Markup {
    let heads = [
        visit.pick(("No.", "番号")),
        visit.pick(("When", "時刻")),
        visit.pick(("What", "内容")),
        visit.pick(("Details", "詳細")),
    ];
    let rows: Vec<Markup> = lines
        .iter()
        .map(|line| {
            html! {
                th scope="row" { (line.seq) }
                td { (visit.time(line.at)) }
                td { (visit.pick(kind(&line.fact()))) }
                td { (line.details(visit.lang)) }
            }
        })
        .collect();
    if rows.is_empty() {
        return html! { p { (visit.pick(("Nothing yet.", "まだ記録がありません。"))) } };
    }
    parts::table(caption, &heads, &rows)
}

/// What sort of thing was written down.
fn kind(fact: &Fact) -> Both {
    match fact {
        Fact::Genesis { .. } => ("ledger begun", "台帳の開始"),
        Fact::VaultInitialised { .. } => ("vault made", "保管庫の作成"),
        Fact::VaultOpened { .. } => ("vault opened", "保管庫の使用"),
        Fact::SnapshotSealed { .. } => ("backup complete", "バックアップ完了"),
        Fact::DrillPassed { .. } => ("drill passed", "復元訓練 合格"),
        Fact::DrillFailed { .. } => ("drill failed", "復元訓練 不合格"),
        Fact::ActionTaken { .. } => ("act carried out", "対処の実施"),
        Fact::IncidentDeclared { .. } => ("incident declared", "インシデントの宣言"),
        Fact::IncidentClosed { .. } => ("incident over", "インシデントの終結"),
        Fact::ReportWritten { .. } => ("report written", "報告書の作成"),
        Fact::LedgerExported { .. } => ("ledger exported", "台帳の書き出し"),
        Fact::TornTail { .. } => ("unfinished line moved aside", "書きかけの行を退避"),
        Fact::CountermeasureChanged { .. } => ("countermeasure", "対処の状態変更"),
        Fact::Access { .. } => ("access", "操作"),
        Fact::Armed { armed: true, .. } => ("armed", "自動対処の有効化"),
        Fact::Armed { armed: false, .. } => ("disarmed", "自動対処の無効化"),
        Fact::HubStarted { .. } => ("hub started", "ハブの起動"),
        Fact::HubStopped { .. } => ("hub stopped", "ハブの停止"),
        Fact::IncidentOpened { .. } => ("incident opened", "インシデントの発生"),
        Fact::IncidentMarked { .. } => ("incident marked", "インシデントの状態変更"),
        Fact::NoticeDelivered { .. } => ("notice delivered", "通知の送達"),
        Fact::StateRecovered { .. } => ("state recovered", "状態データベースの復旧"),
        Fact::JobFinished { .. } => ("job ended", "ジョブの終了"),
        Fact::JobMissed { .. } => ("job missed", "ジョブの未実施"),
        Fact::ClockJumped { .. } => ("clock jumped", "時計のずれ"),
        Fact::SnapshotsForgotten { .. } => ("snapshots forgotten", "スナップショットの整理"),
        Fact::SnapshotsTakenBack { .. } => ("forgotten snapshots taken back", "整理の取り消し"),
        Fact::VaultPruned { .. } => ("vault pruned", "不要データの削除"),
        Fact::VaultKeyChanged { .. } => ("passphrases changed", "パスフレーズの変更"),
        Fact::MediumPrepared { .. } => ("medium prepared", "媒体の準備"),
        Fact::MediumWritten { counts: true, .. } => ("medium written and read back", "媒体への書き込み"),
        Fact::MediumWritten { counts: false, .. } => ("medium not written", "媒体への書き込み失敗"),
        Fact::GuardStopped { .. } => ("guard stopped somebody", "ガードによる停止"),
        Fact::GuardPolicy { .. } => ("approval to encrypt", "暗号化の許可"),
        Fact::MailPolicyChanged { .. } => ("mail policy changed", "メール判定の変更"),
        Fact::WallPolicyChanged { .. } => ("wall's policy changed", "ウォールの規則の変更"),
        Fact::MailExpired { .. } => ("held mail removed", "隔離メールの期限切れ削除"),
        Fact::WallChanged { .. } => ("packet filter changed", "パケットフィルターの変化"),
        Fact::LetterChanged { .. } => ("letter to a network's owner", "送信元への連絡"),
        Fact::HostReconnected { .. } => ("host reconnected", "ホストの再接続"),
        Fact::Unknown => ("of another version", "別の版による記録"),
    }
}

/// `name: value` of a fact, nested parts as they are, cut where it gets long.
fn details(fact: &Map<String, Value>) -> String {
    const LONGEST: usize = 240;
    let parts = fact.iter().filter(|(name, value)| *name != "kind" && !value.is_null());
    let text = parts
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}: {text}"),
            other => format!("{name}: {other}"),
        })
        .collect::<Vec<_>>()
        .join(" · ");
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn verify(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let lang = visit.lang;
    let ledger = &visit.console.ledger;
    let expect = Expect { public_key: Some(ledger.public_key()), head: None };
    let report = ledger::verify(ledger.path(), &expect)?;
    let told = match &report.first_bad {
        None => html! {
            p { strong { (lang.pick(format!("Whole: {} entries verified.", words::count(report.entries)), format!("異常なし：{}件を検証しました。", words::count(report.entries)))) } }
        },
        Some((line, fault)) => html! {
            p { strong { (lang.pick(format!("Not whole: line {line} is wrong."), format!("異常あり：{line}行目に不整合があります。"))) } }
            p lang="en" { (fault) }
            p { (lang.pick("Next: keep a copy of the file and compare it with the head in the vault.", "次にすること：ファイルの写しを保全し、保管庫内の記録と照合してください。")) }
        },
    };
    Ok(visit.show(page(visit, Some(told))?))
}

fn export(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let folder = tempfile::tempdir_in(&visit.console.settings.state_dir)
        .map_err(|cause| Trouble::Broken(cause.into()))?;
    let copy = folder.path().join("ledger.jsonl");
    visit.console.ledger.export(&copy, visit.now)?;
    let body = std::fs::read(&copy).map_err(|cause| Trouble::Broken(cause.into()))?;
    let name = visit.now.strftime("ledger-%Y%m%dT%H%M%SZ.jsonl");
    Ok(Reply::text("application/jsonl", body)
        .with("content-disposition", format!("attachment; filename=\"{name}\"")))
}
