//! What each resource brings to a chart.

use base64::Engine as _;
use jiff::civil::date;
use schema::PatientId;
use serde_json::{Value, json};

use super::tests_export::{DAY, Export, causes, of_p1, patient, text, texts};
use crate::charts::{AlertKind, Bed, LabFlag, Outcome, Route, Sex, Trend};

#[test]
fn a_patient_is_found_by_the_hospital_s_id_and_by_the_resource_s() {
    let export = Export::of(&[]);
    let roster = export.roster();
    let line = &roster.patients[0];
    assert_eq!((line.patient.0.as_str(), line.other_ids.as_slice()), ("0001234567", &["p1".to_owned()][..]));
    assert_eq!((line.name.as_deref(), line.kana.as_deref()), (Some("患者 太郎"), Some("カンジャ タロウ")));
    assert_eq!((line.birth_date, line.sex), (Some(date(1948, 4, 5)), Some(Sex::Male)));
    for found in ["p1", "1234567", "かんじゃ", "1948-04-05"] {
        assert_eq!(roster.search(found).len(), 1, "{found}");
    }
    let charts = export.charts();
    for id in ["0001234567", "1234567", "p1", "Patient/p1"] {
        let chart = charts.chart(&PatientId(id.into()), Some(DAY)).unwrap();
        assert_eq!((chart.patient.0.as_str(), chart.banner.age), ("0001234567", Some(70)), "{id}");
        let from = chart.banner.from.unwrap();
        assert_eq!(from.part.as_deref(), Some("Patient/p1"));
        assert_eq!(from.recorded_at, Some(date(2018, 10, 14).at(12, 0, 0, 0)), "by the hospital's clock");
    }
    for id in ["", "999", "p2", "../p1"] {
        assert!(charts.chart(&PatientId(id.into()), None).is_none(), "{id}");
    }
}

#[test]
fn allergies_and_problems_say_no_more_than_the_record() {
    let export = Export::of(&[
        of_p1(
            "AllergyIntolerance",
            "a1",
            json!({"code": text("ペニシリン"), "category": ["medication"], "criticality": "high",
            "reaction": [{"manifestation": [text("発疹")]}], "onsetDateTime": "2001"}),
        ),
        of_p1(
            "AllergyIntolerance",
            "a2",
            json!({"code": {"coding": [{"display": "そば",
            "system": "http://jpfhir.jp/fhir/core/CodeSystem/JP_JfagyFoodAllergen_CS", "code": "J9"}]}}),
        ),
        of_p1(
            "AllergyIntolerance",
            "a3",
            json!({"code": text("花粉"), "clinicalStatus": {"coding": [{"code": "resolved"}]}}),
        ),
        of_p1(
            "AllergyIntolerance",
            "a4",
            json!({"code": text("誤り"), "verificationStatus": {"coding": [{"code": "entered-in-error"}]}}),
        ),
        of_p1("AllergyIntolerance", "a5", json!({"criticality": "low"})),
        of_p1(
            "Condition",
            "c1",
            json!({"code": {"text": "糖尿病", "coding": [{"code": "E11",
            "system": "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full"}]}, "onsetDateTime": "2016"}),
        ),
        of_p1(
            "Condition",
            "c2",
            json!({"code": text("胃癌"), "verificationStatus": {"coding": [{"code": "provisional"}]},
            "onsetDateTime": "2018-01-01", "clinicalStatus": {"coding": [{"code": "active"}]}}),
        ),
        of_p1("Condition", "c3", json!({"code": text("感冒"), "abatementDateTime": "2017-01-10T23:00:00Z"})),
    ]);
    let chart = export.chart();
    let allergies = texts(&chart.allergies, |one| {
        format!("{} {} {}", one.substance, one.category_code, one.severity_code)
    });
    assert_eq!(allergies, ["ペニシリン DA SV", "そば FA ", "花粉 (resolved)  "]);
    assert_eq!(chart.allergies[0].value.since, "2001");
    let problems = texts(&chart.problems, |one| format!("{} {} {}", one.name, one.icd10, one.active));
    assert_eq!(problems, ["胃癌 (provisional)  true", "糖尿病 (2016–) E11 true", "感冒  false"]);
    assert_eq!(chart.problems[2].value.until, Some(date(2017, 1, 11)), "the hospital's day");
    assert_eq!(causes(&chart), ["AllergyIntolerance: it names no substance"]);
    assert!(chart.unread[0].path.ends_with("AllergyIntolerance/a5"), "{}", chart.unread[0].path);
    assert_eq!(chart.not_shown, [("AllergyIntolerance (entered in error)".to_owned(), 1)]);
    let alerts: Vec<_> = chart.alerts.iter().map(|alert| alert.kind).collect();
    assert_eq!(alerts, [AlertKind::Unread, AlertKind::Allergy]);
}

