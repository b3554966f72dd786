use serde::{Deserialize, Serialize};

/// What a mail is: the `verdict` of the command line's contract. In this order, each is worse than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailVerdict {
    /// Nothing speaks against it.
    Clean,
    /// It could not be judged: broken beyond reading, or past a bound.
    Unreadable,
    /// Somebody should look twice before acting on it.
    Suspicious,
    /// It poses as somebody else to get something.
    Phishing,
    /// It carries what runs or infects.
    Malicious,
}

/// One thing that speaks for or against a mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailReason {
    /// Id of the feature, `group.name`, as the weights and an administrator's settings name it.
    pub id: String,
    /// What it adds to the score: the feature's weight, log-odds in natural units. Below zero it speaks for the mail.
    pub weight: f64,
    /// One sentence that a nurse understands.
    pub text: String,
    /// The same in Japanese.
    pub text_ja: String,
    /// What it rests on, out of the mail: an address, a host, a file's name. Links are defused (`hxxp`, `[.]`).
    pub evidence: Vec<String>,
}

/// The judgement of one mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailJudgement {
    /// What it is.
    pub verdict: MailVerdict,
    /// Sum of the weights, log-odds in natural units: 0 is even odds, higher is worse.
    pub score: f64,
    /// What the score rests on, the heaviest first.
    pub reasons: Vec<MailReason>,
}

/// The outcome of one authentication method: the words of RFC 8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthResult {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// It probably does not hold (SPF `~all`).
    SoftFail,
    /// The domain says nothing either way, or a mailing list changed what was signed.
    Neutral,
    /// Nothing to check: no record, no signature.
    None,
    /// It could not be checked now (DNS).
    TempError,
    /// Its record or signature is broken.
    PermError,
}

/// What is known of where a mail comes from, measured here or told by a server that is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// SPF of the envelope sender's domain, with that domain.
    pub spf: Option<(AuthResult, String)>,
    /// Each DKIM signature, with its signing domain (`d=`).
    pub dkim: Vec<(AuthResult, String)>,
    /// DMARC of the visible From's domain, with that domain.
    pub dmarc: Option<(AuthResult, String)>,
    /// The chain of those who passed it on (RFC 8617).
    pub arc: Option<AuthResult>,
    /// Who says so: `here`, or the authserv-id that was trusted.
    pub by: String,
}
