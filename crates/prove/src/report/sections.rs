//! The parts that a hospital's own announcement has, as far as the data carries them.

use maud::{Markup, html};
use schema::{Finding, Lang, Moment, Proof, ShortfallKind, Stage};

use super::counts::{affected_sentence, counted_files};
use super::{Comparison, Report};
use crate::lang::{bytes, count, counted, date_time, duration, zone_name};

/// 発生状況: what the attacker did and what was seen of it.
pub(super) fn occurrence(report: &Report<'_>, lang: Lang) -> Markup {
    html! {
        section {
            h2 { (lang.pick("1. What happened", "1. 発生状況")) }
            (moments(report, lang, &[Stage::Attack, Stage::Detect], lang.pick(
                "No act of an attacker is on record.", "攻撃者の行為の記録はありません。")))
            h3 { (lang.pick("What was seen", "検知内容")) }
            @if report.incident.findings.is_empty() {
                p { (lang.pick("No detector reported anything; what was watched is listed under 5.", "検知機能からの報告はありません。監視範囲は「5」に記載します。")) }
            } @else {
                table {
                    thead { tr {
                        th { (lang.pick("Time", "時刻")) }
                        th { (lang.pick("Finding and what it rests on", "検知内容と根拠")) }
                        th { "MITRE ATT&CK" }
                    } }
                    tbody { @for finding in &report.incident.findings { (finding_row(report, finding, lang)) } }
                }
            }
        }
    }
}

fn finding_row(report: &Report<'_>, finding: &Finding, lang: Lang) -> Markup {
    let severity = match u8::from(finding.severity_id) {
        1 => lang.pick("informational", "情報"),
        2 => lang.pick("low", "低"),
        3 => lang.pick("medium", "中"),
        4 => lang.pick("high", "高"),
        _ => lang.pick("critical", "重大"),
    };
    html! {
        tr {
            td.time { (date_time(finding.time, &report.zone)) }
            td {
                b { (lang.pick(&finding.title, &finding.title_ja)) }
                @let reasons = lang.pick(&finding.reasons, &finding.reasons_ja);
                @if !reasons.is_empty() { ul { @for reason in reasons { li { (reason) } } } }
                div.note {
                    (lang.pick("severity ", "重大度 ")) (severity) " · " code { (finding.detector) } " · " (report.say(&finding.actor, lang))
                }
            }
            td {
                @for attack in &finding.attacks {
                    div { code { (attack.technique) } " " (attack.name) }
                    div.note { (words_of(&format!("{:?}", attack.tactic))) }
                }
                @if finding.attacks.is_empty() { (lang.pick("none assigned", "該当なし")) }
            }
        }
    }
}

/// `DefenseEvasion` as ATT&CK writes it, "Defense Evasion".
fn words_of(camel: &str) -> String {
    let mut words = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter);
    }
    words
}

/// 対応: what was done, how care went on, how the records came back.
pub(super) fn response(report: &Report<'_>, lang: Lang) -> Markup {
    let parts = [
        (Stage::Contain, lang.pick("Stopping it", "拡大防止")),
        (Stage::Continue, lang.pick("Care meanwhile", "診療の継続")),
        (Stage::Restore, lang.pick("Putting the records back", "復旧")),
        (Stage::Prove, lang.pick("Checking", "確認")),
    ];
    html! {
        section {
            h2 { (lang.pick("2. What was done", "2. 対応")) }
            @for (stage, heading) in parts {
                h3 { (heading) }
                (moments(report, lang, &[stage], lang.pick("Nothing is on record.", "記録はありません。")))
            }
        }
    }
}

fn moments(report: &Report<'_>, lang: Lang, stages: &[Stage], none: &str) -> Markup {
    let told: Vec<&Moment> =
        report.incident.timeline.iter().filter(|moment| stages.contains(&moment.stage)).collect();
    html! {
        @if told.is_empty() { p { (none) } } @else {
            ul { @for moment in told {
                li { (date_time(moment.at, &report.zone)) (lang.pick(": ", "：")) (lang.pick(&moment.en, &moment.ja)) }
            } }
        }
    }
}

