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
        r#"{ url = "http://192.0.2.40/api/control?alert={lights}" }"#,
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
        "ca",
        Kind::Path,
        r#""/etc/chartward/hospital-ca.pem""#,
        "PEM file of the authority that signed the server's certificate, where it is the hospital's own.",
        "サーバーの証明書を発行した認証局の PEM ファイル。病院独自の認証局のときに書きます。",
    ),
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
        "signing_key",
        Kind::Secret,
        r#"{ secret = "chat" }"#,
        "Signs the body: header `X-Chartward-Signature: sha256=HEX` (HMAC-SHA256).",
        "本文の署名に使う鍵。ヘッダー X-Chartward-Signature: sha256=HEX(HMAC-SHA256)を付けます。",
    ),
];

const SYSLOG: &[Field] = &[
    required("address", Kind::Listen, r#""192.0.2.30:514""#, "Address and port.", "アドレスとポート。"),
    default("transport", Kind::OneOf(&["udp", "tcp"]), r#""udp""#, "How it travels.", "送り方。"),
];

const LAMP: &[Field] = &[
    required(
        "url",
        Kind::Url,
        r#""http://192.0.2.40/api/control?alert={lights}""#,
        "What is asked for; {severity} stands for 1 to 5, {lights} for the entry of `lights`.",
        "呼び出す URL。{severity} は 1 から 5 に、{lights} は lights の該当項目に置き換わります。",
    ),
    default(
        "method",
        Kind::OneOf(&["GET", "POST", "PUT"]),
        r#""GET""#,
        "How it is asked.",
        "呼び出しの方法。",
    ),
    default(
        "lights",
        Kind::List { of: &TEXT, min: 5, max: 5 },
        r#"["001000", "001000", "010000", "100000", "200001"]"#,
        "What stands for {lights} at severity 1 to 5: red, yellow, green, blue, white and the buzzer of a Patlite NH; 0 off, \
         1 on, 2 blinking.",
        "重大度 1 から 5 の {lights} の値。パトライト NH シリーズの赤・黄・緑・青・白・ブザーの順で、0 消灯、1 点灯、2 点滅です。",
    ),
];
