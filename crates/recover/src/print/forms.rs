//! Blank downtime forms: a number that no other form has, its QR code, and room to write.

use jiff::civil::Date;
use qrcode::{Color, EcLevel, QrCode};
use schema::{Lang, PatientId};

use super::sheet::{Block, Cell, Flow, Foot, Op, Page, RowLook, Shade, Way};
use super::text::{Ink, Setter, Style};
use super::words::{head, own};
use super::{BODY, Fault, Print, SMALL, mar};
use crate::charts::Sex;
use crate::charts::words::day;
use crate::downtime::number::{Number, PatientCode};

/// The forms of a downtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormKind {
    /// Who came, and what must be known before treatment.
    Registration,
    /// Course and care.
    Progress,
    /// Orders, who took them and who carried them out.
    Orders,
    /// Vital signs.
    Vitals,
    /// Medication administration record.
    AdministrationRecord,
    /// Request and result of laboratory tests.
    LabRequest,
}

/// Whom a form is for.
#[derive(Debug, Clone)]
pub enum FormFor {
    /// Who has no chart, or none that can be read: known by the number until the record system is back.
    New(Number),
    /// Who has a chart.
    Known {
        /// As in the chart.
        id: PatientId,
        /// As in the chart.
        name: String,
        /// As in the chart.
        kana: String,
        /// As in the chart.
        birth_date: Option<Date>,
        /// As in the chart.
        sex: Option<Sex>,
    },
}

impl FormKind {
    /// All of them, in the order in which a patient meets them.
    pub const ALL: [FormKind; 6] = [
        FormKind::Registration,
        FormKind::Progress,
        FormKind::Orders,
        FormKind::Vitals,
        FormKind::AdministrationRecord,
        FormKind::LabRequest,
    ];

    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            FormKind::Registration => "registration",
            FormKind::Progress => "progress",
            FormKind::Orders => "orders",
            FormKind::Vitals => "vitals",
            FormKind::AdministrationRecord => "mar",
            FormKind::LabRequest => "lab-request",
        }
    }

    fn title(self, lang: Lang) -> &'static str {
        match self {
            FormKind::Registration => lang.pick("Registration", "患者受付票"),
            FormKind::Progress => lang.pick("Progress notes", "経過記録"),
            FormKind::Orders => lang.pick("Orders", "指示票"),
            FormKind::Vitals => lang.pick("Vital signs", "バイタルサイン記録"),
            FormKind::AdministrationRecord => {
                lang.pick("Medication administration record", "投薬・注射実施記録")
            }
            FormKind::LabRequest => lang.pick("Laboratory request and results", "検査依頼・結果票"),
        }
    }

    fn way(self) -> Way {
        match self {
            FormKind::AdministrationRecord | FormKind::Vitals => Way::Across,
            _ => Way::Upright,
        }
    }
}

pub(super) fn pages(print: &mut Print, kind: FormKind, of: &FormFor) -> Result<Vec<Page>, Fault> {
    let lang = print.lang;
    let (code, shown) = match of {
        FormFor::New(number) => (number.to_string(), number.to_string()),
        FormFor::Known { id, name, .. } => (PatientCode::new(id, name).to_string(), format!("ID {id}")),
    };
    let modules = modules(&code)?;
    let lead = format!("{} · {}", kind.title(lang), shown.chars().take(60).collect::<String>());
    let foot = foot(print, &lead);
    let mut flow = print.flow(kind.way(), foot);
    let block = form_head(flow.setter, flow.width, kind, of, &shown, modules, lang);
    flow.head(block.clone(), block);
    match kind {
        FormKind::Registration => registration(&mut flow, lang),
        FormKind::Progress => progress(&mut flow, lang),
        FormKind::Orders => orders(&mut flow, lang),
        FormKind::Vitals => vitals(&mut flow, lang),
        FormKind::AdministrationRecord => mar::blank_tables(&mut flow, lang),
        FormKind::LabRequest => lab_request(&mut flow, lang),
    }
    Ok(flow.finish())
}

