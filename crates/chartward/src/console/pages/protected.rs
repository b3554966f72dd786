//! What is protected, and what of it is proven.

use maud::{Markup, html};
use prove::state::{JobKind, JobOutcome, JobRun};
use recover::media::{Standing, Whereabouts};
use schema::Proof;

use super::bundle;
use crate::access::Permission;
use crate::console::icon::{self, Icon, Tone};
use crate::console::layout;
use crate::console::parts;
use crate::console::reply::{Reply, Trouble};
use crate::console::route::{Needs, Route};
use crate::console::visit::Visit;
use crate::console::words::{self, Both};
use crate::hub::Command;

const PROTECTED: Both = ("Protected", "保護対象");

pub(super) const ROUTES: &[Route] = &[
    Route::page("/protected", PROTECTED, Needs::May(Permission::See), show).in_nav(),
    Route::form("/protected/run", PROTECTED, Needs::May(Permission::RunJob), run),
];

const RUNS_LOOKED_AT: u32 = 200;
const DRILLS_SHOWN: u32 = 10;

/// A job with its newest run and how many of its latest runs were missed.
struct Job {
    name: String,
    runs_when: String,
    last: Option<JobRun>,
    missed: usize,
}

fn show(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let state = &visit.console.hub.state;
    let (last, runs, drills) =
        (state.last_runs()?, state.job_runs(None, RUNS_LOOKED_AT)?, state.drills(DRILLS_SHOWN)?);
    let newest = state.newest_proof()?;
    let job = |name: &str, runs_when: &str| Job {
        name: name.to_owned(),
        runs_when: runs_when.to_owned(),
        last: last.iter().find(|run| run.name == name).cloned(),
        missed: runs.iter().filter(|run| run.name == name && run.outcome == JobOutcome::Missed).count(),
    };
    let protects = &visit.console.settings.shows.protects;
    let named: Vec<&str> = protects.iter().flat_map(|it| &it.jobs).map(|(name, _)| name.as_str()).collect();
    let others: Vec<Job> =
        last.iter().filter(|run| !named.contains(&run.name.as_str())).map(|run| job(&run.name, "")).collect();
    let content = html! {
        (opening(visit, newest.as_ref()))
        @for it in protects {
            section aria-label=(it.name) {
                h2 { (it.name) }
                @for what in &it.what { p { code { (what) } } }
                (jobs(visit, &it.name, &it.jobs.iter().map(|(name, when)| job(name, when)).collect::<Vec<_>>()))
            }
        }
        @if !others.is_empty() {
            section aria-labelledby="others" {
                h2 #others { (visit.pick(("Further jobs", "その他の処理"))) }
                (jobs(visit, visit.pick(("Further jobs", "その他の処理")), &others))
            }
        }
        @if let Some(bundle) = &visit.console.hub.shown().bundle { (bundle::section(visit, bundle)) }
        @if let Some(media) = &visit.console.hub.shown().media {
            section aria-labelledby="media" {
                h2 #media { (visit.pick(("Media that take turns", "交代で使う媒体"))) }
                (rotations(visit, &media.standings))
            }
        }
        section aria-labelledby="drills" {
            h2 #drills { (visit.pick(("Drills: backups that were restored and read", "復元訓練（実際に復元して読み出した記録）"))) }
            (drilled(visit, &drills))
        }
    };
    Ok(visit.show(content))
}

fn opening(visit: &Visit<'_>, newest: Option<&Proof>) -> Markup {
    let lang = visit.lang;
    let lead = match newest {
        Some(proof) => {
            let ago = words::from_now(proof.proven_at, visit.now, lang);
            lang.pick(
                format!(
                    "The last backup that was restored and read completely was proven {ago}: {} patients.",
                    words::count(proof.patients)
                ),
                format!(
                    "最後に復元を実証したのは{ago}です（患者{}人分を読み出して確認）。",
                    words::count(proof.patients)
                ),
            )
        }
        None => lang
            .pick(
                "No backup has been proven by restoring it yet.",
                "復元を実証したバックアップはまだありません。",
            )
            .to_owned(),
    };
    let next = newest.is_none().then(|| html! { (lang.pick("run a backup, then a drill (a restore to test it).", "バックアップを実行し、続けて復元訓練を実行してください。")) });
    layout::opening(visit.pick(PROTECTED), &lead, next, lang)
}

fn outcome(outcome: JobOutcome) -> ((Icon, Tone), Both) {
    match outcome {
        JobOutcome::Running => ((icon::CLOCK, Tone::Calm), ("running", "実行中")),
        JobOutcome::Done => ((icon::CHECK, Tone::Good), ("done", "正常終了")),
        JobOutcome::Found => ((icon::WARN, Tone::Warn), ("done, something was found", "完了（要確認）")),
        JobOutcome::Failed => ((icon::CROSS, Tone::Bad), ("failed", "失敗")),
        JobOutcome::Missed => ((icon::WARN, Tone::Bad), ("missed", "未実行")),
        JobOutcome::Interrupted => ((icon::WARN, Tone::Warn), ("interrupted", "中断")),
    }
}

fn kind(kind: JobKind) -> Both {
    match kind {
        JobKind::Backup => ("backup", "バックアップ"),
        JobKind::Drill => ("drill (restore to test)", "復元訓練"),
        JobKind::Check => ("check of the vault", "保管庫の検査"),
        JobKind::Export => ("export of the ledger", "台帳の書き出し"),
        JobKind::Media => ("copy to the medium", "媒体への書き込み"),
        JobKind::Bundle => ("charts for a stick", "持ち出し用カルテの更新"),
        JobKind::Forget => ("old backups let go", "古い世代の整理"),
        JobKind::Prune => ("space given back", "容量の回収"),
    }
}

