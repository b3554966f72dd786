//! The words of a chart in both languages, for the terminal and for the page.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use schema::{Lang, SnapshotId};
use serde::Serialize;

use super::model::{Agent, AlertKind, Bed, Chart, Course, Given, LabFlag, Outcome, Sex, Trend};

/// What a chart rests on. It stands on every page.
#[derive(Debug, Clone, Serialize)]
pub struct Basis {
    /// Where the records were read from.
    pub origin: Origin,
    /// The day of the data: ages and running medication are told for it.
    pub as_of: Option<Date>,
    /// When the newest record of the whole store was made, where a drill measured it.
    pub newest_record: Option<Timestamp>,
}

/// Where records were read from.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// A snapshot in the vault.
    Snapshot {
        /// Its id.
        snapshot: SnapshotId,
        /// When it was captured.
        captured_at: Timestamp,
        /// When a drill that restored it passed; `None` when none did.
        proven_at: Option<Timestamp>,
    },
    /// A folder, whose content nobody has checked.
    Folder {
        /// Its path.
        path: String,
    },
}

impl Basis {
    /// The lines that stand on every page and chart, most important first.
    pub fn lines(&self, chart: Option<&Chart>, lang: Lang, zone: &TimeZone) -> Vec<String> {
        let at = |time: Timestamp| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let mut lines = vec![self.data_as_of(chart, lang, &at)];
        lines.push(match &self.origin {
            Origin::Snapshot { snapshot, captured_at, proven_at } => {
                let (id, captured) = (snapshot.short(), at(*captured_at));
                let taken = lang.pick(
                    format!("Snapshot {id}, captured {captured}"),
                    format!("スナップショット {id}({captured} 取得)"),
                );
                match proven_at.map(at) {
                    Some(proven) => lang.pick(
                        format!("{taken}; proven by restoring it at {proven}"),
                        format!("{taken}・{proven} に復元して確認済み"),
                    ),
                    None => lang.pick(
                        format!("{taken}; NOT PROVEN by a restore"),
                        format!("{taken}・未確認 (復元による確認なし)"),
                    ),
                }
            }
            Origin::Folder { path } => lang.pick(
                format!("Folder {path}; NOT PROVEN by a restore"),
                format!("フォルダー {path}・未確認 (復元による確認なし)"),
            ),
        });
        lines.push(
            lang.pick(
                "\"Not recorded\" does not mean \"none\" (not recorded ≠ none)",
                "「記録なし」は「なし」を意味しません (記録なし ≠ なし)",
            )
            .to_owned(),
        );
        lines
    }

    fn data_as_of(&self, chart: Option<&Chart>, lang: Lang, at: &impl Fn(Timestamp) -> String) -> String {
        let of_patient = chart.and_then(|chart| chart.newest_record).map(minute);
        let of_store = self.newest_record.map(at);
        let captured = match &self.origin {
            Origin::Snapshot { captured_at, .. } => Some(at(*captured_at)),
            Origin::Folder { .. } => None,
        };
        let known = of_store.or(captured);
        match (of_patient, known) {
            (Some(own), Some(store)) => lang.pick(
                format!("Data as of {store}; this patient's newest record {own}"),
                format!("データ時点 {store}・この患者の最新の記録 {own}"),
            ),
            (Some(time), None) | (None, Some(time)) => {
                lang.pick(format!("Data as of {time}"), format!("データ時点 {time}"))
            }
            (None, None) => lang.pick("Data as of: not known", "データ時点 不明").to_owned(),
        }
    }

    /// Whether a drill stands behind it.
    pub fn is_proven(&self) -> bool {
        matches!(self.origin, Origin::Snapshot { proven_at: Some(_), .. })
    }
}

/// A time as charts write it.
pub fn minute(at: DateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A day of birth as it is asked for: in Japanese with the year of the era, which is what people know by heart.
pub fn birth(date: Date, lang: Lang) -> String {
    /// The first day of each era, and its name.
    const ERAS: [((i16, i8, i8), &str); 5] = [
        ((2019, 5, 1), "令和"),
        ((1989, 1, 8), "平成"),
        ((1926, 12, 25), "昭和"),
        ((1912, 7, 30), "大正"),
        ((1868, 1, 25), "明治"),
    ];
    let era = ERAS.iter().find(|(first, _)| (date.year(), date.month(), date.day()) >= *first);
    let era = era.map(|((first, ..), name)| match date.year() - first + 1 {
        1 => format!("{date}（{name}元年）"),
        year => format!("{date}（{name}{year}年）"),
    });
    lang.pick(date.to_string(), era.unwrap_or_else(|| date.to_string()))
}

/// A day, or a dash.
pub fn day(date: Option<Date>) -> String {
    date.map_or_else(|| "–".to_owned(), |date| date.to_string())
}

/// What stands where a section has nothing.
pub fn not_recorded(lang: Lang) -> &'static str {
    lang.pick("not recorded (≠ none)", "記録なし (≠ なし)")
}

