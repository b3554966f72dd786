//! Damaged, contradictory and large exports, and those of the shared data.

use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use schema::PatientId;
use serde_json::{Value, json};

use super::tests_export::{DAY, Export, causes, of_p1, open, patient, text, texts};
use crate::charts::{AlertKind, Bed, Chart, Charts, Course, LabFlag, Sex, Source};
use crate::vault::{BackupRequest, KeyCost, Password, Vault};

#[test]
fn what_cannot_be_read_is_named_and_the_rest_still_shows() {
    let export = Export::of(&[
        of_p1(
            "AllergyIntolerance",
            "a1",
            json!({"code": text("ペニシリン"), "category": ["medication"], "reaction": 5}),
        ),
        of_p1("Condition", "c1", json!({"code": text("糖尿病"), "onsetDateTime": 7})),
        of_p1("Condition", "c2", json!({"code": text("胃癌"), "onsetDateTime": "いつか"})),
    ]);
    // A line that names its patient is that patient's alone.
    export.add_text(
        "Observation.ndjson",
        "{\"resourceType\":\"Observation\",\"subject\":{\"reference\":\"Patient/p1\"},\"code\":\n",
    );
    export.add_bytes(
        "Observation.ndjson",
        b"{\"resourceType\":\"Observation\",\"subject\":{\"reference\":\"Patient/p2\"},\"x\":\"\xff\xfe\"}\n",
    );
    export.add("Patient.ndjson", &[patient("p2", "0000000002")]);
    // Nobody knows whose these are: they are named on every chart.
    export.add_text(
        "Condition.ndjson",
        &format!("{}\n{{\"resourceType\":\"Condition\",\"code\":{{}}}}\n", "[".repeat(100_000)),
    );
    export.add_text("Encounter.ndjson", "{\"resourceType\":\"Encounter\",\"status\":\"finished\",\"sub");
    // Nobody's, and of a patient whom only the resource itself knows.
    export.add(
        "Observation.ndjson",
        &[
            json!({"resourceType": "Observation", "subject": {"reference": "Device/1"}}),
            json!({"resourceType": "Observation", "id": "inner", "subject": {"reference": "#p"}}),
        ],
    );
    // Of nobody whom a Patient resource names.
    export.add("Condition.ndjson", &[json!({"resourceType": "Condition", "id": "c9", "code": text("x"), "subject": {"reference": "Patient/p9"}})]);
    let chart = export.chart();
    assert_eq!((chart.allergies.len(), chart.problems.len()), (1, 2));
    let found = causes(&chart).join("\n");
    for expected in [
        "AllergyIntolerance: reaction is a number and no list",
        "Condition: onsetDateTime is a number and no text",
        "Condition: onsetDateTime is no date or time",
        "FHIR: at byte 0: no JSON, as seen in line 1",
        "nested too deep (and 1 more): whose it is cannot be told",
        "it ends too early: whose it is cannot be told",
        "Observation/inner names no patient: whose it is cannot be told",
    ] {
        assert!(found.contains(expected), "{expected} is not in\n{found}");
    }
    assert!(chart.alerts.iter().any(|alert| alert.kind == AlertKind::Unread));
    let charts = export.charts();
    let second = charts.chart(&PatientId("0000000002".into()), None).unwrap();
    assert_eq!(second.unread.len(), 4, "{:?}", causes(&second));
    let roster = charts.roster();
    assert_eq!(roster.patients.len(), 3);
    assert!(roster.unread.iter().any(|unread| unread.cause.contains("no Patient resource of Patient/p9")));
    assert_eq!(charts.chart(&PatientId("p9".into()), None).unwrap().problems.len(), 1);
}

