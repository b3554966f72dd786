//! The laboratory's tests: JLAC10 codes as the standard's samples and the national check-up show them, the reference
//! ranges in use at most Japanese hospitals. Values are whole numbers of the last decimal place.

use Specimen::{Blood, Plasma, Serum};

/// A test, by its place in [`ANALYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Wbc,
    Hb,
    Platelets,
    PtInr,
    Protein,
    Albumin,
    Bilirubin,
    Ast,
    Alt,
    Ld,
    GammaGt,
    Bun,
    Creatinine,
    UricAcid,
    Sodium,
    Potassium,
    Glucose,
    HbA1c,
    Ldl,
    Hdl,
    Triglycerides,
    Crp,
    Bnp,
}

/// What is known of a test: by sex (male, female) where it matters.
pub(super) struct Analyte {
    pub(super) code: &'static str,
    /// `JC10`, or `99XYZ` for the hospital's own code.
    pub(super) system: &'static str,
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) decimals: usize,
    /// Reference range.
    pub(super) low: [i64; 2],
    pub(super) high: [i64; 2],
    /// The middle of the healthy.
    pub(super) mean: [i64; 2],
    /// Standard deviation between healthy persons.
    pub(super) between: i64,
    /// Standard deviation within a person from one day to another.
    pub(super) within: i64,
    /// What the laboratory never goes below.
    pub(super) floor: i64,
    pub(super) specimen: Specimen,
}

/// What is drawn, by the JLAC10 material code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Specimen {
    Serum,
    Blood,
    Plasma,
}

impl Specimen {
    pub(super) const ALL: [Self; 3] = [Self::Serum, Self::Blood, Self::Plasma];

    /// JLAC10 code and name of the material.
    pub(super) fn material(self) -> (&'static str, &'static str) {
        match self {
            Self::Serum => ("023", "血清"),
            Self::Blood => ("019", "全血(添加物入り)"),
            Self::Plasma => ("022", "血漿"),
        }
    }

    /// The laboratory's bench, as a local code and a name.
    pub(super) fn bench(self) -> (&'static str, &'static str) {
        match self {
            Self::Serum => ("E002", "生化学的検査"),
            Self::Blood => ("E001", "血液学的検査"),
            Self::Plasma => ("E003", "血漿検査"),
        }
    }
}

impl Test {
    pub(super) fn analyte(self) -> &'static Analyte {
        &ANALYTES[self as usize]
    }
}

/// Written as `(low, high)` for men and women, then mean for men and women, then deviations and floor.
#[expect(clippy::too_many_arguments, reason = "a row of a table")]
const fn row(
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    decimals: usize,
    specimen: Specimen,
    ranges: [(i64, i64); 2],
    mean: [i64; 2],
    [between, within, floor]: [i64; 3],
) -> Analyte {
    let [(low_m, high_m), (low_f, high_f)] = ranges;
    Analyte {
        code,
        // The hospital's own codes are shorter than JLAC10's 17 characters.
        system: if code.len() == 17 { "JC10" } else { "99XYZ" },
        name,
        unit,
        decimals,
        low: [low_m, low_f],
        high: [high_m, high_f],
        mean,
        between,
        within,
        floor,
        specimen,
    }
}

const fn both(low: i64, high: i64) -> [(i64, i64); 2] {
    [(low, high), (low, high)]
}