fn foot(print: &Print, lead: &str) -> Foot {
    let (lang, printed) = (print.lang, print.printed());
    let lines = [
        format!("{lead} · {printed}"),
        lang.pick(
            "Entered into the restored record system:  □ done   date/time ________________   by ________________",
            "復旧後の電子カルテへの転記:  □済   日時 ________________   転記者 ________________",
        )
        .to_owned(),
    ];
    let span = |text| vec![own(text, SMALL)];
    Foot { lines: lines.into_iter().map(span).collect(), number: print.page_words(), style: SMALL }
}

const CODE_BYTES_MAX: usize = 100;

/// The dark modules of a QR code, in modules from its corner, in horizontal runs.
fn modules(code: &str) -> Result<Vec<(f32, f32, f32, f32)>, Fault> {
    // A longer one has modules too small for a scanner at this size.
    if code.len() > CODE_BYTES_MAX {
        return Err(Fault::Code);
    }
    let qr = QrCode::with_error_correction_level(code, EcLevel::M).map_err(|_| Fault::Code)?;
    let width = qr.width();
    let mut runs = Vec::new();
    for (y, row) in qr.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                // A hair higher than a module, so that no gap shows between the rows.
                let (w, h) = (run.len() as f32, 1.02);
                runs.push((
                    x as f32 / width as f32,
                    y as f32 / width as f32,
                    w / width as f32,
                    h / width as f32,
                ));
            }
            x += run.len();
        }
    }
    Ok(runs)
}

/// Side of the QR code; its quiet zone is the white around it.
const QR: f32 = 62.0;

fn form_head(
    setter: &mut Setter,
    width: f32,
    kind: FormKind,
    of: &FormFor,
    shown: &str,
    modules: Vec<(f32, f32, f32, f32)>,
    lang: Lang,
) -> Block {
    let left = width - QR - 24.0;
    let title = Style { size: 16.0, bold: true, ..BODY };
    let mut ops = Vec::new();
    let mut put = |text: String, style: Style, x: f32, y: f32, room: f32| {
        let line = setter.cut(&[own(text, style)], room);
        ops.push(Op::Text { x, y, line });
    };
    put(kind.title(lang).to_owned(), title, 0.0, 17.0, left * 0.6);
    put(
        lang.pick("while the record system is down", "電子カルテ停止時用").to_owned(),
        SMALL,
        0.0,
        30.0,
        left,
    );
    let number_label = match of {
        FormFor::New(_) => lang.pick("downtime number", "停止時番号"),
        FormFor::Known { .. } => lang.pick("patient id", "患者ID"),
    };
    put(number_label.to_owned(), SMALL, left * 0.5, 30.0, left * 0.5);
    put(shown.to_owned(), Style { size: 19.0, ..title }, left * 0.5, 19.0, left * 0.5);
    let rects =
        modules.into_iter().map(|(x, y, w, h)| (width - QR - 10.0 + x * QR, 10.0 + y * QR, w * QR, h * QR));
    ops.push(Op::Modules { rects: rects.collect() });
    let height = fields(setter, &mut ops, patient_fields(of, lang), left, 36.0);
    let below = [lang.pick(
        "Compared with the patient (two or more):  □ name  □ date of birth  □ id  □ downtime number",
        "患者本人と照合（2つ以上）:  □氏名  □生年月日  □患者ID  □停止時番号",
    )];
    let mut y = height.max(QR + 20.0) + 10.0;
    for text in below {
        let line = setter.cut(&[own(text, Style { size: 9.0, bold: true, ..BODY })], width);
        ops.push(Op::Text { x: 0.0, y, line });
        y += 12.0;
    }
    Block { ops, height: y - 6.0 }
}

/// What a field asks, what is known of it, and its share of the row.
struct Field {
    label: &'static str,
    value: String,
    share: f32,
}

