//! A watcher whose program lies where its user may not go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_chartward");

#[test]
fn a_program_is_run_though_only_root_may_reach_its_folder() {
    if !testkit::root("a_program_is_run_though_only_root_may_reach_its_folder") {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let program = closed.path().join("who");
    fs::copy("/usr/bin/id", &program).unwrap();
    let output = Command::new(BINARY)
        .args(["confine", "--user", "nobody", "--"])
        .arg(&program)
        .arg("-u")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().last(), Some("65534"), "{said}");
}
