//! The alarms that only the hub can raise: watchers that do not watch or cannot be believed, jobs, and its own troubles.

use jiff::{SignedDuration, Timestamp};
use prove::state::{JobKind, JobOutcome, JobRun};
use schema::{Alarm, Severity, WatcherHealth, WatcherState};

use super::handle::{Hub, Shown};
use super::{bundle, clock, media, packets};

/// A watcher that is not ready for longer than this does not watch.
const STARTING_MAX: SignedDuration = SignedDuration::from_secs(60);
/// What a watcher did wrong is an alarm for this long after it did.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(10);
/// Restarts in that time that are one too many.
const RESTARTS_MAX: u64 = 3;

/// What a watcher had done when its counters were last looked back at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    since: Timestamp,
    garbage: u64,
    dropped: u64,
    restarts: u64,
    packets_dropped_at: Option<Timestamp>,
    /// When each of them last grew.
    garbage_at: Option<Timestamp>,
    dropped_at: Option<Timestamp>,
    restarted_at: Option<Timestamp>,
}

/// Takes note of how a watcher stands now.
pub(super) fn note(shown: &mut Shown, health: WatcherHealth, now: Timestamp) {
    let mark = shown.marks.entry(health.name.clone()).or_insert(Mark {
        since: now,
        garbage: 0,
        dropped: 0,
        restarts: 0,
        packets_dropped_at: None,
        garbage_at: None,
        dropped_at: None,
        restarted_at: None,
    });
    let known = shown.watchers.iter_mut().find(|known| known.name == health.name);
    let before = known.as_ref().map_or((0, 0, 0), |it| (it.garbage, it.dropped, it.restarts));
    let grew = |is: u64, was: u64, at: Option<Timestamp>| if is > was { Some(now) } else { at };
    if is_over(Some(mark.since), now) {
        (mark.garbage, mark.dropped, mark.restarts) = before;
        mark.since = now;
    }
    mark.garbage_at = grew(health.garbage, before.0, mark.garbage_at);
    mark.dropped_at = grew(health.dropped, before.1, mark.dropped_at);
    mark.restarted_at = grew(health.restarts, before.2, mark.restarted_at);
    let lost = |health: &WatcherHealth| health.packets.as_ref().map_or(0, |packets| packets.dropped);
    let (was, is) = (known.as_ref().map_or(0, |known| lost(known)), lost(&health));
    // A sensor that was started again counts anew.
    mark.packets_dropped_at = grew(is, if is < was { 0 } else { was }, mark.packets_dropped_at);
    match known {
        Some(known) => *known = health,
        None => shown.watchers.push(health),
    }
}

fn is_over(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_none_or(|at| now.duration_since(at) > REMEMBERED)
}

/// All of them as they stand now.
pub(crate) fn all(hub: &Hub, now: Timestamp) -> Vec<Alarm> {
    let shown = hub.shown();
    let mut alarms: Vec<Alarm> =
        shown.watchers.iter().flat_map(|health| of_watcher(health, &shown, hub.since, now)).collect();
    alarms.extend(hub.state.last_ended_runs().unwrap_or_default().iter().filter_map(job));
    let unwritten = [&shown.trouble, &shown.lake_trouble, &shown.grants_trouble];
    alarms.extend(unwritten.into_iter().flatten().map(|cause| trouble(cause)));
    alarms.extend(shown.wall_trouble.iter().map(|cause| wall(cause)));
    alarms.extend(shown.jobs_trouble.as_deref().map(not_started));
    alarms.extend(shown.media.iter().flat_map(|media| media::alarms(media, now)));
    alarms.extend(shown.bundle.iter().flat_map(|standing| bundle::alarms(standing, now)));
    alarms.extend(shown.clock.as_ref().map(clock::alarm));
    alarms
}

