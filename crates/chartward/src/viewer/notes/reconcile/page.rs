//! The pages of the reconciliation, in both languages.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use recover::charts::{Basis, Chart, Origin, words};
use recover::downtime::Findings;
use recover::downtime::reconcile::{
    Act, Choice, Decision, Decisions, Line, Pile, Standing, State as Outcome, Subject,
};
use schema::Lang;

use super::super::page::shell;
use super::{is_confirmable, segment};

/// What the EMR has, shown beside the notes.
const EMR_ROWS_MAX: usize = 12;

pub(super) fn address(subject: &Subject) -> String {
    match subject {
        Subject::Patient(id) => format!("/reconcile/patient/{}", segment(&id.0)),
        Subject::Number(number) => format!("/reconcile/number/{}", segment(number)),
    }
}

fn at(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

pub(super) fn list(
    piles: &[Pile],
    findings: &Findings,
    basis: &Basis,
    snapshots: &BTreeSet<String>,
    lang: Lang,
) -> String {
    let is_old =
        matches!(&basis.origin, Origin::Snapshot { snapshot, .. } if snapshots.contains(&snapshot.0));
    let left: usize = piles.iter().map(|pile| pile.notes - pile.decided).sum();
    let content = html! {
        h1 { (lang.pick("Downtime notes and the restored record system", "停止中の記録と復旧後の電子カルテの照合")) }
        ul { @for line in basis.lines(None, lang, &TimeZone::system()) { li { (line) } } }
        @if is_old {
            p.alert { strong { (lang.pick(
                "These charts are those from BEFORE the downtime: notes were written on this very snapshot. Capture the restored system first, and start this viewer from the new snapshot.",
                "これは停止「前」のカルテです（このスナップショットを見ながら記録されています）。復旧後の電子カルテを取得し、新しいスナップショットでこの画面を開き直してください。")) } }
        }
        @for damage in &findings.damage { p.alert { (damage.words(lang)) } }
        p role="status" { strong { (lang.pick(format!("{left} notes are not decided on yet"), format!("未確認の記録: {left} 件"))) } }
        table {
            thead { tr {
                th { (lang.pick("Patient", "患者")) } th { (lang.pick("Notes", "記録")) }
                th { (lang.pick("Not decided", "未確認")) } th { (lang.pick("To be exported", "書き出し待ち")) }
            } }
            tbody { @for pile in piles { tr.odd[pile.decided < pile.notes] {
                th scope="row" { a href=(address(&pile.subject)) { (title(&pile.subject, lang)) } " " (pile.name) }
                td { (pile.notes) } td { (pile.notes - pile.decided) } td { (pile.to_export) }
            } } }
        }
        p { a href="/reconcile/log" { (lang.pick("Who decided what, and when", "確認の履歴")) } " · " a href="/" { (lang.pick("List of patients", "患者一覧")) } }
        p { (lang.pick("Export what was taken: ", "採用した記録の書き出し: ")) code { "chartward charts reconcile export --to DIR --by NAME" } }
    };
    shell(lang.pick("Reconciliation", "照合"), &content, lang)
}

fn title(subject: &Subject, lang: Lang) -> String {
    match subject {
        Subject::Patient(id) => format!("ID {id}"),
        Subject::Number(number) => lang.pick(format!("No. {number}"), format!("仮番号 {number}")),
    }
}

pub(super) fn subject(
    subject: &Subject,
    lines: &[Line],
    decisions: &Decisions,
    emr: Option<&Chart>,
    csrf: &str,
    lang: Lang,
) -> String {
    let subject = &About { subject, csrf };
    let standing = decisions.standing();
    let open = |line: &&Line| is_confirmable(line) && !standing.contains_key(&line.kept.note.id);
    let equal: Vec<&Line> = lines.iter().filter(open).collect();
    let content = html! {
        header.who {
            h1 { (title(subject.subject, lang)) " " (lines.first().map(|line| line.kept.note.patient.name.as_str()).unwrap_or_default()) }
            @if let Some(emr) = emr {
                p { (lang.pick("In the EMR: ", "電子カルテ: ")) "ID " strong { (emr.patient) } " " (emr.banner.name.as_deref().unwrap_or(words::not_recorded(lang)))
                    " " (emr.banner.kana.as_deref().unwrap_or_default()) " " (words::day(emr.banner.birth_date)) }
            }
            p { a href="/reconcile" { (lang.pick("← All patients", "← 一覧へ")) } }
        }
        @if equal.len() > 1 { (confirm(subject, &equal, lang)) }
        @if matches!(subject.subject, Subject::Number(_)) { (assign(subject, None, lang)) }
        @for line in lines { (finding(subject, line, standing.get(&line.kept.note.id), decisions, lang)) }
        @if let Some(emr) = emr { (beside(emr, lang)) }
    };
    shell(&title(subject.subject, lang), &content, lang)
}

/// What every form of a page sends back.
struct About<'a> {
    subject: &'a Subject,
    csrf: &'a str,
}