fn jobs(visit: &Visit<'_>, caption: &str, jobs: &[Job]) -> Markup {
    let heads = [
        visit.pick(("Job", "処理")),
        visit.pick(("Runs", "予定")),
        visit.pick(("Last run", "前回の実行")),
        visit.pick(("Outcome", "結果")),
        visit.pick(("Missed lately", "最近の未実行")),
        visit.pick(("Do", "操作")),
    ];
    let rows: Vec<Markup> = jobs.iter().map(|job| html! {
        th scope="row" { (job.name) @if let Some(run) = &job.last { " " span.soft { (visit.pick(kind(run.kind))) } } }
        td { (job.runs_when) }
        td { @match &job.last { Some(run) => { (visit.time(run.started_at.unwrap_or(run.due_at))) } None => { (visit.pick(("never", "なし"))) } } }
        td { @if let Some(run) = &job.last { @let (sign, word) = outcome(run.outcome); (parts::badge(sign, visit.pick(word))) } }
        td.number { (job.missed) }
        td {
            @if visit.may(Permission::RunJob) {
                form method="post" action="/protected/run" {
                    (visit.csrf()) input type="hidden" name="job" value=(job.name);
                    button.second type="submit" { (visit.pick(("Run now", "いますぐ実行"))) span.hidden { " " (job.name) } }
                }
            } @else { span.soft { "–" } }
        }
    }).collect();
    parts::table(caption, &heads, &rows)
}

/// How each rotation stands, and what of it is out of an attacker's reach.
fn rotations(visit: &Visit<'_>, standings: &[Standing]) -> Markup {
    let heads = [
        visit.pick(("Rotation", "ローテーション")),
        visit.pick(("Whose turn it is", "今回の媒体")),
        visit.pick(("Written and read back", "書き込みと読み戻し")),
        visit.pick(("In the machine", "入っている媒体")),
        visit.pick(("Generations out of the machine", "取り外した媒体の世代数")),
        visit.pick(("Newest of them", "うち最新")),
    ];
    let rows: Vec<Markup> = standings.iter().map(|it| {
        let (sign, word) = match (it.done, it.wants_a_change()) {
            (true, _) => ((icon::CHECK, Tone::Good), ("done", "完了")),
            (false, true) => ((icon::WARN, Tone::Warn), ("change the medium", "媒体を交換してください")),
            (false, false) => ((icon::CLOCK, Tone::Calm), ("not yet", "これから")),
        };
        let newest = it.generations.iter().find(|it| it.whereabouts == Whereabouts::Detached);
        html! {
            th scope="row" { (it.rotation) }
            td { (it.due) }
            td { (parts::badge(sign, visit.pick(word))) }
            td { @match &it.inserted { Some(set) => { (set) } None => { (visit.pick(("none", "なし"))) } } }
            td.number { (words::count(it.detached)) }
            td { @if let Some(newest) = newest { (newest.set) " " (visit.time(newest.at)) } @else { (visit.pick(("none", "なし"))) } }
        }
    }).collect();
    parts::table(visit.pick(("Media that take turns", "交代で使う媒体")), &heads, &rows)
}

fn drilled(visit: &Visit<'_>, drills: &[Proof]) -> Markup {
    let lang = visit.lang;
    let heads = [
        lang.pick("When", "実施時刻"),
        lang.pick("Outcome", "結果"),
        lang.pick("Backup of", "バックアップ時刻"),
        lang.pick("Patients", "患者数"),
        lang.pick("Records lost (RPO)", "失われる記録（RPO）"),
        lang.pick("First chart (RTO)", "最初のカルテまで（RTO）"),
        lang.pick("Everything", "全体の復元"),
    ];
    let told = |seconds: Option<f64>| {
        seconds.map_or_else(|| lang.pick("not known", "不明").to_owned(), |s| words::duration(s, lang))
    };
    let rows: Vec<Markup> = drills.iter().map(|proof| {
        let sign = if proof.passed { (icon::CHECK, Tone::Good) } else { (icon::CROSS, Tone::Bad) };
        let word = match (proof.passed, proof.is_full()) {
            (true, true) => lang.pick("passed", "合格"),
            (true, false) => lang.pick("sample only, passed", "抽出のみ合格"),
            (false, _) => lang.pick("failed", "不合格"),
        };
        html! {
            th scope="row" { (visit.time(proof.proven_at)) } td { (parts::badge(sign, word)) } td { (visit.time(proof.captured_at)) }
            td.number { (words::count(proof.patients)) } td { (told(proof.rpo_seconds)) } td { (told(proof.rto_first_chart_seconds)) } td { (told(Some(proof.rto_full_seconds))) }
        }
    }).collect();
    if rows.is_empty() {
        return html! { p { (lang.pick("None yet.", "まだありません。")) } };
    }
    parts::table(lang.pick("The latest drills", "最近の復元訓練"), &heads, &rows)
}

fn run(visit: &Visit<'_>) -> Result<Reply, Trouble> {
    let name = visit.form.get("job").to_owned();
    visit.console.hub.ask(Command::RunJob { name }, visit.by())?;
    Ok(Reply::see("/protected"))
}
