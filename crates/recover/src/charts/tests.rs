use std::fs;
use std::path::{Path, PathBuf};

use decode::ssmix2::{RecordName, patient_folder};
use encoding_rs::ISO_2022_JP;
use jiff::civil::date;
use schema::{Lang, PatientId};
use tempfile::TempDir;

use super::*;

const HEADER: &str = "MSH|^~\\&|HIS|S|GW|R|20181015||X^X|1|P|2.5||||||~ISO IR87||ISO 2022-1994";
pub(super) const ID: &str = "0001234567";
const PID: &str = "PID|0001||0001234567^^^^PI||患者^太郎^^^^^L^I~カンジャ^タロウ^^^^^L^P||19480405|M|||\
                   ^^^^422-8033^JPN^H^静岡県静岡市登呂１−３−５||^PRN^PH^^^^^^^^^054-000-0000";

/// A storage that is written by hand, a record at a time.
pub(super) struct Storage {
    pub(super) dir: TempDir,
}

impl Storage {
    pub(super) fn new() -> Storage {
        Storage { dir: tempfile::tempdir().unwrap() }
    }

    /// Puts a record of patient [`ID`]; `name` is what follows the id in the file's name.
    pub(super) fn put(&self, name: &str, segments: &str) -> PathBuf {
        let text = format!("{HEADER}\n{PID}\n{segments}\n").replace('\n', "\r");
        self.put_bytes(name, &ISO_2022_JP.encode(&text).0)
    }

    pub(super) fn put_bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let name = RecordName::parse(format!("{ID}_{name}").as_bytes()).unwrap();
        let folder = patient_folder(&name.patient).join(name.care_date_text()).join(&name.kind);
        let path = self.dir.path().join("ssmix2").join(folder).join(name.file_name());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn chart(&self) -> Chart {
        let charts = Charts::open(Source::folder(self.dir.path())).unwrap();
        charts.chart(&PatientId(ID.into()), Some(date(2018, 10, 15))).unwrap()
    }

    fn roster(&self) -> Roster {
        Charts::open(Source::folder(self.dir.path())).unwrap().roster()
    }
}

/// What a check compares: one text for each item.
pub(super) fn texts<T>(items: &[Item<T>], text: impl Fn(&T) -> String) -> Vec<String> {
    items.iter().map(|item| text(&item.value)).collect()
}

#[test]
fn the_banner_says_who_it_is() {
    let storage = Storage::new();
    let obx = "OBX|1|NM|9N001000000000001^身長^JC10||167.8|cm^cm^ISO+|||||F\n\
               OBX|2|CWE|5H010000009199911^血液型-ABO式^JC10||A^A^JSHR002||||||F\n\
               OBX|3|CWE|5H020000001999911^血液型-Rh式^JC10||Rh+^+^JSHR002||||||F";
    let path = storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", obx);
    let banner = storage.chart().banner;
    assert_eq!(
        (banner.name.as_deref(), banner.kana.as_deref()),
        (Some("患者 太郎"), Some("カンジャ タロウ"))
    );
    assert_eq!(
        (banner.birth_date, banner.age, banner.sex),
        (Some(date(1948, 4, 5)), Some(70), Some(Sex::Male))
    );
    assert_eq!(banner.address.as_deref(), Some("422-8033 静岡県静岡市登呂１－３－５"));
    assert_eq!(banner.phone.as_deref(), Some("054-000-0000"));
    assert_eq!(banner.height.as_deref(), Some("167.8 cm"));
    assert_eq!(
        (banner.blood_abo.unwrap().value.value, banner.blood_rh.unwrap().value.value),
        ("A".into(), "+".into())
    );
    assert_eq!(banner.from.unwrap().path, path.display().to_string());
}