/// What the signs beside laboratory values mean.
pub fn flag_legend(lang: Lang) -> &'static str {
    lang.pick("!! critical  H/L/A abnormal  * computed from the recorded range  ? no flag or range recorded (≠ normal)", "!! パニック値  H/L/A 異常  * 記録された基準値から算出  ? 判定・基準値の記録なし (≠ 正常)")
}

/// "1 record could not be read"; 「1件の記録が読めません」.
pub fn unread_count(count: usize, lang: Lang) -> String {
    let noun = if count == 1 { "record" } else { "records" };
    lang.pick(format!("{count} {noun} could not be read"), format!("{count}件の記録を読めませんでした"))
}

impl Chart {
    /// How many records of these types could not be read; a folder that could not be listed counts for each.
    pub fn unread_of(&self, kinds: &[&str]) -> usize {
        self.unread.iter().filter(|unread| super::kinds::is_of(&unread.kind, kinds)).count()
    }
}

impl Sex {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Sex::Male => lang.pick("male", "男"),
            Sex::Female => lang.pick("female", "女"),
            Sex::Other => lang.pick("other", "その他"),
        }
    }
}

impl AlertKind {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            AlertKind::Unread => lang.pick("unreadable record", "読めない記録"),
            AlertKind::OtherPatient => {
                lang.pick("patient id differs inside the record", "記録内の患者IDが不一致")
            }
            AlertKind::Allergy => lang.pick("allergy", "アレルギー"),
            AlertKind::Infection => lang.pick("infection, positive", "感染症 陽性"),
            AlertKind::Critical => lang.pick("critical value", "パニック値"),
        }
    }
}

impl Course {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Course::Current => lang.pick("current", "継続中"),
            Course::Planned => lang.pick("planned", "開始前"),
            Course::Open => lang.pick("no end recorded", "終了日の記録なし"),
            Course::Ended => lang.pick("ended", "終了"),
            Course::Stopped => lang.pick("stopped", "中止"),
        }
    }
}

impl Given {
    /// What to know beside "it was given": refused, partly given, not given (HL7 table 0322).
    pub fn state(&self, lang: Lang) -> &str {
        match self.status.as_str() {
            "CP" => "",
            "PA" => lang.pick("in part", "一部のみ"),
            "RE" => lang.pick("refused", "拒否"),
            "NA" => lang.pick("not given", "未実施"),
            other => other,
        }
    }
}

impl LabFlag {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            LabFlag::Critical => lang.pick("critical", "パニック値"),
            LabFlag::High => lang.pick("high", "高い"),
            LabFlag::Low => lang.pick("low", "低い"),
            LabFlag::Abnormal => lang.pick("abnormal", "異常"),
            LabFlag::Normal => lang.pick("normal", "正常"),
            LabFlag::Unknown => lang.pick("no flag recorded", "判定の記録なし"),
        }
    }

    /// As laboratories print it; empty for a normal value.
    pub fn sign(self) -> &'static str {
        match self {
            LabFlag::Critical => "!!",
            LabFlag::High => "H",
            LabFlag::Low => "L",
            LabFlag::Abnormal => "A",
            LabFlag::Normal => "",
            LabFlag::Unknown => "?",
        }
    }
}

impl Trend {
    /// An arrow.
    pub fn arrow(self) -> &'static str {
        match self {
            Trend::Up => "↑",
            Trend::Down => "↓",
            Trend::Level => "→",
        }
    }
}

impl Agent {
    /// In words.
    pub fn word(self, lang: Lang) -> &'static str {
        match self {
            Agent::HbsAntigen => lang.pick("HBs antigen", "HBs抗原"),
            Agent::HbsAntibody => lang.pick("HBs antibody", "HBs抗体"),
            Agent::Hcv => "HCV",
            Agent::Hiv => "HIV",
            Agent::Syphilis => lang.pick("syphilis", "梅毒"),
        }
    }

    /// Those that a banner always names, recorded or not.
    pub const ALWAYS: [Agent; 4] = [Agent::HbsAntigen, Agent::Hcv, Agent::Hiv, Agent::Syphilis];
}

impl Outcome {
    /// A sign; empty when the value itself has to be read.
    pub fn sign(self) -> &'static str {
        match self {
            Outcome::Positive => "(+)",
            Outcome::Negative => "(−)",
            Outcome::Unclear => "",
        }
    }
}

impl Bed {
    /// Ward, room and bed.
    pub fn place(&self) -> String {
        [&self.ward, &self.room, &self.bed]
            .into_iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join("-")
    }
}
