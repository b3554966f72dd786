//! Files that are turned over under their reader, and sockets, with real ones.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

fn clock() -> schema::Micros {
    7
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Everything that is there now, and the place behind it.
fn drain(follow: &mut Follow, at: &mut Option<Position>) -> Vec<String> {
    let mut lines = Vec::new();
    // A rotation is seen at one look and its file at the next.
    for _ in 0..4 {
        while let Some(batch) = follow.poll(0).unwrap() {
            lines.extend(batch.lines().map(|line| String::from_utf8_lossy(line).into_owned()));
            *at = batch.position.clone().or(at.take());
        }
    }
    lines
}

fn pack(from: &Path, to: &Path) {
    let mut packed = flate2::write::GzEncoder::new(File::create(to).unwrap(), flate2::Compression::fast());
    packed.write_all(&fs::read(from).unwrap()).unwrap();
    packed.finish().unwrap();
    fs::remove_file(from).unwrap();
}

#[test]
fn a_log_is_read_once_through_renames_copies_and_packing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.log");
    let mut at = None;
    let mut follow = Follow::new(&path, None, true, Losses::default());
    assert!(drain(&mut follow, &mut at).is_empty());
    append(&path, "one\ntwo\nthr");
    assert_eq!(drain(&mut follow, &mut at), ["one", "two"]);
    append(&path, "ee\nfour\n");
    fs::rename(&path, dir.path().join("auth.log.1")).unwrap();
    append(&path, "five\n");
    append(&dir.path().join("auth.log.1"), "late\n");
    let mut lines = drain(&mut follow, &mut at);
    // The writer still held the old file.
    append(&dir.path().join("auth.log.1"), "later\n");
    lines.extend(drain(&mut follow, &mut at));
    assert_eq!(lines, ["three", "four", "late", "five", "later"]);
    // copytruncate, with lines that were not read yet.
    append(&path, "six\n");
    fs::copy(&path, dir.path().join("auth.log.2")).unwrap();
    File::create(&path).unwrap();
    append(&path, "7\n");
    assert_eq!(drain(&mut follow, &mut at), ["six", "7"]);
}

#[test]
fn a_restart_goes_on_where_it_was_whatever_became_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.log");
    let mut at = None;
    append(&path, "one\ntwo\n");
    assert_eq!(drain(&mut Follow::new(&path, None, true, Losses::default()), &mut at), ["one", "two"]);
    let again =
        |at: &mut Option<Position>| drain(&mut Follow::new(&path, at.clone(), false, Losses::default()), at);
    assert!(again(&mut at).is_empty());
    append(&path, "three\nfour");
    assert_eq!(again(&mut at), ["three"]);
    append(&path, "\n");
    fs::rename(&path, dir.path().join("auth.log.1")).unwrap();
    pack(&dir.path().join("auth.log.1"), &dir.path().join("auth.log.2.gz"));
    std::thread::sleep(Duration::from_millis(20));
    append(&dir.path().join("auth.log.1"), "five\n");
    std::thread::sleep(Duration::from_millis(20));
    append(&path, "six\n");
    assert_eq!(again(&mut at), ["four", "five", "six"]);
    assert!(again(&mut at).is_empty());
    // Another log took the name, and nothing of ours is left: it is new as a whole.
    for name in ["auth.log", "auth.log.1", "auth.log.2.gz"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    append(&path, "other\n");
    assert_eq!(again(&mut at), ["other"]);
}

#[test]
fn packed_files_are_read_and_bombs_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("a.log"), dir.path().join("a.log.gz"));
    append(&plain, "one\ntwo\n");
    pack(&plain, &packed);
    let read = |path: &Path| {
        let (mut file, mut lines) = (FileLines::open(path).unwrap(), 0_u64);
        loop {
            match file.some(&mut |_| lines += 1).unwrap() {
                Ok(true) => {}
                Ok(false) => return (lines, None),
                Err(stopped) => return (lines, Some(stopped)),
            }
        }
    };
    assert_eq!(read(&packed), (2, None));
    let bomb = dir.path().join("bomb.gz");
    let mut out = flate2::write::GzEncoder::new(File::create(&bomb).unwrap(), flate2::Compression::fast());
    for _ in 0..160 {
        out.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    }
    out.finish().unwrap();
    assert_eq!(read(&bomb).1, Some(Stopped::Bomb));
}