#[test]
fn no_list_of_allergies_hides_what_the_other_has() {
    let storage = Storage::new();
    storage.put(
        "-_ADT-61_999999999999999_20181001120000000_-_1",
        "IAM|1|LA^花粉アレルギー^HL70127|5A1^スギ^JC10|MI^軽度^HL70128|目のかゆみ|A^追加^HL70323|||||199601\n\
         IAM|2|FA^食物アレルギー^HL70127|5A2^ソバ^JC10|SV^重度^HL70128|湿疹|A||||||小学校の頃\n\
         IAM|3|DA^薬剤アレルギー^HL70127|9^アリナミン^HOT9|||D^削除^HL70323",
    );
    storage.put(
        "-_ADT-00_999999999999999_20180901120000000_-_1",
        "AL1|1|DA^薬剤アレルギー^HL70127|1^ペニシリン^99XYZ\nAL1|2|LA^花粉^HL70127|5A1^スギ^JC10",
    );
    let chart = storage.chart();
    assert_eq!(texts(&chart.allergies, |allergy| allergy.substance.clone()), ["ペニシリン", "ソバ", "スギ"]);
    assert_eq!(chart.allergies[1].value.since, "小学校の頃");
    let alerts: Vec<_> = chart.alerts.iter().map(|alert| (alert.kind, alert.what.as_str())).collect();
    assert_eq!(alerts, [(AlertKind::Allergy, "ソバ"), (AlertKind::Allergy, "ペニシリン")]);
}

#[test]
fn problems_that_go_on_come_first() {
    let storage = Storage::new();
    storage.put(
        "-_PPR-01_999999999999999_20181001120000000_01_1",
        "PRB|AD|20170101|1^感冒^MDCDX2|1|||20170101||20170110|J00^^I10||||F^全快^HL70241|20170110\n\
         PRB|AD|20180101|2^胃癌^MDCDX2|2|||20180101|||C169^^I10||||||20171220|胃癌の疑い\n\
         PRB|AD|20160101|3^糖尿病^MDCDX2|3|||20160101|||E11^^I10|||||||糖尿病|1^主診断^JHSD0007\n\
         PRB|DE|20160101|4^取消^MDCDX2|4",
    );
    let problems = storage.chart().problems;
    let summary = texts(&problems, |p| format!("{} {} {} {}", p.name, p.icd10, p.active, p.main));
    assert_eq!(summary, ["糖尿病 E11 true true", "胃癌の疑い C169 true false", "感冒 J00 false false"]);
    assert_eq!(problems[1].value.since, Some(date(2017, 12, 20)));
}

#[test]
fn medication_is_current_when_its_days_reach_the_day_of_the_data() {
    let storage = Storage::new();
    let order = |control: &str, drug: &str, start: &str, days: &str| {
        format!(
            "ORC|{control}|1||1|||||20181001|||110^医師^一郎\n\
             RXE||1^{drug}^HOT9|1||TAB^錠^MR9P|||||15|TAB^錠^MR9P||||||||3^TAB&錠&MR9P\n\
             TQ1|1||1013&１日３回毎食後&JAMISDP01|||{days}|{start}\nRXR|PO^口^HL70162\n"
        )
    };
    let all = [
        order("NW", "終わった薬", "20181001", "14^d"),
        order("NW", "今の薬", "20181002", "14^d"),
        order("NW", "頓服", "20181003", ""),
        order("DC", "中止の薬", "20181010", "30^d"),
        order("NW", "次の薬", "20181016", "7^d"),
    ];
    storage.put("20181001_OMP-01_000000000000001_20181001120000000_01_1", &all.concat());
    storage.put(
        "20181015_OMP-02_000000000000002_20181015090000000_01_1",
        "ORC|NW|2\nRXE||00^一般^99I02|510||ML^mL^MR9P||^５時間一定速度で^99IC6\nTQ1|1||||||201810150800|201810151300\n\
         RXR|IV^静脈内^HL70162\nRXC|B|1^ソリタ^HOT9|1|HON^本^MR9P\nRXC|A|2^アドナ^HOT9|1|AMP^アンプル^MR9P",
    );
    let medication = storage.chart().medication;
    let summary = texts(&medication, |m| format!("{:?} {}", m.state, m.drugs[0].name));
    let expected = [
        "Current ソリタ",
        "Current 今の薬",
        "Planned 次の薬",
        "Open 頓服",
        "Ended 終わった薬",
        "Stopped 中止の薬",
    ];
    assert_eq!(summary, expected);
    let Medication { drugs, usage, until, days, ordered_by, .. } = &medication[1].value;
    assert_eq!((drugs[0].dose.as_str(), drugs[0].per_day.as_str()), ("1 錠", "3 錠"));
    assert_eq!((usage.as_str(), *until, *days), ("１日３回毎食後", Some(date(2018, 10, 15)), Some(14)));
    assert_eq!(ordered_by, "医師 一郎");
    assert_eq!(medication[0].value.drugs[1].name, "アドナ");
    assert_eq!(medication[0].value.usage, "静脈内 / ５時間一定速度で");
}

