//! What a backup keeps of a file besides its content, in both directions against a stock restic.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use recover::Error;
use recover::vault::{BackupRequest, Facet, Filter, Marker, Pattern, SourceCommand, StreamRequest, Vault};
use schema::ExceptionKind;

use crate::support::{Place, below, census, noise, password};

fn run(program: &str, args: &[&OsStr]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn sh(script: &str, dir: &Path) {
    let output = Command::new("sh").args(["-euc", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Extended attributes by path, access lists among them, as `getfattr` tells them.
fn attributes(root: &Path) -> BTreeMap<String, String> {
    let output = Command::new("getfattr")
        .args(["-R", "-P", "-h", "-d", "-e", "hex", "-m", "-", "."])
        .current_dir(root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let blocks = text.split("\n\n").filter_map(|block| block.split_once('\n'));
    blocks.map(|(file, rest)| (file.to_owned(), rest.to_owned())).collect()
}

/// Which names share an inode.
fn links(root: &Path) -> Vec<Vec<PathBuf>> {
    let mut inodes: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut stack = vec![root.to_owned()];
    while let Some(path) = stack.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            stack.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.nlink() > 1 {
            inodes.entry(meta.ino()).or_default().push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
    let mut groups: Vec<Vec<PathBuf>> = inodes.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort());
    groups.sort();
    groups
}

/// Everything that Linux lets root write down about files.
fn odd_tree(place: &Place) {
    let source = place.source();
    let deep = source.join(vec!["d".repeat(200); 15].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("n".repeat(255)), "as deep as a path can be named at once").unwrap();
    fs::write(source.join(OsStr::from_bytes(b"\xff\xfe")), "not UTF-8").unwrap();
    fs::write(source.join("two\nlines\\ \"quoted\" \u{7f}"), "odd name").unwrap();
    symlink(OsStr::from_bytes(b"to/\xff"), source.join("link-to-bytes")).unwrap();
    place.write("large", noise(3, 2 << 20));
    sh(
        "echo record > file; : > empty; mkdir dir closed; echo x > closed/inside
         setfattr -n user.comment -v 診療録 file
         setfattr -n user.empty file
         setfattr -n user.binary -v 0x00ff00 dir
         setfattr -n user.large -v 0x$(head -c 3000 /dev/zero | od -An -v -tx1 | tr -d ' \\n') large
         setfacl -m u:1234:rw,g:4321:r file
         setfacl -m u:1234:rwx -m d:u:1234:rx dir
         ln file dir/hard; ln large dir/hard-large
         mkfifo pipe
         chmod 6711 large; chmod 1777 dir; chmod 000 closed/inside; chmod 311 closed
         touch -d '1955-11-05T06:00:00.123456789Z' file
         touch -d '2106-02-07T06:28:16.000000001Z' empty
         touch -h -d '1969-12-31T23:59:59.999999999Z' link-to-bytes
         touch -d '2018-10-16T05:40:00Z' dir closed",
        &source,
    );
}

/// What only root may make.
fn odder_tree(place: &Place) {
    sh(
        "mknod null c 1 3; mknod loop b 7 200; chmod 640 null
         setfattr -n trusted.chartward -v secret file
         setfattr -n security.chartward -v label file
         setfattr -h -n trusted.link -v on-the-link link-to-bytes
         setfattr -n trusted.pipe -v on-the-pipe pipe
         setcap cap_net_bind_service=ep large 2>/dev/null ||
           setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 large
         chown 1234:4321 file dir; chown -h 1234:4321 link-to-bytes; chown 4294967294:70000 empty",
        &place.source(),
    );
}

fn compare(ours: &Path, source: &Path) {
    assert_eq!(census(ours), census(source));
    assert_eq!(attributes(ours), attributes(source));
}

#[test]
fn everything_about_a_file_comes_back_whoever_stored_and_whoever_restores_it() {
    let test = "everything_about_a_file_comes_back_whoever_stored_and_whoever_restores_it";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    if testkit::tool(test, "setfattr").is_none()
        || testkit::tool(test, "setfacl").is_none()
        || !testkit::root(test)
    {
        return;
    }
    let place = Place::new();
    odd_tree(&place);
    odder_tree(&place);
    let report = place.backup();
    assert_eq!(report.exceptions, []);
    place.restic(&restic, &["check", "--read-data"]);
    let (ours, report) = place.restore_latest("ours-by-us");
    assert_eq!((report.not_restored, report.metadata), (vec![], vec![]));
    compare(&ours, &place.source());
    assert_eq!(links(&ours), links(&place.source()));

    // restic 0.14 keeps attributes of links for itself; everything else has to be alike.
    sh("setfattr -h -x trusted.link link-to-bytes; rm link-to-bytes; ln -s plain link", &place.source());
    place.backup();
    let target = place.dir.path().join("ours-by-restic");
    place.restic(&restic, &["restore", "latest", "--target", target.to_str().unwrap()]);
    compare(&below(&target, &place.source()), &place.source());
    assert_eq!(links(&below(&target, &place.source())), links(&place.source()));

    fs::remove_dir_all(place.vault_dir()).unwrap();
    place.restic(&restic, &["init"]);
    place.restic(&restic, &["backup", place.source().to_str().unwrap()]);
    let (ours, report) = place.restore_latest("theirs-by-us");
    assert_eq!((report.not_restored, report.metadata), (vec![], vec![]));
    compare(&ours, &place.source());
    assert_eq!(links(&ours), links(&place.source()));
}

#[test]
fn links_and_pipes_with_several_names_have_them_again_and_a_socket_is_left_out() {
    let place = Place::new();
    sh(
        "mkdir d; ln -s nowhere link; ln link d/link; mkfifo pipe; ln pipe d/pipe; echo x > file",
        &place.source(),
    );
    let _socket = UnixListener::bind(place.source().join("socket")).unwrap();
    let report = place.backup();
    assert_eq!(report.exceptions, []);
    let (ours, report) = place.restore_latest("again");
    assert_eq!((report.not_restored, report.metadata), (vec![], vec![]));
    // Of a pipe the format keeps no number of links.
    assert_eq!(links(&ours), [[PathBuf::from("d/link"), PathBuf::from("link")]]);
    assert!(!ours.join("socket").exists());
}

#[test]
fn an_access_list_that_the_target_hands_down_does_not_stay() {
    let test = "an_access_list_that_the_target_hands_down_does_not_stay";
    if testkit::tool(test, "setfacl").is_none() {
        return;
    }
    let place = Place::new();
    let path = place.write("record", "for its owner and group");
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    place.backup();
    let target = place.dir.path().join("target");
    fs::create_dir(&target).unwrap();
    sh("setfacl -d -m u:1234:rwx .", &target);
    let snapshot = place.vault.find("latest").unwrap();
    place.vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
    let restored = below(&target, &place.source()).join("record");
    let list = run("getfacl", &["-cp".as_ref(), restored.as_ref()]);
    assert!(!list.contains("1234"), "{list}");
}

#[test]
fn an_ordinary_user_is_told_once_for_each_kind_what_could_not_be_set() {
    let test = "an_ordinary_user_is_told_once_for_each_kind_what_could_not_be_set";
    if testkit::tool(test, "setfattr").is_none() || !testkit::root(test) {
        return;
    }
    let place = Place::new();
    for number in 0..40 {
        let path = place.write(&format!("file-{number:02}"), "x");
        std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
        run("setfattr", &["-n".as_ref(), "trusted.x".as_ref(), "-v".as_ref(), "1".as_ref(), path.as_ref()]);
    }
    place.backup();
    let helper = std::env::current_exe().unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(helper)
        .args(["--exact", "vault_meta::the_part_of_an_ordinary_user", "--nocapture"])
        .env("CHARTWARD_TEST_RESTORE", readable(&place))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("checked as an ordinary user"), "{said}");
}

/// Lets anybody read the vault and write beside it.
fn readable(place: &Place) -> PathBuf {
    let dir = place.dir.path();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).unwrap();
    sh("chmod -R a+rwX vault", dir);
    dir.to_owned()
}

/// Runs in a process of its own for the test above; by itself it has nothing to do.
#[test]
fn the_part_of_an_ordinary_user() {
    let Some(dir) = std::env::var_os("CHARTWARD_TEST_RESTORE").map(PathBuf::from) else { return };
    let vault = Vault::open(&dir.join("vault"), &password()).unwrap();
    let snapshot = vault.find("latest").unwrap();
    let report = vault.restore(&snapshot, &dir.join("target"), &[], &|_| ()).unwrap();
    assert_eq!((report.files, report.not_restored), (40, vec![]));
    let of = |facet| report.metadata.iter().filter(|set| set.facet == facet).collect::<Vec<_>>();
    let owner = of(Facet::Owner);
    assert_eq!(owner.len(), 1, "{:?}", report.metadata);
    assert!(owner[0].paths >= 40);
    assert_eq!(of(Facet::SystemAttribute).iter().map(|set| set.paths).collect::<Vec<_>>(), [40]);
    assert_eq!(report.metadata.len(), 2);
    println!("checked as an ordinary user");
}

/// The immutable flag, taken off again with the test.
struct Immutable(PathBuf);

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

#[test]
fn what_is_immutable_in_the_target_is_named_and_the_rest_is_restored() {
    let test = "what_is_immutable_in_the_target_is_named_and_the_rest_is_restored";
    if !testkit::root(test) {
        return;
    }
    let place = Place::new();
    place.write("locked", "new content");
    place.write("other", "content");
    place.backup();
    let target = place.dir.path().join("target");
    let locked = below(&target, &place.source()).join("locked");
    fs::create_dir_all(locked.parent().unwrap()).unwrap();
    fs::write(&locked, "old").unwrap();
    if !Command::new("chattr").arg("+i").arg(&locked).status().unwrap().success() {
        testkit::skip(test, "this file system knows no immutable files");
        return;
    }
    let _flag = Immutable(locked.clone());
    let snapshot = place.vault.find("latest").unwrap();
    let report = place.vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
    let named: Vec<&PathBuf> = report.not_restored.iter().map(|lost| &lost.path).collect();
    assert_eq!((named, report.files), (vec![&place.source().join("locked")], 1));
    assert_eq!(fs::read(&locked).unwrap(), b"old");
    let left: Vec<_> = fs::read_dir(locked.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing half-made stays behind");
}

/// A file system on a loop device, unmounted with the test.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_file_that_breaks_off_in_the_middle_and_a_folder_without_read_right_are_named() {
    let test = "a_file_that_breaks_off_in_the_middle_and_a_folder_without_read_right_are_named";
    if !testkit::root(test) || testkit::tool(test, "mkfs.ext4").is_none() {
        return;
    }
    let place = Place::new();
    let image = place.dir.path().join("disk");
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), "-O".as_ref(), "^has_journal".as_ref(), image.as_ref()]);
    let mount = place.source().join("disk");
    fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mount).status().unwrap();
    if !mounted.success() {
        testkit::skip(test, "no loop device can be had here");
        return;
    }
    let disk = Disk(mount.clone());
    fs::write(mount.join("good"), "record").unwrap();
    fs::write(mount.join("torn"), noise(5, 45 << 20)).unwrap();
    sh("sync -f .; echo 3 > /proc/sys/vm/drop_caches", &mount);
    // The disk loses its second half.
    fs::OpenOptions::new().write(true).open(&image).unwrap().set_len(32 << 20).unwrap();
    let report = place.backup();
    let named: Vec<(&str, ExceptionKind)> =
        report.exceptions.iter().map(|e| (e.path.as_str(), e.kind)).collect();
    let torn = mount.join("torn");
    assert!(named.contains(&(torn.to_str().unwrap(), ExceptionKind::Unreadable)), "{named:?}");
    let files = place.vault.files(&place.vault.find("latest").unwrap()).entry(&torn);
    assert!(files.is_err(), "no half of it");
    drop(disk);
}

