//! `chartward guard snapshots` and `restore-snapshot`: what was kept of databases, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use schema::Lang;
use serde_json::json;

use super::after::Common;
use crate::output::printable;
use crate::wiring::guard::snapshots::{self, Cover, Snapshot};

/// Copy a snapshot of a database into a folder beside it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The database's folder (for SQLite its file), as `snapshots` lists it
    #[arg(long, value_name = "DIR")]
    database: PathBuf,
    /// Which snapshot, or how its id begins (default: the newest consistent one)
    #[arg(long, value_name = "ID")]
    snapshot: Option<String>,
    /// A folder that is empty or does not exist. Move it into the database's place with the server stopped
    #[arg(long, value_name = "DIR")]
    target: PathBuf,
    #[command(flatten)]
    common: Common,
}

pub(super) fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang());
    let covers = snapshots::covers(&common.state()?)?;
    for Cover { database, snapshots: home, covered_by } in &covers {
        output.say(printable(&format!("{}: {covered_by}", database.path.display())));
        output.line(&json!({"type": "database", "path": database.path, "kind": database.kind, "covered_by": covered_by}))?;
        for snapshot in home.as_deref().map(snapshots::list).unwrap_or_default() {
            let mut value = serde_json::to_value(&snapshot)?;
            value["type"] = "snapshot".into();
            output.line(&value)?;
            output.say(words(&snapshot, lang));
        }
    }
    if covers.is_empty() {
        output.say(lang.pick("no database is known", "データベースは見つかっていません"));
    }
    Ok(ExitCode::SUCCESS)
}

fn words(snapshot: &Snapshot, lang: Lang) -> String {
    let Snapshot { id, files, bytes, consistent, .. } = snapshot;
    let doubt = match (*consistent, lang) {
        (true, _) => "",
        (false, Lang::En) => "  NOT consistent by itself",
        (false, Lang::Ja) => "  単独では整合していません",
    };
    match lang {
        Lang::En => format!("  {id}  {files} files, {bytes} bytes{doubt}"),
        Lang::Ja => format!("  {id}  ファイル {files}、{bytes} バイト{doubt}"),
    }
}

pub(super) fn restore(args: &Args) -> anyhow::Result<ExitCode> {
    let (output, lang) = (args.common.output(), args.common.lang());
    let path = args.database.canonicalize().unwrap_or_else(|_| args.database.clone());
    let covers = snapshots::covers(&args.common.state()?)?;
    let cover = covers.iter().find(|cover| cover.database.path == path);
    let cover = cover.with_context(|| format!("find the database {}", path.display()))?;
    let Some(home) = &cover.snapshots else {
        bail!("{} has no snapshots: {}", path.display(), cover.covered_by);
    };
    let all = snapshots::list(home);
    let wanted = match &args.snapshot {
        Some(id) => all.iter().find(|snapshot| snapshot.id.starts_with(id.as_str())),
        None => all.iter().find(|snapshot| snapshot.consistent),
    };
    let snapshot = wanted.with_context(|| {
        format!("find that snapshot of {}; `chartward guard snapshots` lists them", path.display())
    })?;
    let files = snapshots::restore(home, snapshot, &args.target)?;
    output.line(&json!({
        "type": "restored_snapshot",
        "snapshot": snapshot.id,
        "taken_at": snapshot.began_at,
        "consistent": snapshot.consistent,
        "files": files,
        "target": args.target,
    }))?;
    let (at, target) = (snapshot.began_at.strftime("%Y-%m-%d %H:%M:%SZ"), args.target.display());
    output.say(printable(&match lang {
        Lang::En => format!(
            "{files} files of {at} are in {target}. Stop the server, keep the harmed folder, move this one into its place, and start \
             the server: it recovers from its log as after a power cut"
        ),
        Lang::Ja => format!(
            "{at} 時点のファイル {files} 件を {target} に置きました。サーバーを停止し、被害を受けたフォルダーを残したまま、\
             このフォルダーを元の場所に移してサーバーを起動してください。停電後と同じように、ログから復旧します"
        ),
    }));
    Ok(ExitCode::from(u8::from(!snapshot.consistent)))
}
