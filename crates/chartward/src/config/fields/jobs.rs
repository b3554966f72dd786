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
                 6h for a prune, 1h for a forget, 10m for an export.",
                "これより長くかかる実行は打ち切り、失敗とします。省略時は、バックアップ 6h、訓練と検査 24h、容量の回収 6h、世代の整理 1h、書き出し 10m です。",
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

pub(super) static SAMPLE: Shape = Shape {
    fields: timed!(
        every(r#""24h""#),
        required(
            "size",
            Kind::Sample,
            r#""5%""#,
            "How much of it: a share such as 5%, or a number of patients (and files of none). Another part each time.",
            "抽出の量。5% のような割合か、患者数(患者に属さないファイルは1個ずつ)です。毎回別の部分を選びます。",
        )
    ),
    one_of: &["every", "at"],
};

pub(super) static SCHEDULE: Shape = Shape {
    fields: &[
        Field {
            name: "check",
            kind: Kind::Table(&Shape { fields: CHECK, one_of: &["every", "at"] }),
            need: Need::Default(r#"{ every = "24h", read_within = "28d" }"#),
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
    usually(r#""24h""#),
    default(
        "read_data",
        Kind::Bool,
        "true",
        "Whether every byte is read, not only the structure.",
        "構造だけでなく、全バイトを読んで確かめるか。",
    ),
    optional(
        "read_within",
        Kind::Period { min: DAY, max: 366 * DAY },
        r#""28d""#,
        "Within this time every byte is read: each run reads a share, what was not read for the longest time first. Default: each \
         run reads everything.",
        "この期間内に全バイトを読み終えるよう、毎回一部ずつ、最も長く読んでいない所から読みます。省略時は毎回すべて読みます。",
    )
);

pub(super) static RETENTION: Shape = Shape {
    fields: &[
        default(
            "forget",
            Kind::Table(&DRILL),
            r#"{ at = "03:40" }"#,
            "When snapshots are forgotten. Until a prune has removed what they need they can be taken back.",
            "世代を整理する時刻。容量を回収して削除するまでは元に戻せます。",
        ),
        default(
            "prune",
            Kind::Table(&DRILL),
            r#"{ at = "04:10" }"#,
            "When the space of forgotten snapshots is given back.",
            "整理した世代の容量を回収する時刻。",
        ),
        default(
            "keep_within",
            Kind::Period { min: 0, max: 366 * DAY },
            r#""3d""#,
            "Every snapshot within this time before the newest is kept.",
            "最新のものからこの期間内のスナップショットは、すべて残します。",
        ),
        default(
            "keep_daily",
            COUNT,
            "14",
            "The newest of so many days.",
            "この日数分、各日の最新を残します。",
        ),
        default(
            "keep_weekly",
            COUNT,
            "8",
            "The newest of so many weeks.",
            "この週数分、各週の最新を残します。",
        ),
        default(
            "keep_monthly",
            COUNT,
            "12",
            "The newest of so many months.",
            "この月数分、各月の最新を残します。",
        ),
        default(
            "keep_yearly",
            COUNT,
            "0",
            "The newest of so many years.",
            "この年数分、各年の最新を残します。",
        ),
        default(
            "generations",
            Kind::Integer { min: 5, max: 1_000 },
            "5",
            "Daily generations of each store that no rule forgets (guideline: five).",
            "どの条件でも整理しない日次世代の数(ガイドラインの例は5世代)。",
        ),
        default(
            "protected_from",
            Kind::Integer { min: 1, max: 3 },
            "3",
            "The first of them that is write-protected: not even its id forgets it without a reason that is recorded.",
            "書込禁止とする最初の世代。ID を指定しても、理由を記録しない限り整理できません。",
        ),
        default(
            "delay",
            Kind::Period { min: DAY, max: 90 * DAY },
            r#""3d""#,
            "How long after a prune marked it something is removed; until then the prune can be cancelled.",
            "削除予定にしてから実際に削除するまでの猶予。その間は取り消せます。",
        ),
        default(
            "repack_max",
            Kind::Size { min: 1 << 20, max: 1 << 50 },
            r#""20 GiB""#,
            "The most that one prune copies: no backup runs meanwhile.",
            "1回の回収で書き直す量の上限。回収中はバックアップを行えません。",
        ),
    ],
    one_of: &[],
};

const COUNT: Kind = Kind::Integer { min: 0, max: 10_000 };

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
