//! A tree behind a real SSH server on the loopback, on which nothing of ours is installed.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::servers::free_port;

use crate::servers::{Running, Yard, ran, wait_until};

struct Ssh {
    // Ended before its folder is removed.
    _server: Running,
    dir: tempfile::TempDir,
    port: u16,
}

impl Ssh {
    fn start(test: &str) -> Option<Ssh> {
        let sshd = testkit::tool(test, "sshd")?;
        testkit::tool(test, "ssh-keygen")?;
        if !testkit::root(test) {
            return None;
        }
        // The server wants this folder, which its own service makes at boot.
        fs::create_dir_all("/run/sshd").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        for key in ["host", "client", "stranger"] {
            let mut keygen = Command::new("ssh-keygen");
            ran(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join(key)));
        }
        let public = |key: &str| fs::read_to_string(path.join(format!("{key}.pub"))).unwrap();
        fs::write(path.join("authorized"), format!("restrict {}", public("client"))).unwrap();
        let port = free_port();
        fs::write(path.join("known"), format!("[127.0.0.1]:{port} {}", public("host"))).unwrap();
        fs::write(path.join("others"), format!("[127.0.0.1]:{port} {}", public("stranger"))).unwrap();
        let file = |name: &str| path.join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\nSubsystem sftp internal-sftp\n",
            file("host"),
            file("authorized")
        );
        fs::write(path.join("sshd_config"), config).unwrap();
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(path.join("sshd_config"));
        let server =
            command.stdin(Stdio::null()).stderr(fs::File::create(path.join("log")).unwrap()).spawn().unwrap();
        let ssh = Ssh { dir, port, _server: Running(server) };
        wait_until("sshd", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Some(ssh)
    }

    fn source(&self, tree: &Path, mirror: &Path, more: &str) -> String {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        format!(
            "ssh:name=karte,host=127.0.0.1,port={},user=root,identity={},known-hosts={},path={},mirror={}{more}",
            self.port,
            file("client"),
            file("known"),
            tree.display(),
            mirror.display()
        )
    }
}

fn restored(yard: &Yard, name: &str) -> std::path::PathBuf {
    let target = yard.dir.path().join(name);
    let snapshot = yard.vault.find("latest").unwrap();
    let report = yard.vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
    assert!(report.not_restored.is_empty());
    target.join("chartward-source/karte/tree")
}

#[test]
fn a_tree_is_pulled_and_only_what_changed_is_fetched_again() {
    let Some(server) = Ssh::start("a_tree_is_pulled") else { return };
    let yard = Yard::new();
    let tree = yard.dir.path().join("it's a tree");
    fs::create_dir_all(tree.join("sub/deep")).unwrap();
    fs::write(tree.join("sub/患者.txt"), "one").unwrap();
    fs::write(tree.join("sub/deep/-dash\nline"), "two").unwrap();
    fs::write(tree.join("gone"), "three").unwrap();
    symlink("/etc", tree.join("link")).unwrap();
    let mirror = yard.dir.path().join("mirror");
    let source = server.source(&tree, &mirror, "");
    let captured = yard.capture(&[&source], &[]).unwrap();
    assert_eq!((captured.manifest.census.files, captured.manifest.exceptions.len()), (3, 0));
    let first = restored(&yard, "first");
    assert_eq!(fs::read_to_string(first.join("sub/患者.txt")).unwrap(), "one");
    assert_eq!(fs::read_to_string(first.join("sub/deep/-dash\nline")).unwrap(), "two");
    assert_eq!(fs::read_link(first.join("link")).unwrap(), Path::new("/etc"));

    // A folder takes the place of a link, a link that of a file; what is gone there goes here.
    fs::remove_file(tree.join("gone")).unwrap();
    fs::remove_file(tree.join("link")).unwrap();
    fs::create_dir(tree.join("link")).unwrap();
    fs::write(tree.join("link/hostname"), "not of this machine").unwrap();
    let captured = yard.capture(&[&source], &[]).unwrap();
    assert_eq!((captured.report.files_new, captured.report.files_unmodified), (1, 2));
    let second = restored(&yard, "second");
    assert!(!second.join("gone").exists());
    assert_eq!(fs::read_to_string(second.join("link/hostname")).unwrap(), "not of this machine");
    assert!(yard.drill().passed());
}

#[test]
fn sftp_alone_is_enough() {
    let Some(server) = Ssh::start("sftp_alone") else { return };
    let yard = Yard::new();
    let tree = yard.dir.path().join("tree \"x\"");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/a"), "one").unwrap();
    let source = server.source(&tree, &yard.dir.path().join("mirror"), ",method=sftp");
    for content in ["one", "two"] {
        fs::write(tree.join("sub/a"), content).unwrap();
        yard.capture(&[&source], &[]).unwrap();
        assert_eq!(fs::read_to_string(restored(&yard, content).join("sub/a")).unwrap(), content);
    }
}

#[test]
fn another_host_key_a_wrong_key_or_a_missing_folder_leave_no_snapshot() {
    let Some(server) = Ssh::start("another_host_key") else { return };
    let yard = Yard::new();
    let tree = yard.dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a"), "one").unwrap();
    let source = server.source(&tree, &yard.dir.path().join("mirror"), "");
    let changed = |from: &str, to: &str| source.replace(from, to);
    for (source, said) in [
        (changed("/known", "/others"), "HOST IDENTIFICATION HAS CHANGED"),
        (changed("/client", "/stranger"), "Permission denied"),
        (changed("/tree,", "/nothing,"), "No such file"),
        (changed(",mirror", ",method=sftp,mirror").replace("/tree,", "/nothing,"), "not found"),
    ] {
        let error = yard.capture(&[&source], &[]).err().unwrap().to_string();
        assert!(error.contains(said), "{source}: {error}");
        assert_eq!(yard.snapshots(), 0);
    }
    fs::set_permissions(server.dir.path().join("client"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(yard.capture(&[&source], &[]).err().unwrap().to_string().contains("only its owner"));
}
