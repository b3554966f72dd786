//! What attackers do: with a stolen key, and with root on the client, which also has the passphrase.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};

use super::forge::{Master, name_of};
use super::stage::{Stage, noise, read_answer};
use crate::support::{PASSPHRASE, files};

/// A stage with a backup of a source; its snapshot, and the source as it was.
fn with_backup(clients: &[&str]) -> (Stage, std::path::PathBuf, String, super::stage::Files) {
    let stage = Stage::plain(clients, &[]);
    let source = stage.source("source", 1);
    let as_was = files(&source);
    stage.init("clinic");
    let backup = stage.backup("clinic", &source);
    assert_eq!(backup.code, 0, "{}", backup.stderr);
    let id = backup.last()["snapshot"].as_str().unwrap().to_owned();
    (stage, source, id, as_was)
}

#[test]
fn a_stolen_key_destroys_and_changes_nothing() {
    let test = "a_stolen_key_destroys_and_changes_nothing";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let (stage, source, id, as_was) = with_backup(&["clinic", "ward"]);
    let stored = stage.stored("clinic");
    let lock = name_of(b"lock");
    assert_eq!(stage.request("clinic", "POST", &format!("/clinic/locks/{lock}"), b"lock").0, 200);

    for path in stored.keys() {
        // Packs lie in folders by their first digits, of which the protocol knows nothing.
        let mut parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
        if parts[0] == "data" {
            parts.remove(1);
        }
        let url = format!("/clinic/{}", parts.join("/"));
        assert_eq!(stage.request("clinic", "DELETE", &url, b"").0, 403, "{url}");
        assert_eq!(stage.request("clinic", "POST", &url, b"garbage").0, 403, "{url}");
        assert_eq!(stage.request("clinic", "POST", &url, b"").0, 403, "{url}");
    }
    for (method, path) in [
        ("DELETE", "/clinic/"),
        ("DELETE", "/clinic"),
        ("DELETE", "/clinic/data/"),
        ("PUT", "/clinic/config"),
        ("PATCH", "/clinic/config"),
        ("MOVE", "/clinic/config"),
    ] {
        assert!((400..=405).contains(&stage.request("clinic", method, path, b"x").0), "{method} {path}");
    }
    // A repository is not made anew over an old one.
    assert_eq!(stage.request("clinic", "POST", "/clinic/?create=true", b"").0, 200);
    assert_eq!(stage.request("clinic", "DELETE", &format!("/clinic/locks/{lock}"), b"").0, 200);

    assert_eq!(stage.stored("clinic"), stored);
    stage.assert_restores("clinic", "clinic", &id, &source, &as_was);
    let audited = stage.audited();
    for what in ["removal-refused", "overwrite-refused"] {
        assert!(audited.iter().any(|line| line == what), "{what}: {audited:?}");
    }
}

