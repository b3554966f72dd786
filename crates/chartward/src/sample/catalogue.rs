//! What the sample hospital has: departments, doctors, wards, drugs, meals. Codes are the hospital's own (`99XYZ`)
//! unless the standard's samples show them.

use super::names::Name;

pub(super) const HOSPITAL: &str = "見本市立病院";

pub(super) struct Department {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
}

const fn department(code: &'static str, name: &'static str) -> Department {
    Department { code, name }
}

pub(super) const INTERNAL: usize = 0;
pub(super) const CARDIOLOGY: usize = 1;
pub(super) const GASTROENTEROLOGY: usize = 2;
pub(super) const NEUROLOGY: usize = 3;
pub(super) const RESPIRATORY: usize = 4;
pub(super) const SURGERY: usize = 5;
pub(super) const ORTHOPAEDICS: usize = 6;
pub(super) const UROLOGY: usize = 7;

/// By the constants above.
pub(super) const DEPARTMENTS: &[Department] = &[
    department("01", "内科"),
    department("02", "循環器内科"),
    department("03", "消化器内科"),
    department("04", "神経内科"),
    department("05", "呼吸器内科"),
    department("06", "外科"),
    department("07", "整形外科"),
    department("08", "泌尿器科"),
];

pub(super) struct Doctor {
    pub(super) code: &'static str,
    pub(super) family: Name,
    pub(super) given: Name,
}

const fn doctor(
    code: &'static str,
    family: &'static str,
    family_kana: &'static str,
    given: &'static str,
    given_kana: &'static str,
) -> Doctor {
    Doctor {
        code,
        family: Name { kanji: family, kana: family_kana },
        given: Name { kanji: given, kana: given_kana },
    }
}

/// Three doctors for each department, in the departments' order.
pub(super) const DOCTORS: &[Doctor] = &[
    doctor("D0101", "大塚", "オオツカ", "正樹", "マサキ"),
    doctor("D0102", "平野", "ヒラノ", "千春", "チハル"),
    doctor("D0103", "菅原", "スガワラ", "亮", "リョウ"),
    doctor("D0201", "久保", "クボ", "雅彦", "マサヒコ"),
    doctor("D0202", "松井", "マツイ", "薫", "カオル"),
    doctor("D0203", "岩崎", "イワサキ", "徹", "トオル"),
    doctor("D0301", "野口", "ノグチ", "俊介", "シュンスケ"),
    doctor("D0302", "木下", "キノシタ", "玲子", "レイコ"),
    doctor("D0303", "佐野", "サノ", "光", "ヒカル"),
    doctor("D0401", "丸山", "マルヤマ", "慎一", "シンイチ"),
    doctor("D0402", "今井", "イマイ", "早苗", "サナエ"),
    doctor("D0403", "河野", "コウノ", "潤", "ジュン"),
    doctor("D0501", "藤本", "フジモト", "英明", "ヒデアキ"),
    doctor("D0502", "村田", "ムラタ", "典子", "ノリコ"),
    doctor("D0503", "武田", "タケダ", "司", "ツカサ"),
    doctor("D0601", "上野", "ウエノ", "克己", "カツミ"),
    doctor("D0602", "杉山", "スギヤマ", "美穂", "ミホ"),
    doctor("D0603", "千葉", "チバ", "豊", "ユタカ"),
    doctor("D0701", "増田", "マスダ", "洋平", "ヨウヘイ"),
    doctor("D0702", "小島", "コジマ", "理恵", "リエ"),
    doctor("D0703", "桜井", "サクライ", "猛", "タケシ"),
    doctor("D0801", "菊地", "キクチ", "俊夫", "トシオ"),
    doctor("D0802", "新井", "アライ", "綾", "アヤ"),
    doctor("D0803", "野村", "ノムラ", "実", "ミノル"),
];

const DOCTORS_PER_DEPARTMENT: usize = 3;

/// The `choice`th doctor of a department, counted round.
pub(super) fn doctor_of(department: usize, choice: usize) -> &'static Doctor {
    &DOCTORS[department * DOCTORS_PER_DEPARTMENT + choice % DOCTORS_PER_DEPARTMENT]
}