#[test]
fn medication_runs_for_its_days_and_jp_clins_calls_every_prescription_completed() {
    let order = |id: &str, status: &str, profile: &str, start: &str, days: Value| {
        of_p1(
            "MedicationRequest",
            id,
            json!({"status": status, "intent": "order", "meta": {"profile": [profile]},
            "medicationCodeableConcept": text(id), "requester": {"reference": "Practitioner/d1"}, "authoredOn": start,
            "dosageInstruction": [{"text": "1日3回毎食後", "timing": {"repeat": {"boundsDuration": {"value": days, "code": "d"}}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "錠"},
                    "rateRatio": {"numerator": {"value": 3, "unit": "錠"}, "denominator": {"value": 1, "unit": "日"}}}]}]}),
        )
    };
    let jp = "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_MedicationRequest_eCS";
    let export = Export::of(&[
        order("今の薬", "completed", jp, "2018-10-10", json!(14)),
        order("終わった薬", "completed", jp, "2018-09-01", json!(14)),
        order("済んだ薬", "completed", "http://x", "2018-10-10", json!(14)),
        order("中止の薬", "stopped", jp, "2018-10-10", json!(14)),
        order("次の薬", "active", "", "2018-10-20", json!(14)),
        order("頓服", "active", "", "2018-10-01", Value::Null),
        of_p1(
            "MedicationStatement",
            "持参薬",
            json!({"status": "active", "contained": [{"resourceType": "Medication", "id": "m",
                "code": text("持参薬"), "ingredient": [{"itemCodeableConcept": text("成分")}]}],
            "medicationReference": {"reference": "#m"}, "effectivePeriod": {"start": "2018-10-01"}}),
        ),
        of_p1(
            "MedicationRequest",
            "点滴",
            json!({"status": "active", "intent": "order", "authoredOn": "2018-10-15",
            "medicationReference": {"reference": "Medication/mix"}, "dosageInstruction": [{"route": text("静注")}]}),
        ),
        json!({"resourceType": "Medication", "id": "mix", "ingredient": [
            {"itemCodeableConcept": text("ソリタ"), "strength": {"numerator": {"value": 1, "unit": "本"}}},
            {"itemCodeableConcept": text("アドナ")}]}),
        json!({"resourceType": "Practitioner", "id": "d1", "name": [{"text": "医師 一郎"}]}),
        of_p1(
            "MedicationAdministration",
            "g1",
            json!({"status": "not-done", "medicationCodeableConcept": text("ヘパリン"),
            "effectiveDateTime": "2018-10-15T00:30:00Z", "dosage": {"dose": {"value": 5, "unit": "mL"}}}),
        ),
    ]);
    let chart = export.chart();
    let medication =
        texts(&chart.medication, |one| format!("{:?} {:?} {}", one.state, one.route, one.drugs[0].name));
    let expected = [
        "Current Prescription 今の薬",
        "Planned Prescription 次の薬",
        "Open Injection ソリタ",
        "Open Prescription 頓服",
        "Open Prescription 持参薬",
        "Ended Prescription 済んだ薬",
        "Ended Prescription 終わった薬",
        "Stopped Prescription 中止の薬",
    ];
    assert_eq!(medication, expected);
    let current = &chart.medication[0].value;
    assert_eq!((current.drugs[0].dose.as_str(), current.drugs[0].per_day.as_str()), ("1 錠", "3 錠"));
    assert_eq!((current.ordered_by.as_str(), current.until), ("医師 一郎", Some(date(2018, 10, 23))));
    assert_eq!(
        (chart.medication[2].value.drugs.len(), chart.medication[2].value.route),
        (2, Route::Injection)
    );
    let given = &chart.given[0].value;
    assert_eq!(
        (given.status.as_str(), given.drug.dose.as_str(), given.at),
        ("NA", "5 mL", Some(DAY.at(9, 30, 0, 0)))
    );
    assert_eq!(causes(&chart), Vec::<String>::new());
}

