//! The watcher of logs.

use super::{Field, Kind, PATHS, Shape, TEXTS, default, optional};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &[] };

const FIELDS: &[Field] = &[
    default(
        "files",
        PATHS,
        "[]",
        "Log files and folders of them, followed through rotation.",
        "追いかけるログファイルとフォルダー。ローテーションにも対応します。",
    ),
    default(
        "from_start",
        Kind::Bool,
        "false",
        "Whether files that are met for the first time are read from their beginnings.",
        "初めて見るファイルを先頭から読むか。",
    ),
    default(
        "syslog",
        TEXTS,
        "[]",
        "Where syslog comes in: `udp://0.0.0.0:514`, `tcp://…`, `tls://0.0.0.0:6514`.",
        "syslog の受け口（`udp://0.0.0.0:514`、`tcp://…`、`tls://0.0.0.0:6514`）。",
    ),
    default(
        "http",
        TEXTS,
        "[]",
        "Where collectors such as Winlogbeat and NXLog post: `https://0.0.0.0:9200`, or `http://127.0.0.1:9200` on this machine only.",
        "Winlogbeat・NXLog などの受け口（`https://0.0.0.0:9200`。暗号なしの http:// はこの機械の中だけ）。",
    ),
    default(
        "journal",
        Kind::Bool,
        "false",
        "Whether this machine's journal is followed.",
        "この機械のジャーナルを追うか。",
    ),
    optional(
        "certificate",
        Kind::Path,
        r#""/etc/chartward/logs.pem""#,
        "Certificate of the TLS doors. Default: one is made.",
        "TLS の受け口の証明書。省略時は自動で作ります。",
    ),
    optional("key", Kind::Path, r#""/etc/chartward/logs.key""#, "Its key.", "その鍵。"),
    optional(
        "client_ca",
        Kind::Path,
        r#""/etc/chartward/clients.pem""#,
        "Only senders with a certificate of this authority may come through the TLS doors. Default: anybody.",
        "TLS の受け口に接続できる送信元を、この認証局の証明書を持つものに限ります。省略時は限りません。",
    ),
    default(
        "rules",
        PATHS,
        "[]",
        "Folders of Sigma rules, read anew when they change.",
        "Sigma ルールのフォルダー。変更されると読み直します。",
    ),
    default(
        "own_rules",
        Kind::Bool,
        "true",
        "Whether the rules that come with Chartward are used too: tampering with backups, logs and protection, and movement between machines.",
        "付属のルール（バックアップ・ログ・保護機能への妨害、機器間の移動）も使うか。",
    ),
    optional(
        "level",
        Kind::OneOf(&["informational", "low", "medium", "high", "critical"]),
        r#""medium""#,
        "The least level of rules that are used. Default: low.",
        "使うルールの最低の重大度。省略時は low です。",
    ),
];
