//! Exports for tests, written by hand.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use schema::PatientId;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::charts::{Chart, Charts, Item, Roster, Source};

pub(super) const DAY: Date = date(2018, 10, 15);

/// An export that is written by hand.
pub(super) struct Export {
    pub(super) dir: TempDir,
}

impl Export {
    pub(super) fn new() -> Export {
        Export { dir: tempfile::tempdir().unwrap() }
    }

    /// One patient in `Patient.ndjson`, and these resources in a file each of its type.
    pub(super) fn of(resources: &[Value]) -> Export {
        let export = Export::new();
        export.add("Patient.ndjson", &[patient("p1", "0001234567")]);
        for resource in resources {
            export.add(
                &format!("{}.ndjson", resource["resourceType"].as_str().unwrap()),
                std::slice::from_ref(resource),
            );
        }
        export
    }

    pub(super) fn add(&self, name: &str, resources: &[Value]) -> PathBuf {
        let lines: Vec<String> = resources.iter().map(Value::to_string).collect();
        self.add_text(name, &(lines.join("\n") + "\n"))
    }

    pub(super) fn add_text(&self, name: &str, text: &str) -> PathBuf {
        self.add_bytes(name, text.as_bytes())
    }

    pub(super) fn add_bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut all = fs::read(&path).unwrap_or_default();
        all.extend_from_slice(bytes);
        fs::write(&path, all).unwrap();
        path
    }

    pub(super) fn charts(&self) -> Charts<'static> {
        open(self.dir.path())
    }

    pub(super) fn chart(&self) -> Chart {
        self.charts().chart(&PatientId("0001234567".into()), Some(DAY)).unwrap()
    }

    pub(super) fn roster(&self) -> Roster {
        self.charts().roster()
    }
}

pub(super) fn open(dir: &Path) -> Charts<'static> {
    Charts::open(Source::folder(dir)).unwrap().in_zone(TimeZone::fixed(jiff::tz::offset(9)))
}

pub(super) fn patient(id: &str, chart: &str) -> Value {
    let name = |family: &str, given: &str, code: &str| {
        json!({"family": family, "given": [given], "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": code}]})
    };
    json!({"resourceType": "Patient", "id": id, "gender": "male", "birthDate": "1948-04-05",
        "meta": {"lastUpdated": "2018-10-14T03:00:00Z"},
        "identifier": [{"type": {"coding": [{"code": "SS"}]}, "value": "999"},
            {"system": "urn:oid:1.2.392.100495.20.3.51.11311234567", "value": chart}],
        "name": [name("カンジャ", "タロウ", "SYL"), name("患者", "太郎", "IDE")]})
}

/// A resource of patient `p1`.
pub(super) fn of_p1(kind: &str, id: &str, mut fields: Value) -> Value {
    let whose = if kind == "AllergyIntolerance" { "patient" } else { "subject" };
    fields["resourceType"] = json!(kind);
    fields["id"] = json!(id);
    fields[whose] = json!({"reference": "Patient/p1"});
    fields
}

pub(super) fn texts<T>(items: &[Item<T>], text: impl Fn(&T) -> String) -> Vec<String> {
    items.iter().map(|item| text(&item.value)).collect()
}

pub(super) fn causes(chart: &Chart) -> Vec<String> {
    chart.unread.iter().map(|unread| format!("{}: {}", unread.kind, unread.cause)).collect()
}

pub(super) fn text(code: &str) -> Value {
    json!({"text": code})
}
