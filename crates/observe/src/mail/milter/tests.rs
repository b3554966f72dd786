//! A mail server's side of the dialogue, spoken by hand.

use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use super::packet::{how, read, write};
use super::*;

const ALL: u32 = 0x7f_ffff;

/// A milter that ends with the test.
struct Running {
    at: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    seen: Receiver<(Envelope, Vec<u8>)>,
    _dir: tempfile::TempDir,
}

/// Judges by the first word of the subject, as a test may.
fn start(bounds: Bounds) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("milter.sock");
    let server = Server::bind(&Listen::Unix(at.clone())).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, seen) = mpsc::channel();
    let tell = Mutex::new(tell);
    let judge = |mail: &Mail| {
        let text = String::from_utf8_lossy(&mail.message).into_owned();
        match text.split("Subject: ").nth(1).and_then(|rest| rest.split_whitespace().next()) {
            Some("slow") => thread::sleep(Duration::from_millis(400)),
            Some("hang") => thread::sleep(Duration::from_secs(3)),
            Some("panic") => panic!("a judge that breaks off, on purpose"),
            _ => {}
        }
        text.contains("phish")
    };
    let decide = move |mail: &Mail, judged: Result<bool, Trouble>| {
        let _ = tell.lock().unwrap().send((mail.envelope.clone(), mail.message.clone()));
        match judged {
            Ok(false) => Decision::Pass(vec![
                Edit::Change { name: "X-Old".into(), index: 1, value: Vec::new() },
                Edit::Insert { name: "X-New".into(), value: "1\0\r".into() },
                Edit::Body(b"new".to_vec()),
            ]),
            Ok(true) => {
                Decision::Reject { code: 550, status: "5.7.1", lines: vec!["100%".into(), "no".into()] }
            }
            Err(trouble) => Decision::TryLater { line: format!("{trouble:?}") },
        }
    };
    let handler = Handler { judge: Box::new(judge), decide: Box::new(decide) };
    let ending = Arc::clone(&stop);
    let thread = thread::spawn(move || server.serve(handler, bounds, &ending).unwrap());
    Running { at, stop, thread: Some(thread), seen, _dir: dir }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What a mail server does.
struct Client(UnixStream);

