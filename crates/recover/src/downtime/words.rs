//! Notes in the words of both languages.

use schema::Lang;

use super::journal::Via;
use super::note::{Entry, Fault, Given, Identifier, Order, OrderKind, Text, Vitals};

/// One thing that a note says, for showing it and for comparing it with what the EMR has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// When it took place.
    Time,
    /// °C.
    Temperature,
    /// Beats per minute.
    Pulse,
    /// mmHg.
    Systolic,
    /// mmHg.
    Diastolic,
    /// Breaths per minute.
    Respiration,
    /// Per cent.
    Spo2,
    /// kg.
    Weight,
    /// 0 to 10.
    Pain,
    /// Sort of order.
    Order,
    /// What was ordered.
    What,
    /// How often, how long.
    Directions,
    /// Who ordered it.
    OrderedBy,
    /// The drug.
    Drug,
    /// Amount and unit.
    Dose,
    /// How it was given.
    Route,
    /// Whether it was given.
    WasGiven,
    /// A remark.
    Remark,
    /// Free text.
    Text,
}

impl Part {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Part::Time => lang.pick("time", "日時"),
            Part::Temperature => lang.pick("temperature", "体温"),
            Part::Pulse => lang.pick("pulse", "脈拍"),
            Part::Systolic => lang.pick("systolic pressure", "収縮期血圧"),
            Part::Diastolic => lang.pick("diastolic pressure", "拡張期血圧"),
            Part::Respiration => lang.pick("respiration", "呼吸数"),
            Part::Spo2 => "SpO2",
            Part::Weight => lang.pick("weight", "体重"),
            Part::Pain => lang.pick("pain (0–10)", "痛み (0〜10)"),
            Part::Order => lang.pick("sort of order", "指示の種類"),
            Part::What => lang.pick("what", "内容"),
            Part::Directions => lang.pick("directions", "用法・指示"),
            Part::OrderedBy => lang.pick("ordered by", "指示者"),
            Part::Drug => lang.pick("drug", "薬剤"),
            Part::Dose => lang.pick("dose", "用量"),
            Part::Route => lang.pick("route", "経路"),
            Part::WasGiven => lang.pick("given", "実施"),
            Part::Remark => lang.pick("remark", "備考"),
            Part::Text => lang.pick("text", "本文"),
        }
    }

    /// The unit of a measured value, as UCUM has it; empty for what is not measured.
    pub fn unit(self) -> &'static str {
        match self {
            Part::Temperature => "Cel",
            Part::Pulse | Part::Respiration => "/min",
            Part::Systolic | Part::Diastolic => "mm[Hg]",
            Part::Spo2 => "%",
            Part::Weight => "kg",
            _ => "",
        }
    }

    /// The same as people write it.
    pub fn unit_word(self) -> &'static str {
        match self {
            Part::Temperature => "℃",
            Part::Systolic | Part::Diastolic => "mmHg",
            other => other.unit(),
        }
    }
}

impl Vitals {
    /// What was measured, as numbers.
    pub fn measured(&self) -> Vec<(Part, f64)> {
        let all = [
            (Part::Temperature, self.temperature),
            (Part::Pulse, self.pulse.map(f64::from)),
            (Part::Systolic, self.systolic.map(f64::from)),
            (Part::Diastolic, self.diastolic.map(f64::from)),
            (Part::Respiration, self.respiration.map(f64::from)),
            (Part::Spo2, self.spo2.map(f64::from)),
            (Part::Weight, self.weight),
            (Part::Pain, self.pain.map(f64::from)),
        ];
        all.into_iter().filter_map(|(part, value)| Some((part, value?))).collect()
    }
}

