//! Any text as a Sigma rule, and as the fields of a record that meets it: what loads can be run, what does not says why, and a rule
//! evaluated twice says the same.
#![no_main]

use judge::sigma::{Engine, Filter, own_rules};
use libfuzzer_sys::fuzz_target;
use schema::{LogRecord, ValueKind};

fuzz_target!(|text: &str| {
    let (rule, fields) = text.split_once("\n===\n").unwrap_or((text, text));
    let mut files = vec![("fuzz.yml".to_owned(), rule.to_owned())];
    files.extend(own_rules(false).into_iter().take(8));
    let (mut engine, not_loaded) = Engine::load(files, &Filter::default());
    assert!(not_loaded.iter().all(|not| !not.name.is_empty() && !not.reason.is_empty()));
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for (product, channel, id) in [("windows", "Microsoft-Windows-Sysmon/Operational", Some(1)), ("linux", "sshd", None)] {
        let mut record = LogRecord::default();
        (record.product, record.event_id, record.at) = (product, id, 1_750_000_000_000_000);
        record.channel.push_str(channel);
        for line in fields.lines() {
            let (name, value) = line.split_once('=').unwrap_or(("message", line));
            record.push(name, value, ValueKind::Text);
        }
        let mut sightings = Vec::new();
        engine.matcher().look(&record, record.at, &mut first, &mut sightings);
        engine.matcher().look(&record, record.at, &mut again, &mut sightings);
        assert_eq!(first, again);
        engine.join(&sightings, &mut Vec::new());
    }
    for hit in &first {
        assert!(hit.fields.len() <= 12 && hit.subjects.len() <= 8);
        assert!(judge::entry(&hit.finding().detector).is_some());
    }
});