#[test]
fn the_same_id_twice_is_a_newer_version_a_copy_or_named() {
    let allergy = |what: &str, updated: &str| {
        of_p1("AllergyIntolerance", "a1", json!({"code": text(what), "meta": {"lastUpdated": updated}}))
    };
    let check = |resources: &[Value], shown: &[&str], unread: usize, older: u64| {
        let export = Export::of(resources);
        export.add("more/Patient.ndjson", &[patient("p1", "0001234567")]);
        let chart = export.chart();
        assert_eq!(texts(&chart.allergies, |one| one.substance.clone()), shown);
        let counted: u64 = chart.not_shown.iter().map(|(_, count)| count).sum();
        assert_eq!((chart.unread.len(), counted), (unread, older), "{:?}", causes(&chart));
    };
    check(&[allergy("A", "2018-01-01T00:00:00Z"), allergy("A", "2018-01-01T00:00:00Z")], &["A"], 0, 0);
    check(&[allergy("new", "2018-02-01T00:00:00Z"), allergy("old", "2018-01-01T00:00:00Z")], &["new"], 0, 1);
    check(&[allergy("A", "2018-01-01T00:00:00Z"), allergy("B", "2018-01-01T00:00:00Z")], &["B"], 1, 0);
}

#[test]
fn two_people_under_one_id_are_told_and_ids_of_resources_are_nobody_s_chart_number() {
    let export = Export::of(&[of_p1("Condition", "c1", json!({"code": text("糖尿病")}))]);
    let mut other = patient("q1", "1234567");
    other["birthDate"] = json!("1980-01-01");
    other["meta"] = Value::Null;
    export.add("lab/Patient.ndjson", &[other]);
    let chart = export.chart();
    assert_eq!(chart.banner.birth_date, Some(date(1948, 4, 5)), "the newer record");
    assert!(causes(&chart)[0].contains("two people may have this id"), "{:?}", causes(&chart));
    // A server's own number happens to be another patient's chart number.
    let stranger = json!({"resourceType": "Patient", "id": "1234567", "name": [{"text": "別人"}]});
    export.add("lab/Patient.ndjson", &[stranger]);
    let names: Vec<_> = export
        .roster()
        .patients
        .iter()
        .map(|line| (line.patient.0.clone(), line.name.clone().unwrap()))
        .collect();
    let expected = [("0001234567", "患者 太郎"), ("Patient/1234567@lab", "別人")];
    assert_eq!(names, expected.map(|(id, name)| (id.to_owned(), name.to_owned())));
    assert_eq!(
        export.charts().chart(&PatientId("Patient/1234567@lab".into()), None).unwrap().banner.name.as_deref(),
        Some("別人")
    );
    let claims = of_p1("Condition", "c2", json!({"code": text("x")}));
    let mut claims = claims;
    claims["subject"]["identifier"] = json!({"value": "7777777"});
    export.add("Condition.ndjson", &[claims]);
    let chart = export.chart();
    assert!(
        chart
            .alerts
            .iter()
            .any(|alert| alert.kind == AlertKind::OtherPatient && alert.what == "Condition (7777777)")
    );
}

#[test]
fn a_note_of_fifty_megabytes_is_named_by_its_size_and_hides_nothing() {
    let large = "A".repeat(50 << 20);
    let export = Export::of(&[of_p1(
        "DocumentReference",
        "d1",
        json!({"type": text("長い記録"), "content": [{"attachment": {"contentType": "text/plain", "data": large}}]}),
    )]);
    export.add_text(
        "Condition.ndjson",
        &format!(
            "{{\"resourceType\":\"Condition\",\"subject\":{{\"reference\":\"Patient/p1\"}},\"x\":\"{}\"}}\n",
            "x".repeat(decode::fhir::RESOURCE_BYTES_MAX)
        ),
    );
    export.add("Condition.ndjson", &[of_p1("Condition", "c1", json!({"code": text("糖尿病")}))]);
    let chart = export.chart();
    assert_eq!(
        (chart.notes[0].value.text.as_deref(), chart.notes[0].value.bytes),
        (None, (50 << 20) / 4 * 3)
    );
    assert_eq!(chart.problems.len(), 1);
    assert!(causes(&chart)[0].contains("larger than the limit"), "{:?}", causes(&chart));
}