#[test]
fn observations_make_series_blood_type_and_infections() {
    let lab = |id: &str, day: &str, fields: Value| {
        let mut all = of_p1(
            "Observation",
            id,
            json!({"status": "final", "category": [{"coding": [{"code": "laboratory"}]}],
            "effectiveDateTime": format!("{day}T09:00:00+09:00")}),
        );
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        all
    };
    let potassium = |id: &str, day: &str, value: f64, flag: Value| {
        lab(
            id,
            day,
            json!({"code": {"text": "カリウム", "coding": [{"system": "http://loinc.org", "code": "2823-3"},
                {"system": "urn:oid:1.2.392.200119.4.1005", "code": "3H015"}]},
            "valueQuantity": {"value": value, "unit": "mEq/L"}, "interpretation": flag,
            "referenceRange": [{"type": {"coding": [{"code": "treatment"}]}, "text": "panic"}, {"low": {"value": 3.6}, "high": {"value": 4.8}}]}),
        )
    };
    let export = Export::of(&[
        potassium("k1", "2018-10-01", 4.0, Value::Null),
        potassium("k2", "2018-10-10", 6.9, json!([{"coding": [{"code": "HH"}]}])),
        lab("hbs", "2018-10-10", json!({"code": text("HBs抗原"), "valueCodeableConcept": text("陽性")})),
        lab(
            "hcv",
            "2018-10-10",
            json!({"code": text("Hepatitis C virus Ab"), "valueString": "Non-reactive"}),
        ),
        lab(
            "abo",
            "2018-10-10",
            json!({"code": {"text": "ABO", "coding": [{"system": "http://loinc.org", "code": "883-9"}]}, "valueString": "A"}),
        ),
        of_p1(
            "Observation",
            "bp",
            json!({"status": "preliminary", "category": [{"coding": [{"code": "vital-signs"}]}], "code": text("血圧"),
            "component": [{"code": text("収縮期血圧"), "valueQuantity": {"value": 121, "unit": "mm[Hg]"}}]}),
        ),
        of_p1(
            "Observation",
            "smoke",
            json!({"category": [{"coding": [{"code": "social-history"}]}], "code": text("喫煙"), "valueString": "yes"}),
        ),
        of_p1("Observation", "none", json!({"code": text("尿酸"), "dataAbsentReason": text("溶血")})),
        of_p1("Observation", "bad", json!({"code": text("鉄")})),
    ]);
    let chart = export.chart();
    let series: Vec<_> =
        chart.labs.iter().map(|one| (one.name.as_str(), one.results[0].value.flag)).collect();
    assert_eq!(series[0], ("カリウム", LabFlag::Critical));
    assert_eq!(series.len(), 5, "{series:?}");
    let potassium = &chart.labs[0];
    assert_eq!(
        (potassium.code.as_str(), potassium.trend, potassium.results[1].value.flag_computed),
        ("3H015", Some(Trend::Up), true)
    );
    assert_eq!(potassium.results[0].value.range, "3.6-4.8");
    assert_eq!(chart.banner.blood_abo.as_ref().unwrap().value.value, "A");
    let infections: Vec<_> = chart.banner.infections.iter().map(|item| item.value.outcome).collect();
    assert_eq!(infections, [Outcome::Positive, Outcome::Negative]);
    let pressure = chart.labs.iter().find(|one| one.name == "収縮期血圧").unwrap();
    assert!(pressure.results[0].value.preliminary);
    assert_eq!(causes(&chart), ["Observation: it has no value that can be shown"]);
    let not_shown: Vec<&str> = chart.not_shown.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(not_shown, ["Observation (no value)", "Observation (social-history)"]);
}