#[test]
fn labs_make_series_with_flags_and_trends() {
    let storage = Storage::new();
    let results = |name: &str, day: &str, potassium: &str, flag: &str, extra: &str| {
        let segments = format!(
            "SPM|1|||023^血清^JC10|||||||||||||{day}0900\nOBR|1|1|1|E002^生化学^99|||{day}|{day}\n\
             OBX|1|NM|3H015^カリウム^JC10||{potassium}|mEq/L^mEq/L^99|3.6-4.8|{flag}|||F\n{extra}"
        );
        storage.put(name, &segments);
    };
    let hbs = "OBX|2|ST|5F016^HBs抗原^JC10||(+)||(-)|A|||F\nOBX|3|NM|3A010^総蛋白^JC10||||6-8||||O";
    results("20181001_OML-11_000000000000001_20181001100000000_01_1", "20181001", "4.0", "", hbs);
    results("20181010_OML-11_000000000000002_20181010100000000_01_1", "20181010", "6.9", "HH", "");
    results("20181012_OML-11_000000000000003_20181012100000000_01_2", "20181012", "1.0", "LL", "");
    results("20181013_OML-11_000000000000004_20181013100000000_01_0", "20181013", "1.0", "LL", "");
    let chart = storage.chart();
    let names: Vec<_> = chart.labs.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["カリウム", "HBs抗原"], "ordered tests without a value are no results");
    let potassium = &chart.labs[0];
    let values = texts(&potassium.results, |r| format!("{} {:?} {}", r.value, r.flag, r.flag_computed));
    assert_eq!(values, ["6.9 Critical false", "4.0 Normal true"], "only flag 1 is current");
    assert_eq!(potassium.trend, Some(Trend::Up));
    assert_eq!(chart.banner.infections[0].value.outcome, Outcome::Positive);
    let alerts: Vec<_> = chart.alerts.iter().map(|alert| alert.kind).collect();
    assert_eq!(alerts, [AlertKind::Infection, AlertKind::Critical]);
}

#[test]
fn the_ward_is_that_of_the_last_movement() {
    let storage = Storage::new();
    let at = |n: usize, time: &str| format!("{}{time}", "|".repeat(n));
    let admit = format!("PV1|0001|I|3A^301^1||||7^医師^花子|||01{}", at(34, "201810011000"));
    storage.put("20181001_ADT-22_999999999999999_20181001100000000_01_1", &admit);
    assert_eq!(storage.chart().banner.ward.unwrap().value.ward, "3A");
    storage.put(
        "20181005_ADT-42_999999999999999_20181005100000000_01_1",
        "EVN||20181005||||201810051000\nPV1|0001|I|5B^512^2",
    );
    let bed = Bed { ward: "5B".into(), room: "512".into(), bed: "2".into() };
    assert_eq!(storage.chart().banner.ward.unwrap().value, bed);
    assert_eq!(storage.roster().patients[0].bed.as_ref(), Some(&bed));
    let discharge = format!("PV1|0001|I|5B^512^2{}", at(42, "201810091000"));
    storage.put("20181009_ADT-52_999999999999999_20181009100000000_01_1", &discharge);
    let chart = storage.chart();
    assert!(chart.banner.ward.is_none() && storage.roster().patients[0].bed.is_none());
    assert_eq!(chart.stays.len(), 1);
    let Stay { admitted, discharged, doctor, .. } = &chart.stays[0].value;
    assert_eq!(admitted.unwrap().date(), date(2018, 10, 1));
    assert_eq!(discharged.unwrap().date(), date(2018, 10, 9));
    assert_eq!(doctor, "医師 花子");
}

