//! What is backed up and drilled.

use super::{
    DAY, Field, Kind, MOMENTS, Need, PATHS, SOME_PATHS, Shape, TEXT, default, jobs, optional, required,
};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &["paths", "share", "sources"] };
/// A share under `protect`.
static SHARE: Shape = Shape { fields: SHARED, one_of: &[] };
/// A share under `watch`.
pub(super) static WATCHED_SHARE: Shape = Shape { fields: WATCHED, one_of: &[] };

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
        "Address of that host: what is isolated.",
        "その機械のアドレス。隔離の対象です。",
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
        r#"{ path = "//192.0.2.10/karte", mirror = "/var/lib/chartward/mirror/karte" }"#,
        "A share of a server on which nothing of ours runs.",
        "こちらのプログラムを入れられないサーバーの共有フォルダー。",
    ),
    optional(
        "sources",
        Kind::List { of: &Kind::Text { max: 4_000 }, min: 1, max: 64 },
        r#"["postgresql:name=emr,run-as=postgres"]"#,
        "Databases and other stores that are captured by means of their own, as `backup --source` takes them; see \
         docs/sources.md.",
        "データベースなど、専用の方法で取り込むもの。書き方は `backup --source` と同じです(docs/sources.ja.md)。",
    ),
    default(
        "files",
        PATHS,
        "[]",
        "Folders and files of this machine that belong to `sources`: captured right after them, in the same snapshot.",
        "`sources` と組になる、この機械のフォルダーとファイル。直後に取り込み、同じスナップショットに入れます。",
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
        "sample",
        Kind::Table(&jobs::SAMPLE),
        r#"{ size = "5%", at = "02:14" }"#,
        "When only a part of the newest snapshot is restored and read, between drills of all of it: write `drill = { every = \"7d\" }` \
         beside it for a store too large for every day. A sample takes trust away when it fails; it never gives any. Default: never.",
        "全体の訓練の合間に、最新のスナップショットの一部だけを復元して読む時期。毎日全体を復元するには大きすぎる場合に、\
         `drill = { every = \"7d\" }` と合わせて書きます。不合格なら実証を取り消しますが、合格しても全体の実証にはなりません。省略時は行いません。",
    ),
    default(
        "moment",
        MOMENTS,
        r#""auto""#,
        "How files that change meanwhile become of one moment: by a snapshot of the file system (`snapshot`; without one there is no \
         backup), by reading until they hold still (`re-read`), or by the first where it can be made (`auto`). See docs/moment.md.",
        "取り込み中に変わるファイルを一つの時点にそろえる方法。ファイルシステムのスナップショット(`snapshot`、作れなければ取り込まない)、\
         変わらなくなるまで読み直す(`re-read`)、作れれば前者(`auto`)。docs/moment.ja.md を参照してください。",
    ),
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
    SHARE_PATH,
    SHARE_FOLDERS,
    SHARE_PORT,
    SHARE_CREDENTIALS,
    required(
        "mirror",
        Kind::Path,
        r#""/var/lib/chartward/mirror/karte""#,
        "Folder here that becomes a copy of the share before each backup; only what changed is read.",
        "バックアップの前に共有フォルダーの写しを作る、この機械のフォルダー。変わったものだけを読みます。",
    ),
    default(
        "shadow_max_age",
        Kind::Period { min: 0, max: 366 * DAY },
        r#""1h""#,
        "The newest previous version of the share (VSS shadow copy) is read unless it is older than this, so that all files are of one \
         instant; \"0s\" for never.",
        "共有フォルダーの「以前のバージョン」(VSS シャドウコピー)のうち最新のものが、これより古くなければそれを読みます(全ファイルが同じ時点になります)。\
         \"0s\" なら使いません。",
    ),
];

const WATCHED: &[Field] = &[
    required(
        "path",
        Kind::Text { max: 256 },
        r#""//192.0.2.10/karte""#,
        "The share, as `//server/share`, or the folder where this machine has mounted it.",
        "共有フォルダー。`//サーバー/共有名` の形か、この機械でマウントしているフォルダーを書きます。",
    ),
    optional(
        "address",
        Kind::Address,
        r#""192.0.2.10""#,
        "Address of the server of a mounted share: what is cut off. Default: what the mount table tells (cifs and NFS).",
        "マウントした共有フォルダーのサーバーのアドレス。切り離しの対象です。省略時は、マウント表に書かれているもの（cifs と NFS）。",
    ),
    SHARE_FOLDERS,
    SHARE_PORT,
    SHARE_CREDENTIALS,
    default(
        "canary_every",
        Kind::Period { min: 1, max: DAY },
        r#""5s""#,
        "How often decoys and standing files are read.",
        "おとりと代表のファイルを読む間隔。",
    ),
    default(
        "look_every",
        Kind::Period { min: 1, max: DAY },
        r#""30s""#,
        "How often everything is listed.",
        "全体を一覧する間隔。",
    ),
    default(
        "plant",
        Kind::Bool,
        "false",
        "Whether decoys are written to the share; nothing else is ever written there.",
        "共有フォルダーにおとりのファイルを置くかどうか。ほかには何も書き込みません。",
    ),
];

const SHARE_PATH: Field = required(
    "path",
    Kind::Text { max: 256 },
    r#""//192.0.2.10/karte""#,
    "The share, as `//server/share`.",
    "共有フォルダー。`//サーバー/共有名` の形で書きます。",
);

const SHARE_FOLDERS: Field = default(
    "folders",
    Kind::List { of: &Kind::Text { max: 1_024 }, min: 0, max: 64 },
    "[]",
    "Folders of the share; all of it without.",
    "共有フォルダーの中の対象フォルダー。省略時は全体です。",
);

const SHARE_PORT: Field = default(
    "port",
    Kind::Integer { min: 1, max: 65_535 },
    "445",
    "TCP port of the server.",
    "サーバーの TCP ポート。",
);

const SHARE_CREDENTIALS: Field = optional(
    "credentials",
    Kind::Path,
    r#""/etc/chartward/karte.credentials""#,
    "File with lines username=, password=, domain= that only its owner may read. Default: as a guest.",
    "username=、password=、domain= の行を書いた、所有者だけが読めるファイル。省略時はゲストとして接続します。",
);
