use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Ledger, State};

use super::*;

fn curl(serving: &Serving, host: &str, path: &str) -> String {
    let url = format!("https://{host}:{}{path}", serving.addr.port());
    let resolve = format!("{host}:{}:127.0.0.1", serving.addr.port());
    let out = Command::new("curl").args(["-sik", "--resolve", &resolve, &url]).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn pages_are_served_over_tls_with_their_security_headers() {
    if testkit::tool("console", "curl").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path(), Timestamp::now()).unwrap();
    let (requests, _asked) = crossbeam_channel::bounded(8);
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        names: vec!["localhost".into(), "127.0.0.1".into()],
        tls: true,
        state_dir: dir.path().to_owned(),
        zone: TimeZone::UTC,
        shows: Shows::default(),
    };
    let ledger = Arc::new(Ledger::open(dir.path(), Timestamp::now()).unwrap());
    let serving = serve(settings, Hub::new(state, requests), ledger).unwrap();
    let page = curl(&serving, "localhost", "/login");
    println!("{page}");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(curl(&serving, "evil.example", "/login").starts_with("HTTP/1.1 421"));
    serving.stop();
}
