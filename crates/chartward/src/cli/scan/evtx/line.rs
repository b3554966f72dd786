//! What a rule found, as a line.

use decode::evtx::Damage;
use jiff::Timestamp;
use judge::sigma::SigmaHit;
use schema::{Lang, Severity};
use serde_json::{Map, Value, json};

use crate::output::{Output, printable};

/// Tells one hit.
pub(super) fn tell(output: Output, lang: Lang, path: &str, hit: &SigmaHit) -> anyhow::Result<()> {
    match output {
        Output::Json => output.line(&json_line(path, hit)),
        Output::People => {
            output.say(words(lang, path, hit));
            Ok(())
        }
    }
}

/// A hit as OCSF, with what the licence of its rule asks for.
fn json_line(path: &str, hit: &SigmaHit) -> Value {
    let rule = &hit.rule;
    let mut line = decode::ocsf::write(&hit.finding());
    let fields: Map<String, Value> =
        hit.fields.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let more = json!({
        "path": path,
        "record": hit.number,
        "channel": hit.channel,
        "event_id": hit.event_id,
        "host": hit.host,
        "fields": fields,
        "sigma": {
            "id": rule.id, "title": rule.title, "author": rule.author, "level": word(rule.level), "tags": rule.tags,
            "licence": rule.licence, "file": &*rule.file,
        },
    });
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
        if let Some(together) = hit.together {
            let seen = json!({"measured": together.measured, "first": millis(together.first), "last": millis(together.last)});
            line.insert("correlation".to_owned(), seen);
        }
    }
    line
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
