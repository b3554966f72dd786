//! Office documents of today (ECMA-376): a ZIP archive of parts, and relations between them.

use html5gum::{Token, Tokenizer};

use super::super::archive::ZipEntry;
use super::super::bytes::{has, last, text, utf16_le};
use super::super::name::extension;
use super::super::sort::Sort;
use super::super::unpack::{End, Unpacked};
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// Relations that are followed when the document opens, by the end of their type. Hyperlinks wait for a click; pictures and links
/// between workbooks stand in ordinary papers.
const FETCHED: [&str; 6] =
    ["/attachedTemplate", "/oleObject", "/frame", "/subDocument", "/aFChunk", "/externalLinkLongPath"];

/// Whether an archive is a document.
pub(in super::super) fn is_ooxml(entries: &[ZipEntry<'_>]) -> bool {
    entries.iter().any(|entry| entry.name.eq_ignore_ascii_case("[Content_Types].xml"))
}

pub(in super::super) fn look(walk: &mut Walk<'_>, entries: &[ZipEntry<'_>]) {
    let mut macro_sheets = Vec::new();
    let mut starts = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.name.ends_with('/')) {
        let path = entry.name.to_ascii_lowercase().replace('\\', "/");
        if path.ends_with(".rels") {
            let content = part(walk, entry);
            relations(walk, &content);
        } else if path.contains("/macrosheets/") {
            macro_sheets.push(last(&entry.name).to_owned());
        } else if path.starts_with("customui/") {
            let content = part(walk, entry);
            if has(&content, b"onLoad=") {
                walk.mark(MarkKind::AutoMacro, "a ribbon that calls a macro when it loads");
            }
        } else if path.ends_with("workbook.xml") {
            starts = sheets(&text(&part(walk, entry)));
        } else if path.contains("externallinks/") {
            let content = part(walk, entry);
            linked(walk, &path, &content);
        } else if is_body(&path) {
            let content = part(walk, entry);
            fields(walk, &content);
        } else {
            other(walk, entry, &path);
        }
    }
    if !macro_sheets.is_empty() {
        macro_sheets.extend(starts);
        macro_sheets.truncate(8);
        walk.mark(MarkKind::XlmMacro, macro_sheets.join(", "));
    }
}

/// A part's content.
fn part(walk: &mut Walk<'_>, entry: &ZipEntry<'_>) -> Vec<u8> {
    let max = walk.side_room();
    let Unpacked { bytes, end, .. } = entry.unpack(max);
    walk.charge(bytes.len());
    match end {
        End::Whole => {}
        End::Bound => walk.mark(MarkKind::NotLookedAt, format!("{} is too long", entry.name)),
        End::Broken => walk.mark(MarkKind::Broken, format!("{} does not unpack to its end", entry.name)),
    }
    bytes
}

/// Parts whose text has fields.
fn is_body(path: &str) -> bool {
    path.starts_with("word/")
        && path.ends_with(".xml")
        && !path.contains("/embeddings/")
        && !path.contains("theme")
}

/// Everything that is no text of the document: embedded files, macros, controls.
fn other(walk: &mut Walk<'_>, entry: &ZipEntry<'_>, path: &str) {
    let content = extension(path);
    if path.contains("activex/") && content == "bin" {
        walk.mark(MarkKind::EmbeddedObject, format!("a control (ActiveX) {}", last(&entry.name)));
    }
    let passive = matches!(
        content.as_str(),
        "xml"
            | "png"
            | "jpg"
            | "jpeg"
            | "gif"
            | "emf"
            | "wmf"
            | "tif"
            | "tiff"
            | "vml"
            | "odttf"
            | "fntdata"
            | "wdp"
            | "svg"
    );
    if passive && !path.contains("/embeddings/") {
        // A program by the name of a picture shows by its first bytes.
        let head = entry.unpack(1 << 10).bytes;
        if !Sort::of(&entry.name, &head).runs() {
            return;
        }
    }
    // Sheets of a binary workbook are numbers.
    if path.starts_with("xl/")
        && content == "bin"
        && !path.contains("vba")
        && !path.contains("/embeddings/")
        && !path.contains("activex/")
    {
        let head = entry.unpack(1 << 10).bytes;
        if Sort::of(&entry.name, &head) == Sort::Unknown {
            return;
        }
    }
    walk.packed(&entry.name, |max| entry.unpack(max));
}

