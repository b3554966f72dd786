//! Real gpg, openssl and 7z: with an approval they pass, and nothing else does in their name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::after::guard;
use super::{Attacker, Case, contents};

const PATIENCE: Duration = Duration::from_secs(60);
const NOBODY: &str = "65534";

/// A tree that the users `nobody` (65534) and `daemon` (1) may write to.
fn case() -> Case {
    let case = Case::new("permission", &[]);
    fs::set_permissions(case.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    let status = Command::new("chmod").args(["-R", "a+rwX"]).arg(&case.tree).status().unwrap();
    assert!(status.success());
    let homes = case.dir.path().join("homes");
    fs::create_dir(&homes).unwrap();
    open(&homes);
    case
}

/// Encrypts every record below `folder` and removes the original, as `uid`.
fn encrypt(case: &Case, tool: &Path, uid: &str, folder: &str) -> Attacker {
    let name = tool.file_name().unwrap().to_str().unwrap();
    let each = match name {
        "gpg" => {
            "\"$0\" --homedir $H --batch --yes --pinentry-mode loopback --passphrase x --s2k-count 1024 --no-symkey-cache \
             -c -o \"$f.gpg\" \"$f\""
        }
        "openssl" => "\"$0\" enc -aes-256-ctr -pbkdf2 -iter 1 -k x -in \"$f\" -out \"$f.enc\"",
        _ => "\"$0\" a -bd -bso0 -px -mhe=on \"$f.7z\" \"$f\"",
    };
    let line = format!(
        "umask 077; H={}/$$; mkdir $H; for f in $(find {} -type f); do {each} || exit 1; rm \"$f\" || exit 1; done; \
         command -v gpgconf >/dev/null && gpgconf --homedir $H --kill all; exit 0",
        case.dir.path().join("homes").display(),
        case.tree.join(folder).display(),
    );
    let mut command = Command::new("setpriv");
    command.args(["--reuid", uid, "--regid", uid, "--clear-groups", "sh", "-c", &line]).arg(tool);
    Attacker::start(command)
}

fn allow(case: &Case, tool: &Path, folder: &str, time: &str) -> Value {
    let dir = case.tree.join(folder);
    let (code, lines, words) = guard(
        case,
        &[
            "allow",
            "--tool",
            tool.to_str().unwrap(),
            "--user",
            NOBODY,
            "--in",
            dir.to_str().unwrap(),
            "--for",
            time,
            "--reason",
            "the monthly export",
        ],
    );
    assert_eq!(code, 0, "{words}");
    lines[0].clone()
}

/// Waits for a line about an approval.
fn told(case: &mut Case, event: &str) -> Value {
    loop {
        let line = case.wait_for("policy", PATIENCE).unwrap_or_else(|| panic!("{event} is not told"));
        if line["event"] == event {
            return line;
        }
    }
}

fn stopped(case: &mut Case, why: &str) {
    let restored = case.wait_for("restored", PATIENCE).unwrap_or_else(|| panic!("{why}: not stopped"));
    assert_eq!(restored["files_irrecoverable"], 0, "{why}: {restored}");
}

fn passes(case: &mut Case, mut job: Attacker, why: &str) {
    let end = std::time::Instant::now() + PATIENCE;
    while job.0.try_wait().unwrap().is_none() {
        assert!(std::time::Instant::now() < end, "{why}: it does not end");
        assert!(case.wait_for("finding", Duration::from_millis(20)).is_none(), "{why}: taken for an attack");
    }
    assert!(job.0.wait().unwrap().success(), "{why}: it failed");
    assert!(case.wait_for("finding", Duration::from_millis(300)).is_none(), "{why}: taken for an attack");
}

#[test]
fn an_approved_tool_passes_and_nobody_else_does_in_its_name() {
    let test = "an_approved_tool_passes_and_nobody_else_does_in_its_name";
    if !testkit::root(test) || ["gpg", "setpriv"].iter().any(|tool| testkit::tool(test, tool).is_none()) {
        return;
    }
    let gpg = fs::canonicalize(testkit::tool(test, "gpg").unwrap()).unwrap();
    let mut case = case();
    let copy = case.dir.path().join("gpg");
    fs::copy(&gpg, &copy).unwrap();
    let approval = allow(&case, &gpg, "000", "1h");
    told(&mut case, "in_force");

    let job = encrypt(&case, &gpg, NOBODY, "000");
    passes(&mut case, job, "the approved job");
    let mut lines = case.seen.clone();
    lines.retain(|line| line["event"] == "allowed");
    let allowed = lines.pop().unwrap_or_else(|| told(&mut case, "allowed"));
    assert_eq!((&allowed["approval"], &allowed["reason"]), (&approval["id"], &"the monthly export".into()));
    assert!(
        contents(&case.tree.join("000")).keys().all(|path| path.extension().is_some_and(|end| end == "gpg"))
    );

    for (why, tool, uid, folder) in [
        ("another folder", &gpg, NOBODY, "001"),
        ("another user", &gpg, "1", "002"),
        ("another program of that name", &copy, NOBODY, "003"),
    ] {
        // Approved in everything but the one thing.
        if folder != "001" {
            allow(&case, &gpg, folder, "1h");
            told(&mut case, "in_force");
        }
        let _job = encrypt(&case, tool, uid, folder);
        stopped(&mut case, why);
    }
    allow(&case, &gpg, "004", "2s");
    told(&mut case, "in_force");
    told(&mut case, "expired");
    let late = encrypt(&case, &gpg, NOBODY, "004");
    stopped(&mut case, "after its time");
    drop(late);

    // It was an attack after all: what was let pass comes back.
    let (code, lines, words) =
        guard(&case, &["allow", "--revoke", approval["id"].as_str().unwrap(), "--put-back"]);
    assert_eq!((code, &lines[0]["in_force"]), (0, &false.into()), "{words}");
    told(&mut case, "revoked");
    stopped(&mut case, "a recalled approval");
    let (_, lines, _) = guard(&case, &["allow", "--list"]);
    assert_eq!(lines.len(), 4, "{lines:?}");
    case.end();
    let after = contents(&case.tree);
    for (path, (bytes, ..)) in &case.before {
        assert_eq!(after.get(path).map(|(bytes, ..)| bytes), Some(bytes), "{}", path.display());
    }
}

#[test]
fn openssl_and_7z_pass_with_an_approval() {
    let test = "openssl_and_7z_pass_with_an_approval";
    if !testkit::root(test) || testkit::tool(test, "setpriv").is_none() {
        return;
    }
    let mut case = case();
    for (name, folder) in [("openssl", "000"), ("7z", "001")] {
        let Some(tool) = testkit::tool(test, name) else { continue };
        let tool = program_behind(fs::canonicalize(tool).unwrap());
        allow(&case, &tool, folder, "1h");
        told(&mut case, "in_force");
        let job = encrypt(&case, &tool, NOBODY, folder);
        passes(&mut case, job, name);
    }
    if let Some(openssl) = testkit::tool(test, "openssl") {
        let _job = encrypt(&case, &fs::canonicalize(openssl).unwrap(), NOBODY, "002");
        stopped(&mut case, "openssl without an approval");
    }
    case.end();
}

/// Debian's `7z` is a script in some versions.
fn program_behind(tool: PathBuf) -> PathBuf {
    let is_script = fs::read(&tool).unwrap().starts_with(b"#!");
    let real =
        ["/usr/lib/p7zip/7z", "/usr/lib/7zip/7z"].map(PathBuf::from).into_iter().find(|path| path.exists());
    if is_script { real.unwrap_or(tool) } else { tool }
}

#[test]
fn approvals_that_are_no_safe_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("gpg");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let check = |args: &[&str], expected: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_chartward"))
            .args(["guard", "allow", "--in", "/", "--reason", "x"])
            .args(args)
            .args(["--state".as_ref(), dir.path().join("state").as_os_str()])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {words}");
        assert!(words.contains(expected), "{args:?}: {words}");
    };
    let sh = "/bin/sh";
    check(&["--tool", script.to_str().unwrap(), "--user", "0", "--for", "1h"], "is a script");
    check(&["--tool", sh, "--for", "1h"], "--user or --group");
    check(&["--tool", sh, "--user", "0"], "--for or --until");
    check(&["--tool", sh, "--user", "0", "--for", "900h"], "31 days");
    check(&["--tool", sh, "--user", "nobody-is-called-so", "--for", "1h"], "knows nobody");
    check(&["--tool", "/nowhere/gpg", "--user", "0", "--for", "1h"], "find the program");
}
