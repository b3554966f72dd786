//! Removable media that take turns.

use super::{DAY, Field, Kind, MINUTE, SOME_PATHS, Shape, default, optional, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const SETS: Kind = Kind::List { of: &Kind::Text { max: 40 }, min: 1, max: 100 };

const FIELDS: &[Field] = &[
    required("name", Kind::Name, r#""offsite""#, "Its name.", "名前。"),
    required(
        "sets",
        SETS,
        r#"["A", "B", "C"]"#,
        "Labels of the sets, in the order of their turns. Each medium is prepared once with `chartward media prepare`.",
        "媒体のラベル。順番どおりに書きます。媒体は、最初に一度 `chartward media prepare` で準備します。",
    ),
    required(
        "paths",
        SOME_PATHS,
        r#"["/media/rdx"]"#,
        "Where a medium is found when it is in: mount points of disks and cartridges, folders of LTFS tapes.",
        "媒体を入れたときに見える場所。ディスクやカートリッジのマウントポイント、LTFS テープのフォルダーです。",
    ),
    default(
        "turn_days",
        Kind::Integer { min: 1, max: 366 },
        "7",
        "How many days a set's turn takes. Turns of 7 days begin on Mondays.",
        "一つの媒体の番が続く日数。7日の番は月曜日に始まります。",
    ),
    default(
        "at",
        Kind::TimeOfDay,
        r#""09:00""#,
        "When on the first day of its turn a set is to be put in; people are told then.",
        "番の初日に媒体を交換する時刻。この時刻に担当者へ知らせます。",
    ),
    default(
        "overdue",
        Kind::Period { min: MINUTE, max: 60 * DAY },
        r#""24h""#,
        "How long after that its copy must be written and read back; then it is overdue.",
        "交換の時刻からこの時間が過ぎても書き込みと読み戻しの確認が済んでいなければ、遅れとして知らせます。",
    ),
    default(
        "every",
        Kind::Period { min: MINUTE, max: DAY },
        r#""15m""#,
        "How often it is looked whether the set is in. It is written once in its turn.",
        "媒体が入っているか確かめる間隔。書き込みは番ごとに1回です。",
    ),
    optional(
        "timeout",
        Kind::Period { min: 60, max: 7 * DAY },
        r#""48h""#,
        "A copy that takes longer is ended and has failed; the next goes on where it ended. Default: 24h.",
        "これより長くかかる書き込みは打ち切り、失敗とします。次回は続きから行います。省略時は 24h です。",
    ),
    optional(
        "newest",
        Kind::Integer { min: 1, max: 100_000 },
        "14",
        "Only so many of the newest snapshots of each thing that is protected, and the newest proven one. Default: all of them.",
        "保護対象ごとに、最新のスナップショットをこの数だけ(と、最後に実証されたもの)書き込みます。省略時はすべてです。",
    ),
    default(
        "read_data",
        Kind::Bool,
        "true",
        "Whether everything on the medium is read back, not only what was written now.",
        "今回書き込んだものだけでなく、媒体の全体を読み戻して確かめるか。",
    ),
];
