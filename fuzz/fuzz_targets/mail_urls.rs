//! Any text: the URLs in it have the hosts that they are told to have, and a host read once more stays what it is.
#![no_main]

use decode::mail::{host_of, urls};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for link in urls(text) {
        assert!(link.url.chars().count() <= 2_048);
        assert_eq!(link.host, host_of(&link.url));
    }
    let host = host_of(text);
    assert!(!host.ends_with('.'));
    if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) && !host.is_empty() {
        assert_eq!(host_of(&format!("http://{host}/")), host);
    }
});