#[test]
fn nothing_wrong_gets_in_and_nobody_gets_out() {
    let stage = Stage::plain(&["clinic", "ward", "boss --admin --of ward"], &[]);
    let name = name_of(b"content");
    let pack = format!("/clinic/data/{name}");
    let post = |path: &str, body: &[u8]| stage.request("clinic", "POST", path, body).0;
    // Bodies: other content, broken off, unannounced, immense.
    assert_eq!(post(&pack, b"contenT"), 400);
    let broken_off = stage.written("clinic", stage.key("clinic"), "POST", &pack, b"content");
    assert_ne!(stage.cut(&broken_off[..broken_off.len() - 2]).0, 200);
    let text = String::from_utf8(stage.written("clinic", stage.key("clinic"), "POST", &pack, b"")).unwrap();
    let chunked =
        text.replace("Content-Length: 0", "Transfer-Encoding: chunked") + "7\r\ncontent\r\n0\r\n\r\n";
    assert_eq!(stage.raw(chunked.as_bytes()).0, 411);
    for (length, status) in [("999999999999", 413), ("18446744073709551616", 400), ("-1", 400)] {
        let huge = text.replace("Content-Length: 0", &format!("Content-Length: {length}"));
        assert_eq!(stage.raw(huge.as_bytes()).0, status, "{length}");
    }
    // Heads.
    let many: String = (0..100).map(|number| format!("X-{number}: x\r\n")).collect();
    let long = format!("X: {}\r\n", "x".repeat(1 << 20));
    for headers in [many, long] {
        let status = stage.raw(text.replace("Host: vault\r\n", &headers).as_bytes()).0;
        assert!(matches!(status, 0 | 400 | 431), "{status}");
    }
    // Paths.
    fs::write(stage.path("secret"), b"secret").unwrap();
    for path in [
        "/../clients.json",
        "/clinic/../../clients.json",
        "/clinic/..%2f..%2fclients.json",
        "/clinic/%2e%2e/ward/config",
        "/clinic/data/../../../clients.json",
        "/clinic/data/..",
        "/clinic/config%00",
        "//etc/passwd",
        "/clinic//etc/passwd",
        "/clinic/receipts/clinic.jsonl",
        "http://other/../clients.json",
        &format!("/clinic/data/{}", "../".repeat(21) + "x"),
    ] {
        for method in ["GET", "POST", "DELETE", "HEAD"] {
            let (status, body) = stage.request("clinic", method, path, b"");
            assert!(status == 400 && !body.contains("sha256"), "{method} {path}: {status} {body}");
        }
    }
    // A zero byte ends the head already.
    assert_eq!(stage.request("clinic", "GET", "/clinic/\0config", b"").0, 400);
    // Others' repositories, whether there or not, and views of them; an administrator's key opens its own alone.
    for path in
        ["/ward/config", "/ward/", "/nobody/config", "/ward/keys/", "/ward@20260101T000000Z/keys/", "/boss/"]
    {
        assert_eq!(stage.request("clinic", "GET", path, b"").0, 403, "{path}");
    }
    assert_eq!(stage.request("boss", "GET", "/clinic/keys/", b"").0, 403);
    assert_eq!(stage.request("boss", "GET", "/ward/keys/", b""), (200, "[]".to_owned()));
    // Keys.
    let with = |name: &str, key: &str| stage.raw(&stage.written(name, key, "GET", "/clinic/keys/", b"")).0;
    for (name, key) in [
        ("clinic", ""),
        ("", ""),
        ("clinic", "x"),
        ("ward", stage.key("clinic")),
        ("nobody", stage.key("clinic")),
    ] {
        assert_eq!(with(name, key), 401, "{name}");
    }
    assert_eq!(stage.raw(b"GET /clinic/keys/ HTTP/1.1\r\nHost: vault\r\nConnection: close\r\n\r\n").0, 401);
    assert_eq!(stage.request("clinic", "POST", "/clinic@20260101T000000Z/config", b"x").0, 403);

    assert!(stage.stored("clinic").is_empty() && stage.stored("ward").is_empty());
    assert_eq!(post(&pack, b"content"), 200);
    // Both versions of the listing.
    let get = stage.written("clinic", stage.key("clinic"), "GET", "/clinic/data/", b"");
    let version_2 = String::from_utf8(get.clone())
        .unwrap()
        .replace("Host: vault", "Host: vault\r\nAccept: application/vnd.x.restic.rest.v2");
    let listed = |request: &[u8]| serde_json::from_str::<Value>(&stage.raw(request).1).unwrap();
    assert_eq!(listed(&get), json!([name]));
    assert_eq!(listed(version_2.as_bytes()), json!([{ "name": name, "size": 7 }]));
    // Parts of files.
    let part = |range: &str| {
        let get = String::from_utf8(stage.written("clinic", stage.key("clinic"), "GET", &pack, b"")).unwrap();
        stage.raw(get.replace("Host: vault", &format!("Host: vault\r\nRange: {range}")).as_bytes())
    };
    assert_eq!(part("bytes=1-3"), (206, "ont".to_owned()));
    assert_eq!(part("bytes=5-"), (206, "nt".to_owned()));
    assert_eq!(part("bytes=7-").0, 416);
}

#[test]
fn root_on_the_client_hides_nothing_that_was_there_before() {
    let test = "root_on_the_client_hides_nothing_that_was_there_before";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let (stage, source, id, as_was) = with_backup(&["clinic"]);
    std::thread::sleep(Duration::from_millis(1100));
    let then = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    std::thread::sleep(Duration::from_millis(1100));

    let master = Master::read(&stage.restic_ok("clinic", "clinic", &["cat", "masterkey", "--no-lock"]));
    let post = |kind: &str, content: &[u8]| {
        let path = format!("/clinic/{kind}/{}", name_of(content));
        assert_eq!(stage.request("clinic", "POST", &path, content).0, 200, "{kind}");
    };
    // Index files that lead every blob to garbage, and that say of the true packs what is not so; many of them, so that some
    // are read before the true ones and some after.
    let garbage = noise(5, 1 << 20);
    post("data", &garbage);
    let true_index = forged_indexes(&stage);
    for number in 0..8 {
        let mut index = true_index.clone();
        for pack in index["packs"].as_array_mut().unwrap() {
            if number % 2 == 0 {
                pack["id"] = json!(name_of(&garbage));
            }
            for blob in pack["blobs"].as_array_mut().unwrap() {
                blob["offset"] = json!(number);
                blob["length"] = json!(200 + number);
                blob["uncompressed_length"] = json!(1000);
            }
        }
        post("index", &master.seal(index.to_string().as_bytes()));
    }
    // A snapshot of the far future with nothing of worth in it, and one that claims to be ancient.
    let encrypted = stage.path("encrypted");
    fs::create_dir(&encrypted).unwrap();
    fs::write(encrypted.join("README_LOCKED.txt"), b"pay").unwrap();
    for time in ["2099-01-01 00:00:00", "1999-01-01 00:00:00"] {
        let tree = json!({ "time": time.replace(' ', "T") + "Z", "tree": name_of(b"none"), "paths": ["/x"], "hostname": "h" });
        post("snapshots", &master.seal(tree.to_string().as_bytes()));
    }
    // Keys that nobody made, an exclusive lock of the future, and the passphrase changed as far as that goes.
    for number in 0..20 {
        post("keys", format!("{{\"not a key\": {number}}}").as_bytes());
    }

    // Our own engine finds its way by itself and says what it found.
    let target = stage.path("ours");
    let restore = stage.ours_restore("clinic", "clinic", &id, &target);
    assert_eq!(restore.code, 0, "{}", restore.stderr);
    assert!(files(&crate::support::restored(&target, &source)) == as_was);
    assert!(restore.stderr.contains("index files contradict each other"), "{}", restore.stderr);
    // Both see the repository as it was.
    let past = format!("clinic@{then}");
    stage.assert_restores("clinic", &past, &id, &source, &as_was);
    assert!(!stage.restic_ok("clinic", &past, &["--no-lock", "snapshots"]).contains("2099"));

    let receipts = stage.at_host(["receipts", "clinic", "--compare"]);
    let odd: Vec<&str> = receipts.lines.iter().filter_map(|line| line["odd"].as_str()).collect();
    assert_eq!((receipts.code, odd), (1, vec!["dated-after-receipt", "dated-long-before-receipt"]));
    assert!(!receipts.stdout.contains(PASSPHRASE));

    // A lock of its own for ever: the view has none, and removing it takes one request.
    let lock = json!({ "time": "2099-01-01T00:00:00Z", "exclusive": true, "hostname": "x", "username": "x", "pid": 1 });
    let lock = master.seal(lock.to_string().as_bytes());
    post("locks", &lock);
    stage.assert_restores("clinic", &past, &id, &source, &as_was);
    let path = format!("/clinic/locks/{}", name_of(&lock));
    assert_eq!(stage.request("clinic", "DELETE", &path, b"").0, 200);
}

