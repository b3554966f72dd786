use schema::{
    Attack, Effect, Finding, FindingClass, IncidentReport, Moment, Proof, Severity, SnapshotId, Stage, Tactic,
};

use super::*;

fn at(time: &str) -> Timestamp {
    format!("2026-03-03T{time}+09:00").parse().unwrap()
}

fn moment(time: &str, stage: Stage, en: &str, ja: &str) -> Moment {
    Moment { at: at(time), stage, en: en.into(), ja: ja.into() }
}

fn proof() -> Proof {
    Proof {
        version: 1,
        vault_id: "d4e1".repeat(16),
        snapshot: SnapshotId("5eb01a7c".repeat(8)),
        captured_at: at("02:00:05"),
        proven_at: at("02:14:31"),
        passed: true,
        newest_record: Some(at("01:58:00")),
        rpo_seconds: Some(840.0),
        rto_first_chart_seconds: Some(1.42),
        rto_full_seconds: 31.2,
        patients: 3835,
        records: 183_020,
        files: 183_023,
        bytes: 412_300_000,
        database_rows: 96_412,
        unreadable_records: 0,
        shortfalls: Vec::new(),
        method: "restored into an empty folder; every record decoded and compared with what was captured"
            .into(),
        not_proven: Vec::new(),
        evidence: schema::Evidence::default(),
    }
}

/// A rehearsal as the product tells it, with every part filled in.
fn rehearsal() -> IncidentReport {
    IncidentReport {
        title: "Rehearsal of Uda 2018 / 宇陀市立病院2018年インシデントの訓練".into(),
        synthetic: Some(
            "Synthetic patients; the attacker is a harmless imitation confined to one folder.".into(),
        ),
        timeline: vec![
            moment(
                "02:00:05",
                Stage::Prepare,
                "Backup sealed: 183,023 files, 3,835 patients",
                "バックアップ完了：183,023ファイル、患者3,835人",
            ),
            moment(
                "02:14:31",
                Stage::Prepare,
                "Drill passed: everything restored and read",
                "復元訓練に合格：全件を復元し読み出し",
            ),
            moment(
                "05:40:00",
                Stage::Attack,
                "A process begins to encrypt the record store",
                "プロセスが記録の暗号化を開始",
            ),
            moment(
                "05:40:00.21",
                Stage::Detect,
                "Guard: structured records replaced by noise",
                "監視機能：構造のある記録が乱数状データに置換されたことを検知",
            ),
            moment(
                "05:40:00.412",
                Stage::Contain,
                "The process is frozen with its children",
                "プロセスを子プロセスとともに凍結",
            ),
            moment(
                "05:40:01.1",
                Stage::Contain,
                "37 files put back from what the guard had kept",
                "監視機能の原本から37ファイルを復帰",
            ),
            moment(
                "05:41:10",
                Stage::Attack,
                "A second host without a guard goes on encrypting",
                "監視対象外の端末からの暗号化が継続",
            ),
            moment(
                "05:52:00",
                Stage::Contain,
                "The vault is locked against writing",
                "保管庫への書き込みを停止",
            ),
            moment(
                "05:53:00",
                Stage::Continue,
                "First chart read from the proven backup",
                "実証済みバックアップから最初のカルテを参照",
            ),
            moment("05:54:00", Stage::Restore, "Restore begins", "復元を開始"),
            moment("05:54:31", Stage::Restore, "Every file is back", "全ファイルの復元完了"),
            moment(
                "05:55:02",
                Stage::Prove,
                "3,835 of 3,835 patients' records compared and equal",
                "患者3,835人全員の記録が一致することを確認",
            ),
        ],
        findings: vec![Finding {
            time: at("05:40:00.21"),
            class: FindingClass::Detection,
            detector: "encryption.content".into(),
            title: "Records are being encrypted".into(),
            title_ja: "記録が暗号化されている".into(),
            severity_id: Severity::Critical,
            attacks: vec![Attack {
                technique: "T1486".into(),
                name: "Data Encrypted for Impact".into(),
                tactic: Tactic::Impact,
            }],
            actor: "process 4121 (gandcrab-imitation), user emr".into(),
            reasons: vec![
                "structured content replaced by bytes that cannot be told from noise: 12 files".into(),
                "suffix .KRAB of a known family: 12 files".into(),
            ],
            reasons_ja: vec!["構造のある内容が乱数と区別できないデータに置き換わった: 12ファイル".into()],
            uid: "encryption.content-1".into(),
            subjects: vec![],
        }],
        effect: Effect {
            patients_total: 3835,
            patients_affected: 1133,
            patients_intact: 3835,
            files_touched: 5_210,
            files_put_back: 37,
            files_restored: 5_173,
            files_irrecoverable: 0,
            time_to_stop_ms: Some(412),
            first_chart_seconds: Some(1.3),
            restore_seconds: Some(31.0),
        },
        proof: Some(proof()),
        observed: vec!["file operations below /srv/emr, by fanotify, without gaps".into()],
        not_observed: vec!["network traffic".into(), "mail".into(), "logins".into()],
    }
}

