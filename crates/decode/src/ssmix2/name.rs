use encoding_rs::SHIFT_JIS;
use jiff::civil::{Date, DateTime};
use schema::PatientId;

/// Longest patient id of the standard, in characters.
const MAX_PATIENT: usize = 15;
/// `YYYYMMDDHHMMSSFFF`.
const STAMP_DIGITS: usize = 17;

/// The condition flag at the end of a record's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// 0: cancelled; the record counts as absent.
    Deleted,
    /// 1: what is valid now. At most one for each [`RecordKey`].
    Current,
    /// 2: replaced by a newer one.
    History,
}

impl Flag {
    /// The digit in the name.
    pub fn digit(self) -> char {
        match self {
            Flag::Deleted => '0',
            Flag::Current => '1',
            Flag::History => '2',
        }
    }

    fn of(text: &str) -> Option<Flag> {
        match text {
            "0" => Some(Flag::Deleted),
            "1" => Some(Flag::Current),
            "2" => Some(Flag::History),
            _ => None,
        }
    }
}

/// What identifies a record through its updates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Whose record.
    pub patient: PatientId,
    /// The day of care; `None` for `-`.
    pub care_date: Option<Date>,
    /// Data type.
    pub kind: String,
    /// Order number.
    pub order: String,
}

/// The parts of a record's file name: `ID_date_type_orderNo_YYYYMMDDHHMMSSFFF_dept_flag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordName {
    /// Whose record.
    pub patient: PatientId,
    /// The day of care; `None` for `-`, which demographics, allergies and problems have.
    pub care_date: Option<Date>,
    /// Data type, such as `OML-11`; in extended storage the type folder's text or its local code.
    pub kind: String,
    /// Order number, `999999999999999` when there is none.
    pub order: String,
    /// When the record was made, `YYYYMMDDHHMMSSFFF`, by the hospital's clock.
    pub stamp: String,
    /// Department of table 0069, or `-`; empty when an extended storage omits it.
    pub dept: String,
    /// Whether it is valid.
    pub flag: Flag,
}

impl RecordName {
    /// Reads a file name of standardized storage; `None` for every other name.
    ///
    /// Order numbers shorter than the 15 digits that the standard asks for are taken, as sites write them.
    pub fn parse(file_name: &[u8]) -> Option<RecordName> {
        let text = std::str::from_utf8(file_name).ok()?;
        let mut fields = text.split('_');
        let mut next = || fields.next();
        let parts = [next()?, next()?, next()?, next()?, next()?, next()?, next()?];
        if next().is_some() || !is_kind(parts[2]) {
            return None;
        }
        let [patient, date, kind, order, stamp, dept, flag] = parts;
        RecordName::of_parts(patient, date, kind, order, stamp, dept, flag)
    }

    /// Reads a content folder's name of extended storage, where the type may be any text (in UTF-8 or
    /// Shift_JIS) and some sites omit the department.
    pub fn parse_extended(folder_name: &[u8]) -> Option<RecordName> {
        // Decoded before it is split: in Shift_JIS the byte of `_` is also the second byte of ダ.
        let text = name_text(folder_name)?;
        let fields: Vec<&str> = text.split('_').collect();
        let (flag, fields) = fields.split_last()?;
        let (last, before_last) = fields.split_last()?;
        let (dept, stamp, fields) = if is_stamp(last) {
            ("", *last, before_last)
        } else {
            let (stamp, fields) = before_last.split_last()?;
            (*last, *stamp, fields)
        };
        let (order, fields) = fields.split_last()?;
        let [patient, date, kind @ ..] = fields else { return None };
        let kind = kind.join("_");
        if kind.is_empty() {
            return None;
        }
        RecordName::of_parts(patient, date, &kind, order, stamp, dept, flag)
    }

    fn of_parts(
        patient: &str,
        date: &str,
        kind: &str,
        order: &str,
        stamp: &str,
        dept: &str,
        flag: &str,
    ) -> Option<RecordName> {
        let care_date = care_date(date)?;
        let well_formed = is_patient(patient)
            && (1..=20).contains(&order.len())
            && order.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && is_stamp(stamp)
            && dept.len() <= 16
            && dept.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        well_formed.then_some(RecordName {
            patient: PatientId(patient.to_owned()),
            care_date,
            kind: kind.to_owned(),
            order: order.to_owned(),
            stamp: stamp.to_owned(),
            dept: dept.to_owned(),
            flag: Flag::of(flag)?,
        })
    }

    /// The file name that [`RecordName::parse`] reads.
    pub fn file_name(&self) -> String {
        let RecordName { patient, kind, order, stamp, dept, flag, .. } = self;
        format!("{patient}_{}_{kind}_{order}_{stamp}_{dept}_{}", self.care_date_text(), flag.digit())
    }

    /// The care date as names and folders write it: `YYYYMMDD`, or `-`.
    pub fn care_date_text(&self) -> String {
        self.care_date.map_or_else(|| "-".to_owned(), |date| date.strftime("%Y%m%d").to_string())
    }

    /// What stays the same when the record is updated or deleted.
    pub fn key(&self) -> RecordKey {
        RecordKey {
            patient: self.patient.clone(),
            care_date: self.care_date,
            kind: self.kind.clone(),
            order: self.order.clone(),
        }
    }

    /// The stamp as a time of the hospital's clock; `None` when its digits are no time.
    pub fn recorded_at(&self) -> Option<DateTime> {
        let whole = crate::hl7::datetime(self.stamp.get(..14)?)?;
        let millis: i32 = self.stamp.get(14..)?.parse().ok()?;
        whole.with().subsec_nanosecond(millis * 1_000_000).build().ok()
    }
}

/// Whether a name was probably meant to be a record's: it begins as one, whatever follows. With
/// [`RecordName::parse`] failing, this finds records that got a suffix and names that were mistyped.
pub fn resembles_record_name(file_name: &[u8]) -> bool {
    let mut fields = file_name.split(|byte| *byte == b'_');
    let (patient, date, kind) = (fields.next(), fields.next(), fields.next());
    let text =
        |field: Option<&[u8]>| field.and_then(|field| std::str::from_utf8(field).ok()).map(str::to_owned);
    matches!((text(patient), text(date), text(kind)), (Some(patient), Some(date), Some(kind))
        if is_patient(&patient) && care_date(&date).is_some() && is_kind(&kind))
}

/// A name as text: UTF-8, else Shift_JIS, in which Windows servers write archives and shares.
pub(super) fn name_text(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => {
            SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes).map(|text| text.into_owned())
        }
    }
}

pub(super) fn is_patient(text: &str) -> bool {
    (1..=MAX_PATIENT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !text.bytes().all(|byte| matches!(byte, b'-' | b'.'))
}

/// `None` when the text is neither a day nor `-`.
pub(super) fn care_date(text: &str) -> Option<Option<Date>> {
    match text {
        "-" => Some(None),
        _ if text.len() == 8 => crate::hl7::date(text).map(Some),
        _ => None,
    }
}

/// Three letters, and for most types a number: `OMD`, `OML-11`.
pub(super) fn is_kind(text: &str) -> bool {
    match text.as_bytes() {
        [a, b, c, rest @ ..] => {
            [a, b, c].iter().all(|byte| byte.is_ascii_uppercase())
                && (rest.is_empty()
                    || matches!(rest, [b'-', x, y] if x.is_ascii_digit() && y.is_ascii_digit()))
        }
        _ => false,
    }
}

fn is_stamp(text: &str) -> bool {
    text.len() == STAMP_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}
