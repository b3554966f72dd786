//! Channels through which people are told.

use super::{Field, Kind, LANGUAGE, SEVERITY, SOME_TEXTS, Shape, TEXT, default, optional, required};

pub(super) static SHAPE: Shape = Shape { fields: FIELDS, one_of: &["smtp", "webhook", "syslog", "lamp"] };

const FIELDS: &[Field] = &[
    required("name", Kind::Name, r#""duty""#, "Its name.", "名前。"),
    default(
        "severity_min",
        SEVERITY,
        r#""high""#,
        "The least severity that is told.",
        "知らせる最小の重大度。",
    ),
    optional(
        "lang",
        LANGUAGE,
        r#""ja""#,
        "Language of its notices. Default: that of the file.",
        "通知の言語。省略時は設定全体の言語です。",
    ),
    optional(
        "smtp",
        Kind::Table(&Shape { fields: SMTP, one_of: &[] }),
        r#"{ server = "mail.example.jp", from = "chartward@example.jp", to = ["duty@example.jp"] }"#,
        "Mail.",
        "メール。",
    ),
    optional(
        "webhook",
        Kind::Table(&Shape { fields: WEBHOOK, one_of: &[] }),
        r#"{ url = "https://chat.example.jp/hooks/duty" }"#,
        "JSON over HTTP.",
        "HTTP で送る JSON。",
    ),
    optional(
        "syslog",
        Kind::Table(&Shape { fields: SYSLOG, one_of: &[] }),
        r#"{ address = "192.0.2.30:514" }"#,
        "Syslog (RFC 5424).",
        "syslog(RFC 5424)。",
    ),
    optional(
        "lamp",
        Kind::Table(&Shape { fields: LAMP, one_of: &[] }),
        r#"{ on = "http://192.0.2.40/api/control?alert=200000" }"#,
        "A signal lamp that is switched over HTTP.",
        "HTTP で点灯する信号灯(パトライトなど)。",
    ),
];

const SMTP: &[Field] = &[
    required(
        "server",
        TEXT,
        r#""mail.example.jp""#,
        "Name or address of the server.",
        "サーバーの名前かアドレス。",
    ),
    default("port", Kind::Integer { min: 1, max: 65_535 }, "587", "Its port.", "ポート。"),
    default(
        "tls",
        Kind::OneOf(&["starttls", "tls", "none"]),
        r#""starttls""#,
        "How the way there is protected; `none` never carries a password except to this machine itself.",
        "経路の保護。none では、この機械自身あて以外にパスワードは送れません。",
    ),
    required("from", TEXT, r#""chartward@example.jp""#, "Sender.", "差出人。"),
    required("to", SOME_TEXTS, r#"["duty@example.jp"]"#, "Recipients.", "宛先。"),
    optional(
        "user",
        TEXT,
        r#""chartward""#,
        "User name, with `password`.",
        "利用者名。password と組で書きます。",
    ),
    optional(
        "password",
        Kind::Secret,
        r#"{ secret = "smtp" }"#,
        "Where the password is.",
        "パスワードの置き場所。",
    ),
];

const WEBHOOK: &[Field] = &[
    required("url", Kind::Url, r#""https://chat.example.jp/hooks/duty""#, "Where it is sent.", "送り先。"),
    optional(
        "token",
        Kind::Secret,
        r#"{ secret = "chat" }"#,
        "Sent as `Authorization: Bearer`; only over https.",
        "Authorization: Bearer として送ります。https のときだけ使えます。",
    ),
];

const SYSLOG: &[Field] = &[
    required("address", Kind::Listen, r#""192.0.2.30:514""#, "Address and port.", "アドレスとポート。"),
    default("transport", Kind::OneOf(&["udp", "tcp"]), r#""udp""#, "How it travels.", "送り方。"),
];

const LAMP: &[Field] = &[
    required(
        "on",
        Kind::Url,
        r#""http://192.0.2.40/api/control?alert=200000""#,
        "What is asked for when something is wrong; {severity} stands for 1 to 5.",
        "異常のときに呼ぶ URL。{severity} は 1 から 5 に置き換わります。",
    ),
    optional(
        "off",
        Kind::Url,
        r#""http://192.0.2.40/api/control?alert=000000""#,
        "What is asked for when it is over.",
        "収まったときに呼ぶ URL。",
    ),
    optional("user", TEXT, r#""lamp""#, "User name, with `password`.", "利用者名。password と組で書きます。"),
    optional(
        "password",
        Kind::Secret,
        r#"{ secret = "lamp" }"#,
        "Where the password is.",
        "パスワードの置き場所。",
    ),
];