fn hidden(about: &About<'_>, act: &str) -> Markup {
    let csrf = about.csrf;
    let (about, which) = match about.subject {
        Subject::Patient(id) => ("patient", &id.0),
        Subject::Number(number) => ("number", number),
    };
    html! {
        input type="hidden" name="act" value=(act);
        input type="hidden" name="about" value=(about);
        input type="hidden" name="subject" value=(which);
        input type="hidden" name="csrf" value=(csrf);
    }
}

fn confirm(subject: &About<'_>, equal: &[&Line], lang: Lang) -> Markup {
    let hashes: Vec<String> =
        equal.iter().map(|line| format!("{}:{}", line.kept.note.id.0, line.hash)).collect();
    let patient =
        equal.first().and_then(|line| line.target.as_ref()).map(|id| id.0.as_str()).unwrap_or_default();
    html! {
        section.finding {
            form method="post" action="/reconcile/act" {
                (hidden(subject, "confirm"))
                input type="hidden" name="hash" value=(hashes.join(" "));
                input type="hidden" name="patient" value=(patient);
                button { (lang.pick(
                    format!("Confirm: the EMR has these {} notes already, equal in everything", equal.len()),
                    format!("まとめて確認: {}件はすべて電子カルテと一致", equal.len()),
                )) }
            }
        }
    }
}

fn assign(subject: &About<'_>, note: Option<&str>, lang: Lang) -> Markup {
    html! {
        section.finding.conflict {
            p { strong { (match note {
                None => lang.pick("Whose notes are these? All notes with this number go to the patient that is named here.", "この仮番号の患者を指定してください（この番号のすべての記録に適用されます）。"),
                Some(_) => lang.pick("Whose note is this? Name the right patient and how that is known.", "この記録はどの患者のものですか。正しい患者と、その根拠を入力してください。"),
            }) } }
            form method="post" action="/reconcile/act" {
                (hidden(subject, "assign"))
                input type="hidden" name="note" value=(note.unwrap_or_default());
                label { (lang.pick("Patient id in the EMR", "電子カルテの患者ID")) input name="patient" required maxlength="15" autocomplete="off"; }
                label.tick { input type="checkbox" name="is_new" value="yes"; span { (lang.pick("made after the downtime, not in these charts yet", "復旧後に新しく作成したID（このカルテにはまだない）")) } }
                label { (lang.pick("How that is known", "根拠（例: 保険証で確認）")) input name="reason" required maxlength="400" autocomplete="off"; }
                button { (lang.pick("Assign", "指定する")) }
            }
        }
    }
}

