//! A viewer over a sample hospital, with a journal of notes, and a client for it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{BINARY, Run, run};

pub(super) struct Stage {
    dir: tempfile::TempDir,
    /// One of its patients, as `charts list` names it.
    pub(super) patient: Value,
}

/// A running viewer; killed when it is dropped.
pub(super) struct Viewer {
    child: Child,
    pub(super) port: u16,
    pub(super) code: String,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stage {
    /// A hospital of a few patients, one of whom was given something.
    pub(super) fn new() -> Stage {
        let dir = tempfile::TempDir::with_prefix("chartward-notes-").unwrap();
        let made = run(Command::new(BINARY)
            .args(["sample", "hospital", "--json", "--patients", "12"])
            .arg(dir.path().join("hospital")));
        assert_eq!(made.code, 0, "{}", made.stderr);
        let mut stage = Stage { dir, patient: Value::Null };
        let listed = stage.run(&["charts", "list", "--json", "--from", &stage.store()]);
        let patients: Vec<Value> =
            listed.lines.iter().filter(|line| line["type"] == "patient").cloned().collect();
        let was_given =
            |patient: &&Value| stage.chart(patient["patient"].as_str().unwrap())["given"].get(0).is_some();
        let patient = patients.iter().find(was_given).unwrap().clone();
        stage.patient = patient;
        stage
    }

    pub(super) fn id(&self) -> &str {
        self.patient["patient"].as_str().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(super) fn store(&self) -> String {
        self.path("hospital").to_str().unwrap().to_owned()
    }

    pub(super) fn journal(&self) -> String {
        self.path("notes/journal").to_str().unwrap().to_owned()
    }

    pub(super) fn chart(&self, id: &str) -> Value {
        self.run(&["charts", "show", id, "--json", "--from", &self.store()]).lines[0].clone()
    }

    /// The binary with the journal of this place.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("CHARTWARD_NOTES", self.journal()).env("LC_ALL", "C.UTF-8");
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// `charts reconcile …` over this hospital.
    pub(super) fn reconcile(&self, args: &[&str]) -> Run {
        let store = self.store();
        let all = [&["charts", "reconcile"], args, &["--json", "--from", &store]].concat();
        self.run(&all)
    }

    pub(super) fn viewer(&self, port: u16) -> Viewer {
        let mut command = self.command(&["charts", "serve", "--json", "--from", &self.store(), "--listen"]);
        command.arg(format!("127.0.0.1:{port}"));
        command.args(["--code-file", &self.file("code", "a code for tests")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // What it says of readers is read, so that it never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let port =
            ready["url"].as_str().unwrap().trim_end_matches('/').rsplit_once(':').unwrap().1.parse().unwrap();
        Viewer { child, port, code: ready["code"].as_str().unwrap().to_owned() }
    }

    /// A note about the patient; `change` makes it another.
    pub(super) fn note(&self, number: u8, entry: Value, change: impl FnOnce(&mut Value)) -> Value {
        let now = jiff::Timestamp::now();
        let mut note = json!({
            "id": format!("{number:02x}").repeat(16), "written_at": now.to_string(),
            "at": jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:00").to_string(), "author": "看護師 山田", "device": "viewer",
            "patient": {"id": self.id(), "name": self.patient["name"], "kana": self.patient["kana"],
                "birth_date": self.patient["birth_date"], "checked": ["name", "birth_date"]},
            "entry": entry,
        });
        change(&mut note);
        note
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

/// Somebody inside, with a language.
pub(super) struct Reader<'v> {
    viewer: &'v Viewer,
    cookie: String,
    lang: &'static str,
}

impl Viewer {
    pub(super) fn enter(&self, name: &str, lang: &'static str) -> Reader<'_> {
        let outside = Reader { viewer: self, cookie: String::new(), lang };
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let form = format!("code={}&who={}", encode(&self.code), encode(name));
        let answer = outside.send("POST", "/enter", Some(("application/x-www-form-urlencoded", &form)));
        let cookie = answer.head.lines().find_map(|line| line.split_once("et-cookie: ")?.1.split(';').next());
        Reader { viewer: self, cookie: cookie.unwrap_or_else(|| panic!("{}", answer.head)).to_owned(), lang }
    }

    pub(super) fn outside(&self) -> Reader<'_> {
        Reader { viewer: self, cookie: String::new(), lang: "en" }
    }
}

impl Reader<'_> {
    pub(super) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// Hands a note in, as the script of the page does.
    pub(super) fn hand_in(&self, note: &Value, token: &str, chart: Option<&str>) -> Answer {
        let body = json!({"note": note, "token": token, "chart": chart}).to_string();
        self.send("POST", "/notes", Some(("application/json", &body)))
    }

    pub(super) fn send(&self, method: &str, path: &str, body: Option<(&str, &str)>) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.viewer.port)).unwrap();
        let (kind, body) = body.unwrap_or(("text/plain", ""));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Language: {}\r\nCookie: {}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            self.lang,
            self.cookie,
            body.len()
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// The value of an attribute in a page.
pub(super) fn attribute(html: &str, name: &str) -> String {
    let (_, rest) = html.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in {html}"));
    rest.split_once('"').unwrap().0.replace("&amp;", "&").replace("&quot;", "\"")
}
