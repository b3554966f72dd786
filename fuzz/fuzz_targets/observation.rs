//! Any bytes as a file of observations, and its lines as records of a day: neither panics nor passes its bounds.
#![no_main]

use judge::telescope::{Day, Record};
use libfuzzer_sys::fuzz_target;
use prove::observation::{read, write};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((head, lines)) = read(bytes) {
        let again = write(head.day, &head.sensor, &lines).expect("what was read can be written");
        assert_eq!(read(&again).expect("what was written can be read").1, lines);
    }
    let mut day = Day::new(0, "fuzz");
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(record) = serde_json::from_slice::<Record>(line) {
            day.take(record);
        }
    }
    let mut twice = day.clone();
    twice.merge(day);
    for record in twice.records() {
        serde_json::to_vec(&record).expect("a record is JSON");
    }
});