#[test]
fn a_clock_that_ran_ahead_ends_nobody_s_medication() {
    let export = Export::of(&[
        of_p1("Condition", "c1", json!({"code": text("x"), "recordedDate": "2999-01-01"})),
        of_p1(
            "MedicationRequest",
            "m1",
            json!({"status": "active", "medicationCodeableConcept": text("薬"), "authoredOn": "2018-10-01",
            "dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"start": "2018-10-01", "end": "2998-01-01"}}}}]}),
        ),
    ]);
    let chart = export.charts().chart(&PatientId("0001234567".into()), None).unwrap();
    assert_eq!(chart.medication[0].value.state, Course::Current);
    assert_eq!(chart.newest_record.map(|at| at.year()), Some(2999), "shown as what it is");
}

#[test]
fn a_snapshot_gives_the_same_chart_as_the_folder_it_was_taken_of() {
    let export = Export::of(&[]);
    let mut lines = String::new();
    for number in 0..20_000 {
        let whose = number % 400;
        lines.push_str(&format!(
            "{{\"resourceType\":\"Observation\",\"id\":\"o{number}\",\"subject\":{{\"reference\":\"Patient/p{whose}\"}},\"code\":{{\"text\":\"t\"}},\
             \"valueInteger\":{number},\"effectiveDateTime\":\"2018-10-{:02}\",\"note\":[{{\"text\":\"{}\"}}]}}\n",
            number % 28 + 1,
            "x".repeat(200)
        ));
    }
    export.add_text("Observation.ndjson", &lines);
    let place = tempfile::tempdir().unwrap();
    let vault =
        Vault::init_with_cost(&place.path().join("vault"), &Password::new("x"), KeyCost::TEST).unwrap();
    vault.backup(BackupRequest::new(vec![export.dir.path().to_path_buf()]), &|_| {}).unwrap();
    let snapshot = vault.find("latest").unwrap();
    let charts = Charts::open(Source::snapshot(&vault, &snapshot)).unwrap();
    let zone = TimeZone::fixed(jiff::tz::offset(9));
    let chart = charts.in_zone(zone).chart(&PatientId("0001234567".into()), Some(DAY)).unwrap();
    assert_eq!(chart.labs[0].results.len(), 50);
    let json = |chart: &Chart| serde_json::to_value(chart).unwrap();
    assert_eq!(json(&chart), json(&export.chart()), "also the paths");
}

#[test]
fn the_synthetic_hospital_s_export_makes_a_chart_of_every_patient() {
    let Some(root) = testkit::shared("fhir_export_makes_charts", "hospital/fhir-jp-clinosim-40") else {
        return;
    };
    let charts = open(&root);
    let roster = charts.roster();
    assert_eq!((roster.patients.len(), roster.unread.len()), (40, 0), "{:?}", roster.unread);
    assert_eq!(roster.patients.iter().filter(|line| line.bed.is_some()).count(), 5);
    let mut counts = [0; 6];
    for line in &roster.patients {
        let chart = charts.chart(&line.patient, Some(date(2018, 10, 16))).unwrap();
        assert!(chart.unread.is_empty(), "{}: {:?}", line.patient, causes(&chart));
        assert!(
            chart.banner.name.is_some() && chart.banner.kana.is_some() && chart.banner.blood_abo.is_some()
        );
        assert_eq!(chart.banner.ward.as_ref().map(|bed| &bed.value), line.bed.as_ref());
        let labs: usize = chart.labs.iter().map(|series| series.results.len()).sum();
        let all = [
            chart.allergies.len(),
            chart.problems.len(),
            chart.medication.len(),
            chart.given.len(),
            chart.stays.len() + chart.visits.len(),
            labs,
        ];
        counts.iter_mut().zip(all).for_each(|(sum, count)| *sum += count);
    }
    // Lines of the files; observations with components count as these.
    assert_eq!(counts[..5], [60, 146, 535, 354, 192]);
    assert!(counts[5] > 2844, "{}", counts[5]);
    let chart = charts.chart(&PatientId("POP-000415".into()), Some(date(2018, 10, 16))).unwrap();
    assert_eq!(
        (chart.banner.name.as_deref(), chart.banner.kana.as_deref()),
        (Some("橋本 健"), Some("ハシモト ケン"))
    );
    let bed = Bed { ward: "4E病棟".into(), room: String::new(), bed: "4E-10号室".into() };
    assert_eq!(chart.banner.ward.as_ref().unwrap().value, bed);
    let ast = chart.labs.iter().find(|series| series.code == "3B035").unwrap();
    let latest = &ast.results[0].value;
    assert_eq!(
        (latest.value.as_str(), latest.range.as_str(), latest.flag),
        ("201.0", "13-30", LabFlag::High)
    );
    assert_eq!(latest.at, Some(date(2018, 10, 16).at(6, 7, 0, 0)));
    assert!(chart.problems.iter().any(|item| item.value.name == "敗血症" && item.value.icd10 == "A41.9"));
    assert!(chart.notes[0].value.text.as_ref().unwrap().starts_with("S（主観） 入院27日目"));
}

#[test]
fn bundles_of_synthea_make_a_chart_of_every_patient() {
    let Some(root) = testkit::shared("synthea_bundles_make_charts", "hospital/fhir-synthea-r4") else {
        return;
    };
    let charts = open(&root);
    let roster = charts.roster();
    assert_eq!((roster.patients.len(), roster.unread.len()), (8, 0));
    for line in &roster.patients {
        let chart = charts.chart(&line.patient, None).unwrap();
        assert!(chart.unread.is_empty(), "{}: {:?}", line.patient, causes(&chart));
        assert!(!chart.labs.is_empty() && !chart.visits.is_empty(), "{}", line.patient);
    }
    let chart = charts.chart(&PatientId("c536dee9-9ef6-4807-ae20-9f1045c9c7d6".into()), None).unwrap();
    assert_eq!((chart.banner.name.as_deref(), chart.banner.sex), (Some("Bergstrom Wm"), Some(Sex::Male)));
    assert_eq!((chart.problems.len(), chart.medication.len()), (4, 5));
    let burn = chart.problems.iter().find(|item| item.value.name == "Second degree burn").unwrap();
    assert!(!burn.value.active && burn.value.outcome == "resolved");
    assert_eq!(burn.value.since, Some(date(2010, 9, 18)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever an export holds, every patient's chart opens, and what was there before still shows.
    #[test]
    fn no_export_keeps_a_chart_from_opening(
        lines in proptest::collection::vec(
            (prop::sample::select(vec!["Observation", "Condition", "Encounter", "MedicationRequest", "Patient", "DocumentReference", "NutritionOrder"]),
             prop::sample::select(vec!["code", "status", "subject", "identifier", "name", "period", "location", "content", "component", "meta", "birthDate"]),
             prop::sample::select(vec!["7", "null", "[]", "{}", "\"x\"", "[[]]", "{\"reference\":5}", "{\"coding\":{\"code\":[]}}", "[{\"attachment\":{\"data\":\"=\"}}]", "{\"start\":{}}"]),
             any::<bool>()),
            0..12),
        noise in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let export = Export::of(&[of_p1("Condition", "kept", json!({"code": text("糖尿病")}))]);
        for (number, (kind, field, value, named)) in lines.iter().enumerate() {
            let whose = if *named && *field != "subject" { "\"subject\":{\"reference\":\"Patient/p1\"}," } else { "" };
            export.add_text("mixed.ndjson", &format!("{{\"resourceType\":\"{kind}\",\"id\":\"x{number}\",{whose}\"{field}\":{value}}}\n"));
        }
        export.add_bytes("mixed.ndjson", &noise);
        let charts = export.charts();
        for line in charts.roster().patients {
            prop_assert!(charts.chart(&line.patient, None).is_some(), "{}", line.patient);
        }
        let chart = charts.chart(&PatientId("0001234567".into()), Some(DAY)).unwrap();
        prop_assert!(chart.problems.iter().any(|item| item.value.name == "糖尿病"));
    }
}