fn of_watcher(health: &WatcherHealth, shown: &Shown, since: Timestamp, now: Timestamp) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mark = shown.marks.get(&health.name);
    let recent = |at: fn(&Mark) -> Option<Timestamp>| mark.filter(|mark| !is_over(at(mark), now));
    let restarts = |mark: &Mark| health.restarts.saturating_sub(mark.restarts);
    if is_down(health, since, now) {
        alarms.push(watcher_down(health));
    } else if let Some(mark) = recent(|mark| mark.restarted_at).filter(|mark| restarts(mark) >= RESTARTS_MAX)
    {
        alarms.push(watcher_restarts(health, restarts(mark)));
    }
    alarms.extend(packets::alarms(health, recent(|mark| mark.packets_dropped_at).is_some()));
    if recent(|mark| mark.dropped_at).is_some() {
        alarms.push(watcher_floods(health));
    }
    if recent(|mark| mark.garbage_at).is_some() {
        alarms.push(watcher_stammers(health));
    }
    alarms
}

fn watcher_restarts(health: &WatcherHealth, times: u64) -> Alarm {
    let WatcherHealth { name, trouble, .. } = health;
    Alarm {
        id: "watcher.restarts".to_owned(),
        severity_id: Severity::High,
        title: format!(
            "The watcher {name} ended and was started again {times} times in a few minutes: {trouble}"
        ),
        title_ja: format!("監視 {name} が数分の間に{times}回終了し、再起動されました"),
        next_step: format!(
            "Between its runs it sees nothing. Look at its trouble on the watchers' page, mend it, then restart {name} there."
        ),
        next_step_ja: format!(
            "停止している間は何も検知できません。「監視」の画面で原因を確かめて直し、{name} を再起動してください。"
        ),
    }
}

fn watcher_floods(health: &WatcherHealth) -> Alarm {
    let WatcherHealth { name, dropped, .. } = health;
    Alarm {
        id: "watcher.floods".to_owned(),
        severity_id: Severity::High,
        title: format!(
            "The watcher {name} sends too much: {dropped} of its lines were thrown away, findings maybe among them."
        ),
        title_ja: format!(
            "監視 {name} の報告が多すぎるため、{dropped}件を破棄しました。検知が含まれていた恐れがあります。"
        ),
        next_step: format!(
            "Let {name} send less, or raise its lines_per_second_max; a flood may be there to hide an attack."
        ),
        next_step_ja: format!(
            "{name} の報告を減らすか、lines_per_second_max を上げてください。攻撃を隠すための大量送信の可能性もあります。"
        ),
    }
}

fn watcher_stammers(health: &WatcherHealth) -> Alarm {
    let WatcherHealth { name, garbage, trouble, .. } = health;
    Alarm {
        id: "watcher.garbage".to_owned(),
        severity_id: Severity::Medium,
        title: format!(
            "The watcher {name} prints what is no finding: {garbage} lines were not understood. {trouble}"
        ),
        title_ja: format!("監視 {name} の報告{garbage}件を解読できませんでした。"),
        next_step: format!(
            "Let {name} print one OCSF or eve.json object a line on its standard output, and nothing else."
        ),
        next_step_ja: format!(
            "{name} の標準出力が、1行に1件の OCSF または eve.json だけになるように設定してください。"
        ),
    }
}

fn is_down(health: &WatcherHealth, since: Timestamp, now: Timestamp) -> bool {
    match health.state {
        WatcherState::Ready => false,
        WatcherState::Starting => now.duration_since(since) > STARTING_MAX,
        WatcherState::BackingOff | WatcherState::Stopped => true,
    }
}

fn watcher_down(health: &WatcherHealth) -> Alarm {
    let WatcherHealth { name, trouble, .. } = health;
    Alarm {
        id: "watcher.down".to_owned(),
        severity_id: Severity::High,
        title: format!("The watcher {name} does not watch: {trouble}"),
        // Its trouble is in English; the page that the next step names has it.
        title_ja: format!("監視 {name} が動いていません"),
        next_step: format!("Look at its trouble on the watchers' page, mend it, then restart {name} there."),
        next_step_ja: format!("「監視」の画面で原因を確かめて直し、{name} を再起動してください。"),
    }
}

