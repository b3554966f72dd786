//! Watchers.

use super::{
    COMMAND, DAY, Field, Kind, PATHS, SOME_PATHS, Shape, TEXT, default, optional, protect, required,
};

pub(super) static SHAPE: Shape =
    Shape { fields: FIELDS, one_of: &["guard", "share", "mail", "sensor", "logs", "exec"] };

const FIELDS: &[Field] = &[
    required("name", Kind::Name, r#""emr-guard""#, "Its name.", "名前。"),
    optional(
        "class",
        Kind::OneOf(&["guard", "share", "sensor", "logs", "mail", "external"]),
        r#""external""#,
        "What sort of watcher a program of `exec` is; acts are armed for each class by itself. Only with `exec`. \
         Default: external.",
        "exec で動かすプログラムの監視の種類。対処は種類ごとに有効にします。exec のときだけ書けます。省略時は external です。",
    ),
    optional(
        "guard",
        Kind::Table(&Shape { fields: GUARD, one_of: &[] }),
        r#"{ dirs = ["/srv/ssmix2"] }"#,
        "File operations on this machine.",
        "この機械のファイル操作の監視。",
    ),
    optional(
        "share",
        Kind::Table(&protect::WATCHED_SHARE),
        r#"{ path = "//192.0.2.10/karte" }"#,
        "A share, looked at from outside.",
        "共有フォルダーの外からの監視。",
    ),
    optional(
        "mail",
        Kind::Bool,
        "true",
        "The mail gateway, as [mail] says.",
        "メールの関所。内容は [mail] に書きます。",
    ),
    optional(
        "sensor",
        Kind::Bool,
        "true",
        "The network sensor, as [sensor] says.",
        "ネットワークのセンサー。内容は [sensor] に書きます。",
    ),
    optional(
        "logs",
        Kind::Bool,
        "true",
        "The watcher of logs, as [logs] says.",
        "ログの監視。内容は [logs] に書きます。",
    ),
    optional(
        "exec",
        COMMAND,
        r#"["/usr/bin/suricata", "-i", "eth1"]"#,
        "A program, by its absolute path, with arguments; no shell. It prints OCSF or Suricata eve.json lines.",
        "絶対パスで書いたプログラムと引数。シェルは通しません。OCSF か Suricata eve.json の行を出力するものです。",
    ),
    optional(
        "user",
        TEXT,
        r#""suricata""#,
        "The user it runs as. Default: the least that its kind can do with.",
        "実行する利用者。省略時は、その種類に足りる最小の権限にします。",
    ),
    default(
        "read",
        PATHS,
        "[]",
        "Files and folders that it may read besides what it watches.",
        "監視対象のほかに読んでよいファイルとフォルダー。",
    ),
    default("network", Kind::Bool, "false", "Whether it may open connections.", "通信してよいか。"),
    default(
        "lines_per_second_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        "2000",
        "Lines above this are dropped and counted, so that one watcher cannot drown the others.",
        "これを超える行は捨てて数えます。1つの監視がほかを埋もれさせないためです。",
    ),
];

const GUARD: &[Field] = &[
    required("dirs", SOME_PATHS, r#"["/srv/ssmix2"]"#, "Folders to protect.", "保護するフォルダー。"),
    optional(
        "store",
        Kind::Path,
        r#""/var/lib/chartward/guard""#,
        "Where pre-images and evidence lie, outside the protected folders. Default: below the state folder.",
        "変更前の写しと証拠の置き場所。保護するフォルダーの外にします。省略時は状態フォルダーの下です。",
    ),
    default(
        "store_max",
        Kind::Size { min: 1 << 20, max: 1 << 44 },
        r#""2 GiB""#,
        "The most that pre-images take.",
        "変更前の写しに使う容量の上限。",
    ),
    default(
        "databases",
        PATHS,
        "[]",
        "Databases of other sorts than PostgreSQL, MariaDB and SQLite with a log, which are found by themselves: their opens do not \
         wait, and snapshots cover them.",
        "PostgreSQL・MariaDB・ログ付きSQLite（自動で見つけます）以外のデータベース。開く操作を待たせず、スナップショットで守ります。",
    ),
    default(
        "snapshot_every",
        Kind::Period { min: 10, max: DAY },
        r#""5m""#,
        "How often databases are captured, where the file system can share blocks (XFS with reflinks, btrfs).",
        "データベースのスナップショットの間隔。ブロックを共有できるファイルシステム（reflink付きXFS、btrfs）で取ります。",
    ),
    default(
        "removed_max",
        Kind::Size { min: 0, max: 1 << 44 },
        r#""2 GiB""#,
        "The most that contents of removed files take, which `chartward guard removed` brings back; 0 keeps none.",
        "削除されたファイルの内容の保管に使う容量の上限。chartward guard removed で元に戻せます。0なら保管しません。",
    ),
    default(
        "removed_keep",
        Kind::Period { min: 60, max: 30 * DAY },
        r#""7d""#,
        "How long they are kept.",
        "その保管期間。",
    ),
    optional(
        "allow",
        Kind::Tables { shape: &Shape { fields: ALLOW, one_of: &[] }, max: 50 },
        r#"[{ tool = "/usr/bin/gpg", user = "export", in = "/srv/ssmix2/out", reason = "the nightly export" }]"#,
        "Programs that may encrypt for good. For a while: `chartward guard allow`.",
        "恒常的に暗号化してよいプログラム。一時的な許可は chartward guard allow で与えます。",
    ),
];

const ALLOW: &[Field] = &[
    required(
        "tool",
        Kind::Path,
        r#""/usr/bin/gpg""#,
        "The program's file, which only root can change; no script.",
        "プログラムのファイル。rootだけが変更できるもので、スクリプトは不可。",
    ),
    optional(
        "sha256",
        Kind::Fingerprint,
        r#""0f343b0931126a20f133d67c2b018a3b0f343b0931126a20f133d67c2b018a3b""#,
        "Its SHA-256. Without it, whatever root installs there will do.",
        "そのSHA-256。省略時は、rootがそこに置いたものなら認めます。",
    ),
    optional("user", TEXT, r#""export""#, "The user that runs it.", "実行する利用者。"),
    optional(
        "group",
        TEXT,
        r#""export""#,
        "A group of the user that runs it.",
        "実行する利用者が属するグループ。",
    ),
    required(
        "in",
        Kind::Path,
        r#""/srv/ssmix2/out""#,
        "The folder below which it may write.",
        "書き込んでよいフォルダー。",
    ),
    required("reason", TEXT, r#""the nightly export""#, "Why, for the records.", "理由。記録に残ります。"),
];
