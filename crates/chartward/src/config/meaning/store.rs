//! Folders: what is protected, the vault, the state, secrets, programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{At, Findings, Gravity, Node, Words, overlap, plain};

pub(super) fn check(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let vault = file.table("vault");
    let protects = file.tables("protect");
    if let (None, Some(first)) = (&vault, protects.first()) {
        let what =
            Words::new("there is no [vault] to back this up into", "バックアップ先の [vault] がありません");
        let remedy = Words::new(
            "add [vault] with dir and passphrase; `chartward vault init DIR` makes one",
            "dir と passphrase のある [vault] を書き足してください。`chartward vault init フォルダー` で作成できます",
        );
        first.add(found, Gravity::Error, what, remedy);
    }
    if protects.is_empty() {
        let what = Words::new(
            "nothing is protected: no backup, no drill, no promise",
            "保護対象がありません。バックアップも訓練も行われません",
        );
        let remedy = Words::new(
            "add [[protect]] with a name and paths",
            "name と paths のある [[protect]] を書き足してください",
        );
        file.add(found, Gravity::Warning, what, remedy);
    }
    let vault_dir = vault.as_ref().and_then(|vault| vault.text("dir"));
    for protect in &protects {
        let mut paths = protect.texts("paths");
        paths.extend(protect.texts("files"));
        paths.extend(protect.table("share").and_then(|share| share.text("mirror")));
        for path in &paths {
            apart(path, vault_dir.as_ref(), found);
            present(path, found);
        }
        for source in &protect.texts("sources") {
            store(source, found);
        }
    }
    if let Some(dir) = &vault_dir {
        match dir.text.starts_with("rest:") {
            true => remote(file, dir, vault.as_ref(), found),
            false => vault_made(dir, found),
        }
        if let Some(state) = file.text("state").filter(|state| plain(state.text).starts_with(plain(dir.text)))
        {
            let what = Words::new("the state lies in the vault", "状態フォルダーが保管庫の中にあります");
            state.add(
                found,
                Gravity::Error,
                what,
                Words::new("name a folder outside of it", "外のフォルダーにしてください"),
            );
        }
    }
    guards(file, vault_dir.as_ref(), found);
    secrets(file, found);
}

/// A store whose text no adapter understands, or whose password others may read.
fn store(source: &At<'_>, found: &mut Findings<'_>) {
    let Err(error) = recover::adapter::Source::parse(source.text) else { return };
    let what = Words::new(error.to_string(), format!("この sources は使えません: {error}"));
    let remedy = Words::new(
        "write KIND:KEY=VALUE,…; `chartward config sources` lists what there is",
        "種類:キー=値,… の形で書いてください。`chartward config sources` で一覧を表示できます",
    );
    source.add(found, Gravity::Error, what, remedy);
}

/// The vault and what it protects must not hold each other.
fn apart(path: &At<'_>, vault: Option<&At<'_>>, found: &mut Findings<'_>) {
    let Some(vault) = vault.filter(|vault| overlap(path.text, vault.text)) else { return };
    let what = if plain(path.text).starts_with(plain(vault.text)) {
        Words::new(
            format!("{} lies in the vault {}", path.text, vault.text),
            format!("{} は保管庫 {} の中にあります", path.text, vault.text),
        )
    } else {
        Words::new(
            format!("the vault {} lies in {}: it would back itself up", vault.text, path.text),
            format!(
                "保管庫 {} が {} の中にあり、自分自身をバックアップすることになります",
                vault.text, path.text
            ),
        )
    };
    let remedy = Words::new("put the vault on another medium", "保管庫は別の媒体に置いてください");
    path.add(found, Gravity::Error, what, remedy);
}

fn present(path: &At<'_>, found: &mut Findings<'_>) {
    let Err(error) = fs::symlink_metadata(path.text) else { return };
    let what = Words::new(
        format!("{} cannot be looked at on this machine: {error}", path.text),
        format!("この機械で {} を確認できません({error})", path.text),
    );
    let remedy = Words::new(
        "correct the path, or mount what belongs there",
        "パスを直すか、そこにあるべきものをマウントしてください",
    );
    path.add(found, Gravity::Unfit, what, remedy);
}

/// A vault on a vault host: what it takes to get at it, and what cannot be done from here.
fn remote(file: &Node<'_, '_>, dir: &At<'_>, vault: Option<&Node<'_, '_>>, found: &mut Findings<'_>) {
    if vault.is_some_and(|vault| vault.text("key_file").is_none()) {
        let what = Words::new("a vault host wants a key", "保管庫ホストを使うには鍵が必要です");
        let remedy = Words::new(
            "add key_file = \"/etc/chartward/vault.key\" with what `vault client add` printed",
            "`vault client add` が表示した鍵をファイルに置き、key_file = \"/etc/chartward/vault.key\" と書き足してください",
        );
        dir.add(found, Gravity::Error, what, remedy);
    }
    if let Some(retention) = file.table("retention") {
        let what = Words::new(
            "a client of a vault host forgets nothing there, so [retention] cannot be done from here",
            "保管庫ホストの利用側からは何も削除できないため、[retention] は実行できません",
        );
        let remedy = Words::new(
            "remove it, and run `vault forget` at the host, or forget with an administrator's key",
            "削除し、ホスト上の vault forget か、管理者の鍵で整理してください",
        );
        retention.add(found, Gravity::Error, what, remedy);
    }
}