#[test]
fn meals_visits_and_notes_are_on_the_chart() {
    let storage = Storage::new();
    storage.put(
        "20181013_OMD_000000000000009_20181013232213000_01_1",
        "PV1|0001|I|32^302\nORC|NW|9|||||||||||||||01^内科^99XY1\nTQ1|1||TID&１日３回&HL70335||||2018101607\n\
         ODS|D||001^減塩食^99XY3|塩分控えめ",
    );
    storage.put(
        "20181012_ADT-12_999999999999999_20181012100000000_01_1",
        &format!("PV1|0001|O|01^^^^^C||||7^医師^一郎|||01{}201810120930", "|".repeat(34)),
    );
    let kind = "PN01^経過記録^99XYZ^11506-3^Progress note^LN";
    let content = format!("{ID}_20181012_{kind}_000000000000007_20181012100000000_01_1");
    let folder = storage
        .dir
        .path()
        .join("ext")
        .join(patient_folder(&PatientId(ID.into())))
        .join("20181012")
        .join(kind);
    for (name, flag) in
        [(content.clone(), "経過良好"), (content.replace("100000000_01_1", "090000000_01_2"), "古い")]
    {
        fs::create_dir_all(folder.join(&name)).unwrap();
        fs::write(folder.join(&name).join("note.txt"), flag).unwrap();
    }
    let chart = storage.chart();
    assert_eq!(
        texts(&chart.meals, |meal| format!("{} {} {}", meal.diet, meal.instruction, meal.timing)),
        ["減塩食 塩分控えめ １日３回"]
    );
    assert_eq!(texts(&chart.visits, |visit| format!("{} {}", visit.dept, visit.doctor)), ["内科 医師 一郎"]);
    assert_eq!(
        texts(&chart.notes, |note| format!("{} {}", note.kind, note.text.clone().unwrap())),
        ["経過記録 経過良好"]
    );
}

#[test]
fn what_cannot_be_read_is_named_and_never_looks_like_none() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "PV1|0001|O");
    let damaged = storage.put_bytes("-_ADT-61_999999999999999_20181001120000000_-_1", &[0x9f; 700]);
    let lab = storage.put("20181001_OML-11_000000000000001_20181001100000000_01_1", "OBX|1");
    fs::rename(&lab, lab.with_extension("KRAB")).unwrap();
    storage.put("20181001_OMG-01_000000000000001_20181001100000000_01_1", "OBR|1");
    let foreign = lab.with_file_name("9999999_20181001_OML-11_000000000000001_20181001100000000_01_1");
    fs::write(foreign, "MSH").unwrap();
    fs::write(lab.with_file_name("Thumbs.db"), "x").unwrap();
    let chart = storage.chart();
    let mut unread: Vec<_> = chart.unread.iter().map(|unread| unread.kind.as_str()).collect();
    unread.sort_unstable();
    assert_eq!(unread, ["ADT-61", "OML-11", "OML-11"]);
    assert!(chart.unread.iter().any(|unread| unread.path == damaged.display().to_string()
        && unread.cause.contains("no MSH segment at byte 0")));
    assert_eq!(chart.not_shown, [("-".to_owned(), 1), ("OMG-01".to_owned(), 1)]);
    assert_eq!(chart.alerts.iter().filter(|alert| alert.kind == AlertKind::Unread).count(), 2);
}

#[test]
fn a_record_of_another_patient_is_marked() {
    let storage = Storage::new();
    let text = format!("{HEADER}\rPID|1||777\rAL1|1|DA|1^ペニシリン^X\r");
    storage.put_bytes("-_ADT-00_999999999999999_20181014120000000_-_1", &ISO_2022_JP.encode(&text).0);
    let chart = storage.chart();
    assert_eq!(chart.allergies[0].from.other_patient, Some(PatientId("777".into())));
    let alerts: Vec<_> = chart.alerts.iter().map(|alert| alert.kind).collect();
    assert_eq!(alerts, [AlertKind::Allergy, AlertKind::OtherPatient]);
}

