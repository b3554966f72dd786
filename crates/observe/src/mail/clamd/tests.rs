use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use testkit::clamd::{Daemon, eicar, test_files, test_program};

use super::{Clamd, Endpoint, Scan, parse};
use crate::error::Error;

fn over_socket(daemon: &Daemon) -> Clamd {
    Clamd::new(Endpoint::Unix(daemon.socket()))
}

fn over_tcp(daemon: &Daemon) -> Clamd {
    Clamd::new(Endpoint::Tcp((Ipv4Addr::LOCALHOST, daemon.port).into()))
}

#[test]
fn a_real_daemon_tells_the_test_text_from_a_letter() {
    let eicar = eicar();
    let test = "a_real_daemon_tells_the_test_text_from_a_letter";
    let Some(daemon) = Daemon::start(test, &[("Test.Own", eicar.as_bytes())]) else { return };
    for clamd in [over_socket(&daemon), over_tcp(&daemon)] {
        assert!(clamd.version().unwrap().starts_with("ClamAV "));
        assert_eq!(clamd.scan(b"").unwrap(), Scan::Clean);
        assert_eq!(clamd.scan("拝啓".as_bytes()).unwrap(), Scan::Clean);
        let found = clamd.scan(eicar.as_bytes()).unwrap();
        assert!(matches!(&found, Scan::Found(name) if name.starts_with("Test.Own")), "{found:?}");
        // Across several blocks.
        let mut long = vec![b' '; 200_000];
        long.extend(eicar.bytes());
        assert!(matches!(clamd.scan(&long).unwrap(), Scan::Found(_)));
        // Its own bound, met while we still write; and ours, met before.
        assert_eq!(clamd.scan(&vec![b'a'; 3 << 20]).unwrap(), Scan::TooLarge);
        assert_eq!(clamd.clone().up_to(10).scan(b"twelve bytes").unwrap(), Scan::TooLarge);
    }
}

#[test]
fn the_scanners_own_test_files_are_found_inside_their_archives() {
    let test = "the_scanners_own_test_files_are_found_inside_their_archives";
    let Some(program) = test_program(test) else { return };
    let Some(daemon) = Daemon::start(test, &[("Test.Clam", &program)]) else { return };
    for name in ["clam.exe", "clam.zip", "clam.exe.bz2", "clam.cab", "clam.7z", "clam.tar.gz"] {
        let Ok(file) = fs::read(test_files().join(name)) else { continue };
        let found = over_socket(&daemon).scan(&file).unwrap();
        assert!(matches!(&found, Scan::Found(name) if name.starts_with("Test.Clam")), "{name}: {found:?}");
    }
}

#[test]
fn only_documented_answers_are_verdicts() {
    let found = |name: &str| Some(Scan::Found(name.to_owned()));
    let rows = [
        ("stream: OK", Some(Scan::Clean)),
        ("stream: Win.Test.EICAR_HDB-1 FOUND", found("Win.Test.EICAR_HDB-1")),
        (
            "stream: Eicar(44d88612fea8a8f36de82e1278abb02f:68) FOUND",
            found("Eicar(44d88612fea8a8f36de82e1278abb02f:68)"),
        ),
        ("INSTREAM size limit exceeded. ERROR", Some(Scan::TooLarge)),
        ("stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND", Some(Scan::TooLarge)),
        ("stream: Can't allocate memory ERROR", None),
        ("stream:  FOUND", None),
        ("stream: A\u{1b}[2J FOUND", None),
        ("stream: OK but", None),
        ("other: OK", None),
        ("OK", None),
        ("", None),
        ("UNKNOWN COMMAND", None),
    ];
    for (answer, expected) in rows {
        assert_eq!(parse(answer), expected, "{answer}");
    }
    assert_eq!(parse(&format!("stream: {} FOUND", "A".repeat(300))), None);
}

#[test]
fn endpoints_are_on_this_machine() {
    let good = [
        "/run/clamav/clamd.ctl",
        "unix:/run/clamav/clamd.ctl",
        "127.0.0.1:3310",
        "tcp:127.0.0.1:3310",
        "[::1]:3310",
    ];
    for text in good {
        let endpoint: Endpoint = text.parse().unwrap();
        assert!(text.ends_with(&endpoint.to_string()), "{text}");
    }
    for text in ["", "clamd.ctl", "unix:clamd.ctl", "192.0.2.1:3310", "localhost:3310", "127.0.0.1"] {
        let error = text.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:3310"), "{error}");
    }
}

/// Somebody who answers one question with these bytes and then does nothing until the test lets go.
fn answering(socket: &Path, answer: &'static [u8]) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(answer).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

#[test]
fn silence_and_nonsense_are_errors_that_name_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let rows: [(&str, &'static [u8], &str); 4] = [
        ("silent", b"", "silent"),
        ("nonsense", b"stream: perhaps\0", "perhaps"),
        ("endless", &[b'a'; 8_192], "endless"),
        ("binary", b"\xff\xfe\0", "binary"),
    ];
    for (name, answer, expected) in rows {
        let socket = dir.path().join(name);
        let server = answering(&socket, answer);
        let began = Instant::now();
        let clamd = Clamd::new(Endpoint::Unix(socket.clone())).within(Duration::from_millis(300));
        let error = clamd.scan(b"anything").unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected) && text.contains(&*socket.to_string_lossy()), "{text}");
        assert!(began.elapsed() < Duration::from_secs(10), "{name} held us up");
        server.join().unwrap();
    }
}

#[test]
fn a_daemon_that_is_not_there_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("nobody");
    let error = Clamd::new(Endpoint::Unix(socket.clone())).ping().unwrap_err();
    assert!(matches!(error, Error::Clamd { .. }));
    let text = error.to_string();
    assert!(text.contains(&*socket.to_string_lossy()) && text.contains("clamav-daemon"), "{text}");
    // A port that nobody has.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    assert!(Clamd::new(Endpoint::Tcp(closed)).ping().is_err());
}
