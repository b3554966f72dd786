//! The network sensor.

use super::{DAY, ENTRIES_MAX, Field, Kind, PATHS, Shape, TEXT, TEXTS, default, optional, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const NETWORKS: Kind = Kind::List { of: &Kind::Network, min: 0, max: ENTRIES_MAX };
const SOME_NETWORKS: Kind = Kind::List { of: &Kind::Network, min: 1, max: ENTRIES_MAX };
/// They travel to the sensor as one argument.
const CONTRACTS_MAX: usize = 100;
const TOOLS: Kind =
    Kind::List { of: &Kind::OneOf(&["any_desk", "team_viewer", "remote_support", "tunnel"]), min: 0, max: 8 };
const DAYS: Kind =
    Kind::List { of: &Kind::OneOf(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min: 0, max: 7 };
const PORT: Kind = Kind::Integer { min: 1, max: 65_535 };

const FIELDS: &[Field] = &[
    default(
        "interfaces",
        TEXTS,
        "[]",
        "Interfaces that the switch mirrors its traffic to, such as `eth1`. They need no address.",
        "スイッチのミラーポートにつないだインターフェース（`eth1` など）。アドレスは不要です。",
    ),
    default(
        "internal",
        NETWORKS,
        "[]",
        "The hospital's own networks, its public addresses too. When it is empty: the private ones (RFC 1918, RFC 4193).",
        "病院のネットワーク（病院のグローバルアドレスも含めます）。空の場合はプライベートアドレス（RFC 1918、RFC 4193）とします。",
    ),
    default(
        "known_scanners",
        NETWORKS,
        "[]",
        "Vulnerability scanners and monitoring: what they reach for is no scan, no guess and no spread.",
        "脆弱性診断や稼働監視の機械。これらの通信は、探索・総当たり・横展開とみなしません。",
    ),
    default(
        "managers",
        NETWORKS,
        "[]",
        "Consoles that install programs on other machines: antivirus, software distribution, administrators' jump hosts.",
        "ほかの機械にプログラムを入れる管理用の機械（ウイルス対策の管理サーバー、ソフト配布、管理者の踏み台など）。",
    ),
    default(
        "domain_controllers",
        NETWORKS,
        "[]",
        "Domain controllers, and what replicates the directory like one. Once any is named, only these may replicate; otherwise whoever gives Kerberos tickets to three machines may.",
        "ドメインコントローラーと、同じようにディレクトリーを複製する機械。一つでも指定すると、複製してよいのはこれらだけになります。指定がなければ、3台以上に Kerberos チケットを渡している機械を認めます。",
    ),
    default(
        "contract",
        Kind::Tables { shape: &CONTRACT, max: CONTRACTS_MAX },
        "[]",
        "What was agreed with a contractor who connects from outside. Nothing about it is learnt: every deviation is told.",
        "外部から接続する業者との取り決め。学習はせず、取り決めから外れた通信をすべて知らせます。",
    ),
    default(
        "hospital_pair",
        Kind::Tables { shape: &PAIR, max: CONTRACTS_MAX },
        "[]",
        "Who may speak HL7 and DICOM to whom. When it is empty: everybody inside.",
        "HL7・DICOM で通信してよい組。空の場合は、院内どうしならすべて許します。",
    ),
    default(
        "exempt",
        Kind::Tables { shape: &EXEMPT, max: CONTRACTS_MAX },
        "[]",
        "About whom a detector stays silent.",
        "特定の検知を知らせない相手。",
    ),
    default(
        "periodic",
        Kind::Tables { shape: &PERIODIC, max: CONTRACTS_MAX },
        "[]",
        "What calls at regular times and is known: it is no beacon.",
        "決まった間隔で通信することが分かっているもの。遠隔操作の合図（ビーコン）とみなしません。",
    ),
    default(
        "peer_ports",
        Kind::List { of: &PORT, min: 0, max: ENTRIES_MAX },
        "[7680]",
        "Ports by which equals share among themselves, where many are switched off: 7680 is Windows' delivery optimisation.",
        "端末どうしが互いに配り合うポート（電源の切れた相手が多い）。7680 は Windows の配信の最適化です。",
    ),
    default(
        "names_allowed",
        TEXTS,
        "[]",
        "Domains that are never judged, with all below them.",
        "判定しないドメイン（その下の名前も含みます）。",
    ),
    default(
        "phishing_lists",
        PATHS,
        "[]",
        "Files with domains of known phishing, one a line, or as a hosts file; lines with `#` are comments.",
        "フィッシングに使われたドメインの一覧ファイル。1行に1つ、または hosts ファイルの形式で、`#` の後は注釈です。",
    ),
    default(
        "malware_lists",
        PATHS,
        "[]",
        "Files with domains of known malware, written alike.",
        "マルウェアに使われたドメインの一覧ファイル。書き方は同じです。",
    ),
    optional(
        "brands",
        Kind::Path,
        r#""/etc/chartward/brands.toml""#,
        "Further names to protect against look-alikes: the hospital itself, its vendors. Written like the list that comes with the \
         program.",
        "似せた名前から守る名前の追加（病院自身や取引先）。付属の一覧と同じ書き方です。",
    ),
    default(
        "learn_for",
        Kind::Period { min: 0, max: 90 * DAY },
        r#""7d""#,
        "For so long after its first start it learns which machines work with each other, and tells of no first-seen pairs. \
         `chartward sensor learnt` shows what it learnt, and forgets it.",
        "最初の起動からこの期間は、どの機械どうしが通信するかを学習し、初めての組を知らせません。学習内容の確認と取り消しは \
         `chartward sensor learnt` で行います。",
    ),
    optional(
        "thresholds",
        Kind::Table(&THRESHOLDS),
        "",
        "Numbers that decide. The defaults were measured.",
        "判定に使う数。既定値は実測にもとづきます。",
    ),
    default(
        "ring",
        Kind::Size { min: 4 << 20, max: 4 << 30 },
        r#""64 MiB""#,
        "Memory in which packets of an interface wait. More of it bridges longer peaks; packets that find no room are counted and \
         told.",
        "パケットを一時的に置くメモリー（インターフェースごと）。大きいほど集中に耐えます。入りきらなかったパケットは数えて知らせます。",
    ),
    default(
        "flows_keep",
        Kind::Period { min: DAY, max: 3_660 * DAY },
        r#""180d""#,
        "How long summaries of flows are kept, for the question what left the network.",
        "通信の要約の保存期間。「何が外に出たか」を後から確かめるために使います。",
    ),
    default(
        "flows_max",
        Kind::Size { min: 16 << 20, max: 1 << 44 },
        r#""10 GiB""#,
        "The most that they take; then the oldest day goes.",
        "その容量の上限。超えると最も古い日から消えます。",
    ),
];

static CONTRACT: Shape = Shape {
    fields: &[
        required("name", Kind::Name, r#""ct-maintenance""#, "Its name.", "名前。"),
        required(
            "peer",
            SOME_NETWORKS,
            r#"["198.51.100.7"]"#,
            "The contractor's addresses.",
            "業者側のアドレス。",
        ),
        required(
            "hosts",
            SOME_NETWORKS,
            r#"["192.0.2.20"]"#,
            "The machines of the hospital that it is about.",
            "対象となる病院側の機械。",
        ),
        default(
            "ports",
            Kind::List { of: &TEXT, min: 0, max: 50 },
            "[]",
            "Ports that may be spoken to: `443`, `5000-5010`, `udp/7070`. When it is empty: any.",
            "接続してよいポート。`443`、`5000-5010`、`udp/7070` のように書きます。空の場合はすべてです。",
        ),
        default(
            "direction",
            Kind::OneOf(&["inward", "outward", "both"]),
            r#""inward""#,
            "Who may open: the contractor, the hospital, or both.",
            "接続を始めてよい側。`inward` は業者、`outward` は病院、`both` は両方です。",
        ),
        default("days", DAYS, "[]", "Days of the week. When it is empty: any.", "曜日。空の場合は毎日です。"),
        optional(
            "hours",
            Kind::Text { max: 11 },
            r#""09:00-17:30""#,
            "Hours of the day, in the time zone of this file; past midnight where the second is before the first. Default: any.",
            "時間帯（この設定のタイムゾーン）。後の時刻が前より早ければ、翌日までとします。省略時は終日です。",
        ),
        optional(
            "bytes_per_day",
            Kind::Size { min: 0, max: 1 << 44 },
            r#""200 MiB""#,
            "Bytes to the contractor on one day. Default: any.",
            "1日に業者へ送る量の上限。省略時は制限しません。",
        ),
        optional(
            "bytes_in_per_day",
            Kind::Size { min: 0, max: 1 << 44 },
            r#""2 GiB""#,
            "Bytes from the contractor on one day. Default: any.",
            "1日に業者から受け取る量の上限。省略時は制限しません。",
        ),
        default(
            "tools",
            TOOLS,
            "[]",
            "Remote-support tools and tunnels that may be used over it.",
            "使ってよい遠隔操作ツールやトンネル。",
        ),
    ],
    one_of: &[],
};

static PAIR: Shape = Shape {
    fields: &[
        optional(
            "service",
            Kind::OneOf(&["mllp", "dicom"]),
            r#""dicom""#,
            "HL7 (`mllp`) or DICOM. Default: both.",
            "HL7（`mllp`）か DICOM。省略時は両方です。",
        ),
        required("client", Kind::Network, r#""192.0.2.0/24""#, "Who opens.", "接続を始める側。"),
        required("server", Kind::Network, r#""192.0.2.30""#, "Who is spoken to.", "接続を受ける側。"),
    ],
    one_of: &[],
};

static EXEMPT: Shape = Shape {
    fields: &[
        required(
            "detector",
            TEXT,
            r#""beacon.interval""#,
            "A detector's id, or a family such as `beacon`.",
            "検知の名前、または `beacon` のような分類。",
        ),
        optional(
            "actor",
            Kind::Network,
            r#""192.0.2.40""#,
            "The one who acts. Default: anybody.",
            "行う側。省略時は誰でも。",
        ),
        optional(
            "target",
            Kind::Network,
            r#""192.0.2.41""#,
            "The one to whom it is done. Default: anybody.",
            "受ける側。省略時は誰でも。",
        ),
    ],
    one_of: &[],
};

static PERIODIC: Shape = Shape {
    fields: &[
        optional(
            "client",
            Kind::Network,
            r#""192.0.2.50""#,
            "Who calls. Default: anybody.",
            "呼ぶ側。省略時は誰でも。",
        ),
        optional(
            "server",
            Kind::Network,
            r#""198.51.100.9""#,
            "Who is called. Default: anybody.",
            "呼ばれる側。省略時は誰でも。",
        ),
        optional("port", PORT, "123", "On which port. Default: any.", "ポート。省略時はすべて。"),
    ],
    one_of: &[],
};

static THRESHOLDS: Shape = Shape {
    fields: &[
        default(
            "fanout_peers",
            Kind::Integer { min: 2, max: 1_000 },
            "3",
            "New peers on file-sharing and remote-control ports in ten minutes.",
            "10分間に、ファイル共有や遠隔操作のポートで新しくつないだ相手の数。",
        ),
        default(
            "guesses",
            Kind::Integer { min: 3, max: 10_000 },
            "10",
            "Failed log-ons in five minutes (RDP, SSH).",
            "5分間に失敗したログオンの数（RDP、SSH）。",
        ),
        default(
            "files_replaced",
            Kind::Integer { min: 2, max: 10_000 },
            "8",
            "Files over SMB that are read, written and renamed once each.",
            "SMB で、読み・書き・名前の変更が1回ずつ行われたファイルの数。",
        ),
        default(
            "beacon_percent",
            Kind::Integer { min: 50, max: 100 },
            "80",
            "How regular a beacon has to be.",
            "ビーコンとみなす規則正しさ。",
        ),
        default(
            "exfil_floor",
            Kind::Size { min: 1 << 20, max: 1 << 40 },
            r#""100 MiB""#,
            "Bytes to one new peer outside on a day that are never too many.",
            "外部の新しい相手1つに、1日に送っても知らせない量。",
        ),
    ],
    one_of: &[],
};