fn vault_made(dir: &At<'_>, found: &mut Findings<'_>) {
    if Path::new(dir.text).join("config").exists() {
        return;
    }
    let what = Words::new(
        format!("there is no vault in {}", dir.text),
        format!("{} に保管庫がありません", dir.text),
    );
    let remedy = Words::new(
        format!("connect its medium, or make one: chartward vault init {}", dir.text),
        format!("媒体をつなぐか、`chartward vault init {}` で作成してください", dir.text),
    );
    dir.add(found, Gravity::Unfit, what, remedy);
}

fn guards(file: &Node<'_, '_>, vault: Option<&At<'_>>, found: &mut Findings<'_>) {
    let state = file.text("state");
    for watch in file.tables("watch") {
        if let Some(program) = watch.texts("exec").into_iter().next() {
            program_there(&program, found);
        }
        let Some(guard) = watch.table("guard") else { continue };
        let store = guard.text("store");
        for dir in guard.texts("dirs") {
            present(&dir, found);
            let ours = [
                (vault, "the vault", "保管庫"),
                (state.as_ref(), "the state folder", "状態フォルダー"),
                (store.as_ref(), "the guard's own store", "変更前の写しの置き場所"),
            ];
            for (other, en, ja) in ours {
                let Some(other) = other.filter(|other| plain(other.text).starts_with(plain(dir.text))) else {
                    continue;
                };
                let what = Words::new(
                    format!("{en} {} lies in the guarded folder {}", other.text, dir.text),
                    format!("{ja} {} が、保護するフォルダー {} の中にあります", other.text, dir.text),
                );
                let remedy = Words::new(
                    "the guard would hold up the hub itself: put it elsewhere",
                    "監視がハブ自身を止めてしまいます。別の場所に置いてください",
                );
                dir.add(found, Gravity::Error, what, remedy);
            }
        }
    }
}

fn program_there(program: &At<'_>, found: &mut Findings<'_>) {
    if !program.text.starts_with('/') {
        let what = Words::new(
            format!("\"{}\" is not an absolute path", program.text),
            format!("\"{}\" は絶対パスではありません", program.text),
        );
        let remedy = Words::new(
            "write where the program is, such as \"/usr/bin/suricata\": whoever can write to a folder of PATH would choose it",
            "\"/usr/bin/suricata\" のように場所を書いてください(PATH に任せると、別のプログラムに差し替えられる恐れがあります)",
        );
        return program.add(found, Gravity::Error, what, remedy);
    }
    let runs =
        fs::metadata(program.text).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if !runs {
        let what = Words::new(
            format!("{} is no program on this machine", program.text),
            format!("この機械に実行できる {} がありません", program.text),
        );
        program.add(
            found,
            Gravity::Unfit,
            what,
            Words::new("install it, or correct the path", "導入するか、パスを直してください"),
        );
    }
}

/// Files that hold secrets.
fn secrets(file: &Node<'_, '_>, found: &mut Findings<'_>) {
    let mut files = Vec::new();
    let mut add = |node: Option<Node<'_, '_>>, key: &str| {
        if let Some(at) = node.and_then(|node| node.table(key)).and_then(|secret| secret.text("file")) {
            files.push((at.text.to_owned(), at.span, at.path));
        }
    };
    add(file.table("vault"), "passphrase");
    add(file.table("bundle"), "passphrase");
    let key_file = file.table("vault").and_then(|vault| vault.text("key_file"));
    for notify in file.tables("notify") {
        add(notify.table("smtp"), "password");
        add(notify.table("webhook"), "signing_key");
    }
    if let Some(key) = file.table("console").and_then(|console| console.text("key")) {
        files.push((key.text.to_owned(), key.span, key.path));
    }
    files.extend(key_file.map(|key| (key.text.to_owned(), key.span, key.path)));
    for (text, span, path) in files {
        let at = At { text: &text, span, path };
        match fs::metadata(&text) {
            Err(_) => present(&at, found),
            Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
                let mode = meta.permissions().mode() & 0o777;
                let what = Words::new(
                    format!("others than its owner may use {text} (mode {mode:04o})"),
                    format!("{text} を所有者以外も利用できます(権限 {mode:04o})"),
                );
                let remedy =
                    Words::new(format!("chmod 600 {text}"), format!("chmod 600 {text} を実行してください"));
                at.add(found, Gravity::Unfit, what, remedy);
            }
            Ok(_) => {}
        }
    }
}
