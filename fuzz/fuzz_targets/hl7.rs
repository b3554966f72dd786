//! Any bytes: parsing and reading every value of what parses must neither panic nor produce more than it was given.
#![no_main]

use decode::hl7::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    for segment in message.segments() {
        for n in 0..=segment.len() {
            let field = segment.field(n);
            assert!(field.raw().len() <= bytes.len() * 3);
            for repetition in field.repetitions() {
                let component = repetition.component(1);
                let _ = (component.text(), component.subcomponent(2).text());
                let _ = decode::hl7::datetime(&component.text());
            }
        }
    }
});
