//! Attacks over SMB: the attacker's machine is cut off, the others go on working, and everything comes back.

use std::process::Output;

use super::*;
use crate::samba::{Network, Samba};

const ATTACKER: &str = "192.0.2.7";
const COLLEAGUE: &str = "192.0.2.8";
const FILES: usize = 12;

/// A guarded tree behind a real Samba.
struct Office {
    samba: Samba,
    case: Case,
    room: tempfile::TempDir,
}

impl Office {
    /// `None` where a part is missing, after saying so.
    fn open(test: &str) -> Option<Self> {
        if !testkit::root(test) {
            return None;
        }
        for tool in ["smbd", "smbclient", "smbstatus"] {
            testkit::tool(test, tool)?;
        }
        let network = Network::new(test, &[ATTACKER, COLLEAGUE])?;
        let room = tempfile::tempdir().unwrap();
        let configuration = room.path().join("smb.conf");
        let case = Case::new("permission", &["--smb-conf", configuration.to_str().unwrap()]);
        let samba = Samba::start(test, room.path(), &case.tree, "", Some(network))?;
        Some(Self { samba, case, room })
    }

    /// Commands that encrypt the first files, in one connection or in one for each file.
    fn attack(&self, kind: &str) -> Vec<String> {
        let files = self.case.before.keys().take(FILES).enumerate();
        let of_one = |(number, path): (usize, &PathBuf)| {
            let noise = self.room.path().join(format!("noise-{number}"));
            fs::write(&noise, noise_for(&fs::read(path).unwrap(), number)).unwrap();
            let name = path.strip_prefix(&self.case.tree).unwrap().to_str().unwrap().replace('/', "\\");
            let (got, noise) = (self.room.path().join("got"), noise.display());
            let get = format!("get \"{name}\" {}", got.display());
            match kind {
                "new-then-delete" => format!("{get}\nput {noise} \"{name}.enc\"\ndel \"{name}\""),
                "gandcrab" => format!("{get}\nput {noise} \"{name}\"\nrename \"{name}\" \"{name}.KRAB\""),
                _ => format!("{get}\nput {noise} \"{name}\""),
            }
        };
        let each: Vec<String> = files.map(of_one).collect();
        if kind == "reconnect" { each } else { vec![each.join("\n")] }
    }

    fn as_client(&self, address: &str, commands: &str) -> Output {
        self.samba.client(address, commands).output().unwrap()
    }

    /// Writes and reads a text; whether it went well.
    fn works(&self, address: &str, name: &str) -> bool {
        let text = self.room.path().join("text");
        let back = self.room.path().join(format!("back-{name}"));
        fs::write(&text, format!("a note of {address}\n")).unwrap();
        let commands = format!("put {} {name}\nget {name} {}", text.display(), back.display());
        self.as_client(address, &commands);
        fs::read(&back).is_ok_and(|read| read == fs::read(&text).unwrap())
    }
}

/// As long as the file, seeded, reversible.
fn noise_for(data: &[u8], seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    data.iter().map(|byte| byte ^ next()).collect()
}

