//! Why the host does not do what was asked, in words for the one who asked.

use schema::Lang;

use crate::Error;

/// An answer that is not the one that was hoped for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// No name and key, or not the right ones.
    Unknown,
    /// Another client's repository, or one that does not exist: which of them is nobody's business.
    NotYours,
    /// There is no such file.
    NotFound,
    /// The request makes no sense here.
    NotUnderstood,
    /// The name is taken, and nothing is ever overwritten.
    Exists,
    /// The content does not have the name that it came under.
    WrongName,
    /// The body ended early or was too long for what was announced.
    WrongLength,
    /// The length was not announced.
    NoLength,
    /// Larger than a file of its kind may be.
    TooLarge,
    /// The client's share of the medium is used up.
    Quota {
        /// Its share in bytes.
        quota: u64,
    },
    /// As many files of this kind as a repository may have.
    TooMany,
    /// Clients remove nothing but locks.
    OnlyLocks,
    /// The config is never removed, and nothing in a view of the past.
    Never,
    /// The host itself failed.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl Refusal {
    /// One sentence for the client's log.
    pub fn text(&self, lang: Lang) -> String {
        let (en, ja) = match self {
            Refusal::Quota { quota } => return used_up(quota >> 20, lang),
            Refusal::Failed(_) => (
                "the vault host could not do it; see its log",
                "保管庫ホストで処理できませんでした。ホスト側の記録を見てください",
            ),
            Refusal::Unknown => ("the name or the key is wrong", "名前または鍵が正しくありません"),
            Refusal::NotYours => {
                ("this key opens no such repository", "この鍵で使えるリポジトリではありません")
            }
            Refusal::NotFound => ("there is no such file", "そのファイルはありません"),
            Refusal::NotUnderstood => (
                "this is not a request of restic's REST protocol",
                "restic の REST プロトコルの要求ではありません",
            ),
            Refusal::Exists => (
                "a file of that name exists; nothing is overwritten",
                "同じ名前のファイルが既にあります。上書きはできません",
            ),
            Refusal::WrongName => (
                "the content does not have the SHA-256 that its name says; nothing was kept",
                "内容の SHA-256 が名前と一致しません。保存しませんでした",
            ),
            Refusal::WrongLength => (
                "the body did not have the announced length; nothing was kept",
                "本文の長さが申告と違います。保存しませんでした",
            ),
            Refusal::NoLength => ("the length must be announced", "長さの申告が必要です"),
            Refusal::TooLarge => {
                ("larger than a file of this kind may be", "この種類のファイルとしては大きすぎます")
            }
            Refusal::TooMany => {
                ("as many files of this kind as there may be", "この種類のファイルの数が上限に達しています")
            }
            Refusal::OnlyLocks => (
                "this key removes nothing but locks; removing takes an administrator's key and a delay",
                "この鍵で消せるのはロックだけです。削除には管理者の鍵と待機期間が必要です",
            ),
            Refusal::Never => ("this is never removed or written", "これは削除も書き込みもできません"),
        };
        lang.pick(en, ja).to_owned()
    }
}

fn used_up(mib: u64, lang: Lang) -> String {
    lang.pick(
        format!(
            "this client's share of the vault host ({mib} MiB) is used up; what is stored is untouched. The host's administrator can raise it: chartward vault client quota"
        ),
        format!(
            "このクライアントに割り当てられた容量({mib} MiB)を使い切りました。保存済みのデータは無事です。保管庫ホストの管理者が chartward vault client quota で増やせます"
        ),
    )
}
