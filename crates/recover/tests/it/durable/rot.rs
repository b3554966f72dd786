//! The checker must fail: every file of a vault rots, and each time the check says so and everything else restores.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use recover::vault::{CheckLevel, KeyCost, Password, Vault};

use super::scene::{Acknowledged, Dice, Scene, in_memory, keep_newest, prune, prune_at};
use crate::support::{below, census, password};

const SEED: u64 = 0xb17;

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What rot does to a file's content.
type Rot = fn(&mut Vec<u8>, &mut Dice);

const ROTS: [(&str, Rot); 6] = [
    ("a bit has flipped at the beginning", |content, dice| content[dice.roll(16)] ^= 1 << dice.roll(8)),
    ("a bit has flipped somewhere", |content, dice| {
        let at = dice.roll(content.len());
        content[at] ^= 1 << dice.roll(8);
    }),
    ("a bit has flipped at the end", |content, dice| {
        let at = content.len() - 1 - dice.roll(16);
        content[at] ^= 1 << dice.roll(8);
    }),
    ("it is cut off", |content, dice| content.truncate(dice.roll(content.len()))),
    ("it is empty", |content, _| content.clear()),
    ("its end is zero", |content, dice| {
        let from = dice.roll(content.len() - 1);
        content[from..].fill(0);
        *content.last_mut().unwrap() = 0xff;
    }),
];

/// A vault that holds one of everything: keys, index, snapshots, packs, a forgotten snapshot, a note of it, packs that are marked.
fn one_of_everything() -> (Scene, Acknowledged) {
    let scene = Scene::new();
    let vault = scene.open();
    let mut acknowledged = Acknowledged::new();
    for seed in 1..4 {
        scene.backup(&vault, &mut acknowledged);
        scene.change(seed);
    }
    vault.forget(&keep_newest(2)).unwrap();
    prune(&vault, &prune_at(0)).unwrap();
    scene.change(4);
    scene.backup(&vault, &mut acknowledged);
    vault.add_key(&password(), &Password::new("second"), KeyCost::TEST).unwrap();
    let kept: Vec<String> = vault.snapshots().unwrap().0.into_iter().map(|s| s.id.0).collect();
    acknowledged.retain(|id, _| kept.contains(id));
    (scene, acknowledged)
}

/// Packs that are marked: nobody needs them, and nobody reads them any more.
fn marked(scene: &Scene, aside: &Path) -> BTreeSet<PathBuf> {
    let before: BTreeSet<PathBuf> = files(&scene.vault_dir()).into_iter().collect();
    assert!(prune(&scene.open(), &prune_at(25)).unwrap().removed.packs > 0);
    let after: BTreeSet<PathBuf> = files(&scene.vault_dir()).into_iter().collect();
    scene.put_back(aside);
    before
        .difference(&after)
        .filter(|path| path.starts_with(scene.vault_dir().join("data")))
        .cloned()
        .collect()
}

/// Every snapshot that is still listed restores, but for what the report names.
fn restores_what_it_does_not_name(scene: &Scene, vault: &Vault, acknowledged: &Acknowledged, what: &str) {
    for snapshot in vault.snapshots().unwrap().0 {
        let target = in_memory();
        let Ok(report) = vault.restore(&snapshot, target.path(), &[], &|_| ()) else {
            panic!("{what}: {} does not restore at all", snapshot.id.0);
        };
        let root = below(target.path(), &scene.source());
        let back = if root.exists() { census(&root) } else { Default::default() };
        for (path, content) in &acknowledged[&snapshot.id.0] {
            let path_text = String::from_utf8_lossy(path).into_owned();
            let full = scene.source().join(&path_text);
            let is_named = report.not_restored.iter().any(|lost| full.starts_with(&lost.path));
            if content.contains('#') && !is_named {
                assert_eq!(back.get(path), Some(content), "{what}: {path_text} of {}", snapshot.id.0);
            }
        }
    }
}

#[test]
fn rot_in_any_file_is_found_and_costs_only_what_it_hits() {
    let (scene, acknowledged) = one_of_everything();
    let aside = in_memory();
    let aside = aside.path().join("vault");
    scene.copy_vault(&aside);
    let marked = marked(&scene, &aside);
    let mut dice = Dice::new(SEED);
    let mut tried = 0;
    let mut kinds = BTreeSet::new();
    for file in files(&scene.vault_dir()) {
        if marked.contains(&file) || file.starts_with(scene.vault_dir().join("locks")) {
            continue;
        }
        let whole = fs::read(&file).unwrap();
        let kind = file.strip_prefix(scene.vault_dir()).unwrap().parent().unwrap().to_owned();
        kinds.insert(if kind.starts_with("data") { PathBuf::from("data") } else { kind });
        for (rot, spoil) in ROTS {
            let mut content = whole.clone();
            spoil(&mut content, &mut dice);
            fs::write(&file, &content).unwrap();
            tried += 1;
            let what = format!("seed {SEED:#x}, {}: {rot}", file.display());
            if let Ok(vault) = Vault::open(&scene.vault_dir(), &password()) {
                let checked = vault.check(CheckLevel::ReadData, &|_| ()).unwrap();
                assert!(!checked.is_whole(), "{what}: unnoticed");
                restores_what_it_does_not_name(&scene, &vault, &acknowledged, &what);
            }
            fs::write(&file, &whole).unwrap();
        }
    }
    println!("{tried} kinds of rot in {kinds:?}");
    assert!(tried > 80 && kinds.len() == 8, "{tried} {kinds:?}");
    assert_eq!(scene.survives(&acknowledged), Ok(()));
}

#[test]
fn a_stock_restic_finds_what_we_find_in_each_part_of_its_format() {
    let test = "a_stock_restic_finds_what_we_find_in_each_part_of_its_format";
    if testkit::tool(test, "restic").is_none() {
        return;
    }
    let scene = Scene::new();
    scene.backup(&scene.open(), &mut Acknowledged::new());
    for folder in ["data", "index", "snapshots", "keys", ""] {
        let all = files(&scene.vault_dir().join(folder));
        let file = all.into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let file = if folder.is_empty() { scene.vault_dir().join("config") } else { file };
        let whole = fs::read(&file).unwrap();
        let mut content = whole.clone();
        content[whole.len() / 2] ^= 4;
        fs::write(&file, &content).unwrap();
        let by_restic = scene.restic_check(test).unwrap();
        assert!(!by_restic.status.success(), "{folder}");
        let by_us = Vault::open(&scene.vault_dir(), &password())
            .and_then(|vault| vault.check(CheckLevel::ReadData, &|_| ()));
        assert!(by_us.is_err() || by_us.is_ok_and(|report| !report.is_whole()), "{folder}");
        fs::write(&file, &whole).unwrap();
    }
    scene.restic_finds_nothing(test);
}