fn patient_fields(of: &FormFor, lang: Lang) -> Vec<Vec<Field>> {
    let (name, kana, born, id, sex) = match of {
        FormFor::New(_) => (String::new(), String::new(), None, String::new(), None),
        FormFor::Known { id, name, kana, birth_date, sex } => {
            (name.clone(), kana.clone(), *birth_date, id.to_string(), *sex)
        }
    };
    let born = born.map(|born| day(Some(born))).unwrap_or_default();
    let sex = match sex {
        Some(sex) => sex.word(lang).to_owned(),
        None => lang.pick("□ m  □ f", "□男  □女").to_owned(),
    };
    let field = |label, value, share| Field { label, value, share };
    vec![
        vec![field(lang.pick("name", "氏名"), name, 3.0), field(lang.pick("kana", "フリガナ"), kana, 3.0)],
        vec![
            field(lang.pick("date of birth", "生年月日"), born, 2.4),
            field(lang.pick("sex", "性別"), sex, 1.4),
            field(lang.pick("patient id (if known)", "患者ID（分かれば）"), id, 2.2),
            field(lang.pick("ward / bed / department", "病棟・病床・診療科"), String::new(), 2.4),
        ],
    ]
}

/// Rows of framed fields; gives the height below them.
fn fields(setter: &mut Setter, ops: &mut Vec<Op>, rows: Vec<Vec<Field>>, width: f32, top: f32) -> f32 {
    let height = 27.0;
    let mut y = top;
    for row in rows {
        let all: f32 = row.iter().map(|field| field.share).sum();
        let mut x = 0.0;
        for field in row {
            let w = width * field.share / all;
            ops.push(Op::Frame { x, y, width: w, height, thickness: 0.7, ink: Ink::Black });
            let label = setter.cut(&[own(field.label, Style { size: 6.5, ..SMALL })], w - 4.0);
            ops.push(Op::Text { x: x + 2.5, y: y + 7.5, line: label });
            let style = Style { size: 12.0, bold: true, ..BODY };
            let value =
                setter.lines(&[own(field.value, style)], f32::MAX).into_iter().next().unwrap_or_default();
            // A name that does not fit is made smaller rather than cut.
            let value = match value.width() > w - 6.0 {
                true => {
                    let mut value = value;
                    let ratio = ((w - 6.0) / value.width()).max(0.3);
                    value.glyphs.iter_mut().for_each(|glyph| glyph.style.size *= ratio);
                    while value.width() > w - 6.0 && value.glyphs.pop().is_some() {}
                    value
                }
                false => value,
            };
            ops.push(Op::Text { x: x + 3.0, y: y + 22.0, line: value });
            x += w;
        }
        y += height;
    }
    y
}

fn field(label: &'static str, share: f32) -> Field {
    Field { label, value: String::new(), share }
}

/// A framed part of a form with labelled fields.
fn boxed(flow: &mut Flow<'_>, rows: Vec<Vec<Field>>) {
    let mut ops = Vec::new();
    let width = flow.width;
    let height = fields(flow.setter, &mut ops, rows, width, 0.0);
    ops.into_iter().for_each(|op| flow.op(op));
    flow.gap(height + 4.0);
}

/// A frame to write into, with lines, and what it is for.
fn lined(flow: &mut Flow<'_>, title: &str, height: f32) {
    let width = flow.width;
    let band = 14.0;
    flow.op(Op::Fill { x: 0.0, y: 0.0, width, height: band, shade: Shade::Pale });
    let line = flow.setter.cut(&[own(title, Style { bold: true, ..BODY })], width - 8.0);
    flow.op(Op::Text { x: 4.0, y: 10.5, line });
    let mut y = band + 20.0;
    while y < height - 4.0 {
        flow.op(Op::Rule { points: vec![(4.0, y), (width - 4.0, y)], thickness: 0.3, ink: Ink::Grey });
        y += 20.0;
    }
    flow.op(Op::Frame { x: 0.0, y: 0.0, width, height, thickness: 0.7, ink: Ink::Black });
    flow.gap(height + 5.0);
}