#[test]
fn encounters_meals_appointments_and_notes_are_on_the_chart() {
    let data = base64::engine::general_purpose::STANDARD.encode("経過良好");
    let export = Export::of(&[
        of_p1(
            "Encounter",
            "e1",
            json!({"status": "in-progress", "class": {"code": "IMP"}, "period": {"start": "2018-10-12T17:44:00+09:00"},
            "serviceType": text("内科"), "participant": [{"individual": {"display": "医師 花子"}}],
            "location": [{"status": "completed", "location": {"reference": "Location/er"}}, {"status": "active", "location": {"reference": "Location/b1"}}]}),
        ),
        of_p1(
            "Encounter",
            "e2",
            json!({"status": "finished", "class": {"code": "AMB"}, "period": {"start": "2018-09-01T09:00:00+09:00"}}),
        ),
        of_p1(
            "Encounter",
            "e3",
            json!({"status": "finished", "class": {"code": "IMP"}, "period": {"start": "2018-01-01", "end": "2018-01-05"}}),
        ),
        of_p1(
            "Encounter",
            "e4",
            json!({"status": "planned", "class": {"code": "AMB"}, "period": {"start": "2018-11-01T09:00:00+09:00"}}),
        ),
        json!({"resourceType": "Location", "id": "b1", "name": "2", "physicalType": {"coding": [{"code": "bd"}]}, "partOf": {"reference": "Location/r1"}}),
        json!({"resourceType": "Location", "id": "r1", "name": "512", "physicalType": {"coding": [{"code": "ro"}]}, "partOf": {"reference": "Location/w1"}}),
        json!({"resourceType": "Location", "id": "w1", "name": "5B", "physicalType": {"coding": [{"code": "wa"}]}, "partOf": {"reference": "Location/b1"}}),
        json!({"resourceType": "Appointment", "id": "a1", "status": "booked", "start": "2018-10-20T09:30:00+09:00", "description": "再診",
            "participant": [{"actor": {"reference": "Patient/p1"}}, {"actor": {"reference": "Practitioner/d1", "display": "医師 一郎"}}]}),
        json!({"resourceType": "NutritionOrder", "id": "n1", "status": "active", "patient": {"reference": "Patient/p1"}, "dateTime": "2018-10-13",
            "oralDiet": {"type": [text("減塩食")], "instruction": "塩分控えめ"}, "excludeFoodModifier": [text("そば")]}),
        of_p1(
            "DocumentReference",
            "d1",
            json!({"type": text("経過記録"), "date": "2018-10-14T10:00:00+09:00",
            "content": [{"attachment": {"contentType": "text/plain", "data": data}}]}),
        ),
        of_p1(
            "DocumentReference",
            "d2",
            json!({"type": text("画像"), "date": "2018-10-13", "content": [{"attachment": {"contentType": "application/pdf", "data": "JVBERi0A"}}]}),
        ),
        of_p1(
            "DocumentReference",
            "d3",
            json!({"type": text("壊れた"), "content": [{"attachment": {"contentType": "text/plain", "data": "%%%"}}]}),
        ),
        of_p1(
            "DocumentReference",
            "d4",
            json!({"type": text("別置き"), "date": "2018-10-12", "content": [{"attachment": {"url": "Binary/x"}}]}),
        ),
        json!({"resourceType": "Binary", "id": "x", "contentType": "text/plain", "data": base64::engine::general_purpose::STANDARD.encode("別の文書")}),
        of_p1(
            "Composition",
            "t1",
            json!({"title": "退院時サマリー", "date": "2018-10-11", "section": [
            {"title": "経過", "text": {"div": "<div>良好 &lt;3日&gt;</div>"}, "section": [{"text": {"div": "<div>内側</div>"}}]}]}),
        ),
        of_p1(
            "DiagnosticReport",
            "r1",
            json!({"code": text("胸部CT"), "conclusion": "異常なし", "effectiveDateTime": "2018-10-10"}),
        ),
        of_p1(
            "DiagnosticReport",
            "r2",
            json!({"category": [{"coding": [{"code": "LAB"}]}], "code": text("生化学"), "result": [{"reference": "Observation/1"}], "conclusion": "x"}),
        ),
        of_p1("Procedure", "x1", json!({"code": text("酸素投与")})),
    ]);
    let chart = export.chart();
    let bed = Bed { ward: "5B".into(), room: "512".into(), bed: "2".into() };
    assert_eq!(chart.banner.ward.as_ref().unwrap().value, bed);
    assert_eq!(export.roster().patients[0].bed.as_ref(), Some(&bed), "the ward list asks encounters too");
    let stays =
        texts(&chart.stays, |one| format!("{} {} {}", one.dept, one.doctor, one.discharged.is_some()));
    assert_eq!(stays, ["内科 医師 花子 false", "  true"]);
    assert_eq!(chart.visits.len(), 1);
    let booked = texts(&chart.appointments, |one| format!("{} {} {}", one.doctor, one.what, one.status));
    assert_eq!(booked, ["医師 一郎 再診 booked", "  planned"], "the next one first");
    assert_eq!(
        texts(&chart.meals, |one| format!("{} {}", one.diet, one.instruction)),
        ["減塩食 塩分控えめ、✕ そば"]
    );
    let notes = texts(&chart.notes, |one| format!("{} {:?}", one.kind, one.text.as_deref().unwrap_or("-")));
    let expected = [
        "経過記録 \"経過良好\"",
        "画像 \"-\"",
        "別置き \"別の文書\"",
        "退院時サマリー \"【経過】\\n良好 <3日>\\n内側\"",
        "胸部CT \"異常なし\"",
    ];
    assert_eq!(notes, expected);
    assert_eq!(causes(&chart), ["DocumentReference: what is attached is no base64"]);
    assert_eq!(chart.not_shown, [("DiagnosticReport (LAB)".to_owned(), 1), ("Procedure".to_owned(), 1)]);
}

