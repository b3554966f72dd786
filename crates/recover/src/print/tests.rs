use jiff::civil::{Date, DateTime, date};

use super::*;
use crate::charts::*;
use crate::downtime::number::Number;
use schema::PatientId;

fn from(path: &str) -> Provenance {
    Provenance { path: path.to_owned(), part: None, recorded_at: None, other_patient: None }
}

fn item<T>(value: T) -> Item<T> {
    Item { value, from: from("0001/ADT-00/x") }
}

fn empty(id: &str) -> Chart {
    Chart {
        patient: PatientId(id.to_owned()),
        banner: Banner::default(),
        alerts: Vec::new(),
        allergies: Vec::new(),
        problems: Vec::new(),
        medication: Vec::new(),
        given: Vec::new(),
        labs: Vec::new(),
        stays: Vec::new(),
        visits: Vec::new(),
        appointments: Vec::new(),
        meals: Vec::new(),
        notes: Vec::new(),
        unread: Vec::new(),
        not_shown: Vec::new(),
        newest_record: None,
    }
}

fn note(text: &str) -> Item<Note> {
    let bytes = text.len() as u64;
    item(Note {
        kind: "経過記録".into(),
        standard_code: String::new(),
        date: None,
        text: Some(text.into()),
        bytes,
    })
}

fn basis() -> Basis {
    Basis { origin: Origin::Folder { path: "/srv/records".into() }, as_of: None, newest_record: None }
}

fn now() -> DateTime {
    date(2026, 11, 22).at(14, 30, 0, 0)
}

fn print(lang: Lang) -> Print {
    let mut print = Print::new(lang, TimeZone::UTC, now()).unwrap();
    print.setter = Setter::new(Fonts::with_folders(Vec::new()).unwrap());
    print
}

fn printed(lang: Lang, add: impl FnOnce(&mut Print) -> Result<(), Fault>) -> Printed {
    let mut print = print(lang);
    add(&mut print).unwrap();
    let (bytes, printed) = print.finish().unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    printed
}

#[test]
fn an_empty_chart_is_a_page_and_not_nothing() {
    for lang in Lang::ALL {
        assert_eq!(printed(lang, |print| print.chart(&empty("1"), &basis())).pages, 1);
        assert_eq!(printed(lang, |print| print.round_list("東3", &[], &basis())).pages, 1);
        assert!(printed(lang, |print| print.administration_record(&empty("1"), &basis())).pages >= 1);
    }
    assert!(matches!(print(Lang::En).finish(), Err(Fault::NoPages)));
}

#[test]
fn long_notes_are_bounded_and_the_rest_is_counted() {
    let mut chart = empty("1");
    chart.notes.push(note(&"あ".repeat(17_000_000)));
    let told = printed(Lang::Ja, |print| print.chart(&chart, &basis()));
    assert_eq!(told.left_out, LeftOut { characters: 17_000_000 - 20_000, rows: 0 });
    assert!((6..40).contains(&told.pages), "{}", told.pages);
    chart.notes = (0..250).map(|_| note(&"word ".repeat(3_000))).collect();
    let told = printed(Lang::En, |print| print.chart(&chart, &basis()));
    assert_eq!(told.left_out.rows, 50);
    assert_eq!(told.left_out.characters, 200 * 15_000 - 400_000);
}

#[test]
fn hostile_text_is_printed_as_code_points() {
    let hostile = "\u{202e}\u{0}\u{1b}]0;x\u{7}\u{2028}\u{e0041}𠮷";
    let mut chart = empty(&format!("1{hostile}"));
    chart.banner.name = Some(hostile.repeat(500));
    chart.banner.kana = Some(hostile.into());
    chart.alerts =
        (0..3_000).map(|_| Alert { kind: AlertKind::Allergy, what: hostile.repeat(100) }).collect();
    chart.notes.push(note(&hostile.repeat(100)));
    chart.unread = (0..300)
        .map(|_| Unread { path: hostile.repeat(80), kind: "-".into(), cause: hostile.into() })
        .collect();
    let mut mixed = item(Medication {
        route: Route::Injection,
        drugs: (0..100)
            .map(|_| Drug {
                name: hostile.repeat(200),
                code: String::new(),
                dose: "1".repeat(400),
                per_day: "2".into(),
            })
            .collect(),
        usage: "x".repeat(100_000),
        start: Some(Date::MAX),
        until: Some(Date::MIN),
        days: Some(u16::MAX),
        state: Course::Open,
        ordered_by: hostile.into(),
        order: String::new(),
    });
    mixed.from.other_patient = Some(PatientId(hostile.repeat(30)));
    chart.medication.push(mixed);
    for lang in Lang::ALL {
        let told = printed(lang, |print| {
            print.chart(&chart, &basis())?;
            print.round_list(&hostile.repeat(100), std::slice::from_ref(&chart), &basis())?;
            print.administration_record(&chart, &basis())
        });
        assert!(told.as_code_points > 1_000);
        assert!(told.left_out.characters > 0 && told.left_out.rows > 0);
    }
}

#[test]
fn absurd_laboratory_values_draw_no_curve_that_breaks_the_page() {
    let result = |value: &str, range: &str| {
        item(LabResult {
            value: value.into(),
            unit: String::new(),
            range: range.into(),
            flag: LabFlag::Critical,
            flag_computed: true,
            at: None,
            preliminary: true,
        })
    };
    let mut chart = empty("1");
    for values in
        [&["1", "2"][..], &["1e38", "-1e38"], &["NaN", "inf"], &["5", "5", "5"], &["0", "0"], &["(+)", "3"]]
    {
        for range in ["", "1-2", "9e30-1", "a-b", "0.6-1.1"] {
            let results = values.iter().map(|value| result(value, range)).collect();
            chart.labs.push(LabSeries {
                code: "c".into(),
                name: "K".into(),
                results,
                trend: Some(Trend::Up),
            });
        }
    }
    assert!(printed(Lang::Ja, |print| print.chart(&chart, &basis())).pages >= 1);
}

#[test]
fn every_form_is_made_in_both_languages_on_one_page() {
    let known = FormFor::Known {
        id: PatientId("0001234567".into()),
        name: "斎藤 花子".into(),
        kana: "サイトウ ハナコ".into(),
        birth_date: Some(date(1948, 4, 5)),
        sex: Some(Sex::Female),
    };
    let new = FormFor::New(Number::new(date(2026, 11, 22), [1, 2, 3, 4, 5]));
    for lang in Lang::ALL {
        for kind in FormKind::ALL {
            for of in [&known, &new] {
                let told = printed(lang, |print| print.form(kind, of));
                let most = if kind == FormKind::AdministrationRecord { 2 } else { 1 };
                assert!(told.pages <= most, "{kind:?} {lang:?}: {}", told.pages);
                assert_eq!(told.as_code_points, 0, "{kind:?} {lang:?}");
            }
        }
    }
    let endless = FormFor::Known {
        id: PatientId("9".repeat(500)),
        name: "名".repeat(5_000),
        kana: String::new(),
        birth_date: None,
        sex: None,
    };
    assert!(matches!(print(Lang::Ja).form(FormKind::Orders, &endless), Err(Fault::Code)));
}
