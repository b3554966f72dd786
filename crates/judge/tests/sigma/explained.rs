//! Pairs that two other engines agree on and this one does not find, each with its reason.

/// File, title of the rule, why.
pub(crate) const EXPLAINED: &[(&str, &str, &str)] = &[
    (
        "evtx-gpl3/LM_sysmon_1_12_13_3_tsclient_SharpRdp.evtx",
        "RunMRU Registry Key Deletion - Registry",
        "Sysmon wrote CreateKey: the key was made, not deleted; the others do not look at EventType",
    ),
    (
        "evtx-gpl3/LM_sysmon_3_12_13_1_SharpRDP.evtx",
        "RunMRU Registry Key Deletion - Registry",
        "Sysmon wrote CreateKey: the key was made, not deleted; the others do not look at EventType",
    ),
];