/// A bed: four to a room, ten rooms to a ward, two wards to a floor from the third on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bed {
    pub(super) floor: u32,
    pub(super) east: bool,
    pub(super) room: u32,
    pub(super) bed: u32,
}

const BEDS_PER_ROOM: u32 = 4;
pub(super) const ROOMS_PER_WARD: u32 = 10;
const BEDS_PER_WARD: u32 = BEDS_PER_ROOM * ROOMS_PER_WARD;

/// How many wards the rehearsed hospital has; one with more patients gets more floors.
const WARDS: u32 = 4;

/// The wards of a hospital with so many patients: whole floors.
pub(super) fn wards(patients: u32) -> u32 {
    patients.div_ceil(PATIENTS_PER_BED).div_ceil(BEDS_PER_WARD * 2).max(WARDS / 2) * 2
}

/// The number of beds that are there whatever the hospital's size.
pub(super) const BEDS_ALWAYS: u32 = WARDS * BEDS_PER_WARD;

impl Bed {
    /// The bed with number `slot`, counted through the whole hospital.
    pub(super) fn new(slot: u32) -> Self {
        let ward = slot / BEDS_PER_WARD;
        let within = slot % BEDS_PER_WARD;
        Self {
            floor: 3 + ward / 2,
            east: ward.is_multiple_of(2),
            room: 1 + within / BEDS_PER_ROOM,
            bed: 1 + within % BEDS_PER_ROOM,
        }
    }

    /// The first bed of a ward.
    pub(super) fn first_of(ward: u32) -> Self {
        Self::new(ward * BEDS_PER_WARD)
    }

    /// `3E`: the code of its ward.
    pub(super) fn ward(self) -> String {
        format!("{}{}", self.floor, if self.east { 'E' } else { 'W' })
    }

    /// `3階東病棟`: the name of its ward.
    pub(super) fn ward_name(self) -> String {
        format!("{}階{}病棟", self.floor, if self.east { '東' } else { '西' })
    }

    /// `301`: floor and room.
    pub(super) fn room_number(self) -> u32 {
        self.floor * 100 + self.room + if self.east { 0 } else { 50 }
    }
}

/// One in this many patients is in hospital now, which gives 3,835 patients 154 of 160 beds.
pub(super) const PATIENTS_PER_BED: u32 = 25;

/// How a medicine is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// MR9P code.
    pub(super) code: &'static str,
    pub(super) name: &'static str,
}

pub(super) const TABLET: Unit = Unit { code: "TAB", name: "錠" };
pub(super) const CAPSULE: Unit = Unit { code: "CAP", name: "カプセル" };
pub(super) const BOTTLE: Unit = Unit { code: "HON", name: "本" };
pub(super) const AMPOULE: Unit = Unit { code: "AMP", name: "アンプル" };

/// When a medicine is taken, by JAMI's standard usage codes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) per_day: i64,
}

pub(super) const ONCE: Usage =
    Usage { code: "1011000400000000", name: "内服・経口・１日１回朝食後", per_day: 1 };
pub(super) const TWICE: Usage =
    Usage { code: "1012040400000000", name: "内服・経口・１日２回朝夕食後", per_day: 2 };
pub(super) const THRICE: Usage =
    Usage { code: "1013044400000000", name: "内服・経口・１日３回朝昼夕食後", per_day: 3 };

/// A medicine taken by mouth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drug {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) usage: Usage,
}

pub(super) const fn drug(code: &'static str, name: &'static str, unit: Unit, usage: Usage) -> Drug {
    Drug { code, name, unit, usage }
}

/// Prescribed beside the disease's own drugs now and then.
pub(super) const COMPANIONS: &[Drug] = &[
    drug("M9001", "酸化マグネシウム錠３３０ｍｇ", TABLET, THRICE),
    drug("M9002", "レバミピド錠１００ｍｇ", TABLET, THRICE),
    drug("M9003", "アセトアミノフェン錠２００ｍｇ", TABLET, THRICE),
    drug("M9004", "ランソプラゾールＯＤ錠１５ｍｇ", TABLET, ONCE),
];

/// Something given by drip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Infusion {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) millilitres: i64,
}