fn registration(flow: &mut Flow<'_>, lang: Lang) {
    boxed(
        flow,
        vec![
            vec![
                field(lang.pick("arrived (date, time)", "来院日時"), 2.0),
                field(lang.pick("by: □ foot □ ambulance □ referral", "来院方法: □独歩 □救急車 □紹介"), 2.6),
                field(lang.pick("urgency (triage)", "緊急度（トリアージ）"), 1.6),
            ],
            vec![field(lang.pick("address", "住所"), 4.0), field(lang.pick("phone", "電話"), 2.0)],
            vec![
                field(lang.pick("to be told (name, relation, phone)", "緊急連絡先（氏名・続柄・電話）"), 4.0),
                field(lang.pick("insurance", "保険証"), 2.0),
            ],
        ],
    );
    lined(flow, lang.pick("Why the patient came", "主訴・来院理由"), 76.0);
    lined(
        flow,
        lang.pick(
            "Allergies   □ asked: none   □ could not be asked   □ yes:",
            "アレルギー   □なし（確認済み）   □確認できず   □あり:",
        ),
        76.0,
    );
    lined(
        flow,
        lang.pick(
            "Present drugs   □ asked: none   □ could not be asked   □ medication record seen",
            "服用中の薬   □なし（確認済み）   □確認できず   □お薬手帳で確認",
        ),
        96.0,
    );
    lined(
        flow,
        lang.pick("Illnesses, operations, infections, pregnancy", "既往歴・手術歴・感染症・妊娠の有無"),
        96.0,
    );
    boxed(
        flow,
        vec![vec![
            field(lang.pick("blood type (as told)", "血液型（申告）"), 1.4),
            field(lang.pick("height", "身長"), 1.0),
            field(lang.pick("weight", "体重"), 1.0),
            field(lang.pick("implants, pacemaker", "ペースメーカー等"), 1.6),
            field(lang.pick("taken by", "受付者"), 1.6),
        ]],
    );
    let height = flow.room() - 8.0;
    lined(flow, lang.pick("Remarks", "備考"), height.max(40.0));
}

/// A table of empty rows down to the foot of the page.
fn ruled(flow: &mut Flow<'_>, shares: &[f32], titles: &[&str], height: f32, first: &str) {
    let columns = flow.columns(shares, &head(titles), true);
    flow.table_head(&columns);
    while flow.room() > height + 1.0 {
        let lead = Cell::from(vec![own(first, Style { size: 8.5, ink: Ink::Grey, ..BODY })]);
        let cells: Vec<Cell> =
            [lead].into_iter().chain(shares.iter().skip(1).map(|_| Cell::default())).collect();
        flow.row(&columns, &cells, RowLook::Roomy(height));
    }
}

fn progress(flow: &mut Flow<'_>, lang: Lang) {
    let titles = lang.pick(
        ["date, time", "problem", "what was seen, judged and done (SOAP)", "signed"],
        ["月日・時刻", "問題", "記録（SOAP・観察・処置）", "署名"],
    );
    ruled(flow, &[1.3, 1.2, 6.4, 1.3], &titles, 30.0, "  /    :");
}

fn orders(flow: &mut Flow<'_>, lang: Lang) {
    let titles = lang.pick(
        [
            "kind",
            "what",
            "dose, times, days",
            "ordered (time, doctor)",
            "taken (time, name)",
            "done (time, name)",
        ],
        [
            "区分",
            "内容",
            "用量・用法・日数",
            "指示（時刻・医師）",
            "受け（時刻・署名）",
            "実施（時刻・署名）",
        ],
    );
    let kinds = lang.pick("□drug □inj.\n□lab □exam\n□meal □other", "□処方 □注射\n□検査 □画像\n□食事 □他");
    ruled(flow, &[1.6, 3.6, 2.4, 1.6, 1.6, 1.6], &titles, 46.0, kinds);
}

fn vitals(flow: &mut Flow<'_>, lang: Lang) {
    let titles = lang.pick(
        [
            "date, time",
            "temp. °C",
            "pulse",
            "BP mmHg",
            "resp.",
            "SpO2 %",
            "oxygen",
            "awake JCS/GCS",
            "pain 0-10",
            "in ml",
            "out ml",
            "remark",
            "signed",
        ],
        [
            "月日・時刻",
            "体温℃",
            "脈拍",
            "血圧mmHg",
            "呼吸",
            "SpO2 %",
            "酸素",
            "意識JCS/GCS",
            "痛み0-10",
            "IN ml",
            "OUT ml",
            "備考",
            "署名",
        ],
    );
    let shares = [1.5, 1.0, 1.0, 1.5, 0.9, 1.0, 1.0, 1.5, 1.1, 1.0, 1.0, 2.2, 1.1];
    ruled(flow, &shares, &titles, 25.0, "  /    :");
}