#[allow(clippy::print_stdout, reason = "the figures per class are what a reader of the test's output wants")]
fn check_attack_over_smb(test: &str, kind: &str) {
    let Some(mut office) = Office::open(test) else { return };
    assert!(office.works(ATTACKER, "before-7.txt") && office.works(COLLEAGUE, "before-8.txt"));
    for name in ["before-7.txt", "before-8.txt"] {
        fs::remove_file(office.case.tree.join(name)).unwrap();
    }
    // What somebody has opened can be put back, should a removal slip through a closing door.
    let victim = office.case.before.keys().nth(100).unwrap();
    let name = victim.strip_prefix(&office.case.tree).unwrap().to_str().unwrap().replace('/', "\\");
    office.as_client(COLLEAGUE, &format!("get \"{name}\" {}", office.room.path().join("got").display()));
    // Somebody else has a connection open all the while.
    let mut colleague = office.samba.client(COLLEAGUE, "").stdin(Stdio::piped()).spawn().unwrap();
    for commands in office.attack(kind) {
        office.as_client(ATTACKER, &commands);
    }
    let restored = office.case.wait_for("restored", Duration::from_secs(20));
    let restored = restored.unwrap_or_else(|| panic!("{kind}: not stopped: {:?}", office.case.seen));
    assert!(colleague.try_wait().unwrap().is_none(), "{kind}: the other client's connection was ended");
    colleague.kill().unwrap();
    colleague.wait().unwrap();

    let line = |kind: &str| office.case.seen.iter().find(|line| line["type"] == kind).cloned();
    let cut = line("cut_off").unwrap();
    assert_eq!(cut["address"], ATTACKER, "{cut}");
    let finding = office.case.seen.iter().find(|line| line["class_uid"] == 2004).unwrap().to_string();
    assert!(finding.contains(ATTACKER) && finding.contains("Samba client"), "{finding}");
    let touched = restored["files_touched"].as_u64().unwrap();
    println!("{kind} over SMB: {touched} touched, stopped after {} ms", restored["time_to_stop_ms"]);
    assert!(touched <= 6, "{kind}: {restored}");

    // Cut off: nothing can be written, changed or removed; everybody else goes on.
    assert!(!office.works(ATTACKER, "after-7.txt"), "{kind}: the attacker still works");
    office.as_client(ATTACKER, &format!("del \"{name}\"\nrename \"{name}\" x"));
    assert!(office.works(COLLEAGUE, "after-8.txt"), "{kind}: another client was harmed");
    assert!(office.samba.is_up(), "{kind}: the server itself was ended");

    let release = Command::new(env!("CARGO_BIN_EXE_chartward"))
        .args(["guard", "--json", "--release", ATTACKER])
        .args(["--state".as_ref(), office.case.dir.path().join("state").as_os_str()])
        .output()
        .unwrap();
    assert!(release.status.success(), "{}", String::from_utf8_lossy(&release.stderr));
    let end = Instant::now() + Duration::from_secs(10);
    while !office.works(ATTACKER, "released-7.txt") {
        assert!(Instant::now() < end, "{kind}: a released client is still refused");
    }
    office.case.wait_for("nothing more", Duration::from_millis(300));
    for restored in office.case.seen.iter().filter(|line| line["type"] == "restored") {
        assert_eq!(restored["files_irrecoverable"], 0, "{kind}: {restored}");
    }
    office.case.end();
    let after = contents(&office.case.tree);
    for (path, before) in &office.case.before {
        assert_eq!(after.get(path), Some(before), "{kind}: {}", path.display());
    }
    let mut left: Vec<_> = after.keys().filter(|path| !office.case.before.contains_key(*path)).collect();
    left.sort();
    assert_eq!(
        left,
        [&office.case.tree.join("after-8.txt"), &office.case.tree.join("released-7.txt")],
        "{kind}"
    );
}

#[test]
fn a_samba_client_that_encrypts_is_cut_off_and_the_others_go_on() {
    let test = "a_samba_client_that_encrypts_is_cut_off_and_the_others_go_on";
    ["in-place", "new-then-delete", "gandcrab", "reconnect"]
        .iter()
        .for_each(|kind| check_attack_over_smb(test, kind));
}

#[test]
fn a_client_that_was_cut_off_stays_so_when_the_guard_starts_again() {
    let test = "a_client_that_was_cut_off_stays_so_when_the_guard_starts_again";
    let Some(mut office) = Office::open(test) else { return };
    office.case.end();
    let state = office.case.dir.path().join("state");
    fs::create_dir_all(state.join("refused")).unwrap();
    let refusal =
        format!(r#"{{"address":"{ATTACKER}","user":null,"because":"test","at":"2026-01-01T00:00:00Z"}}"#);
    fs::write(state.join("refused").join(format!("{ATTACKER}.json")), refusal).unwrap();
    office.case.start_again(&["--smb-conf", office.room.path().join("smb.conf").to_str().unwrap()]);
    assert!(!office.works(ATTACKER, "refused.txt"));
    assert!(office.works(COLLEAGUE, "served.txt"));
    office.case.end();
}
