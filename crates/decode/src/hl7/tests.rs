use encoding_rs::ISO_2022_JP;
use jiff::civil::datetime as moment;
use proptest::prelude::*;

use super::*;
use crate::DecodeError;

const HEADER: &str =
    "MSH|^~\\&|HIS|SEND|GW|RCV|20111220||ADT^A08^ADT_A01|1|P|2.5||||||~ISO IR87||ISO 2022-1994";

fn message(rest: &str) -> Message {
    Message::parse(&bytes(rest)).unwrap()
}

fn bytes(rest: &str) -> Vec<u8> {
    ISO_2022_JP.encode(&format!("{HEADER}\r{rest}")).0.into_owned()
}

#[test]
fn reads_fields_components_repetitions_and_subcomponents() {
    let message =
        message("PID|0001||9999013^^^^PI||患者^太郎~カンジャ^タロウ\rTQ1|1||TID&１日３回&HL70335\r");
    let check = |segment: &str, field, component, expected: &str| {
        assert_eq!(message.get(segment, field, component).text(), expected, "{segment}-{field}.{component}");
    };
    check("MSH", 1, 1, "|");
    check("MSH", 2, 1, "^~\\&");
    check("MSH", 9, 2, "A08");
    check("PID", 3, 1, "9999013");
    check("PID", 3, 5, "PI");
    check("PID", 3, 99, "");
    check("PID", 99, 1, "");
    check("PID", 5, 2, "太郎");
    check("ZZZ", 1, 1, "");
    let name = message.first("PID").unwrap().field(5);
    let kana: Vec<_> = name.repetitions().map(|part| part.component(2).text().into_owned()).collect();
    assert_eq!(kana, ["太郎", "タロウ"]);
    assert_eq!(message.get("TQ1", 3, 1).subcomponent(2).text(), "１日３回");
    assert_eq!(message.event(), "ADT^A08");
    assert!(message.is_terminated());
    assert_eq!(message.first("PID").unwrap().len(), 5);
}

#[test]
fn kanji_whose_bytes_are_separators_stay_whole() {
    // In ISO-2022-JP these hold the bytes of | ^ ~ \ and &.
    let text = "晞昼曄昭Α亂鼠";
    let encoded = bytes(text);
    let doubles = encoded.windows(2).filter(|pair| pair.iter().any(|byte| b"|^~\\&".contains(byte))).count();
    assert!(doubles > 6, "the sample no longer exercises what it is for");
    assert_eq!(message(&format!("NTE|1|{text}|x\r")).get("NTE", 2, 1).text(), text);
    assert_eq!(message(&format!("NTE|1|{text}|x\r")).get("NTE", 3, 1).text(), "x");
}