fn lab_request(flow: &mut Flow<'_>, lang: Lang) {
    boxed(
        flow,
        vec![vec![
            field(lang.pick("ordered by (time, doctor, phone)", "依頼（時刻・医師・内線）"), 2.6),
            field(lang.pick("□ urgent  □ routine", "□至急  □通常"), 1.2),
            field(lang.pick("specimen taken (time, name)", "採取（時刻・署名）"), 2.0),
            field(lang.pick("received by laboratory", "検査室受領（時刻・署名）"), 2.0),
        ]],
    );
    lined(
        flow,
        lang.pick(
            "Specimen:  □ blood  □ urine  □ culture (from        )  □ other (          )    label carries name and number: □",
            "検体:  □血液  □尿  □培養（部位        ）  □その他（          ）    ラベルに氏名と番号: □",
        ),
        34.0,
    );
    let titles = lang.pick(
        ["□", "test", "result", "unit", "□", "test", "result", "unit"],
        ["□", "検査", "結果", "単位", "□", "検査", "結果", "単位"],
    );
    let columns = flow.columns(&[0.35, 1.9, 1.4, 1.1, 0.35, 1.9, 1.4, 1.1], &head(&titles), true);
    flow.table_head(&columns);
    let small = Style { size: 9.0, ..BODY };
    for [left, right] in LAB_TESTS {
        let mut cells = Vec::with_capacity(8);
        for (ja, en, unit) in [left, right] {
            let mark = if ja.is_empty() { "" } else { "□" };
            let texts = [mark, lang.pick(en, ja), "", unit];
            cells.extend(texts.map(|text| Cell::from(vec![own(text, small)])));
        }
        flow.row(&columns, &cells, RowLook::Roomy(24.0));
    }
    for _ in 0..3 {
        let tick =
            |index: usize| Cell::from(vec![own(if index.is_multiple_of(4) { "□" } else { "" }, small)]);
        flow.row(&columns, &(0..8).map(tick).collect::<Vec<_>>(), RowLook::Roomy(24.0));
    }
    flow.gap(6.0);
    let height = (flow.room() - 8.0).clamp(34.0, 130.0);
    lined(
        flow,
        lang.pick(
            "Told by phone:  time ____:____   by __________   to __________   □ read back   critical value □",
            "電話報告:  時刻 ____:____   報告者 __________   受け手 __________   □復唱   パニック値 □",
        ),
        height,
    );
}

type Test = (&'static str, &'static str, &'static str);
/// What wards ask for first when nothing else works, two a row.
const LAB_TESTS: [[Test; 2]; 13] = [
    [("WBC 白血球", "WBC", "/μL"), ("Na", "Na", "mEq/L")],
    [("RBC 赤血球", "RBC", "×10^4/μL"), ("K", "K", "mEq/L")],
    [("Hb", "Hb", "g/dL"), ("Cl", "Cl", "mEq/L")],
    [("Ht", "Ht", "%"), ("Ca", "Ca", "mg/dL")],
    [("PLT 血小板", "PLT", "×10^4/μL"), ("BUN", "BUN", "mg/dL")],
    [("PT-INR", "PT-INR", ""), ("Cre クレアチニン", "Creatinine", "mg/dL")],
    [("APTT", "APTT", "sec"), ("Glu 血糖", "Glucose", "mg/dL")],
    [("D-dimer", "D-dimer", "μg/mL"), ("CRP", "CRP", "mg/dL")],
    [("AST", "AST", "U/L"), ("CK", "CK", "U/L")],
    [("ALT", "ALT", "U/L"), ("トロポニン", "Troponin", "")],
    [("T-Bil", "T-Bil", "mg/dL"), ("Alb", "Alb", "g/dL")],
    [("血液型・クロスマッチ", "Type and crossmatch", ""), ("血液ガス", "Blood gas", "")],
    [("尿定性", "Urinalysis", ""), ("培養・感受性", "Culture", "")],
];