/// 影響: by record, out of how many.
pub(super) fn impact(report: &Report<'_>, lang: Lang) -> Markup {
    let effect = &report.incident.effect;
    let known = effect.patients_total > 0;
    let patients = |n: u64| match known {
        true => {
            let share = share(n, effect.patients_total);
            format!("{} ({share})", counted(n, lang, "patient", "patients", "人"))
        }
        false => crate::lang::unknown(lang).to_owned(),
    };
    let total = if known {
        counted(effect.patients_total, lang, "patient", "patients", "人")
    } else {
        crate::lang::unknown(lang).to_owned()
    };
    let files = |n: u64| match counted_files(report) {
        true => counted(n, lang, "file", "files", "ファイル"),
        false => crate::lang::unknown(lang).to_owned(),
    };
    let rows = [
        (lang.pick("Patients in the record store", "記録のある患者"), total),
        (
            lang.pick("Patients with at least one affected record", "記録に影響を受けた患者"),
            patients(effect.patients_affected),
        ),
        (
            lang.pick("Patients whose every record is as before", "全記録がインシデント前と同じ患者"),
            patients(effect.patients_intact),
        ),
        (
            lang.pick("Files changed, renamed or removed", "変更・改名・削除されたファイル"),
            files(effect.files_touched),
        ),
        (
            lang.pick(
                "– put back by the guard from what it had kept",
                "－ 監視機能が保持していた原本で戻したもの",
            ),
            files(effect.files_put_back),
        ),
        (
            lang.pick("– restored from the backup", "－ バックアップから復元したもの"),
            files(effect.files_restored),
        ),
        (lang.pick("– lost for good", "－ 復元できないもの"), files(effect.files_irrecoverable)),
    ];
    html! {
        section {
            h2 { (lang.pick("3. Effect", "3. 影響")) }
            @if known { p { (affected_sentence(report, lang)) } }
            table { tbody { @for (label, value) in rows { tr { th { (label) } td { (value) } } } } }
        }
    }
}