impl Entry {
    /// Which of the four kinds it is.
    pub fn word(&self, lang: Lang) -> &'static str {
        match self {
            Entry::Vitals(_) => lang.pick("vital signs", "バイタルサイン"),
            Entry::Order(_) => lang.pick("order", "指示"),
            Entry::Given(_) => lang.pick("medication given", "投薬実施"),
            Entry::Text(_) => lang.pick("text", "記録"),
        }
    }

    /// What it says, part by part; what was left empty is left out.
    pub fn parts(&self, lang: Lang) -> Vec<(Part, String)> {
        let mut parts = match self {
            Entry::Vitals(vitals) => {
                let said = |(part, value): (Part, f64)| {
                    (part, format!("{value} {}", part.unit_word()).trim().to_owned())
                };
                vitals.measured().into_iter().map(said).collect()
            }
            Entry::Order(Order { order, what, directions, ordered_by }) => vec![
                (Part::Order, order.word(lang).to_owned()),
                (Part::What, what.clone()),
                (Part::Directions, directions.clone()),
                (Part::OrderedBy, ordered_by.clone()),
            ],
            Entry::Given(Given { drug, dose, route, was_given, remark, .. }) => vec![
                (Part::Drug, drug.clone()),
                (Part::Dose, dose.clone()),
                (Part::Route, route.clone()),
                (Part::WasGiven, given_word(*was_given, lang).to_owned()),
                (Part::Remark, remark.clone()),
            ],
            Entry::Text(Text { text }) => vec![(Part::Text, text.clone())],
        };
        parts.retain(|(_, said)| !said.trim().is_empty());
        parts
    }

    /// Everything on one line.
    pub fn line(&self, lang: Lang) -> String {
        let parts = self.parts(lang).into_iter().map(|(part, said)| match part {
            Part::Drug
            | Part::What
            | Part::Text
            | Part::Dose
            | Part::Route
            | Part::Directions
            | Part::WasGiven => said,
            part => format!("{} {said}", part.word(lang)),
        });
        parts.collect::<Vec<_>>().join(lang.pick(", ", "、"))
    }
}

pub(crate) fn given_word(was_given: bool, lang: Lang) -> &'static str {
    if was_given { lang.pick("given", "実施") } else { lang.pick("NOT given", "未実施") }
}

impl OrderKind {
    /// All of them, in the order of a form.
    pub const ALL: [OrderKind; 6] = [
        OrderKind::Prescription,
        OrderKind::Injection,
        OrderKind::Lab,
        OrderKind::Examination,
        OrderKind::Meal,
        OrderKind::Other,
    ];

    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            OrderKind::Prescription => lang.pick("prescription", "処方"),
            OrderKind::Injection => lang.pick("injection", "注射"),
            OrderKind::Lab => lang.pick("laboratory", "検体検査"),
            OrderKind::Examination => lang.pick("examination", "画像・生理検査"),
            OrderKind::Meal => lang.pick("meals", "食事"),
            OrderKind::Other => lang.pick("other", "その他"),
        }
    }

    /// As JSON has it.
    pub fn tag(self) -> &'static str {
        match self {
            OrderKind::Prescription => "prescription",
            OrderKind::Injection => "injection",
            OrderKind::Lab => "lab",
            OrderKind::Examination => "examination",
            OrderKind::Meal => "meal",
            OrderKind::Other => "other",
        }
    }
}

impl Identifier {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Identifier::Id => lang.pick("patient id", "患者ID"),
            Identifier::Name => lang.pick("name", "氏名"),
            Identifier::BirthDate => lang.pick("date of birth", "生年月日"),
            Identifier::DowntimeNumber => lang.pick("downtime number", "仮番号"),
        }
    }
}

impl Via {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Via::Viewer => lang.pick("written in the viewer", "参照画面で入力"),
            Via::Bundle => lang.pick("from an offline bundle", "オフライン一式から取込"),
            Via::Paper => lang.pick("typed in from paper", "紙から転記"),
            Via::Journal => lang.pick("from another journal", "別の記録簿から取込"),
        }
    }
}

impl Fault {
    /// For the person who wrote the note.
    pub fn words(&self, lang: Lang) -> String {
        match self {
            Fault::Nobody => {
                lang.pick("The note names no patient.", "患者IDも仮番号もありません。").to_owned()
            }
            Fault::Identifiers(_) => lang
                .pick(
                    "Compare at least two of id, name and date of birth with the patient.",
                    "患者ID・氏名・生年月日のうち2つ以上を、ご本人またはリストバンドで確認してください。",
                )
                .to_owned(),
            Fault::Unsaid(identifier) => lang.pick(
                format!("The {} was confirmed and is empty.", identifier.word(lang)),
                format!("{}を確認済みとしていますが、空欄です。", identifier.word(lang)),
            ),
            Fault::Id => lang.pick("The note's number is damaged.", "記録番号が壊れています。").to_owned(),
            Fault::Empty => lang
                .pick(
                    "Something is missing: a value, a drug, a text, or the reason why a drug was not given.",
                    "入力が足りません（測定値、薬剤名、本文、または未実施の理由）。",
                )
                .to_owned(),
            Fault::Field(name) => lang.pick(
                format!("Too long or with signs that cannot be kept: {name}."),
                format!("長すぎるか、保存できない文字があります（{name}）。"),
            ),
            Fault::Range(name) => lang.pick(
                format!("This value cannot be right: {name}."),
                format!("測定値の範囲を確認してください（{name}）。"),
            ),
            Fault::Future => {
                lang.pick("The time lies in the future.", "日時が未来になっています。").to_owned()
            }
        }
    }
}
