//! Clients that send a byte now and then, to keep the seats of all others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::stage::{Stage, noise};

/// Sends `text` at once and then a byte at a time until it is cut off; how long that took.
fn drip(stage: &Stage, at_once: &[u8], then: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(stage.addr).unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    stream.write_all(at_once).unwrap();
    let began = Instant::now();
    let mut answer = [0; 1024];
    for byte in then.iter().cycle() {
        // Either the host says that it is over, or it does not take the next byte.
        let over = match stream.read(&mut answer) {
            Ok(_) => true,
            Err(error) => {
                !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
            }
        };
        if over || stream.write_all(&[*byte]).is_err() {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it is served for ever");
    }
    unreachable!("the bytes repeat")
}

#[test]
fn a_client_that_sends_a_byte_now_and_then_is_cut_off_and_holds_up_nobody() {
    let stage = Stage::plain(&["clinic"], &["--client-timeout", "1"]);
    stage.init("clinic");
    let name = "ab".repeat(32);
    let body = noise(1, 4000);
    let upload = stage.written("clinic", stage.key("clinic"), "POST", &format!("/clinic/data/{name}"), &body);
    let head = upload.len() - body.len();
    std::thread::scope(|scope| {
        let slow_head = scope.spawn(|| drip(&stage, b"GET /clinic/config HTTP/1.1\r\n", b"X-Slow: a\r\n"));
        let slow_body = scope.spawn(|| drip(&stage, &upload[..head], &body));
        // Meanwhile others are served.
        assert_eq!(stage.request("clinic", "GET", "/clinic/config", b"").0, 200);
        for (what, took) in [("head", slow_head.join().unwrap()), ("body", slow_body.join().unwrap())] {
            assert!(took > Duration::from_millis(300), "{what} was not waited for: {took:?}");
            assert!(took < Duration::from_secs(20), "{what}: {took:?}");
        }
    });
    assert!(!stage.stored("clinic").keys().any(|path| path.to_string_lossy().contains(&name)));
    assert_eq!(stage.request("clinic", "GET", "/clinic/config", b"").0, 200);
}
