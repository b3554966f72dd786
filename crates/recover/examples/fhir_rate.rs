//! How fast a bulk export is indexed and a chart read from it, and how much memory the index takes:
//! `fhir_rate DIR [PATIENTS [OBSERVATIONS_EACH]]` writes an export into the empty folder DIR and reads it.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use recover::charts::{Charts, Source};
use schema::PatientId;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("name an empty folder")?;
    let number = |text: Option<String>, default: u32| text.map_or(Ok(default), |text| text.parse());
    let (patients, each) = (number(arguments.next(), 10_000)?, number(arguments.next(), 100)?);
    let dir = Path::new(&dir);
    let bytes = write(dir, patients, each)?;

    let began = Instant::now();
    let charts = Charts::open(Source::folder(dir))?;
    let listed = charts.roster().patients.len();
    let seconds = began.elapsed().as_secs_f64();
    let resources = f64::from(patients) * f64::from(each + 1);
    say(&format!(
        "index: {listed} patients, {resources} resources, {:.0} MB in {seconds:.2} s",
        bytes as f64 / 1e6
    ))?;
    say(&format!("index: {:.0} resources/s, {:.0} MB/s", resources / seconds, bytes as f64 / 1e6 / seconds))?;

    let mut took: Vec<f64> = Vec::new();
    for step in 0..1000_u32 {
        let id = PatientId(format!("{:010}", u64::from(step) * 7919 % u64::from(patients)));
        let began = Instant::now();
        charts.chart(&id, None).ok_or("a patient without a chart")?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    say(&format!("chart of {} resources: median {:.2} ms, p99 {:.2} ms", each + 1, took[500], took[990]))?;
    let status = fs::read_to_string("/proc/self/status")?;
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
        say(line)?;
    }
    say(&format!("load {}", fs::read_to_string("/proc/loadavg")?.trim()))
}

fn say(line: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Observations of all patients in turn, as a server exports them.
fn write(dir: &Path, patients: u32, each: u32) -> std::io::Result<u64> {
    let mut people = BufWriter::new(File::create(dir.join("Patient.ndjson"))?);
    for patient in 0..patients {
        writeln!(
            people,
            r#"{{"resourceType":"Patient","id":"p{patient}","identifier":[{{"type":{{"coding":[{{"code":"MR"}}]}},"value":"{patient:010}"}}],"name":[{{"family":"患者","given":["番号{patient}"]}}],"birthDate":"1950-01-01","gender":"male"}}"#
        )?;
    }
    people.flush()?;
    let mut results = BufWriter::new(File::create(dir.join("Observation.ndjson"))?);
    for number in 0..each {
        for patient in 0..patients {
            writeln!(
                results,
                r#"{{"resourceType":"Observation","id":"o{number}-{patient}","meta":{{"profile":["http://jpfhir.jp/fhir/core/StructureDefinition/JP_Observation_LabResult"],"lastUpdated":"2018-10-01T09:00:00+09:00"}},"status":"final","category":[{{"coding":[{{"system":"http://jpfhir.jp/fhir/core/CodeSystem/JP_SimpleObservationCategory_CS","code":"laboratory"}}]}}],"code":{{"coding":[{{"system":"urn:oid:1.2.392.200119.4.1005","code":"3H{:03}"}}],"text":"検査{:03}"}},"subject":{{"reference":"Patient/p{patient}"}},"effectiveDateTime":"2018-10-{:02}T09:00:00+09:00","valueQuantity":{{"value":{number}.5,"unit":"mEq/L"}},"referenceRange":[{{"low":{{"value":3.6}},"high":{{"value":4.8}}}}],"interpretation":[{{"coding":[{{"code":"N"}}]}}]}}"#,
                number % 50,
                number % 50,
                number % 28 + 1
            )?;
        }
    }
    results.flush()?;
    Ok(fs::metadata(dir.join("Patient.ndjson"))?.len() + fs::metadata(dir.join("Observation.ndjson"))?.len())
}