impl Client {
    fn connect(running: &Running, protocol: u32) -> Self {
        let stream = UnixStream::connect(&running.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut client = Self(stream);
        client.send(b'O', &[6_u32.to_be_bytes(), ALL.to_be_bytes(), protocol.to_be_bytes()].concat());
        let agreed = client.answer();
        assert_eq!(agreed.0, b'O');
        assert_eq!(&agreed.1[..4], 6_u32.to_be_bytes());
        assert_eq!(&agreed.1[8..], (protocol & how::WANTED).to_be_bytes());
        client
    }

    fn send(&mut self, command: u8, data: &[u8]) {
        write(&mut self.0, command, data).unwrap();
    }

    fn answer(&mut self) -> (u8, Vec<u8>) {
        let packet = read(&mut self.0).unwrap().expect("an answer");
        (packet.command, packet.data)
    }

    /// A whole mail up to its end.
    fn mail(&mut self, subject: &str, body: &[u8]) {
        self.send(b'D', b"Mi\0QUEUE1\0{auth_authen}\0\0");
        self.send(b'M', b"<a@b.example>\0SIZE=10\0");
        self.send(b'R', b"<dr@hospital.example>\0");
        self.send(b'L', format!("Subject\0 {subject}\n\tfolded\0").as_bytes());
        self.send(b'N', b"");
        for piece in body.chunks(60_000) {
            self.send(b'B', piece);
        }
        self.send(b'E', b"");
    }
}

#[test]
fn a_mail_is_put_together_as_it_came_and_changed_as_decided() {
    let running = start(Bounds::default());
    let mut client = Client::connect(&running, ALL);
    client.send(b'C', b"mx.b.example\x004\x00\x19192.0.2.7\0");
    client.send(b'H', b"mx\0");
    for round in 0..3 {
        client.mail("hello", b"body\r\n");
        assert_eq!(client.answer(), (b'm', b"\0\0\0\x01X-Old\0\0".to_vec()));
        assert_eq!(client.answer(), (b'i', b"\0\0\0\0X-New\0 1\0".to_vec()), "nothing breaks out of a value");
        assert_eq!(client.answer(), (b'b', b"new".to_vec()));
        assert_eq!(client.answer(), (b'c', Vec::new()), "{round}");
        let (envelope, message) = running.seen.recv().unwrap();
        assert_eq!(message, b"Subject: hello\r\n\tfolded\r\n\r\nbody\r\n");
        let expected = Envelope {
            client: Some([192, 0, 2, 7].into()),
            client_name: "mx.b.example".into(),
            helo: "mx".into(),
            from: "a@b.example".into(),
            to: vec!["dr@hospital.example".into()],
            queue_id: "QUEUE1".into(),
            ..Envelope::default()
        };
        assert_eq!(envelope, expected);
        client.send(b'A', b"");
    }
    client.mail("phish", b"body");
    assert_eq!(client.answer(), (b'y', b"550-5.7.1 100%%\r\n550 5.7.1 no\0".to_vec()));
    client.send(b'Q', b"");
    assert_eq!(read(&mut client.0).unwrap(), None);
}

#[test]
fn an_old_mail_server_gets_an_answer_to_each_step() {
    let running = start(Bounds::default());
    let mut client = Client::connect(&running, 0);
    for (command, data) in [
        (b'C', &b"x\x00U"[..]),
        (b'H', b"x\0"),
        (b'M', b"<>\0"),
        (b'R', b"<a@b>\0"),
        (b'T', b""),
        (b'L', b"Subject\0hello\0"),
        (b'N', b""),
        (b'B', b"x"),
    ] {
        client.send(command, data);
        assert_eq!(client.answer(), (b'c', Vec::new()), "{}", char::from(command));
    }
    client.send(b'E', b"y");
    assert_eq!(client.answer().0, b'm');
    assert_eq!(running.seen.recv().unwrap().1, b"Subject: hello\r\n\r\nxy");
}

#[test]
fn a_judge_may_take_its_time_hang_or_break_off() {
    let bounds = Bounds {
        judge_within: Duration::from_secs(1),
        progress_every: Duration::from_millis(100),
        ..Bounds::default()
    };
    let running = start(bounds);
    let mut client = Client::connect(&running, ALL);
    for (subject, expected) in [("slow", "progress"), ("hang", "Late"), ("panic", "Broke")] {
        client.mail(subject, b"x");
        let mut progress = 0;
        let answer = loop {
            match client.answer() {
                (b'p', _) => progress += 1,
                other => break other,
            }
        };
        if expected == "progress" {
            assert!(progress >= 2 && answer.0 == b'm', "{progress} {answer:?}");
            for _ in 0..3 {
                client.answer();
            }
        } else {
            assert_eq!(answer, (b'y', format!("451 4.7.1 {expected}\0").into_bytes()));
        }
    }
}

#[test]
fn what_is_too_much_is_told_and_costs_no_memory() {
    let bounds = Bounds { message_bytes: 100_000, held_bytes: 150_000, ..Bounds::default() };
    let running = start(bounds);
    let mut client = Client::connect(&running, ALL);
    client.mail("long", &vec![b'x'; 300_000]);
    assert_eq!(client.answer(), (b'y', b"451 4.7.1 TooLong\0".to_vec()));
    assert!(running.seen.recv().unwrap().1.len() <= 100_000);

    // Two that together hold too much; when the first is gone there is room again.
    let mut other = Client::connect(&running, ALL);
    other.send(b'M', b"<a@b>\0");
    other.send(b'B', &vec![b'x'; 90_000]);
    other.send(b'M', b"<a@b>\0");
    other.send(b'N', b"");
    other.send(b'B', &vec![b'x'; 90_000]);
    thread::sleep(Duration::from_millis(200));
    client.mail("second", &vec![b'x'; 90_000]);
    assert_eq!(client.answer(), (b'y', b"451 4.7.1 Busy\0".to_vec()));
    drop(other);
    thread::sleep(Duration::from_millis(200));
    client.mail("third", &vec![b'x'; 90_000]);
    assert_eq!(client.answer().0, b'm');
}

#[test]
fn a_broken_connection_harms_nobody_else() {
    let running = start(Bounds { connections: 2, ..Bounds::default() });
    let mut good = Client::connect(&running, ALL);
    for broken in
        [&b"\0\0\0\0"[..], b"\xff\xff\xff\xffL", b"\0\0\0\x05Oab", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\x01O"]
    {
        let mut stream = UnixStream::connect(&running.at).unwrap();
        // It may be closed already.
        let _ = stream.write_all(broken);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"", "{broken:?}");
    }
    // One too many is closed at once.
    thread::sleep(Duration::from_millis(300));
    let _second = Client::connect(&running, ALL);
    let mut third = UnixStream::connect(&running.at).unwrap();
    assert_eq!(third.read(&mut [0; 1]).unwrap(), 0);
    good.mail("hello", b"x");
    assert_eq!(good.answer().0, b'm');
}

#[test]
fn places_to_listen_at_are_on_this_machine() {
    for (text, expected) in [
        ("unix:/run/chartward/mail.sock", true),
        ("inet:8891@127.0.0.1", true),
        ("inet:8891@[::1]", true),
        ("inet:8891@localhost", true),
        ("inet:8891@0.0.0.0", false),
        ("inet:8891@192.0.2.1", false),
        ("unix:relative", false),
        ("inet:x@127.0.0.1", false),
        ("", false),
    ] {
        assert_eq!(text.parse::<Listen>().is_ok(), expected, "{text}");
    }
}

#[test]
fn the_socket_of_a_killed_one_is_taken_over_and_a_living_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let listen = Listen::Unix(dir.path().join("sock"));
    drop(UnixListener::bind(dir.path().join("sock")).unwrap());
    let living = Server::bind(&listen).unwrap();
    assert!(Server::bind(&listen).is_err());
    drop(living);
    assert!(!dir.path().join("sock").exists());
    fs::write(dir.path().join("sock"), "somebody's file").unwrap();
    assert!(Server::bind(&listen).is_err());
}