#[test]
fn escapes_are_resolved_after_splitting() {
    let check = |raw: &str, expected: &str| {
        assert_eq!(message(&format!("NTE|1|{raw}\r")).get("NTE", 2, 1).text(), expected, "{raw}");
    };
    check(r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f");
    check(r"one\.br\two", "one\ntwo");
    check(r"\H\bold\N\", "bold");
    check(r"50\100", r"50\100");
    check(r"\X41\ and \F\", r"\X41\ and |");
    check(r"\", r"\");
    check("\"\"", "");
}

#[test]
fn every_spelling_of_line_ends_is_read() {
    for end in ["\r", "\n", "\r\n"] {
        let text = format!("{HEADER}{end}PID|1{end}PV1|2{end}");
        let message = Message::parse(text.as_bytes()).unwrap();
        let names: Vec<_> = message.segments().map(|segment| segment.name()).collect();
        assert_eq!(names, ["MSH", "PID", "PV1"], "{end:?}");
    }
    let framed = Message::parse(format!("{HEADER}\rPID|1\r\x1c\r").as_bytes()).unwrap();
    assert!(framed.is_terminated() && framed.segments().count() == 2);
    let cut = Message::parse(format!("{HEADER}\rPID|1").as_bytes()).unwrap();
    assert!(!cut.is_terminated());
}

#[test]
fn an_empty_run_of_kanji_is_no_damage() {
    let message = Message::parse(format!("{HEADER}\rNTE|1|\x1b$B\x1b(Bend\r").as_bytes()).unwrap();
    assert_eq!(message.get("NTE", 2, 1).text(), "end");
}

#[test]
fn utf8_is_read_when_it_is_declared_and_only_then() {
    let declared = HEADER.replace("~ISO IR87", "UNICODE UTF-8");
    let message = Message::parse(format!("{declared}\rPID|1|患者\r").as_bytes()).unwrap();
    assert_eq!(message.get("PID", 2, 1).text(), "患者");
    assert_eq!(message.charset(), Charset::Utf8);
    let undeclared = format!("{HEADER}\rPID|1|患者\r");
    let offset = undeclared.find('患').unwrap();
    let error = Message::parse(undeclared.as_bytes()).unwrap_err();
    assert_eq!(error, DecodeError::Charset { offset, charset: "ISO-2022-JP" });
}

#[test]
fn damage_is_named_with_its_byte() {
    let check = |bytes: &[u8], expected: DecodeError| {
        assert_eq!(Message::parse(bytes).unwrap_err(), expected);
    };
    check(b"", DecodeError::NoHeader);
    check(b"\r\n", DecodeError::NoHeader);
    check(b"MSH", DecodeError::Separators { offset: 3 });
    check(b"MSH|^^\\&|", DecodeError::Separators { offset: 3 });
    check(b"MSHxabcd", DecodeError::Separators { offset: 3 });
    let at = HEADER.len() + 1;
    let with = |rest: &[u8]| [HEADER.as_bytes(), b"\r", rest].concat();
    check(&with(b"PID|\0\0"), DecodeError::Control { offset: at + 4, code: 0 });
    check(&with(b"pid|1\r"), DecodeError::Segment { offset: at });
    check(&with(b"\r\nPIDX|1\r"), DecodeError::Segment { offset: at + 2 });
    // An empty run before the damage must not shift the offset.
    check(
        &with(b"NTE|\x1b$B\x1b(B|\x1b$B\x21\xff"),
        DecodeError::Charset { offset: at + 15, charset: "ISO-2022-JP" },
    );
    check(
        &with(b"NTE|\x1b$B\x1b(B|\x1b$B\x21\x20"),
        DecodeError::Charset { offset: at + 14, charset: "ISO-2022-JP" },
    );
    // Japanese before the line must not shift it either.
    let late = bytes("PID|患者\rxx\r");
    check(&late, DecodeError::Segment { offset: late.len() - 3 });
}

#[test]
fn limits_hold() {
    let many = [HEADER.as_bytes(), "\rNTE".repeat(MAX_SEGMENTS).as_bytes()].concat();
    assert!(matches!(Message::parse(&many), Err(DecodeError::TooManySegments { .. })));
    let wide = [HEADER.as_bytes(), b"\rNTE", "|".repeat(MAX_FIELDS + 1).as_bytes()].concat();
    let offset = HEADER.len() + 1;
    assert_eq!(Message::parse(&wide).unwrap_err(), DecodeError::TooManyFields { offset, limit: MAX_FIELDS });
    let large = vec![b'M'; MAX_BYTES + 1];
    assert!(matches!(Message::parse(&large), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn times_are_read_as_precisely_as_they_are_written() {
    assert_eq!(datetime("20111219150030.25+0900"), Some(moment(2011, 12, 19, 15, 0, 30, 0)));
    assert_eq!(datetime("201112191500"), Some(moment(2011, 12, 19, 15, 0, 0, 0)));
    assert_eq!(datetime("20111219"), Some(moment(2011, 12, 19, 0, 0, 0, 0)));
    assert_eq!(date("201112"), None);
    assert_eq!(date("20110231"), None);
    assert_eq!(datetime("2011121999"), None);
    assert_eq!(date("小学校低学年"), None);
}

#[test]
fn every_sample_of_the_national_hospital_organization_decodes_but_the_broken_one() {
    let Some(root) = testkit::shared("nho_samples_decode", "hospital/ssmix2-nho/sampleData") else { return };
    let results: Vec<_> =
        crate::corpus::files(&root).into_iter().map(|(path, bytes)| (path, Message::parse(&bytes))).collect();
    assert_eq!(results.len(), 22);
    let broken: Vec<_> = results.iter().filter(|(_, result)| result.is_err()).collect();
    assert!(matches!(broken.as_slice(), [(path, Err(DecodeError::NoHeader))]
        if path.to_string_lossy().contains("ADT-31")));
    for (path, result) in &results {
        let Ok(message) = result else { continue };
        let garbled = message.segments().any(|segment| segment.field(5).raw().contains('\u{fffd}'));
        assert!(!garbled, "{}", path.display());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn no_message_makes_reading_panic(rest in "[A-Z0-9|^~\\\\&\r\n\u{1b}$(B!-~ あ-ん]{0,200}", n in 0usize..40) {
        let mut bytes = bytes(&rest);
        for cut in [bytes.len(), bytes.len() / 2] {
            bytes.truncate(cut);
            if let Ok(message) = Message::parse(&bytes) {
                for segment in message.segments() {
                    let field = segment.field(n);
                    let _ = (field.text(), field.component(n).subcomponent(n).text(), segment.len());
                    prop_assert!(field.repetitions().count() <= bytes.len());
                }
            }
        }
    }

    #[test]
    fn any_text_survives_encoding_and_escaping(text in "[ -~ぁ-んァ-ヶ亜-熙]{0,40}") {
        // encoding_rs writes what JIS X 0208 lacks as a numeric reference, which is not the text any more.
        prop_assume!(!ISO_2022_JP.encode(&text).2 && text != "\"\"");
        let escaped: String = text.chars().map(|c| match c {
            '|' => "\\F\\".to_owned(),
            '^' => "\\S\\".to_owned(),
            '~' => "\\R\\".to_owned(),
            '\\' => "\\E\\".to_owned(),
            '&' => "\\T\\".to_owned(),
            other => other.to_string(),
        }).collect();
        let message = message(&format!("NTE|1|{escaped}\r"));
        prop_assert_eq!(message.get("NTE", 2, 1).text(), text);
    }
}