fn left(place: &Place, filter: &Filter) -> Vec<String> {
    let request = BackupRequest { filter, ..place.request() };
    let report = place.vault.backup(request, &|_| ()).unwrap();
    assert_eq!(report.exceptions, []);
    names(place)
}

fn names(place: &Place) -> Vec<String> {
    let vault = place.reopen();
    let snapshot = vault.snapshots().unwrap().0.pop().unwrap();
    let top = vault.files(&snapshot).entry(&place.source()).unwrap();
    let relative = |path: PathBuf| path.strip_prefix(place.source()).unwrap().display().to_string();
    vault.walk(&top).map(|entry| relative(entry.unwrap().path)).collect()
}

#[test]
fn what_is_left_out_is_what_restic_leaves_out() {
    let Some(restic) = testkit::tool("what_is_left_out_is_what_restic_leaves_out", "restic") else { return };
    let place = Place::new();
    for name in [
        "a.txt",
        "a.tmp",
        "logs/keep.log",
        "logs/other.log",
        "x/y/z/deep.txt",
        "x/cache/c",
        "tagged/data",
        "old/data",
    ] {
        place.write(name, name);
    }
    place.write("large.bin", noise(1, 3000));
    place.write("tagged/NOBACKUP", "leave me out");
    place.write("old/NOBACKUP", "something else");
    place.write("caches/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    place.write("caches/thing", "x");
    let absolute = format!("{}/x/**/deep.txt", place.source().display());
    type Rules<'r> = (&'r [&'r str], &'r [&'r str], Option<u64>);
    let cases: &[Rules<'_>] = &[
        (&[], &[], None),
        (&["*.tmp"], &[], None),
        (&["*.log", "!keep.log"], &[], None),
        (&["logs", "!keep.log"], &[], None),
        (&["x/**/deep.txt", "cache"], &[], None),
        (&[&absolute], &[], None),
        (&["[a-b].*", "?ld"], &[], None),
        (&["**/y"], &[], None),
        (&[], &["NOBACKUP"], None),
        (&[], &["NOBACKUP:leave me"], None),
        (&[], &["CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55"], None),
        (&["data"], &[], Some(2000)),
    ];
    for (patterns, markers, larger_than) in cases {
        let filter = Filter {
            patterns: patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
            if_present: markers.iter().map(|text| Marker::parse(text).unwrap()).collect(),
            larger_than: *larger_than,
            one_file_system: false,
        };
        let ours = left(&place, &filter);
        let mut args = vec!["backup".to_owned(), place.source().display().to_string()];
        args.extend(patterns.iter().flat_map(|text| ["--exclude".to_owned(), (*text).to_owned()]));
        args.extend(markers.iter().flat_map(|text| ["--exclude-if-present".to_owned(), (*text).to_owned()]));
        args.extend(
            larger_than.iter().flat_map(|size| ["--exclude-larger-than".to_owned(), size.to_string()]),
        );
        place.restic(&restic, &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ours, names(&place), "{args:?}");
    }
}

#[test]
fn another_file_system_is_left_out_but_for_the_folder_that_it_is_mounted_on() {
    let test = "another_file_system_is_left_out_but_for_the_folder_that_it_is_mounted_on";
    if !testkit::root(test) {
        return;
    }
    let place = Place::new();
    place.write("here", "x");
    let mount = place.source().join("elsewhere");
    fs::create_dir(&mount).unwrap();
    run("mount", &["-t".as_ref(), "tmpfs".as_ref(), "test".as_ref(), mount.as_ref()]);
    let _disk = Disk(mount);
    place.write("elsewhere/there/file", "y");
    assert_eq!(left(&place, &Filter::default()).len(), 4);
    let filter = Filter { one_file_system: true, ..Filter::default() };
    assert_eq!(left(&place, &filter), ["elsewhere", "here"]);
}

fn stream(place: &Place, script: &str) -> Result<recover::vault::BackupReport, Error> {
    let command = ["sh", "-c", script].map(Into::into);
    let mut command = SourceCommand::start(&command)?;
    let mut output = command.output();
    let request = StreamRequest {
        path: "/dumps/診療.sql".into(),
        tags: vec!["dump".to_owned()],
        hostname: "db".to_owned(),
        time: jiff::Timestamp::now(),
        extra: None,
    };
    place.vault.backup_stream(request, &mut output, || command.finish(), &|_| ())
}

#[test]
fn the_output_of_a_command_is_stored_as_restic_would_store_it() {
    let Some(restic) = testkit::tool("the_output_of_a_command_is_stored_as_restic_would_store_it", "restic")
    else {
        return;
    };
    let place = Place::new();
    let content = place.dir.path().join("content");
    fs::write(&content, noise(9, 20_000_000)).unwrap();
    let report = stream(&place, &format!("cat {}", content.display())).unwrap();
    assert_eq!((report.files, report.bytes), (1, 20_000_000));
    place.restic(&restic, &["check", "--read-data"]);
    assert_eq!(place.restic(&restic, &["dump", "latest", "/dumps/診療.sql"]).stdout, noise(9, 20_000_000));
    // The same bytes are cut in the same places, so a second time nothing is added but the snapshot.
    let packs = place.packs().len();
    place.restic(&restic, &["backup", content.to_str().unwrap()]);
    assert!(place.packs().len() <= packs + 1);
    let again = stream(&place, &format!("cat {}", content.display())).unwrap();
    assert!(again.bytes_added < 5000, "{}", again.bytes_added);
    assert_eq!(stream(&place, "true").unwrap().bytes, 0);
}

#[test]
fn a_command_that_fails_or_is_killed_leaves_no_snapshot_and_its_last_words() {
    let place = Place::new();
    for (script, words, how) in [
        (
            "head -c 3000000 /dev/zero; echo 'pg_dump: error: connection lost' >&2; exit 3",
            "connection lost",
            "3",
        ),
        ("head -c 3000000 /dev/zero; kill -9 $$", "", "signal: 9"),
        ("exit 1", "", "1"),
        ("yes words | head -c 1000000 >&2; echo last >&2; exit 1", "last", "1"),
    ] {
        match stream(&place, script).unwrap_err() {
            Error::SourceFailed { command, status, words: said } => {
                assert_eq!(command, "sh");
                assert!(said.ends_with(words) && status.contains(how), "{status}: {said}");
                assert!(said.len() <= 4096);
            }
            other => panic!("{other}"),
        }
        assert_eq!(place.reopen().snapshots().unwrap().0, []);
    }
    assert!(matches!(SourceCommand::start(&["/no/such".into()]), Err(Error::SourceNotStarted { .. })));
    assert!(matches!(SourceCommand::start(&[]), Err(Error::SourceNotStarted { .. })));
}

#[test]
fn a_stream_that_breaks_off_leaves_no_snapshot() {
    struct Broken(u32);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 20 { Err(std::io::Error::other("the cable was pulled")) } else { Ok(buffer.len()) }
        }
    }
    let place = Place::new();
    let request = StreamRequest {
        path: "/dump".into(),
        tags: Vec::new(),
        hostname: "db".to_owned(),
        time: jiff::Timestamp::now(),
        extra: None,
    };
    let error = place.vault.backup_stream(request, &mut Broken(0), || Ok(()), &|_| ()).unwrap_err();
    assert!(matches!(error, Error::Stream { .. }), "{error}");
    assert_eq!(place.reopen().snapshots().unwrap().0, []);
}