/// In the order of [`Test`].
#[rustfmt::skip]
pub(super) const ANALYTES: [Analyte; 23] = [
    row("2A010000001930901", "白血球数", "10*3/uL", 1, Blood, both(33, 86), [58, 57], [11, 5, 8]),
    row("2A030000001930101", "ヘモグロビン", "g/dL", 1, Blood, [(137, 168), (116, 148)], [150, 131], [8, 3, 45]),
    row("2A050000001930101", "血小板数", "10*3/uL", 0, Blood, both(158, 348), [235, 245], [38, 12, 12]),
    row("2B030000002231157", "プロトロンビン時間", "INR", 2, Plasma, both(85, 115), [100, 100], [5, 3, 80]),
    row("3A010000002327101", "総蛋白", "g/dL", 1, Serum, both(66, 81), [73, 73], [3, 1, 42]),
    row("3A015000002327102", "アルブミン", "g/dL", 1, Serum, both(41, 51), [44, 44], [2, 1, 15]),
    row("3J010000002327101", "総ビリルビン", "mg/dL", 1, Serum, both(4, 15), [8, 7], [2, 1, 2]),
    row("3B035000002327201", "GOT(AST)", "U/L", 0, Serum, both(13, 30), [21, 20], [4, 2, 6]),
    row("3B045000002327201", "GPT(ALT)", "U/L", 0, Serum, [(10, 42), (7, 23)], [22, 15], [6, 2, 4]),
    row("3B050000002327201", "LDH", "U/L", 0, Serum, both(124, 222), [175, 175], [20, 8, 90]),
    row("3B090000002327101", "γ-GT(γ-GTP)", "U/L", 0, Serum, [(13, 64), (9, 32)], [33, 19], [9, 3, 5]),
    row("3C025000002327201", "尿素窒素", "mg/dL", 1, Serum, both(80, 200), [143, 135], [25, 12, 40]),
    row("3C015000002327101", "クレアチニン", "mg/dL", 2, Serum, [(65, 107), (46, 79)], [84, 62], [9, 3, 25]),
    row("3C020000002327101", "尿酸", "mg/dL", 1, Serum, [(37, 78), (26, 55)], [58, 43], [8, 3, 12]),
    row("3H010000002326101", "ナトリウム", "mEq/L", 0, Serum, both(138, 145), [141, 141], [1, 1, 112]),
    row("3H015000002326101", "カリウム", "mEq/L", 1, Serum, both(36, 48), [42, 41], [2, 1, 22]),
    row("3D010000002226101", "グルコース", "mg/dL", 0, Plasma, both(73, 109), [94, 92], [7, 5, 40]),
    row("3D046000001906202", "ＨｂＡ１ｃ（ＮＧＳＰ）", "%", 1, Blood, both(49, 60), [55, 55], [2, 1, 40]),
    row("3F077000002327101", "LDLコレステロール", "mg/dL", 0, Serum, both(65, 163), [112, 114], [20, 6, 25]),
    row("3F070000002327101", "HDLコレステロール", "mg/dL", 0, Serum, [(38, 90), (48, 103)], [57, 67], [10, 3, 18]),
    row("3F015000002327101", "中性脂肪", "mg/dL", 0, Serum, [(40, 234), (30, 117)], [105, 76], [28, 14, 22]),
    row("5C070000002306201", "C反応性蛋白(CRP)", "mg/dL", 2, Serum, both(0, 14), [6, 6], [3, 2, 1]),
    row("L9001", "ＢＮＰ", "pg/mL", 1, Plasma, both(0, 184), [90, 95], [30, 15, 20]),
];

/// An infection that is looked for before operations and on admission.
pub(super) struct Screening {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
}

pub(super) const HBS_ANTIGEN: Screening = Screening { code: "5F016141002399811", name: "HBs抗原" };
pub(super) const HCV_ANTIBODY: Screening = Screening { code: "5F360149502399811", name: "HCV抗体" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_the_means_and_jlac10_codes_name_their_specimen() {
        for analyte in &ANALYTES {
            for sex in [0, 1] {
                let healthy = analyte.low[sex]..=analyte.high[sex];
                assert!(healthy.contains(&analyte.mean[sex]), "{}", analyte.name);
            }
            if analyte.system == "JC10" {
                assert_eq!(&analyte.code[9..12], analyte.specimen.material().0, "{}", analyte.name);
            }
        }
        assert_eq!(ANALYTES.len(), Test::Bnp as usize + 1);
    }

    #[test]
    fn each_test_finds_its_own_row() {
        for (test, name) in [
            (Test::Hb, "ヘモグロビン"),
            (Test::Creatinine, "クレアチニン"),
            (Test::Potassium, "カリウム"),
            (Test::HbA1c, "ＨｂＡ１ｃ（ＮＧＳＰ）"),
            (Test::Crp, "C反応性蛋白(CRP)"),
        ] {
            assert_eq!(test.analyte().name, name);
        }
    }
}
