//! The one table of who may do what.

use jiff::Timestamp;
use schema::Lang;

use super::{Access, Audit, Denied, Role, Why};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident => $id:literal, [$($role:ident)*], $en:literal, $ja:literal;)*) => {
        /// Everything that the console and the API can do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Permission { $($(#[$doc])* $name,)* }

        impl Permission {
            /// All, in the order of the table.
            pub(crate) const ALL: &[Permission] = &[$(Permission::$name,)*];

            /// The roles that have it.
            fn roles(self) -> &'static [Role] {
                match self { $(Permission::$name => &[$(Role::$role,)*],)* }
            }

            /// As the ledger and the API name it.
            pub(crate) fn id(self) -> &'static str {
                match self { $(Permission::$name => $id,)* }
            }

            /// In words.
            pub(crate) fn title(self, lang: Lang) -> &'static str {
                match self { $(Permission::$name => lang.pick($en, $ja),)* }
            }
        }
    };
}

permissions! {
    /// The promise, jobs, watchers, incidents and what was done.
    See => "see", [Viewer Operator Clinician Admin], "look at the promise, jobs, watchers and incidents", "状況・ジョブ・監視・インシデントの閲覧";
    /// The report of an incident.
    Report => "report", [Viewer Operator Admin], "read and print reports", "報告書の閲覧と印刷";
    /// Patients' charts while the record system is down.
    ReadCharts => "charts.read", [Clinician Admin], "read charts", "カルテの閲覧";
    /// Say yes or no to a proposed countermeasure.
    Approve => "act.approve", [Operator Admin], "approve or reject countermeasures", "対処の承認・却下";
    /// Take a countermeasure back.
    Undo => "act.undo", [Operator Admin], "undo countermeasures", "対処の取り消し";
    /// Plan and apply a countermeasure of one's own.
    Plan => "act.plan", [Operator Admin], "plan and apply countermeasures", "対処の計画と実行";
    /// Let a class of watcher cause an act.
    Arm => "act.arm", [Admin], "arm and disarm actions", "自動対処の有効化・無効化";
    /// Say where an incident stands.
    MarkIncident => "incident.mark", [Operator Admin], "mark incidents", "インシデントの状態変更";
    /// Run a scheduled job now.
    RunJob => "job.run", [Operator Admin], "run jobs now", "ジョブの即時実行";
    /// Let an isolated host back.
    Reconnect => "host.reconnect", [Operator Admin], "reconnect hosts", "ホストの再接続";
    /// Start a watcher again.
    RestartWatcher => "watcher.restart", [Operator Admin], "restart watchers", "監視プログラムの再起動";
    /// Mails that were held back.
    Mail => "mail.quarantine", [Operator Admin], "see, release and delete mail in quarantine", "隔離されたメールの閲覧・解放・削除";
    /// A copy of the signed ledger.
    ExportLedger => "ledger.export", [Operator Admin], "export the ledger", "台帳の書き出し";
    /// Figures for Prometheus.
    Metrics => "metrics", [Viewer Operator Admin], "read metrics", "メトリクスの取得";
    /// The description of the API.
    ApiDocs => "api.docs", [Viewer Operator Admin], "read the API's description", "API仕様の閲覧";
    /// One's own password, second factor, language and sessions.
    OwnAccount => "account.own", [Viewer Operator Clinician Admin], "change one's own account", "自分のアカウントの変更";
    /// API tokens: one's own; an administrator's are all.
    Tokens => "tokens", [Operator Admin], "make and revoke API tokens", "APIトークンの発行・失効";
    /// Who did what: the ledger's entries about access.
    Audit => "audit.read", [Admin], "read who did what", "操作履歴の閲覧";
    /// The hub's settings.
    Settings => "settings", [Admin], "change settings", "設定の変更";
    /// Accounts and their roles.
    Users => "users", [Admin], "manage accounts", "アカウントの管理";
    /// The sealed store.
    Secrets => "secrets", [Admin], "manage secrets", "秘密情報の管理";
}

impl Permission {
    /// Whether the password must have been typed in the last ten minutes.
    pub(crate) fn needs_fresh(self) -> bool {
        matches!(self, Permission::Arm | Permission::Users | Permission::Secrets | Permission::Tokens)
    }

    /// Whether the ledger keeps it when it was allowed, too. What changes something is recorded by what it did.
    fn is_recorded(self) -> bool {
        matches!(
            self,
            Permission::ReadCharts | Permission::Arm | Permission::ExportLedger | Permission::Settings
        )
    }
}

/// Whether a role includes something: the whole of the rights.
pub(crate) fn may(role: Role, permission: Permission) -> bool {
    permission.roles().contains(&role)
}

/// Whether a role includes everything that another one includes.
pub(crate) fn covers(role: Role, other: Role) -> bool {
    Permission::ALL.iter().all(|permission| may(role, *permission) || !may(other, *permission))
}

/// Whether a role cannot be used without a second factor.
pub(crate) fn needs_totp(role: Role) -> bool {
    matches!(role, Role::Operator | Role::Admin)
}