#[test]
fn what_a_follower_unpacks_is_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let bomb = dir.path().join("bomb.gz");
    let mut out = flate2::write::GzEncoder::new(File::create(&bomb).unwrap(), flate2::Compression::fast());
    for _ in 0..160 {
        out.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    }
    out.finish().unwrap();
    let mut follow = Follow::new(&bomb, None, true, Losses::default());
    let stopped = (0..1_000).find_map(|_| follow.poll(0).err()).unwrap();
    assert_eq!(stopped.kind(), std::io::ErrorKind::FileTooLarge);
    let skipped = super::follow::skip(&mut std::io::repeat(0), u64::MAX, 10);
    assert_eq!(skipped.unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
}

#[test]
fn a_quiet_log_has_a_place_from_the_moment_it_is_met() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth.log");
    append(&path, "old\n");
    let mut follow = Follow::new(&path, None, false, Losses::default());
    append(&path, "one\n");
    let mut at = None;
    assert_eq!(drain(&mut follow, &mut at), ["one"]);
    // Nothing came until it ended, and then something did, or the file only came to be.
    for name in ["auth.log", "later.log"] {
        let (path, mut at) = (dir.path().join(name), None);
        assert!(drain(&mut Follow::new(&path, None, false, Losses::default()), &mut at).is_empty());
        append(&path, "two\n");
        assert_eq!(drain(&mut Follow::new(&path, at.clone(), false, Losses::default()), &mut at), ["two"]);
    }
}

#[test]
fn a_deleted_log_is_let_go_and_one_that_comes_back_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside, mut at) = (dir.path().join("auth.log"), dir.path().join("aside"), None);
    append(&path, "one\n");
    let mut follow = Follow::new(&path, None, true, Losses::default());
    assert_eq!(drain(&mut follow, &mut at), ["one"]);
    fs::rename(&path, &aside).unwrap();
    assert!(drain(&mut follow, &mut at).is_empty() && !follow.is_there());
    fs::rename(&aside, &path).unwrap();
    append(&path, "two\n");
    assert_eq!(drain(&mut follow, &mut at), ["two"]);
    fs::remove_file(&path).unwrap();
    assert!(drain(&mut follow, &mut at).is_empty() && !follow.is_there());
    append(&path, "three\n");
    assert_eq!(drain(&mut follow, &mut at), ["three"]);
}

fn receive(batches: &crossbeam_channel::Receiver<Batch>, count: usize) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut lines = Vec::new();
    while lines.len() < count && Instant::now() < until {
        if let Ok(batch) = batches.recv_timeout(Duration::from_millis(100)) {
            lines.extend(batch.lines().map(|line| String::from_utf8_lossy(line).into_owned()));
        }
    }
    lines
}

#[test]
fn sockets_give_messages_whole_however_they_are_framed() {
    let (out, batches) = crossbeam_channel::bounded(64);
    let losses = Losses::default();
    let any = "127.0.0.1:0".parse().unwrap();
    let door = udp(any, out.clone(), losses.clone(), clock).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"<38>one\nforged\n", door.at).unwrap();
    assert_eq!(receive(&batches, 1), ["<38>one\nforged"]);
    let door = tcp(any, Transport::Tcp, out.clone(), losses.clone(), clock).unwrap();
    for (bytes, expected) in [
        (&b"<38>one\n<38>two\nlast"[..], vec!["<38>one", "<38>two", "last"]),
        (b"7 <38>one8 <38>a\nb\n", vec!["<38>one", "<38>a\nb"]),
        (b"7 <38>oneno count\nnext\n", vec!["<38>one", "no count", "next"]),
    ] {
        let mut stream = TcpStream::connect(door.at).unwrap();
        for piece in bytes.chunks(3) {
            stream.write_all(piece).unwrap();
        }
        drop(stream);
        assert_eq!(receive(&batches, expected.len()), expected);
    }
}

