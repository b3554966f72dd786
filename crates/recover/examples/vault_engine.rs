//! The vault's engine alone, for `bench/vault_vs_restic.py`: nothing is decoded and no database is captured by its own backup.
//!
//! `cargo run --release -p recover --example vault_engine -- init VAULT`, `backup VAULT ROOT CACHE`,
//! `restore VAULT TARGET`, `check VAULT`; the passphrase is in `CHARTWARD_PASSWORD`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement that people run by hand")]

use std::path::{Path, PathBuf};

use recover::vault::{BackupRequest, CheckLevel, Password, Vault};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let password = Password::new(std::env::var("CHARTWARD_PASSWORD").unwrap());
    let open = |dir: &str| Vault::open(Path::new(dir), &password).unwrap();
    match words[..] {
        ["init", dir] => drop(Vault::init(Path::new(dir), &password).unwrap()),
        ["backup", dir, root, cache] => {
            let mut request = BackupRequest::new(vec![PathBuf::from(root)]);
            request.cache = Some(PathBuf::from(cache));
            let report = open(dir).backup(request, &|_| ()).unwrap();
            assert!(report.exceptions.is_empty(), "{:?}", report.exceptions);
            println!("{} files, {} new, {} changed", report.files, report.files_new, report.files_changed);
        }
        ["restore", dir, target] => {
            let vault = open(dir);
            let snapshot = vault.find("latest").unwrap();
            let report = vault.restore(&snapshot, Path::new(target), &[], &|_| ()).unwrap();
            assert!(report.not_restored.is_empty(), "{:?}", report.not_restored);
            println!("{} files", report.files);
        }
        ["check", dir] => {
            let report = open(dir).check(CheckLevel::ReadData, &|_| ()).unwrap();
            assert!(report.is_whole(), "{:?}", report.problems);
            println!("{} packs", report.packs);
        }
        _ => panic!("init, backup, restore or check"),
    }
}
