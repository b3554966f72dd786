//! What is backed up and drilled.

use super::{DAY, Field, Kind, Need, PATHS, SOME_PATHS, Shape, TEXT, default, jobs, optional, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &["paths", "share"] };
/// A file share, here and under `watch`.
pub(super) static SHARE: Shape = Shape { fields: SHARED, one_of: &[] };

const FIELDS: &[Field] = &[
    required(
        "name",
        Kind::Name,
        r#""emr""#,
        "Its name; also the tag of its snapshots.",
        "名前。スナップショットのタグにもなります。",
    ),
    optional(
        "host",
        TEXT,
        r#""EMR-SRV01""#,
        "Name of the host whose records these are, as findings have it.",
        "記録のある機械の名前。検知結果に出る名前と同じにします。",
    ),
    optional(
        "address",
        Kind::Address,
        r#""192.0.2.10""#,
        "Address of that host: what is isolated. Default: the share's.",
        "その機械のアドレス。隔離の対象です。省略時は share のものです。",
    ),
    optional(
        "paths",
        SOME_PATHS,
        r#"["/srv/ssmix2", "/srv/emr"]"#,
        "Folders and files of this machine.",
        "この機械のフォルダーとファイル。",
    ),
    optional(
        "share",
        Kind::Table(&SHARE),
        r#"{ dir = "/mnt/karte", address = "192.0.2.10" }"#,
        "A share of a server on which nothing of ours runs.",
        "こちらのプログラムを入れられないサーバーの共有フォルダー。",
    ),
    default("exclude", PATHS, "[]", "Paths that are left out.", "除外するパス。"),
    Field {
        name: "backup",
        kind: Kind::Table(&jobs::BACKUP),
        need: Need::Default(r#"{ every = "15m" }"#),
        example: "",
        en: "When it is backed up: no more than this much is lost.",
        ja: "バックアップの時期。失うのは最大でこの間隔の分です。",
    },
    Field {
        name: "drill",
        kind: Kind::Table(&jobs::DRILL),
        need: Need::Default(r#"{ at = "02:14" }"#),
        example: "",
        en: "When the newest snapshot is restored into a sandbox and every record read.",
        ja: "復元訓練の時期。最新のスナップショットを復元し、全記録を読んで確かめます。",
    },
    optional(
        "sandbox",
        Kind::Path,
        r#""/var/tmp""#,
        "Folder for copies of databases and for drills, on an encrypted disk if you can. Default: in memory where it \
         fits, else the temporary folder.",
        "データベースの写しと訓練に使うフォルダー。できれば暗号化したディスクにします。省略時は、収まればメモリー、収まらなければ一時フォルダーです。",
    ),
];

const SHARED: &[Field] = &[
    required(
        "dir",
        Kind::Path,
        r#""/mnt/karte""#,
        "Where it is mounted on this machine.",
        "この機械でマウントしてある場所。",
    ),
    optional(
        "address",
        Kind::Address,
        r#""192.0.2.10""#,
        "Address of the server: what is isolated.",
        "サーバーのアドレス。隔離の対象です。",
    ),
    default(
        "look_every",
        Kind::Period { min: 1, max: DAY },
        r#""10s""#,
        "How often a watcher looks at it.",
        "監視の間隔。",
    ),
    default(
        "canaries",
        Kind::Integer { min: 0, max: 1_000 },
        "0",
        "How many canary files a watcher lays into it; 0 where it is mounted read-only.",
        "監視のために置くおとりファイルの数。読み取り専用でマウントしているときは 0 です。",
    ),
];