/// The true index, as an attacker with the passphrase reads it.
fn forged_indexes(stage: &Stage) -> Value {
    let listed = stage.restic_ok("clinic", "clinic", &["list", "index", "--no-lock"]);
    let mut packs = Vec::new();
    for id in listed.lines() {
        let text = stage.restic_ok("clinic", "clinic", &["cat", "index", id, "--no-lock"]);
        let index: Value = serde_json::from_str(&text).unwrap();
        packs.extend(index["packs"].as_array().unwrap().iter().cloned());
    }
    assert!(!packs.is_empty());
    json!({ "packs": packs })
}

#[test]
fn a_share_that_is_used_up_stops_one_client_and_harms_nothing() {
    let stage = Stage::plain(&["clinic --quota 9MiB", "ward"], &[]);
    let source = stage.source("source", 1);
    let as_was = files(&source);
    stage.init("clinic");
    stage.init("ward");
    let id = stage.backup("clinic", &source).last()["snapshot"].as_str().unwrap().to_owned();
    fs::write(source.join("filler"), noise(77, 8 << 20)).unwrap();
    let refused = stage.backup("clinic", &source);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    assert!(refused.stderr.contains("share of the vault host (9 MiB) is used up"), "{}", refused.stderr);
    assert_eq!(stage.backup("ward", &source).code, 0);
    fs::remove_file(source.join("filler")).unwrap();
    let target = stage.path("restored");
    assert_eq!(stage.ours_restore("clinic", "clinic", &id, &target).code, 0);
    assert!(files(&crate::support::restored(&target, &source)) == as_was);
    let listed = stage.ours("clinic", ["snapshots"]);
    assert_eq!(listed.lines.iter().filter(|line| line["id"].is_string()).count(), 1);
    // What was refused takes no room, and the share can be raised while the server runs.
    assert_eq!(stage.at_host(["client", "quota", "clinic", "100MiB"]).code, 0);
    assert_eq!(stage.backup("clinic", &source).code, 0);
    assert!(stage.audited().iter().any(|what| what == "share-used-up"));
}

#[test]
fn a_thousand_connections_of_one_client_leave_the_others_served() {
    let stage = Stage::plain(&["clinic", "ward"], &[]);
    stage.init("ward");
    let flood: Vec<TcpStream> = (0..1000)
        .filter_map(|number| {
            let mut stream = TcpStream::connect_timeout(&stage.addr, Duration::from_secs(5)).ok()?;
            // Half a request each, or half a body.
            let text = stage.written("clinic", stage.key("clinic"), "POST", "/clinic/config", &[0; 999]);
            let end = if number % 2 == 0 { 20 } else { text.len() - 5 };
            let _ = stream.write_all(&text[..end]);
            Some(stream)
        })
        .collect();
    assert!(flood.len() > 100);
    let started = Instant::now();
    let request = stage.written("ward", stage.key("ward"), "GET", "/ward/config", b"");
    let mut other = connect_from([127, 0, 0, 2], stage.addr);
    other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    other.write_all(&request).unwrap();
    assert_eq!(read_answer(&mut other).0, 200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Beyond its seats, the flood is cut at once.
    let mut last = flood.last().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(last.read(&mut [0; 1]), Ok(0) | Err(_)));
    drop(flood);
    assert!(stage.stored("clinic").is_empty());
}

/// A connection from another address of this machine.
fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket: OwnedFd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((from, 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    socket.into()
}
