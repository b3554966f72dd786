//! `chartward recovery-sheet`: what a person needs who has a bare machine, the medium and this sheet of paper.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::Ledger;
use recover::proof;
use recover::vault::{RestAccess, Vault};
use schema::{Lang, SnapshotId};
use serde::Serialize;

use super::lang::LangArgs;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::output::{Output, printable, shell_quoted};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    vault: VaultArgs,
    /// State folder, whose ledger's public key goes onto the sheet
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let state = state_dir(args.state)?;
    let public_key = state
        .join(prove::ledger::FILE_NAME)
        .exists()
        .then(|| Ledger::open(&state, Timestamp::now()).map(|ledger| ledger.public_key()))
        .transpose()?;
    let sheet = Sheet::new(&vault, public_key)?;
    output.line(&sheet)?;
    if output == Output::People {
        output.say(sheet.text(args.lang.lang()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The sheet's fields, as `--json` prints them.
#[derive(Serialize)]
struct Sheet {
    r#type: &'static str,
    printed_at: Timestamp,
    /// What the snapshot named below holds.
    paths: Vec<PathBuf>,
    vault: PathBuf,
    vault_id: String,
    /// The newest proven snapshot, else the newest one; `None` when there is none.
    snapshot: Option<SnapshotId>,
    proven_at: Option<Timestamp>,
    public_key: Option<String>,
    charts: [String; 2],
    restore: String,
    drill: String,
    restic: [String; 4],
}

impl Sheet {
    fn new(vault: &Vault, public_key: Option<String>) -> anyhow::Result<Sheet> {
        let proven = proof::newest_proven(vault)?;
        let snapshot = match &proven {
            Some(proof) => Some(vault.find(&proof.snapshot.0)?),
            None => proof::data_snapshots(vault)?.pop(),
        };
        let is_address = vault.dir().to_str().is_some_and(RestAccess::is_address);
        let dir = if is_address { vault.dir().to_owned() } else { std::path::absolute(vault.dir())? };
        let at = shell_quoted(&dir);
        // By its id: a stock restic would take a proof for the latest snapshot.
        let id = snapshot.as_ref().map_or("latest", |snapshot| snapshot.id.short());
        let restic = |command: &str| format!("restic --no-lock -r {at} {command}");
        Ok(Sheet {
            r#type: "recovery_sheet",
            printed_at: Timestamp::now(),
            charts: [
                format!("chartward charts list --vault {at}"),
                format!("chartward charts show PATIENT --vault {at} --html chart.html"),
            ],
            restore: format!("chartward restore {id} --vault {at} --target /srv/restored"),
            drill: format!("chartward drill --vault {at} --from-bare /srv/restored-check"),
            restic: [
                restic("snapshots"),
                restic("check --read-data"),
                restic(&format!("restore {id} --target /srv/restored")),
                restic("dump --tag chartward-proof latest /.chartward/proof.json"),
            ],
            paths: snapshot
                .as_ref()
                .map(|it| it.paths.iter().map(PathBuf::from).collect())
                .unwrap_or_default(),
            snapshot: snapshot.map(|snapshot| snapshot.id),
            proven_at: proven.map(|proof| proof.proven_at),
            vault_id: vault.id().to_owned(),
            vault: dir,
            public_key,
        })
    }

    fn id(&self) -> &str {
        self.snapshot.as_ref().map_or("-", SnapshotId::short)
    }

    fn paths(&self, separator: &str) -> String {
        self.paths.iter().map(|path| shown(path)).collect::<Vec<_>>().join(separator)
    }
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

impl Sheet {
    fn text(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.en(),
            Lang::Ja => self.ja(),
        }
    }

    fn en(&self) -> String {
        let Sheet { vault_id, charts: [list, show], restore, drill, restic, .. } = self;
        let (printed, dir, snapshot) = (local(self.printed_at), shown(&self.vault), self.id());
        let [snapshots, check, restic_restore, last_proof] = restic;
        let proven = match self.proven_at {
            Some(at) => format!("proven by restoring at {}", local(at)),
            None => "NOT PROVEN: no drill has passed yet".to_owned(),
        };
        let key = self.public_key.as_deref().unwrap_or("(this machine has no ledger)");
        let paths = self.paths(", ");
        format!(
            "\
RECOVERY SHEET                                             printed {printed}
Keep this on paper, outside the building, with the passphrase. Renew it after every change of passphrase.

What it recovers    {paths}
Vault               {dir}
Vault id            {vault_id}
Snapshot            {snapshot} ({proven})
Ledger public key   {key}
Passphrase          ______________________________________________   (write by hand)
Who may decide      ______________________   telephone  ______________
EMR vendor          ______________________   telephone  ______________

0. BEFORE YOU RESTORE
   Pull the network cables of the hosts that are affected; do not switch them off, and do not clean them:
   their memory, disks and logs are evidence. Restore onto a machine that was never connected to them.
   Attach the medium read-only if you can (mount -o ro), or a copy of it.

1. READ CHARTS FIRST (needs only the medium and one file, `chartward`)
   {list}
   {show}

2. RESTORE EVERYTHING
   {restore}
   The files are then below /srv/restored with their old paths. Databases are whole at one moment.

3. PROVE IT ON THIS MACHINE
   {drill}

WITHOUT CHARTWARD: the vault is a restic repository, format version 2. On any machine with restic 0.14 or newer
(apt install restic, or restic.net):
   {snapshots}
   {check}
   {restic_restore}
   {last_proof}      (the last proof)
   /srv/restored/.chartward/manifest.json then says what should be there, by count.
"
        )
    }

    fn ja(&self) -> String {
        let Sheet { vault_id, charts: [list, show], restore, drill, restic, .. } = self;
        let (printed, dir, snapshot) = (local(self.printed_at), shown(&self.vault), self.id());
        let [snapshots, check, restic_restore, last_proof] = restic;
        let show = show.replace("PATIENT", "患者ID");
        let proven = match self.proven_at {
            Some(at) => format!("{} に復元して証明済み", local(at)),
            None => "未証明: 合格した復元訓練がまだありません".to_owned(),
        };
        let key = self.public_key.as_deref().unwrap_or("（この機械に台帳がありません）");
        let paths = self.paths("、");
        format!(
            "\
復旧手順書                                                 印刷 {printed}
紙に印刷し、パスフレーズとともに建物の外に保管してください。パスフレーズを変えたら作り直してください。

復旧するもの        {paths}
保管庫              {dir}
保管庫ID            {vault_id}
スナップショット    {snapshot}（{proven}）
台帳の公開鍵        {key}
パスフレーズ        ______________________________________________   （手書き）
決定する人          ______________________   電話  ______________
電子カルテ業者      ______________________   電話  ______________

0. 復元の前に
   影響を受けた機械のLANケーブルを抜いてください。電源は切らず、掃除もしないでください。
   メモリ・ディスク・ログは証拠です。それらに一度も繋がっていない機械へ復元してください。
   媒体は可能なら読み取り専用（mount -o ro）か、その複製を使ってください。

1. まずカルテを読む（媒体と `chartward` の一つのファイルだけで足ります）
   {list}
   {show}

2. すべて復元する
   {restore}
   /srv/restored の下に元のパスで戻ります。データベースは一つの時点で揃っています。

3. この機械で証明する
   {drill}

Chartward が無いとき: 保管庫は restic リポジトリ（形式2）です。restic 0.14 以降のある機械なら
（apt install restic または restic.net）:
   {snapshots}
   {check}
   {restic_restore}
   {last_proof}      （最後の証明）
   /srv/restored/.chartward/manifest.json に、あるべき件数が書かれています。
"
        )
    }
}