#[test]
fn of_two_current_records_the_newer_counts_and_the_other_is_named() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "OBX|1|NM|9N001^身長^JC10||170|cm");
    storage.put("-_ADT-00_999999999999999_20181012120000000_-_1", "OBX|1|NM|9N001^身長^JC10||160|cm");
    let chart = storage.chart();
    assert_eq!(chart.banner.height.as_deref(), Some("170 cm"));
    assert!(chart.unread[0].path.contains("20181012120000000"));
}

#[test]
fn several_storages_make_one_chart_and_a_copy_adds_nothing() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "PV1|0001|O");
    let lab =
        storage.put("20181001_OML-11_000000000000001_20181001100000000_01_1", "OBX|1|NM|3H^K^JC10||4||||||F");
    for volume in ["volume2", "volume3"] {
        let beside = PathBuf::from(lab.to_string_lossy().replace("ssmix2", volume));
        fs::create_dir_all(beside.parent().unwrap()).unwrap();
        fs::copy(&lab, beside).unwrap();
    }
    fs::remove_file(&lab).unwrap();
    let chart = storage.chart();
    assert_eq!((chart.labs.len(), chart.labs[0].results.len(), chart.unread.len()), (1, 1, 0));
    assert_eq!(chart.banner.name.as_deref(), Some("患者 太郎"));
    assert_eq!(storage.roster().patients.len(), 1);
}

#[test]
fn patients_are_found_as_people_ask_for_them() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "PV1|0001|O");
    storage.put("20181001_ADT-22_999999999999999_20181001100000000_01_1", "PV1|0001|I|3A^301^1");
    let roster = storage.roster();
    let check = |query: &str, expected: usize| assert_eq!(roster.search(query).len(), expected, "{query}");
    for found in [
        "",
        ID,
        "1234",
        "患者",
        "患者 太郎",
        "患者太郎",
        "かんじゃ",
        "ｶﾝｼﾞｬ",
        "\u{304b}\u{3093}\u{3057}\u{3099}\u{3083}",
        "カンジャ",
        "1948-04-05",
        "19480405",
        "3a",
    ] {
        check(found, 1);
    }
    for not_found in ["山田", "1949-04-05", "3", "患者 花子"] {
        check(not_found, usize::from(not_found == "3"));
    }
}

#[test]
fn every_page_says_what_it_rests_on_and_escapes_what_it_shows() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "AL1|1|DA|1^<script>alert(1)</script>^X");
    storage.put_bytes("-_ADT-61_999999999999999_20181001120000000_-_1", b"encrypted");
    let chart = storage.chart();
    let zone = jiff::tz::TimeZone::UTC;
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let proven = Origin::Snapshot {
        snapshot: schema::SnapshotId("0123456789abcdef".into()),
        captured_at: time("2018-10-15T03:00:00Z"),
        proven_at: Some(time("2018-10-15T04:00:00Z")),
    };
    let check = |origin: &Origin, lang, expected: &[&str], absent: &[&str]| {
        let basis =
            Basis { origin: origin.clone(), as_of: None, newest_record: Some(time("2018-10-15T02:59:00Z")) };
        let page = page(&chart, &basis, lang, &zone);
        for text in expected {
            assert!(page.contains(text), "{text} is not on the page");
        }
        for text in absent {
            assert!(!page.contains(text), "{text} is on the page");
        }
    };
    for (date, expected) in [
        (date(1948, 4, 5), "1948-04-05（昭和23年）"),
        (date(1989, 1, 7), "1989-01-07（昭和64年）"),
        (date(1989, 1, 8), "1989-01-08（平成元年）"),
        (date(1850, 1, 1), "1850-01-01"),
    ] {
        assert_eq!(words::birth(date, Lang::Ja), expected);
        assert_eq!(words::birth(date, Lang::En), date.to_string());
    }
    let loads = ["<script", "<link", "<img", "url(", "@import", "src="];
    check(
        &proven,
        Lang::Ja,
        &["データ時点 2018-10-15 02:59", "01234567", "記録なし ≠ なし", "1件の記録を読めません"],
        &loads,
    );
    let english = [
        "Data as of 2018-10-15 02:59",
        "proven by restoring it",
        "not recorded ≠ none",
        "1 record could not",
    ];
    check(&proven, Lang::En, &english, &["NOT PROVEN", "<script"]);
    let unproven = Origin::Folder { path: "/srv".into() };
    check(&unproven, Lang::En, &["NOT PROVEN", "&lt;script&gt;"], &loads);
}