fn finding(
    subject: &About<'_>,
    line: &Line,
    standing: Option<&Standing<'_>>,
    decisions: &Decisions,
    lang: Lang,
) -> Markup {
    let note = &line.kept.note;
    let is_odd = line.finding.state == Outcome::Conflict || !line.identity.is_settled();
    html! {
        section.finding.conflict[is_odd && standing.is_none() && line.replaced_by.is_empty()] id={ "n" (note.id.0) } data-state=(tag(line.finding.state)) {
            h2 { (words::minute(note.at)) " " (note.entry.word(lang)) " — " (line.finding.state.word(lang)) }
            p { (note.author) ", " (line.kept.via.word(lang)) " · " (line.identity.words(lang)) }
            @if line.replaced_by.is_empty() {
                (fields(line, lang))
                @if let Some(assigned) = decisions.assigned(&note.id) { (assignment(subject, assigned.0, lang)) }
                @match standing {
                    Some(standing) => { (decided(subject, line, standing, decisions, lang)) }
                    None => {
                        @if !line.identity.is_settled() && matches!(subject.subject, Subject::Patient(_)) { (assign(subject, Some(&note.id.0), lang)) }
                        (decide(subject, line, lang))
                    }
                }
            } @else {
                p { s { (note.entry.line(lang)) } " " (lang.pick("replaced by a later note", "訂正後の記録があります")) }
            }
        }
    }
}

fn tag(state: Outcome) -> &'static str {
    match state {
        Outcome::Conflict => "conflict",
        Outcome::OnlyInNotes => "only_in_notes",
        Outcome::TimeOnly => "time_only",
        Outcome::Equal => "equal",
    }
}

fn fields(line: &Line, lang: Lang) -> Markup {
    html! {
        table {
            thead { tr { th {} th { (lang.pick("Note", "停止中の記録")) } th { (lang.pick("EMR", "電子カルテ")) } } }
            tbody { @for field in &line.finding.fields { tr.odd[field.agrees == Some(false)] {
                th scope="row" { (field.part.word(lang)) }
                td.said { (field.note) }
                td.said { @if field.emr.is_empty() { "–" } @else { (field.emr) } @if field.agrees == Some(false) { " ≠" } }
            } } }
        }
        @if let Some(found) = &line.finding.counterpart {
            p { small { (lang.pick("EMR record: ", "電子カルテの記録: ")) (found.from.path) @if let Some(part) = &found.from.part { " " (part) } } }
        }
    }
}

fn decide(subject: &About<'_>, line: &Line, lang: Lang) -> Markup {
    let can = |choice: Choice| match choice {
        Choice::Reject => true,
        Choice::KeepEmr => line.identity.is_settled() && line.finding.counterpart.is_some(),
        Choice::TakeNote => line.identity.is_settled(),
        Choice::Both => line.identity.is_settled() && line.finding.counterpart.is_some(),
    };
    html! {
        form method="post" action="/reconcile/act" {
            (hidden(subject, "decide"))
            input type="hidden" name="note" value=(line.kept.note.id.0);
            input type="hidden" name="hash" value=(line.hash);
            input type="hidden" name="patient" value=(line.target.as_ref().map(|id| id.0.as_str()).unwrap_or_default());
            label { (lang.pick("Reason (must be given to reject)", "理由（採用しない場合は必須）")) input name="reason" maxlength="400" autocomplete="off"; }
            @for choice in Choice::ALL.into_iter().filter(|choice| can(*choice)) {
                button name="choice" value=(choice.tag()) { (choice.word(lang)) }
            }
        }
    }
}

fn decided(
    subject: &About<'_>,
    line: &Line,
    standing: &Standing<'_>,
    decisions: &Decisions,
    lang: Lang,
) -> Markup {
    let decision = standing.decision;
    let exported = decisions.exported(&line.kept.note.id).filter(|export| export.at >= decision.at);
    html! {
        p.decided { strong { "✓ " (standing.choice.word(lang)) } " — " (decision.by) ", " (at(decision.at)) " " (reason(decision)) }
        @if standing.seen.hash != line.hash {
            p.alert { (lang.pick("The EMR has changed since: look again.", "確認後に電子カルテが変わりました。もう一度ご確認ください。")) }
        }
        @if let Some(exported) = exported { p { (lang.pick("Exported ", "書き出し済み ")) (at(exported.at)) " " (exported.by) } }
        (undo(subject, decision, lang))
    }
}

fn assignment(subject: &About<'_>, decision: &Decision, lang: Lang) -> Markup {
    let Act::Assign { to, is_new, .. } = &decision.act else { return html! {} };
    html! {
        p { (lang.pick("Assigned to ID ", "患者を指定: ID ")) strong { (to) } @if *is_new { (lang.pick(" (new)", "（新規）")) }
            " — " (decision.by) ", " (at(decision.at)) " " (reason(decision)) }
        (undo(subject, decision, lang))
    }
}