fn comparison() -> Comparison {
    let row = |label_en: &str, label_ja: &str, then: &str, now: &str| ComparisonRow {
        label_en: label_en.into(),
        label_ja: label_ja.into(),
        then: then.into(),
        now: now.into(),
    };
    Comparison {
        title_en: "Uda City Hospital 2018 and this rehearsal".into(),
        title_ja: "宇陀市立病院（2018年）と今回の訓練の比較".into(),
        columns_en: ["2018".into(), "This rehearsal".into()],
        columns_ja: ["2018年".into(), "今回の訓練".into()],
        rows: vec![
            row("Patients' records lost", "失われた患者記録", "1,133 of 3,835", "0 of 3,835"),
            row("Noticed", "発覚", "05:40, by staff", "after 0.21 s, by the guard"),
        ],
    }
}

fn report<'a>(incident: &'a IncidentReport, comparison: &'a Comparison) -> Report<'a> {
    Report::new(incident, at("05:56:00"))
        .zone(TimeZone::fixed(jiff::tz::offset(9)))
        .comparison(comparison)
        .ledger(Head { seq: 41, hash: "ab".repeat(32), public_key: "cd".repeat(32) })
        .japanese("network traffic", "ネットワーク通信")
        .japanese("mail", "電子メール")
}

/// An incident of which nothing is known.
fn unknown() -> IncidentReport {
    IncidentReport {
        title: "Nothing known".into(),
        synthetic: None,
        timeline: Vec::new(),
        findings: Vec::new(),
        effect: Effect::default(),
        proof: None,
        observed: Vec::new(),
        not_observed: Vec::new(),
    }
}

/// Compares with a file in `golden/`, which `UPDATE_GOLDEN=1` writes anew for a reader to look at.
fn check(name: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, content).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    assert!(golden == content, "{name} differs; look at it with UPDATE_GOLDEN=1 and git diff");
}

#[test]
fn a_rehearsal_reads_as_in_the_golden_files() {
    let (incident, comparison) = (rehearsal(), comparison());
    let report = report(&incident, &comparison);
    for lang in Lang::ALL {
        // The style changes more often than the words and is looked at, not compared.
        let page = report.html(lang).replace(include_str!("style.css"), "").replace("><", ">\n<");
        check(&format!("report.{}.html", lang.tag()), &page);
        check(&format!("summary.{}.txt", lang.tag()), &report.text(lang));
    }
}

#[test]
fn an_incident_without_data_says_that_it_has_none() {
    let incident = unknown();
    let report = Report::new(&incident, at("05:56:00"));
    check("unknown.en.txt", &report.text(Lang::En));
    check("unknown.ja.txt", &report.text(Lang::Ja));
    let page = report.html(Lang::En);
    for told in [
        "How many patients' records are intact is not known.",
        "No act of an attacker is on record.",
        "Not known: nothing was watched.",
        "No backup had been proven",
        "How the attacker got in: not in this record.",
    ] {
        assert!(page.contains(told), "{told}");
    }
    assert!(!page.contains("REHEARSAL") && !page.contains("<svg"));
    assert_eq!(page.matches("<b>not measured</b>").count(), 8);
}

