//! What keeps a ban from happening by itself, however a playbook is written.

use ipnet::IpNet;
use schema::{Act, Lang, WatcherClass};

use crate::NeverTouch;
use crate::never::is_internal;

/// Why a ban waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caution {
    /// Nobody is named who is never cut off: then nothing is enforced, since the one who forgot it would be locked out first.
    NoAllowList,
    /// What a log says of an address within the hospital: a ward may stand behind it, so a person decides.
    Internal,
}

impl Caution {
    /// What has to be heeded about an act that a finding calls for.
    pub(super) fn of(
        act: &Act,
        class: WatcherClass,
        detector: &str,
        never: &NeverTouch,
        internal: &[IpNet],
    ) -> Option<Self> {
        let Act::BlockAddress { address } = act else { return None };
        if !never.has_allow_list() {
            return Some(Self::NoAllowList);
        }
        // What a guard or the sensor saw itself (files being encrypted, a worm that scans) stops at once, as its playbook says; an
        // account of failed logons is somebody's word, and may be about one person among many.
        let is_told = matches!(class, WatcherClass::Logs | WatcherClass::External)
            || ["bruteforce.", "login."].iter().any(|family| detector.starts_with(family));
        (is_told && is_internal(*address, internal)).then_some(Self::Internal)
    }

    /// The sentence that follows the reason of the act.
    pub(super) fn words(self, lang: Lang) -> &'static str {
        match self {
            Self::NoAllowList => lang.pick(
                "; only noted, since [never_touch] names no address that is never blocked",
                " [never_touch] に遮断しないアドレスが書かれていないため、記録だけを行います。",
            ),
            Self::Internal => lang.pick(
                "; the source lies within the hospital, where many may share one address: a person decides",
                " 送信元が院内のアドレスで、複数の利用者が共有している可能性があるため、人の承認を待ちます。",
            ),
        }
    }
}
