//! When something is done.

use super::{DAY, Field, Kind, MINUTE, Need, Shape, default, optional, required};

const EVERY: Kind = Kind::Period { min: MINUTE, max: 366 * DAY };

const fn every(example: &'static str) -> Field {
    optional("every", EVERY, example, "Time from one run to the next.", "実行の間隔。")
}

/// The same where it holds if no time is named at all.
const fn usually(value: &'static str) -> Field {
    default("every", EVERY, value, "Time from one run to the next.", "実行の間隔。")
}

/// Fields of every table that says when a job runs, and more of its own. The time is not required where a default holds.
macro_rules! timed {
    ($every:expr $(, $more:expr)*) => {
        &[
            $every,
            optional(
                "at",
                Kind::TimeOfDay,
                r#""02:14""#,
                "Time of the day, once a day.",
                "毎日この時刻に実行します。",
            ),
            optional(
                "timeout",
                Kind::Period { min: 10, max: 7 * DAY },
                r#""6h""#,
                "A run that takes longer is ended and has failed. Default: 6h for a backup, 24h for a drill or a check, \
                 10m for an export.",
                "これより長くかかる実行は打ち切り、失敗とします。省略時は、バックアップ 6h、訓練と検査 24h、書き出し 10m です。",
            ),
            default(
                "retry",
                Kind::Period { min: 1, max: DAY },
                r#""5m""#,
                "After a run that failed it is tried again after this.",
                "失敗したとき、この時間が過ぎてからやり直します。",
            ),
            default(
                "retries",
                Kind::Integer { min: 0, max: 100 },
                "3",
                "How often it is tried again before the next time.",
                "次の予定までにやり直す回数の上限。",
            ),
            $($more,)*
        ]
    };
}

pub(super) static BACKUP: Shape = Shape { fields: timed!(every(r#""15m""#)), one_of: &["every", "at"] };
pub(super) static DRILL: Shape = Shape { fields: timed!(every(r#""24h""#)), one_of: &["every", "at"] };

pub(super) static SCHEDULE: Shape = Shape {
    fields: &[
        Field {
            name: "check",
            kind: Kind::Table(&Shape { fields: CHECK, one_of: &["every", "at"] }),
            need: Need::Default(r#"{ every = "7d", read_data = true }"#),
            example: "",
            en: "Looking for damage in the vault.",
            ja: "保管庫の損傷の検査。",
        },
        optional(
            "export",
            Kind::Table(&Shape { fields: EXPORT, one_of: &["every", "at"] }),
            "",
            "Giving out verified copies of the ledger. Default: none. Without a time it is done every 24h.",
            "台帳の検証済みの写しを書き出します。省略時は書き出しません。時期を書かなければ 24h ごとです。",
        ),
    ],
    one_of: &[],
};

const CHECK: &[Field] = timed!(
    usually(r#""7d""#),
    default(
        "read_data",
        Kind::Bool,
        "true",
        "Whether every byte is read, not only the structure.",
        "構造だけでなく、全バイトを読んで確かめるか。",
    )
);

const EXPORT: &[Field] = timed!(
    usually(r#""24h""#),
    required(
        "dir",
        Kind::Path,
        r#""/mnt/usb/ledger""#,
        "Where the copies go: another medium than this machine's disk.",
        "写しの置き場所。この機械のディスクとは別の媒体にします。",
    )
);
