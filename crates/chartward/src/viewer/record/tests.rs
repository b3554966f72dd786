use std::fs;

use super::*;

const KEY: [u8; 32] = [7; 32];

fn opened(patient: &str) -> Entry {
    let reader = Reader::test("Dr Sato", Way::Emergency, Some("地震"));
    let act = Act::ChartOpened { patient: PatientId(patient.into()), found: true };
    Entry::of(&reader, "127.0.0.1".parse().unwrap(), act)
}

fn patients(folder: &Path) -> (Vec<String>, Vec<&'static str>) {
    let written = read(folder, &KEY).unwrap();
    let patients = written.entries.iter().filter_map(|entry| Some(entry.patient()?.0.clone()));
    (patients.collect(), written.faults.iter().map(|(_, why)| *why).collect())
}

#[test]
fn what_was_written_is_read_back_over_several_runs_and_is_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(patients(&dir.path().join("none")), (Vec::new(), Vec::new()));
    for run in ["1", "2"] {
        let recorder = Recorder::begin(dir.path(), &KEY, "snapshot").unwrap();
        thread::scope(|scope| {
            for number in 0..4 {
                let recorder = recorder.clone();
                scope.spawn(move || recorder.write(opened(&format!("{run}{number}"))).unwrap());
            }
        });
        // A file's name is its time.
        thread::sleep(std::time::Duration::from_millis(5));
    }
    let (mut found, faults) = patients(dir.path());
    found.sort();
    assert_eq!((found.join(" "), faults), ("10 11 12 13 20 21 22 23".to_owned(), Vec::new()));
    let entry = &read(dir.path(), &KEY).unwrap().entries[1];
    assert_eq!((entry.who.as_str(), entry.reason.as_deref()), ("Dr Sato", Some("地震")));
    for file in fs::read_dir(dir.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"Sato"), "it is sealed");
    }
    let others = read(dir.path(), &[8; 32]).unwrap();
    assert_eq!((others.entries.len(), others.faults.len()), (0, 2));
}

#[test]
fn a_line_that_is_changed_taken_out_or_cut_off_is_told() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &[&str], fault: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::begin(dir.path(), &KEY, "snapshot").unwrap();
        ["1", "2", "3"].iter().for_each(|patient| recorder.write(opened(patient)).unwrap());
        let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
        let (found, faults) = patients(dir.path());
        assert_eq!(
            (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), faults.as_slice()),
            (expected, fault)
        );
    };
    let frame = |bytes: &[u8], number: usize| {
        let mut at = 32;
        for _ in 0..number {
            at += 4 + u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        }
        at
    };
    let altered = "a line was sealed with another key, altered, or taken out";
    check(&|_| (), &["1", "2", "3"], &[]);
    check(&|bytes| _ = bytes.pop(), &["1", "2"], &["it ends within a line"]);
    check(&|bytes| *bytes.last_mut().unwrap() ^= 1, &["1", "2"], &[altered]);
    check(&|bytes| _ = bytes.drain(frame(bytes, 2)..frame(bytes, 3)), &["1"], &[altered]);
    check(&|bytes| bytes.truncate(10), &[], &["it is empty"]);
}