/// The table for people, in Markdown; SECURITY.md holds it, and a test compares.
#[cfg(test)]
fn matrix(lang: Lang) -> String {
    let mut text = lang
        .pick("| | viewer | operator | clinician | admin |\n", "| | 閲覧者 | 担当者 | 臨床 | 管理者 |\n")
        .to_owned();
    text.push_str("|---|---|---|---|---|\n");
    for permission in Permission::ALL {
        let fresh = if permission.needs_fresh() {
            lang.pick(" (re-authenticated)", "（再認証後）")
        } else {
            ""
        };
        text.push_str(&format!("| {}{fresh}", permission.title(lang)));
        for role in Role::ALL {
            text.push_str(if may(role, *permission) { " | ●" } else { " | –" });
        }
        text.push_str(" |\n");
    }
    text
}

/// Who asks: a person with a session, or a program with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    /// The account's name, or `token:` and the token's number and name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: Role,
    /// Until when what needs a fresh log-in is allowed; never for a token.
    pub(crate) fresh_until: Option<Timestamp>,
    /// Whether the second factor that the role needs is yet to be set up.
    pub(crate) must_set_up_totp: bool,
}

impl Who {
    /// Whether it may be done now, without a word to anybody: what a page shows or leaves out.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        may(self.role, permission) && (!self.must_set_up_totp || permission == Permission::OwnAccount)
    }

    fn check(&self, permission: Permission, now: Timestamp) -> Result<(), Denied> {
        if !may(self.role, permission) {
            return Err(Denied::new(
                Why::Role,
                format!("your role does not include this: {}", permission.title(Lang::En)),
                format!("この操作を行う権限がありません: {}", permission.title(Lang::Ja)),
            ));
        }
        if self.must_set_up_totp && permission != Permission::OwnAccount {
            return Err(Denied::new(
                Why::TotpNeeded,
                "set up the one-time codes of your account first",
                "先に確認コード（二要素認証）を設定してください。",
            ));
        }
        if permission.needs_fresh() && self.fresh_until.is_none_or(|until| now >= until) {
            return Err(Denied::new(
                Why::NotFresh,
                "type your password and a one-time code again first",
                "もう一度パスワードと確認コードを入力してください。",
            ));
        }
        Ok(())
    }
}

impl Access {
    /// Lets `who` do something to `object`, or refuses; either is recorded where it matters.
    pub(crate) fn require(
        &self,
        who: &Who,
        permission: Permission,
        object: &str,
        now: Timestamp,
    ) -> Result<(), Denied> {
        let checked = who.check(permission, now);
        if checked.is_err() || permission.is_recorded() {
            self.audit(Audit::of(who, permission.id(), object, checked.is_ok(), now));
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole matrix: viewer, operator, clinician, admin; `!` for what needs a fresh log-in.
    const GOLDEN: &str = "\
see              v o c a
report           v o - a
charts.read      - - c a
act.approve      - o - a
act.undo         - o - a
act.plan         - o - a
act.arm          - - - a !
incident.mark    - o - a
job.run          - o - a
host.reconnect   - o - a
watcher.restart  - o - a
mail.quarantine  - o - a
ledger.export    - o - a
metrics          v o - a
api.docs         v o - a
account.own      v o c a
tokens           - o - a !
audit.read       - - - a
settings         - - - a
users            - - - a !
secrets          - - - a !
";

    #[test]
    fn the_whole_matrix_is_as_decided() {
        let mut table = String::new();
        for permission in Permission::ALL {
            let marks = Role::ALL.map(|role| if may(role, *permission) { &role.name()[..1] } else { "-" });
            let fresh = if permission.needs_fresh() { " !" } else { "" };
            table.push_str(&format!("{:<16} {}{fresh}\n", permission.id(), marks.join(" ")));
        }
        assert_eq!(table, GOLDEN);
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let documented = include_str!("../../../../SECURITY.md");
        assert!(documented.contains(&matrix(Lang::En)), "put this into SECURITY.md:\n{}", matrix(Lang::En));
        assert_eq!(matrix(Lang::Ja).lines().count(), Permission::ALL.len() + 2);
    }

    #[test]
    fn roles_include_each_other_as_decided() {
        let covered = |role| Role::ALL.map(|other| covers(role, other));
        assert_eq!(covered(Role::Viewer), [true, false, false, false]);
        assert_eq!(covered(Role::Operator), [true, true, false, false]);
        assert_eq!(covered(Role::Clinician), [false, false, true, false]);
        assert_eq!(covered(Role::Admin), [true; 4]);
    }

    #[test]
    fn without_its_second_factor_a_role_is_worth_nothing() {
        let who = Who {
            name: "a".to_owned(),
            role: Role::Admin,
            fresh_until: Some(Timestamp::MAX),
            must_set_up_totp: true,
        };
        for permission in Permission::ALL {
            let checked = who.check(*permission, Timestamp::UNIX_EPOCH);
            assert_eq!(checked.is_ok(), *permission == Permission::OwnAccount, "{permission:?}");
            assert_eq!(who.may(*permission), checked.is_ok());
        }
    }
}