#[test]
fn what_is_lost_is_the_first_thing_said() {
    let mut incident = rehearsal();
    incident.effect.patients_intact = 2702;
    incident.effect.files_irrecoverable = 5_173;
    let comparison = comparison();
    for (lang, told) in [
        (Lang::En, "2,702 of 3,835 patients' records are as they were before."),
        (Lang::Ja, "患者3,835人中2,702人の記録が、インシデント前と同じ状態にあります。"),
    ] {
        let page = report(&incident, &comparison).html(lang);
        assert!(page.contains(told));
        assert!(page.contains(r#"<div class="verdict">"#), "not shown as a success");
        assert!(
            page.contains(lang.pick("5,173 files are lost for good.", "5,173ファイルは復元できません。"))
        );
    }
}

#[test]
fn absence_is_only_told_with_its_coverage() {
    let comparison = comparison();
    let mut incident = rehearsal();
    let page = report(&incident, &comparison).html(Lang::En);
    assert!(page.contains("None seen by the means listed here"));
    assert!(page.contains("This does not say that nothing left."));
    assert!(!page.to_lowercase().contains("no leak"));
    incident.findings[0].detector = "exfil.volume".into();
    let page = report(&incident, &comparison).html(Lang::En);
    assert!(page.contains("Signs of data leaving were seen") && !page.contains("None seen by"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_escapes_what_it_is_given() {
    let comparison = comparison();
    let mut incident = rehearsal();
    let hostile = r#"<script src="http://example.invalid/x.js">"#;
    incident.title = hostile.into();
    incident.synthetic = Some(hostile.into());
    incident.findings[0].actor = hostile.into();
    incident.observed.push(hostile.into());
    incident.timeline[0].en = hostile.into();
    incident.timeline[0].ja = hostile.into();
    for lang in Lang::ALL {
        let page = report(&incident, &comparison).html(lang);
        assert!(!page.contains("<script"));
        let ours = page.replace("http://www.w3.org/2000/svg", "").replace("http://example.invalid", "");
        for outside in ["http:", "https:", "url(", "@import", "<link", "<img"] {
            assert!(!ours.contains(outside), "{outside}");
        }
    }
}

#[test]
fn a_crowded_timeline_stays_within_its_picture() {
    let comparison = comparison();
    for moments in [1usize, 2, 40, 2_000] {
        let mut incident = rehearsal();
        // Out of order and all at one instant are both allowed.
        incident.timeline = (0..moments)
            .map(|n| Moment {
                at: at("05:40:00") + jiff::SignedDuration::from_millis((n as i64 % 7) * 3_600),
                stage: if n % 2 == 0 { Stage::Attack } else { Stage::Contain },
                en: "x".into(),
                ja: "x".into(),
            })
            .collect();
        let page = report(&incident, &comparison).html(Lang::En);
        let xs = page.split("<circle cx=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        let xs: Vec<f64> = xs.map(|x| x.parse().unwrap()).collect();
        assert_eq!(xs.len(), moments);
        assert!(xs.iter().all(|x| (140.0..=980.0).contains(x)), "{moments} moments");
        assert!(!page.contains("NaN"));
    }
}

#[test]
fn the_written_files_are_what_the_ledger_records() {
    let dir = tempfile::tempdir().unwrap();
    let (incident, comparison) = (rehearsal(), comparison());
    let written = report(&incident, &comparison).write(&dir.path().join("new/folder")).unwrap();
    assert_eq!(written.fact(), Fact::ReportWritten { files: written.files.clone() });
    for file in &written.files {
        let content = fs::read(written.json.with_file_name(&file.name)).unwrap();
        assert_eq!(hex::encode(Sha256::digest(content)), file.sha256);
    }
    let data: serde_json::Value = serde_json::from_slice(&fs::read(&written.json).unwrap()).unwrap();
    let back: IncidentReport = serde_json::from_value(data["incident"].clone()).unwrap();
    assert_eq!(back, incident);
}