fn undo(subject: &About<'_>, decision: &Decision, lang: Lang) -> Markup {
    html! {
        form.undo method="post" action="/reconcile/act" {
            (hidden(subject, "undo"))
            input type="hidden" name="decision" value=(decision.id);
            button { (lang.pick("Take back", "取り消す")) }
        }
    }
}

fn reason(decision: &Decision) -> &str {
    match &decision.act {
        Act::Decide { reason, .. } | Act::Assign { reason, .. } | Act::Undo { reason, .. } => reason,
        Act::Confirm { .. } | Act::Exported { .. } => "",
    }
}

/// What else the EMR has of late, to be read beside the notes.
fn beside(emr: &Chart, lang: Lang) -> Markup {
    html! {
        section {
            h2 { (lang.pick("The newest in the EMR", "電子カルテの最近の記録")) }
            table { tbody {
                @for item in emr.given.iter().take(EMR_ROWS_MAX) { tr {
                    td { (item.value.at.map(words::minute).unwrap_or_default()) } td { (lang.pick("given", "実施")) }
                    td { (item.value.drug.name) " " (item.value.drug.dose) " " (item.value.state(lang)) }
                } }
                @for item in emr.medication.iter().take(EMR_ROWS_MAX) { tr {
                    td { (words::day(item.value.start)) } td { (lang.pick("order", "指示")) }
                    td { @for drug in &item.value.drugs { (drug.name) " " (drug.dose) " " } (item.value.usage) }
                } }
            } }
        }
    }
}

pub(super) fn log(decisions: &Decisions, findings: &Findings, lang: Lang) -> String {
    let content = html! {
        h1 { (lang.pick("Who decided what, and when", "確認の履歴")) }
        @if findings.damage.is_empty() {
            p { (lang.pick("The log is whole: nothing was changed or taken out of it.", "履歴に書き換えや欠落はありません。")) }
        }
        @for damage in &findings.damage { p.alert { (damage.words(lang)) } }
        table { tbody { @for decision in decisions.all() { tr {
            td { (at(decision.at)) } td { (decision.by) }
            td { @if decisions.is_undone(decision) { s { (said(decision, lang)) } " " (lang.pick("(taken back)", "（取り消し済み）")) } @else { (said(decision, lang)) } }
            td { (reason(decision)) }
        } } } }
        p { a href="/reconcile" { (lang.pick("← All patients", "← 一覧へ")) } }
    };
    shell(lang.pick("Decisions", "確認の履歴"), &content, lang)
}

fn said(decision: &Decision, lang: Lang) -> String {
    let short = |id: &str| id.get(..8).unwrap_or(id).to_owned();
    match &decision.act {
        Act::Decide { seen, patient, choice, .. } => {
            format!("ID {patient}: {} [{}]", choice.word(lang), short(&seen.note.0))
        }
        Act::Confirm { notes, patient } => lang.pick(
            format!("ID {patient}: {} equal notes confirmed", notes.len()),
            format!("ID {patient}: 一致 {} 件を確認", notes.len()),
        ),
        Act::Assign { notes, to, .. } => lang.pick(
            format!("{} notes assigned to ID {to}", notes.len()),
            format!("{} 件の患者を ID {to} に指定", notes.len()),
        ),
        Act::Undo { decision, .. } => {
            lang.pick(format!("took back {}", short(decision)), format!("{} を取り消し", short(decision)))
        }
        Act::Exported { formats, notes, files } => lang.pick(
            format!("exported {} notes as {} ({} files)", notes.len(), formats.join(", "), files.len()),
            format!("{} 件を書き出し（{}、{} ファイル）", notes.len(), formats.join("・"), files.len()),
        ),
    }
}

pub(super) fn refused(words: &str, back: &str, lang: Lang) -> String {
    let content = html! {
        h1 { (lang.pick("Not done", "実行できませんでした")) }
        p.alert { (words) }
        p { a href=(back) { (lang.pick("Back", "戻る")) } }
    };
    shell("–", &content, lang)
}