#[test]
fn references_of_every_kind_lead_to_the_patient() {
    let export = Export::new();
    let allergy = |id: &str, patient: Value| json!({"resourceType": "AllergyIntolerance", "id": id, "code": text(id), "patient": patient});
    let entry = |url: &str, resource: Value| json!({"fullUrl": url, "resource": resource, "request": {"method": "POST"}});
    let mut nameless = patient("p1", "0001234567");
    nameless["id"] = Value::Null;
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        entry("urn:uuid:2", allergy("before", json!({"reference": "urn:uuid:1"}))),
        entry("urn:uuid:1", nameless),
        entry("urn:uuid:3", allergy("by id", json!({"identifier": {"system": "urn:oid:1.2.392.100495.20.3.51.11311234567", "value": "0001234567"}}))),
        {"fullUrl": "urn:uuid:4", "request": {"method": "DELETE", "url": "Patient/9"}},
    ]});
    export.add_text("a/bundle.json", &serde_json::to_string_pretty(&bundle).unwrap());
    let search = json!({"entry": [{"resource": allergy("absolute", json!({"reference": "https://emr.example/fhir/Patient/p1/_history/2"}))},
        {"resource": patient("p1", "0001234567")}], "type": "searchset", "resourceType": "Bundle"});
    export.add_text("b/search.json", &search.to_string());
    export.add("c/lines.ndjson", &[json!({"resourceType": "Bundle", "entry": [
        {"resource": patient("p1", "0001234567")}, {"resource": allergy("in a line", json!({"reference": "Patient/p1"}))}]})]);
    export.add_text("d/one.json", &serde_json::to_string_pretty(&patient("p1", "0001234567")).unwrap());
    export
        .add("d/AllergyIntolerance/part-0.ndjson", &[allergy("by type", json!({"reference": "Patient/p1"}))]);
    export.add_text("package.json", "{\"name\": \"no resource\"}");
    export.add_text("access.ndjson", "{\"log\": 1}\n{\n");
    let chart = export.chart();
    let mut found = texts(&chart.allergies, |one| one.substance.clone());
    found.sort();
    assert_eq!(found, ["absolute", "before", "by id", "by type", "in a line"]);
    assert_eq!((export.roster().patients.len(), causes(&chart).len()), (1, 0), "{:?}", causes(&chart));
}