fn job(run: &JobRun) -> Option<Alarm> {
    let JobRun { name, due_at, .. } = run;
    // What becomes of the bundle has alarms of its own.
    if run.kind == JobKind::Bundle {
        return None;
    }
    // What a drill or a backup found is in the promise itself; damage that only a check sees is nowhere else.
    if run.kind == JobKind::Forget && run.outcome == JobOutcome::Found {
        return Some(doubtful(run));
    }
    if matches!(run.kind, JobKind::Check | JobKind::Prune) && run.outcome == JobOutcome::Found {
        return Some(Alarm {
            id: "job.found".to_owned(),
            severity_id: Severity::High,
            title: format!("The job {name} on the vault, due at {due_at}, found damage."),
            title_ja: format!("{due_at} 予定のジョブ {name} で、保管庫の破損が見つかりました。"),
            next_step: "Run `chartward vault check --read-data`: it names what is damaged, which files that costs and what to do."
                .to_owned(),
            next_step_ja: "`chartward vault check --read-data` を実行し、破損箇所・影響するファイル・対応を確認してください。".to_owned(),
        });
    }
    let (id, severity_id, en, ja) = match run.outcome {
        JobOutcome::Failed => ("job.failed", Severity::High, "failed", "失敗しました"),
        JobOutcome::Missed => ("job.missed", Severity::Medium, "was missed", "実行されませんでした"),
        JobOutcome::Interrupted => ("job.interrupted", Severity::Medium, "was interrupted", "中断されました"),
        JobOutcome::Found | JobOutcome::Done | JobOutcome::Running => return None,
    };
    Some(Alarm {
        id: id.to_owned(),
        severity_id,
        title: format!("The job {name} that was due at {due_at} {en}."),
        title_ja: format!("{due_at} 予定のジョブ {name} が{ja}。"),
        next_step: "Run it now from the page of what is protected; its last words stand there.".to_owned(),
        next_step_ja: "「保護対象」の画面で原因を確かめ、今すぐ実行してください。".to_owned(),
    })
}

/// Snapshots that retention does not go by: whoever dates them in the future wants others forgotten.
fn doubtful(run: &JobRun) -> Alarm {
    let due_at = run.due_at;
    Alarm {
        id: "job.doubtful_snapshots".to_owned(),
        severity_id: Severity::High,
        title: format!("Snapshots that are dated in the future or cannot be read were kept at {due_at}, and evicted nothing."),
        title_ja: format!("{due_at} の世代整理で、未来の日付または読めないスナップショットが見つかりました。他の世代は失われていません。"),
        next_step: "Run `chartward vault forget` without --apply: it names them. Look at the clock of the host they name, and at who \
                    made them."
            .to_owned(),
        next_step_ja: "`chartward vault forget` を --apply なしで実行して対象を確かめ、該当ホストの時計と作成者を確認してください。".to_owned(),
    }
}

fn wall(cause: &str) -> Alarm {
    let cause = crate::output::printable(cause);
    Alarm {
        id: "hub.wall".to_owned(),
        severity_id: Severity::Critical,
        title: format!("It is not known whether blocks and isolations are in force: {cause}"),
        title_ja: format!("遮断と隔離が有効かどうか確認できません: {cause}"),
        next_step: "Run `nft list table inet chartward` as root where the wall stands; until it is mended, cut off by hand."
            .to_owned(),
        next_step_ja: "パケットフィルターのある機械で、root で `nft list table inet chartward` を実行してください。直るまでは手作業で切り離してください。"
            .to_owned(),
    }
}

fn trouble(cause: &str) -> Alarm {
    Alarm {
        id: "hub.storage".to_owned(),
        severity_id: Severity::Critical,
        title: format!("The hub cannot write everything down: {cause}"),
        title_ja: format!("ハブが記録を保存できません: {cause}"),
        next_step: "Make room on the disk of the state folder; countermeasures still work, findings may be lost."
            .to_owned(),
        next_step_ja: "状態フォルダーのディスクに空きを作ってください。対処は続きますが、検知の記録が失われる恐れがあります。".to_owned(),
    }
}

fn not_started(cause: &str) -> Alarm {
    Alarm {
        id: "job.not_started".to_owned(),
        severity_id: Severity::Critical,
        title: format!("Backups and drills that are due cannot be started: {cause}"),
        title_ja: format!("予定のバックアップや復元訓練を開始できません: {cause}"),
        next_step: "Make room on the disk of the state folder; what is due starts by itself then.".to_owned(),
        next_step_ja: "状態フォルダーのディスクに空きを作ってください。空きができ次第、自動で開始します。"
            .to_owned(),
    }
}