#[test]
fn the_generated_hospital_decodes_whole_and_every_patient_has_a_chart() {
    let name = "generated_hospital_makes_charts";
    let Some(archive) = testkit::shared(name, "hospital/ssmix2-generated/ssmix2-39patients.tar.gz") else {
        return;
    };
    let Some(tar) = testkit::tool(name, "tar") else { return };
    let dir = tempfile::tempdir().unwrap();
    let unpacked =
        std::process::Command::new(tar).arg("xzf").arg(archive).arg("-C").arg(dir.path()).status().unwrap();
    assert!(unpacked.success());
    let charts = Charts::open(Source::folder(dir.path())).unwrap();
    let roster = charts.roster();
    assert_eq!((roster.patients.len(), roster.unread.len()), (39, 0));
    let (mut labs, mut medication) = (0, 0);
    for line in &roster.patients {
        let chart = charts.chart(&line.patient, None).unwrap();
        assert_eq!(chart.banner.name, line.name);
        assert!(chart.banner.name.is_some() && chart.banner.kana.is_some(), "{}", line.patient);
        assert!(chart.banner.birth_date.is_some() && chart.banner.blood_abo.is_some(), "{}", line.patient);
        assert!(chart.unread.is_empty() && chart.not_shown.is_empty(), "{}", line.patient);
        assert!(chart.alerts.iter().all(|alert| alert.kind != AlertKind::OtherPatient), "{}", line.patient);
        labs += chart.labs.iter().map(|series| series.results.len()).sum::<usize>();
        medication += chart.medication.len();
    }
    assert_eq!((labs, medication > 200), (1_607, true));
}

#[test]
fn an_unknown_patient_has_no_chart() {
    let storage = Storage::new();
    storage.put("-_ADT-00_999999999999999_20181014120000000_-_1", "PV1|0001|O");
    let charts = Charts::open(Source::folder(storage.dir.path())).unwrap();
    for id in ["0001234568", "", "../..", "x"] {
        assert!(charts.chart(&PatientId(id.into()), None).is_none(), "{id}");
    }
    assert!(Charts::open(Source::folder(Path::new("/nowhere"))).is_err());
}

#[test]
fn the_samples_of_the_national_hospital_organization_make_charts() {
    let Some(root) = testkit::shared("nho_samples_make_charts", "hospital/ssmix2-nho") else {
        return;
    };
    let charts = Charts::open(Source::folder(&root)).unwrap();
    assert_eq!(charts.roots(), [root.join("sampleData")]);
    let chart = charts.chart(&PatientId("9999013".into()), None).unwrap();
    assert_eq!(chart.banner.name.as_deref(), Some("患者 太郎"));
    assert_eq!(chart.allergies.len(), 5);
    assert_eq!(texts(&chart.problems, |problem| problem.name.clone()), ["胃炎"]);
    assert_eq!(
        (chart.medication.len(), chart.given.len(), chart.labs.len(), chart.meals.len()),
        (6, 4, 3, 1)
    );
    assert_eq!((chart.stays.len(), chart.unread.len()), (2, 0));
    assert_eq!(chart.not_shown.iter().map(|(_, count)| count).sum::<u64>(), 7);

    let odd = charts.chart(&PatientId("0000001".into()), None).unwrap();
    assert_eq!(odd.unread.len(), 1, "the two bytes under another patient's name");
    assert_eq!(odd.given.len(), 2, "the file with every segment in a row still tells what was given");
}
