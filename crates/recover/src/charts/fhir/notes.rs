//! DocumentReference, Composition and DiagnosticReport: what is text is shown, other files are named.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use decode::fhir::{Node, Wrong};
use jiff::civil::Date;

use super::resource::{Resource, joined};
use crate::charts::model::Note;
use crate::charts::notes::{TEXT_BYTES_MAX, decoded, plain, shortened};
use crate::charts::parts::Part;

/// Sections within sections of a Composition.
const DEPTH_MAX: usize = 5;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A file within a resource, or in a Binary of its own.
struct File {
    text: Option<String>,
    bytes: u64,
}

fn file(resource: &Resource<'_>, attachment: Node<'_>) -> Result<Option<File>, &'static str> {
    if attachment.get("data").is_some() {
        return unpacked(attachment.get("data").text(), attachment.get("contentType").text()).map(Some);
    }
    let url = attachment.get("url").text();
    if url.is_empty() {
        return Ok(None);
    }
    let reference = serde_json::json!({ "reference": url });
    let wrong = Wrong::default();
    match resource.follow(Node::new(&reference, &wrong)) {
        Some(binary) => {
            let node = Node::new(&binary, &wrong);
            unpacked(node.get("data").text(), node.get("contentType").text()).map(Some)
        }
        None => Ok(Some(File { text: None, bytes: attachment.get("size").count().unwrap_or_default() })),
    }
}

fn unpacked(data: &str, kind: &str) -> Result<File, &'static str> {
    // Three bytes in four characters; what is too long to be shown is not unpacked.
    let bytes = (data.len() / 4 * 3) as u64;
    if bytes > TEXT_BYTES_MAX as u64 {
        return Ok(File { text: None, bytes });
    }
    let packed: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let unpacked = BASE64.decode(packed).map_err(|_| "what is attached is no base64")?;
    let is_text =
        kind.is_empty() || kind.starts_with("text/") || kind.contains("xml") || kind.contains("json");
    let text = is_text.then(|| decoded(&unpacked)).flatten();
    if text.is_none() && kind.starts_with("text/") {
        return Err("what is attached should be a text and is none");
    }
    Ok(File { text: text.map(|text| shortened(&plain(&text))), bytes: unpacked.len() as u64 })
}

fn note(resource: &Resource<'_>, kind: String, date: Option<Date>, file: File, parts: &mut Vec<Part>) {
    let code = resource.get(if resource.kind == "DiagnosticReport" { "code" } else { "type" });
    let standard_code = code.code_in(&["loinc.org"]).map_or("", |coding| coding.code).to_owned();
    let File { text, bytes } = file;
    parts.push(Part::Note(resource.item(Note { kind, standard_code, date, text, bytes })));
}

pub(super) fn document(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let date = resource.day(resource.get("date"));
    let date = date.or_else(|| resource.day(resource.get("context").get("period").get("start")));
    let mut found = false;
    for content in resource.get("content").each() {
        let attachment = content.get("attachment");
        let kind = resource.get("type").label();
        let title = attachment.get("title").text();
        let kind = if kind.is_empty() { title } else { &kind }.to_owned();
        if let Some(file) = file(resource, attachment)? {
            note(resource, kind, date, file, parts);
            found = true;
        }
    }
    let description = resource.get("description").text();
    if !found && !description.is_empty() {
        let file = File { text: Some(shortened(description)), bytes: description.len() as u64 };
        note(resource, resource.get("type").label(), date, file, parts);
        found = true;
    }
    if found { Ok(()) } else { Err("it has no content") }
}

pub(super) fn composition(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<(), &'static str> {
    let mut lines = Vec::new();
    sections(resource.node, 0, &mut lines);
    if lines.is_empty() {
        lines.extend(narrative(resource.node));
    }
    let text = lines.join("\n");
    if text.is_empty() {
        return Err("it has no text");
    }
    let bytes = text.len() as u64;
    let title = resource.get("title").text();
    let kind = if title.is_empty() { resource.get("type").label() } else { title.to_owned() };
    let date = resource.day(resource.get("date"));
    note(resource, kind, date, File { text: Some(shortened(&text)), bytes }, parts);
    Ok(())
}

fn sections(node: Node<'_>, depth: usize, lines: &mut Vec<String>) {
    for section in node.get("section").each() {
        let title = section.get("title").text();
        let text = narrative(section);
        if !title.is_empty() && (text.is_some() || section.get("section").is_some()) {
            lines.push(format!("【{title}】"));
        }
        lines.extend(text);
        if depth < DEPTH_MAX {
            sections(section, depth + 1, lines);
        }
    }
}

fn narrative(node: Node<'_>) -> Option<String> {
    let div = node.get("text").get("div").text();
    let text = if div.len() > TEXT_BYTES_MAX { String::new() } else { plain(div) };
    (!text.is_empty()).then_some(text)
}

/// Returns what it is counted as instead: a laboratory's report says in words what its results say.
pub(super) fn report(resource: &Resource<'_>, parts: &mut Vec<Part>) -> Result<Option<String>, &'static str> {
    let codes = || resource.get("category").each().flat_map(|one| one.codings()).map(|coding| coding.code);
    let is_laboratory = codes().any(|code| matches!(code, "LAB" | "LP29693-6" | "laboratory"));
    if is_laboratory && resource.get("result").is_some() {
        return Ok(Some("DiagnosticReport (LAB)".to_owned()));
    }
    let date = ["effectiveDateTime", "issued"].into_iter().find_map(|name| resource.day(resource.get(name)));
    let date = date.or_else(|| resource.day(resource.get("effectivePeriod").get("start")));
    let conclusion = resource.get("conclusion").text();
    let mut files = Vec::new();
    for form in resource.get("presentedForm").each() {
        files.extend(file(resource, form)?);
    }
    let kind = resource.get("code").label();
    let bytes = files.iter().map(|file| file.bytes).sum::<u64>() + conclusion.len() as u64;
    let told: Vec<&str> = files.iter().filter_map(|file| file.text.as_deref()).collect();
    let mut text = joined(std::iter::once(conclusion).chain(told.iter().copied()), "\n\n");
    if told.iter().any(|told| told.contains(conclusion)) {
        text = joined(told.iter().copied(), "\n\n");
    }
    let text = Some(text).filter(|text| !text.is_empty()).or_else(|| narrative(resource.node));
    match text {
        Some(text) => note(resource, kind, date, File { text: Some(shortened(&text)), bytes }, parts),
        None if !files.is_empty() => note(resource, kind, date, File { text: None, bytes }, parts),
        None if resource.get("result").is_some() => return Ok(Some("DiagnosticReport (results)".to_owned())),
        None => return Err("it has no text"),
    }
    Ok(None)
}