fn relations(walk: &mut Walk<'_>, xml: &[u8]) {
    // A relation without these words points into the document.
    if !has(xml, b"External") && !has(xml, b"E\0x\0t\0") {
        return;
    }
    elements(&text(xml), |name, attributes| {
        let external = attributes.get("targetmode").is_some_and(|mode| mode.eq_ignore_ascii_case("external"));
        if name != "relationship" || !external {
            return;
        }
        let (kind, target) =
            (attributes.get("type").unwrap_or_default(), attributes.get("target").unwrap_or_default());
        if FETCHED.iter().any(|fetched| kind.ends_with(fetched)) && super::is_remote(target) {
            let what = kind.rsplit('/').next().unwrap_or_default();
            walk.mark(MarkKind::ExternalTemplate, format!("{what} {target}"));
        }
    });
}

/// Hidden sheets and names that Excel runs by itself.
fn sheets(xml: &str) -> Vec<String> {
    let mut found = Vec::new();
    elements(xml, |name, attributes| {
        if name == "definedname"
            && let Some(defined) =
                attributes.get("name").filter(|name| name.to_ascii_lowercase().contains("auto_"))
        {
            found.push(defined.trim_start_matches("_xlnm.").to_owned());
        }
        if name == "sheet" && attributes.get("state").is_some_and(|state| state.ends_with("idden")) {
            let how = attributes.get("state").unwrap_or_default();
            found.push(format!("{} ({how})", attributes.get("name").unwrap_or_default()));
        }
    });
    found
}

/// Links of a workbook to other programs.
fn linked(walk: &mut Walk<'_>, path: &str, content: &[u8]) {
    if path.ends_with(".bin") {
        // BrtBeginSupBook of sort 1: server and topic follow as counted texts.
        if let [0xe8, 2, _, 1, 0, rest @ ..] = content {
            let link = utf16_le(rest.get(4..204.min(rest.len())).unwrap_or_default());
            let server: String = link.chars().take_while(|c| c.is_ascii_graphic()).collect();
            walk.mark(MarkKind::Dde, server);
        }
        return;
    }
    elements(&text(content), |name, attributes| {
        if name.ends_with("ddelink") {
            let (server, topic) = (
                attributes.get("ddeservice").unwrap_or_default(),
                attributes.get("ddetopic").unwrap_or_default(),
            );
            walk.mark(MarkKind::Dde, format!("{server} {topic}"));
        }
    });
}

/// Fields of a text: the simple ones in an attribute, the others in pieces between a beginning and an end.
fn fields(walk: &mut Walk<'_>, xml: &[u8]) {
    let found = |word: &[u8]| has(xml, word);
    if !found(b"instrText")
        && !found(b"fldSimple")
        && !xml.starts_with(b"\xff\xfe")
        && !xml.starts_with(b"\xfe\xff")
    {
        return;
    }
    let mut field = String::new();
    let mut in_instruction = false;
    for token in Tokenizer::new(text(xml).as_str()) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let get = |wanted: &str| {
                    tag.attributes
                        .iter()
                        .find(|(key, _)| key.ends_with(wanted.as_bytes()))
                        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                };
                match local(&tag.name) {
                    b"instrtext" => in_instruction = !tag.self_closing,
                    b"fldsimple" => tell(walk, &get("instr").unwrap_or_default()),
                    b"fldchar" if get("fldchartype").is_some_and(|kind| kind != "begin") => {
                        tell(walk, &field);
                        field.clear();
                    }
                    b"fldchar" => field.push(' '),
                    _ => {}
                }
            }
            Token::EndTag(tag) if local(&tag.name) == b"instrtext" => in_instruction = false,
            Token::String(piece) if in_instruction && field.len() < 4_096 => {
                field.push_str(&String::from_utf8_lossy(&piece));
            }
            _ => {}
        }
    }
    tell(walk, &field);
}

/// Notes a field that exchanges data; one that is spelled as numbers inside QUOTE is read first.
fn tell(walk: &mut Walk<'_>, field: &str) {
    let spelled: String = field
        .trim_start()
        .strip_prefix("QUOTE")
        .map(|numbers| {
            numbers.split_whitespace().map_while(|n| n.parse::<u32>().ok().and_then(char::from_u32)).collect()
        })
        .unwrap_or_default();
    for field in [field.trim(), spelled.as_str()] {
        if super::dde::is_field(field) {
            walk.mark(MarkKind::Dde, field);
        }
    }
}

fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|&byte| byte == b':').next().unwrap_or(name)
}

/// An element's attributes by their local names.
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str())
    }
}

/// Calls `see` with each element's local name and its attributes; names come in lower case.
fn elements(xml: &str, mut see: impl FnMut(&str, &Attributes)) {
    let owned = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    for token in Tokenizer::new(xml) {
        let Ok(token) = token;
        if let Token::StartTag(tag) = token {
            let attributes =
                tag.attributes.iter().map(|(key, value)| (owned(local(key)), owned(value))).collect();
            see(&owned(local(&tag.name)), &Attributes(attributes));
        }
    }
}