const fn infusion(code: &'static str, name: &'static str, unit: Unit, millilitres: i64) -> Infusion {
    Infusion { code, name, unit, millilitres }
}

/// The fluid a drip is made of.
pub(super) const FLUIDS: &[Infusion] = &[
    infusion("J0001", "維持輸液５００ｍＬ", BOTTLE, 500),
    infusion("J0002", "生理食塩液５００ｍＬ", BOTTLE, 500),
    infusion("J0003", "酢酸リンゲル液５００ｍＬ", BOTTLE, 500),
    infusion("J0004", "５％ブドウ糖液２５０ｍＬ", BOTTLE, 250),
];

/// What is mixed into it.
pub(super) const ADDITIVES: &[Infusion] = &[
    infusion("J0101", "セフトリアキソン静注用１ｇ", BOTTLE, 0),
    infusion("J0102", "フロセミド注２０ｍｇ", AMPOULE, 2),
    infusion("J0103", "ファモチジン注２０ｍｇ", AMPOULE, 2),
    infusion("J0104", "塩化カリウム注２０ｍＥｑ", BOTTLE, 20),
    infusion("J0105", "ビタミンＢ１注５０ｍｇ", AMPOULE, 1),
];

/// What the caterer cooks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meal {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) restriction: &'static str,
}

const fn meal(code: &'static str, name: &'static str, restriction: &'static str) -> Meal {
    Meal { code, name, restriction }
}

pub(super) const ORDINARY: usize = 0;
pub(super) const LOW_SALT: usize = 1;
pub(super) const DIABETIC: usize = 2;
pub(super) const RENAL: usize = 3;
pub(super) const SOFT: usize = 4;
pub(super) const FASTING: usize = 5;

/// By the constants above.
pub(super) const MEALS: &[Meal] = &[
    meal("001", "常食", "１８００ｋｃａｌ"),
    meal("010", "減塩食", "塩分６ｇ未満"),
    meal("020", "糖尿病食", "１４４０ｋｃａｌ、間食不可"),
    meal("030", "腎臓病食", "蛋白４０ｇ、カリウム制限"),
    meal("040", "全粥軟菜食", "とろみ付き、一口大"),
    meal("090", "絶食", "飲水のみ可"),
];

/// A known allergy.
pub(super) struct Allergen {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    /// HL7 table 0127.
    pub(super) kind: &'static str,
    pub(super) kind_name: &'static str,
    pub(super) reaction: &'static str,
    /// What the kitchen must leave out, where it is food.
    pub(super) banned: Option<&'static str>,
}

const fn of_drug(code: &'static str, name: &'static str, reaction: &'static str) -> Allergen {
    Allergen { code, name, kind: "DA", kind_name: "薬剤アレルギー", reaction, banned: None }
}

const fn of_food(
    code: &'static str,
    name: &'static str,
    reaction: &'static str,
    banned: &'static str,
) -> Allergen {
    Allergen { code, name, kind: "FA", kind_name: "食物アレルギー", reaction, banned: Some(banned) }
}

const fn of_air(code: &'static str, name: &'static str, reaction: &'static str) -> Allergen {
    Allergen { code, name, kind: "EA", kind_name: "環境アレルギー", reaction, banned: None }
}

pub(super) const ALLERGENS: &[Allergen] = &[
    of_drug("A101", "ペニシリン系抗菌薬", "全身の発疹"),
    of_food("A201", "ソバ", "じんましん", "ソバ禁"),
    of_air("A301", "スギ花粉", "くしゃみ、目のかゆみ"),
    of_drug("A102", "非ステロイド性抗炎症薬", "喘息発作"),
    of_food("A202", "鶏卵", "口のかゆみ", "卵禁"),
    of_drug("A103", "ヨード造影剤", "血圧低下"),
    of_food("A203", "エビ・カニ", "嘔吐、発疹", "甲殻類禁"),
    of_drug("A104", "セフェム系抗菌薬", "発疹"),
    of_food("A204", "牛乳", "下痢", "牛乳禁"),
    of_air("A302", "ハウスダスト", "鼻汁"),
    of_air("A303", "ラテックス", "接触皮膚炎"),
];
