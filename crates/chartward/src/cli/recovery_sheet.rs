//! `chartward recovery-sheet`: what a person needs who has a bare machine, the medium and this sheet of paper.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::Ledger;
use recover::proof;
use recover::vault::Vault;
use schema::{Lang, Proof};

use super::lang::LangArgs;
use super::state_dir;
use super::vault_args::VaultArgs;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    vault: VaultArgs,
    /// State folder, whose ledger's public key goes onto the sheet
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let vault = args.vault.open()?;
    let state = state_dir(args.state)?;
    let public_key = state
        .join(prove::ledger::FILE_NAME)
        .exists()
        .then(|| Ledger::open(&state, Timestamp::now()).map(|ledger| ledger.public_key()))
        .transpose()?;
    let sheet = Sheet {
        dir: std::path::absolute(vault.dir())?.display().to_string(),
        vault_id: vault.id().to_owned(),
        proven: proof::newest_proven(&vault)?,
        paths: paths(&vault)?,
        public_key,
        printed: Timestamp::now().to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
    };
    println!("{}", sheet.text(args.lang.lang()));
    Ok(ExitCode::SUCCESS)
}

fn paths(vault: &Vault) -> anyhow::Result<Vec<String>> {
    Ok(proof::data_snapshots(vault)?.pop().map(|snapshot| snapshot.paths).unwrap_or_default())
}

struct Sheet {
    dir: String,
    vault_id: String,
    proven: Option<Proof>,
    paths: Vec<String>,
    public_key: Option<String>,
    printed: String,
}

impl Sheet {
    fn text(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.en(),
            Lang::Ja => self.ja(),
        }
    }

    fn en(&self) -> String {
        let Sheet { dir, vault_id, printed, .. } = self;
        let (snapshot, proven) = match &self.proven {
            Some(proof) => (proof.snapshot.short(), format!("proven by restoring at {}", proof.proven_at)),
            None => ("latest", "NOT PROVEN: no drill has passed yet".to_owned()),
        };
        let key = self.public_key.as_deref().unwrap_or("(this machine has no ledger)");
        let paths = self.paths.join(", ");
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
   chartward charts list --vault {dir}
   chartward charts show PATIENT --vault {dir} --html chart.html

2. RESTORE EVERYTHING
   chartward restore {snapshot} --vault {dir} --target /srv/restored
   The files are then below /srv/restored with their old paths. Databases are whole at one moment.

3. PROVE IT ON THIS MACHINE
   chartward drill --vault {dir} --from-bare /srv/restored-check

WITHOUT CHARTWARD: the vault is a restic repository, format version 2. On any machine with restic 0.14 or newer
(apt install restic, or restic.net):
   restic -r {dir} snapshots
   restic -r {dir} check --read-data
   restic -r {dir} restore {snapshot} --target /srv/restored
   restic -r {dir} dump --tag chartward-proof latest /.chartward/proof.json      (the last proof)
   /srv/restored/.chartward/manifest.json then says what should be there, by count.
"
        )
    }

    fn ja(&self) -> String {
        let Sheet { dir, vault_id, printed, .. } = self;
        let (snapshot, proven) = match &self.proven {
            Some(proof) => (proof.snapshot.short(), format!("{} に復元して証明済み", proof.proven_at)),
            None => ("latest", "未証明: 合格した復元訓練がまだありません".to_owned()),
        };
        let key = self.public_key.as_deref().unwrap_or("（この機械に台帳がありません）");
        let paths = self.paths.join("、");
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
   chartward charts list --vault {dir}
   chartward charts show 患者ID --vault {dir} --html chart.html

2. すべて復元する
   chartward restore {snapshot} --vault {dir} --target /srv/restored
   /srv/restored の下に元のパスで戻ります。データベースは一つの時点で揃っています。

3. この機械で証明する
   chartward drill --vault {dir} --from-bare /srv/restored-check

Chartward が無いとき: 保管庫は restic リポジトリ（形式2）です。restic 0.14 以降のある機械なら
（apt install restic または restic.net）:
   restic -r {dir} snapshots
   restic -r {dir} check --read-data
   restic -r {dir} restore {snapshot} --target /srv/restored
   restic -r {dir} dump --tag chartward-proof latest /.chartward/proof.json      （最後の証明）
   /srv/restored/.chartward/manifest.json に、あるべき件数が書かれています。
"
        )
    }
}
