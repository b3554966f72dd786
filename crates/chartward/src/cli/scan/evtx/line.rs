//! What a rule found, as a line.

use decode::evtx::Damage;
use decode::ocsf::Written;
use jiff::Timestamp;
use judge::sigma::SigmaHit;
use schema::{Finding, Lang, Severity};
use serde::{Serialize, Serializer};

use crate::output::{Output, printable};

/// How hits are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling {
    pub(super) output: Output,
    pub(super) lang: Lang,
}

impl Telling {
    /// Adds a line for each hit in a log.
    pub(super) fn add(self, path: &str, hits: &[SigmaHit], lines: &mut Vec<u8>) {
        for hit in hits {
            match self.output {
                // Memory takes every line, and its keys are texts, so that it is always written.
                Output::Json => serde_json::to_writer(&mut *lines, &Line::new(path, hit, &hit.finding()))
                    .unwrap_or_default(),
                Output::People => lines.extend_from_slice(words(self.lang, path, hit).as_bytes()),
            }
            lines.push(b'\n');
        }
    }
}

/// A hit as OCSF, with what the licence of its rule asks for.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    finding: Written<'a>,
    path: &'a str,
    record: u64,
    channel: &'a str,
    event_id: Option<u32>,
    host: &'a str,
    #[serde(serialize_with = "fields")]
    fields: &'a [(String, String)],
    sigma: Rule<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<Seen>,
}

#[derive(Serialize)]
struct Rule<'a> {
    id: Option<&'a str>,
    title: &'a str,
    author: Option<&'a str>,
    level: &'static str,
    tags: &'a [String],
    licence: Option<&'a str>,
    file: &'a str,
}

/// What a correlation measured, and when.
#[derive(Serialize)]
struct Seen {
    measured: f64,
    first: i64,
    last: i64,
}

impl<'a> Line<'a> {
    fn new(path: &'a str, hit: &'a SigmaHit, finding: &'a Finding) -> Self {
        let rule = &hit.rule;
        Self {
            finding: Written::new(finding),
            path,
            record: hit.number,
            channel: &hit.channel,
            event_id: hit.event_id,
            host: &hit.host,
            fields: &hit.fields,
            sigma: Rule {
                id: rule.id.as_deref(),
                title: &rule.title,
                author: rule.author.as_deref(),
                level: word(rule.level),
                tags: &rule.tags,
                licence: rule.licence.as_deref(),
                file: &rule.file,
            },
            correlation: hit.together.map(|together| Seen {
                measured: together.measured,
                first: millis(together.first),
                last: millis(together.last),
            }),
        }
    }
}

fn fields<S: Serializer>(fields: &&[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

fn millis(at: schema::Micros) -> i64 {
    at.div_euclid(1000)
}

fn words(lang: Lang, path: &str, hit: &SigmaHit) -> String {
    let rule = &hit.rule;
    let at = Timestamp::from_microsecond(hit.at).unwrap_or_default();
    let title = lang.pick(&rule.title, rule.title_ja.as_ref().unwrap_or(&rule.title));
    let author = rule.author.as_deref().unwrap_or("—");
    printable(&format!(
        "{at:.0}  {:<13}  {title}  [{}]  {path}#{}  ({author})",
        word(rule.level),
        hit.host,
        hit.number
    ))
}

/// A level as Sigma writes it.
fn word(level: Severity) -> &'static str {
    match level {
        Severity::Informational => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        _ => "critical",
    }
}

/// What is damaged, and where.
pub(super) fn damage(path: &str, is_chunk: bool, damage: &Damage) -> String {
    let chunk = if is_chunk { format!(", chunk {}", damage.chunk) } else { String::new() };
    let record = damage.record.map(|record| format!(", record {record}")).unwrap_or_default();
    format!("{path}{chunk}{record}: {}", damage.what)
}