/// Waits until so much was lost, cut or refused.
fn counted(losses: &Losses, which: usize, expected: u64) {
    let until = Instant::now() + Duration::from_secs(20);
    while losses.all()[which] < expected && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(losses.all()[which], expected);
}

#[test]
fn one_sender_cannot_have_all_connections() {
    let (out, batches) = crossbeam_channel::bounded(64);
    let losses = Losses::default();
    let door = tcp("127.0.0.1:0".parse().unwrap(), Transport::Tcp, out, losses.clone(), clock).unwrap();
    let mut streams: Vec<_> = (0..40).map(|_| TcpStream::connect(door.at).unwrap()).collect();
    counted(&losses, 2, 8);
    streams[0].write_all(b"<38>one\n").unwrap();
    assert_eq!(receive(&batches, 1), ["<38>one"]);
    // A place that is left is free.
    streams.clear();
    let sent = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        TcpStream::connect(door.at).unwrap().write_all(b"<38>two\n").unwrap();
        batches.recv_timeout(Duration::from_millis(100)).is_ok()
    });
    assert!(sent);
}

#[test]
fn what_finds_no_room_is_refused_or_counted_and_batches_are_small() {
    let (out, batches) = crossbeam_channel::bounded(64);
    let losses = Losses::default();
    let any = "127.0.0.1:0".parse().unwrap();
    let posts = serve_http(any, None, out.clone(), losses.clone(), clock).unwrap();
    let datagrams = udp(any, out, losses.clone(), clock).unwrap();
    let post = || {
        let body = "{\"a\":1}\n".repeat(100_000);
        let mut stream = TcpStream::connect(posts.at).unwrap();
        let head = format!("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = [0; 12];
        let _ = stream.read_exact(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let all = losses.room.hold(256 << 20).unwrap();
    // The answer can be overtaken by the end of a connection that was not read to its end.
    assert_ne!(post(), "HTTP/1.1 200");
    counted(&losses, 2, 1);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"<38>one\n", datagrams.at).unwrap();
    counted(&losses, 0, 1);
    drop(all);
    assert_eq!(post(), "HTTP/1.1 200");
    let came: Vec<Batch> = batches.try_iter().collect();
    assert_eq!(came.iter().map(Batch::len).sum::<usize>(), 100_000);
    assert!(came.iter().all(|batch| batch.weight() <= (256 << 10) + 100));
    // Room is given back with the lines, not before.
    let weight = came.iter().map(Batch::weight).sum::<usize>();
    assert!(losses.room.hold((256 << 20) - weight + 1).is_none());
    drop(came);
    assert!(losses.room.hold((256 << 20) - weight + 1).is_some());
}

#[test]
fn collectors_post_lines_arrays_and_bulks() {
    let (out, batches) = crossbeam_channel::bounded(64);
    let losses = Losses::default();
    let door = serve_http("127.0.0.1:0".parse().unwrap(), None, out, losses.clone(), clock).unwrap();
    let ask = |request: &[u8]| {
        let mut stream = TcpStream::connect(door.at).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let post = |path: &str, body: &str| {
        ask(format!(
            "POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes())
    };
    assert!(post("/", "{\"a\":1}\n{\"a\":2}\n").starts_with("HTTP/1.1 200"));
    assert!(post("/", "[{\"a\":3}, {\"a\":4}]").contains("\"taken\":2"));
    assert!(post("/_bulk", "{\"create\":{}}\n{\"a\":5}\n").contains("\"status\":201"));
    let chunked = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":6}\r\n0\r\n\r\n";
    assert!(ask(chunked).starts_with("HTTP/1.1 200"));
    let expected: Vec<String> = (1..=6).map(|number| format!("{{\"a\":{number}}}")).collect();
    assert_eq!(receive(&batches, 6), expected);
    assert!(ask(b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n").starts_with("HTTP/1.1 413"));
    assert!(ask(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
}
