//! OCSF Detection, Vulnerability and Compliance Findings of any vendor.

use schema::{Finding, FindingClass, Severity};
use serde_json::Value;

use super::time::Time;
use super::{REASONS_MAX, Raw, Trust, subjects, techniques, text};

/// What sort of finding it is; `None` for another class and for a finding that was closed, resolved or suppressed.
///
/// 2001, the Security Finding of OCSF 1.0, is what 2004 is since.
pub(super) fn class(value: &Value) -> Option<FindingClass> {
    const CLOSE: u64 = 3;
    const SUPPRESSED: u64 = 3;
    const RESOLVED: u64 = 4;
    let is_over =
        value["activity_id"] == CLOSE || value["status_id"] == SUPPRESSED || value["status_id"] == RESOLVED;
    match value["class_uid"].as_u64()? {
        _ if is_over => None,
        2001 | 2004 => Some(FindingClass::Detection),
        2002 => Some(FindingClass::Vulnerability),
        2003 => Some(FindingClass::Compliance),
        _ => None,
    }
}

pub(super) fn ocsf(raw: &Raw<'_>, class: FindingClass, time: &Time) -> Finding {
    let value = raw.value;
    let info = if value["finding_info"].is_object() { &value["finding_info"] } else { &value["finding"] };
    let title = title(value, info);
    let title_ja = text::first(&[&info["title_ja"]]).map_or_else(|| title.clone(), text::shown);
    let mut finding = Finding {
        time: time.at,
        class,
        detector: detector(raw),
        title,
        title_ja,
        severity_id: severity(value).unwrap_or(unknown_severity(class)),
        attacks: techniques::ocsf(&[&value["attacks"], &info["attacks"]]),
        actor: actor(value),
        reasons: Vec::new(),
        reasons_ja: Vec::new(),
        uid: text::of(&info["uid"]),
        subjects: subjects::ocsf(value, raw.trust),
    };
    reasons(&mut finding, value, info);
    remark(&mut finding, time);
    finding
}

/// Says in the reasons that the time is not the line's own.
pub(super) fn remark(finding: &mut Finding, time: &Time) {
    if let Some((en, ja)) = &time.remark {
        finding.reasons.truncate(REASONS_MAX - 1);
        finding.reasons_ja.truncate(REASONS_MAX - 1);
        finding.reasons.push(en.clone());
        finding.reasons_ja.push(ja.clone());
    }
}

/// OCSF `severity_id` 1 to 5; 6 (Fatal) is as bad as it gets here. 0, 99 and whatever else is said: unknown.
pub(super) fn severity(value: &Value) -> Option<Severity> {
    match value["severity_id"].as_u64() {
        Some(6) => Some(Severity::Critical),
        Some(id) => Severity::try_from(u8::try_from(id).ok()?).ok(),
        None => {
            let name = value["severity"].as_str()?.to_ascii_lowercase();
            let names = ["informational", "low", "medium", "high", "critical"];
            let id = names.iter().position(|known| *known == name)? + 1;
            Severity::try_from(u8::try_from(id).ok()?).ok()
        }
    }
}

/// An attack of unknown severity is looked at; a weak spot of unknown severity waits.
fn unknown_severity(class: FindingClass) -> Severity {
    match class {
        FindingClass::Detection => Severity::Medium,
        FindingClass::Vulnerability | FindingClass::Compliance => Severity::Low,
    }
}

fn title(value: &Value, info: &Value) -> String {
    let cve = &value["vulnerabilities"][0];
    let said = [&info["title"], &value["message"], &cve["title"], &cve["cve"]["uid"], &value["class_name"]];
    text::first(&said).map_or_else(|| "a finding without a title".to_owned(), text::shown)
}

/// The ENTRY id: only our own watchers name theirs, everything else is `external.…` after its product.
fn detector(raw: &Raw<'_>) -> String {
    let value = raw.value;
    let product = &value["metadata"]["product"];
    let said = text::first(&[
        &value["detector"],
        &product["feature"]["name"],
        &product["name"],
        &product["vendor_name"],
    ]);
    let id = text::id_part(said.unwrap_or(raw.watcher));
    match raw.trust {
        Trust::Own if id.contains('.') && !id.starts_with("external.") => id,
        Trust::Own => format!("unknown.{}", if id.is_empty() { "detector" } else { &id }),
        Trust::External => external(&id),
    }
}

/// The id of a detector that is not ours.
pub(super) fn external(name: &str) -> String {
    let name = name.strip_prefix("external.").unwrap_or(name);
    format!("external.{}", if name.is_empty() { "tool" } else { name })
}

fn actor(value: &Value) -> String {
    let actor = &value["actor"];
    let src = &value["src_endpoint"];
    let said = [
        &value["actor_name"],
        &actor["process"]["name"],
        &actor["process"]["file"]["name"],
        &actor["user"]["name"],
        &src["hostname"],
        &src["ip"],
    ];
    text::first(&said).map(text::shown).unwrap_or_default()
}

/// Our own `reasons`, else what the standard has that is most like them.
fn reasons(finding: &mut Finding, value: &Value, info: &Value) {
    finding.reasons = text::list(&value["reasons"], REASONS_MAX);
    finding.reasons_ja = text::list(&value["reasons_ja"], REASONS_MAX);
    if finding.reasons.is_empty() && finding.reasons_ja.is_empty() {
        let said =
            [&info["desc"], &info["analytic"]["name"], &value["message"], &value["compliance"]["control"]];
        let weak = value["vulnerabilities"].as_array().into_iter().flatten().take(REASONS_MAX);
        let said = said.into_iter().chain(weak.map(|weak| &weak["cve"]["uid"]));
        for reason in said.filter_map(|reason| text::first(&[reason])).map(text::shown) {
            let is_new = reason != finding.title && !finding.reasons.contains(&reason);
            if is_new && finding.reasons.len() < REASONS_MAX {
                finding.reasons.push(reason);
            }
        }
    }
    if finding.reasons_ja.is_empty() {
        finding.reasons_ja.clone_from(&finding.reasons);
    }
}