/// Per cent of a total. Neither a single patient nor all but one is rounded away.
fn share(n: u64, total: u64) -> String {
    let percent = n as f64 * 100.0 / total as f64;
    match percent {
        p if n > 0 && p < 0.1 => "< 0.1 %".to_owned(),
        p if n < total && p > 99.9 => "> 99.9 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

/// 漏えいの有無と根拠: what was watched, what was not, and nothing concluded beyond that.
pub(super) fn leak(report: &Report<'_>, lang: Lang) -> Markup {
    let incident = report.incident;
    let suspected = incident.findings.iter().any(|finding| finding.detector.starts_with("exfil."));
    let list = |sentences: &[String]| {
        html! {
            ul { @for sentence in sentences { li { (report.say(sentence, lang)) } } }
        }
    };
    html! {
        section {
            h2 { (lang.pick("5. Whether data left, and what that rests on", "5. 情報漏えいの有無と根拠")) }
            @if suspected {
                p { b { (lang.pick("Signs of data leaving were seen; see “What was seen”.", "情報の持ち出しを示す兆候が検知されました（「検知内容」参照）。")) } }
            } @else if incident.observed.is_empty() {
                p { b { (lang.pick("Not known: nothing was watched.", "不明です。監視が行われていませんでした。")) } }
            } @else {
                p { b { (lang.pick(
                    "None seen by the means listed here, within the coverage named. This does not say that nothing left.",
                    "下記の手段・範囲では確認されていません。漏えいがなかったことを示すものではありません。")) } }
            }
            h3 { (lang.pick("What was watched", "監視した範囲")) }
            @if incident.observed.is_empty() { p { (lang.pick("Nothing.", "ありません。")) } } @else { (list(&incident.observed)) }
            h3 { (lang.pick("What was not looked at", "監視していない範囲")) }
            @if incident.not_observed.is_empty() {
                p { (lang.pick("Not recorded. Whatever is not listed above counts as not looked at.", "記録がありません。上に記載のないものは、監視していないものとして扱います。")) }
            } @else { (list(&incident.not_observed)) }
        }
    }
}

/// The proof that the recovery rested on.
pub(super) fn evidence(report: &Report<'_>, lang: Lang) -> Markup {
    html! {
        section {
            h2 { (lang.pick("6. What the recovery rested on", "6. 復旧の根拠")) }
            @match &report.incident.proof {
                Some(proof) => (proof_table(report, proof, lang)),
                None => p { (lang.pick(
                    "No backup had been proven by restoring it before this incident.",
                    "インシデント前に、復元によって実証されたバックアップはありませんでした。")) },
            }
        }
    }
}

fn proof_table(report: &Report<'_>, proof: &Proof, lang: Lang) -> Markup {
    let at = |at| format!("{} ({})", date_time(at, &report.zone), zone_name(at, &report.zone));
    let time =
        |s: Option<f64>| s.map_or_else(|| crate::lang::unknown(lang).to_owned(), |s| duration(s, lang));
    let counts = match lang {
        Lang::En => format!(
            "{} patients, {} records, {} files, {}, {} database rows",
            count(proof.patients),
            count(proof.records),
            count(proof.files),
            bytes(proof.bytes),
            count(proof.database_rows)
        ),
        Lang::Ja => format!(
            "患者{}人、記録{}件、{}ファイル、{}、データベース{}行",
            count(proof.patients),
            count(proof.records),
            count(proof.files),
            bytes(proof.bytes),
            count(proof.database_rows)
        ),
    };
    let result = match (proof.passed, proof.is_full()) {
        (true, true) => {
            lang.pick("passed: everything was there and could be read", "合格：すべて揃い、読み出せた")
        }
        (true, false) => lang.pick(
            "a sample passed; the whole is not proven by it",
            "抽出した範囲のみ合格（全体は実証されていません）",
        ),
        (false, _) => lang.pick("FAILED", "不合格"),
    };
    let rows = [
        (lang.pick("Result of the drill", "復元訓練の結果"), result.to_owned()),
        (lang.pick("Proven at", "実証日時"), at(proof.proven_at)),
        (lang.pick("Backup captured at", "バックアップ取得日時"), at(proof.captured_at)),
        (lang.pick("How it was measured", "計測方法"), method(report, proof, lang)),
        (lang.pick("Read back", "読み出せた内容"), counts),
        (
            lang.pick("Age of the newest record when the drill began", "訓練開始時点の最新記録の古さ"),
            time(proof.rpo_seconds),
        ),
        (
            lang.pick("Until the first chart was read", "最初のカルテを読めるまで"),
            time(proof.rto_first_chart_seconds),
        ),
        (
            lang.pick("Until everything was back and checked", "全件の復元・確認まで"),
            duration(proof.rto_full_seconds, lang),
        ),
    ];
    html! {
        table { tbody {
            @for (label, value) in rows { tr { th { (label) } td { (value) } } }
            @if proof.unreadable_records > 0 {
                tr {
                    th { (lang.pick("Broken already when captured, kept as they were", "取得時点で既に破損（そのまま保管）")) }
                    td { (counted(proof.unreadable_records, lang, "record", "records", "件")) }
                }
            }
            @if !proof.shortfalls.is_empty() {
                tr {
                    th { (lang.pick("Missing or wrong", "不足・異常")) }
                    td { @for (kind, n) in &proof.shortfalls { div { (shortfall(*kind, lang)) ": " (count(*n)) } } }
                }
            }
            tr { th { (lang.pick("Snapshot", "スナップショット")) } td { code { (proof.snapshot) } } }
            tr { th { (lang.pick("Vault", "保管庫")) } td { code { (proof.vault_id) } } }
        } }
    }
}

fn shortfall(kind: ShortfallKind, lang: Lang) -> &'static str {
    let (en, ja) = kind.words();
    lang.pick(en, ja)
}

/// 今後: what the data cannot answer, left for the hospital to answer.
pub(super) fn outlook(report: &Report<'_>, lang: Lang) -> Markup {
    let open = [
        lang.pick("How the attacker got in: not in this record.", "侵入経路：この記録には含まれていません。"),
        lang.pick("Secondary damage: not in this record.", "二次被害の有無：この記録には含まれていません。"),
        lang.pick(
            "Notices to patients and authorities: not in this record.",
            "患者・関係機関への連絡状況：この記録には含まれていません。",
        ),
        lang.pick(
            "Measures against a repetition, and whom to ask: to be stated by the hospital.",
            "再発防止策・お問い合わせ先：病院が記載する事項です。",
        ),
    ];
    html! {
        section {
            h2 { (lang.pick("7. What is still open", "7. 今後（未確定の事項）")) }
            @if !report.whole() {
                p { b { (lang.pick(
                    "Not every record is known to be back. Keep encrypted files, disk images and logs until it is settled what can still be done.",
                    "全記録の復旧は確認されていません。対応方針が決まるまで、暗号化されたファイル、ディスクイメージ、ログを保全してください。")) } }
            }
            ul { @for line in open { li { (line) } } }
        }
    }
}

/// Then and now.
pub(super) fn comparison(report: &Report<'_>, comparison: &Comparison, lang: Lang) -> Markup {
    let [then, now] = lang.pick(&comparison.columns_en, &comparison.columns_ja);
    html! {
        section {
            h2 { (lang.pick(&comparison.title_en, &comparison.title_ja)) }
            table.compare {
                thead { tr { th { } th { (then) } th { (now) } } }
                tbody { @for row in &comparison.rows {
                    tr { th { (lang.pick(&row.label_en, &row.label_ja)) } td { (report.say(&row.then, lang)) } td { (report.say(&row.now, lang)) } }
                } }
            }
        }
    }
}

/// What the proof says of itself, in the reader's language where it does.
fn method(report: &Report<'_>, proof: &Proof, lang: Lang) -> String {
    match lang {
        Lang::Ja if !proof.evidence.method_ja.is_empty() => proof.evidence.method_ja.clone(),
        _ => report.say(&proof.method, lang).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_patient_is_rounded_away() {
        for (n, told) in
            [(0, "0.0 %"), (1, "< 0.1 %"), (1133, "29.5 %"), (3834, "> 99.9 %"), (3835, "100.0 %")]
        {
            assert_eq!(super::share(n, 3835), told);
        }
    }
}
