//! Which records a rule is for: Sigma's `logsource` as channels and event ids. One table, and nothing else, decides it.

use super::rule::Logsource;

/// A log that a source's records are in: its channel in lower case, and the event ids there (empty: all).
pub(super) type Log = (&'static str, &'static [u32]);

const SYSMON: &str = "microsoft-windows-sysmon/operational";
const SECURITY: &str = "security";
const POWERSHELL: &str = "microsoft-windows-powershell/operational";
const POWERSHELL_CORE: &str = "powershellcore/operational";
const POWERSHELL_CLASSIC: &str = "windows powershell";
const DEFENDER: &str = "microsoft-windows-windows defender/operational";
const KERNEL_FILE: &str = "microsoft-windows-kernel-file/analytic";

/// Windows services: Sigma `service` and the channels that it means.
const SERVICES: &[(&str, &[&str])] = &[
    ("application", &["application"]),
    ("application-experience", &["microsoft-windows-application-experience/program-telemetry"]),
    (
        "applocker",
        &[
            "microsoft-windows-applocker/exe and dll",
            "microsoft-windows-applocker/msi and script",
            "microsoft-windows-applocker/packaged app-deployment",
            "microsoft-windows-applocker/packaged app-execution",
        ],
    ),
    ("appmodel-runtime", &["microsoft-windows-appmodel-runtime/admin"]),
    ("appxdeployment-server", &["microsoft-windows-appxdeploymentserver/operational"]),
    ("appxpackaging-om", &["microsoft-windows-appxpackaging/operational"]),
    ("audit-cve", &["application"]),
    ("bits-client", &["microsoft-windows-bits-client/operational"]),
    ("bitlocker", &["microsoft-windows-bitlocker/bitlocker management"]),
    ("capi2", &["microsoft-windows-capi2/operational"]),
    (
        "certificateservicesclient-lifecycle-system",
        &["microsoft-windows-certificateservicesclient-lifecycle-system/operational"],
    ),
    ("codeintegrity-operational", &["microsoft-windows-codeintegrity/operational"]),
    ("dhcp", &["microsoft-windows-dhcp-server/operational"]),
    ("diagnosis-scripted", &["microsoft-windows-diagnosis-scripted/operational"]),
    (
        "dns-client",
        &["microsoft-windows-dns client events/operational", "microsoft-windows-dns-client/operational"],
    ),
    ("dns-server", &["dns server"]),
    ("dns-server-analytic", &["microsoft-windows-dns-server/analytical"]),
    ("dns-server-audit", &["microsoft-windows-dnsserver/audit"]),
    ("driver-framework", &["microsoft-windows-driverframeworks-usermode/operational"]),
    ("firewall-as", &["microsoft-windows-windows firewall with advanced security/firewall"]),
    ("hyper-v-worker", &["microsoft-windows-hyper-v-worker"]),
    (
        "iis-configuration",
        &["microsoft-iis-configuration/operational", "microsoft-iis-configuration/administrative"],
    ),
    ("kernel-event-tracing", &["microsoft-windows-kernel-eventtracing/admin"]),
    (
        "kernel-shimengine",
        &[
            "microsoft-windows-kernel-shimengine/operational",
            "microsoft-windows-kernel-shimengine/diagnostic",
        ],
    ),
    ("ldap", &["microsoft-windows-ldap-client/debug"]),
    ("ldap_debug", &["microsoft-windows-ldap-client/debug"]),
    ("lsa-server", &["microsoft-windows-lsa/operational"]),
    (
        "microsoft-servicebus-client",
        &[
            "microsoft-servicebus-client",
            "microsoft-servicebus-client/admin",
            "microsoft-servicebus-client/operational",
        ],
    ),
    ("msexchange-management", &["msexchange management"]),
    ("ntfs", &["microsoft-windows-ntfs/operational"]),
    ("ntlm", &["microsoft-windows-ntlm/operational"]),
    ("openssh", &["openssh/operational"]),
    ("powershell", &[POWERSHELL, POWERSHELL_CORE]),
    ("powershell-classic", &[POWERSHELL_CLASSIC]),
    ("printservice-admin", &["microsoft-windows-printservice/admin"]),
    ("printservice-operational", &["microsoft-windows-printservice/operational"]),
    ("security", &[SECURITY]),
    (
        "security-mitigations",
        &[
            "microsoft-windows-security-mitigations/kernelmode",
            "microsoft-windows-security-mitigations/kernel mode",
            "microsoft-windows-security-mitigations/usermode",
            "microsoft-windows-security-mitigations/user mode",
        ],
    ),
    ("sense", &["microsoft-windows-sense/operational"]),
    ("shell-core", &["microsoft-windows-shell-core/operational"]),
    ("smbclient-connectivity", &["microsoft-windows-smbclient/connectivity"]),
    ("smbclient-security", &["microsoft-windows-smbclient/security"]),
    ("smbserver-connectivity", &["microsoft-windows-smbserver/connectivity"]),
    ("sysmon", &[SYSMON]),
    ("system", &["system"]),
    ("taskscheduler", &["microsoft-windows-taskscheduler/operational"]),
    (
        "terminalservices-localsessionmanager",
        &["microsoft-windows-terminalservices-localsessionmanager/operational"],
    ),
    // Ours: SigmaHQ has no rule for them, the guessing that they show is the first that is seen of an open RDP port.
    ("remotedesktopservices-rdpcorets", &["microsoft-windows-remotedesktopservices-rdpcorets/operational"]),
    (
        "terminalservices-remoteconnectionmanager",
        &["microsoft-windows-terminalservices-remoteconnectionmanager/operational"],
    ),
    ("terminalservices-gateway", &["microsoft-windows-terminalservices-gateway/operational"]),
    ("vhdmp", &["microsoft-windows-vhdmp/operational"]),
    ("windefend", &[DEFENDER]),
    ("wmi", &["microsoft-windows-wmi-activity/operational"]),
];

/// Windows categories: Sigma `category` and the logs that it means.
const CATEGORIES: &[(&str, &[Log])] = &[
    (
        "antivirus",
        &[(
            DEFENDER,
            &[1006, 1007, 1008, 1009, 1010, 1011, 1012, 1017, 1018, 1019, 1115, 1116, 1117, 1118, 1119],
        )],
    ),
    ("clipboard_change", &[(SYSMON, &[24])]),
    ("create_remote_thread", &[(SYSMON, &[8])]),
    ("create_stream_hash", &[(SYSMON, &[15])]),
    ("dns_query", &[(SYSMON, &[22])]),
    ("driver_load", &[(SYSMON, &[6])]),
    ("file_access", &[(KERNEL_FILE, &[])]),
    ("file_block_executable", &[(SYSMON, &[27])]),
    ("file_block_shredding", &[(SYSMON, &[28])]),
    ("file_change", &[(SYSMON, &[2])]),
    ("file_delete", &[(SYSMON, &[23, 26])]),
    ("file_event", &[(SYSMON, &[11])]),
    ("file_executable_detected", &[(SYSMON, &[29])]),
    ("file_rename", &[(KERNEL_FILE, &[])]),
    ("image_load", &[(SYSMON, &[7])]),
    ("network_connection", &[(SYSMON, &[3])]),
    ("pipe_created", &[(SYSMON, &[17, 18])]),
    ("process_access", &[(SYSMON, &[10])]),
    ("process_creation", &[(SYSMON, &[1]), (SECURITY, &[4688])]),
    ("process_tampering", &[(SYSMON, &[25])]),
    ("process_termination", &[(SYSMON, &[5]), (SECURITY, &[4689])]),
    ("ps_classic_provider_start", &[(POWERSHELL_CLASSIC, &[600])]),
    ("ps_classic_script", &[(POWERSHELL_CLASSIC, &[800])]),
    ("ps_classic_start", &[(POWERSHELL_CLASSIC, &[400])]),
    ("ps_module", &[(POWERSHELL, &[4103]), (POWERSHELL_CORE, &[4103])]),
    ("ps_script", &[(POWERSHELL, &[4104]), (POWERSHELL_CORE, &[4104])]),
    ("raw_access_thread", &[(SYSMON, &[9])]),
    ("registry_add", &[(SYSMON, &[12])]),
    ("registry_delete", &[(SYSMON, &[12])]),
    ("registry_event", &[(SYSMON, &[12, 13, 14])]),
    ("registry_rename", &[(SYSMON, &[14])]),
    ("registry_set", &[(SYSMON, &[13])]),
    ("sysmon_error", &[(SYSMON, &[255])]),
    ("sysmon_status", &[(SYSMON, &[4, 16])]),
    ("wmi_event", &[(SYSMON, &[19, 20, 21])]),
];

/// Linux categories, where Sysmon for Linux writes them.
const LINUX_SYSMON: &str = "linux-sysmon/operational";
const LINUX_CATEGORIES: &[(&str, &[Log])] = &[
    ("file_delete", &[(LINUX_SYSMON, &[23])]),
    ("file_event", &[(LINUX_SYSMON, &[11])]),
    ("network_connection", &[(LINUX_SYSMON, &[3])]),
    ("process_creation", &[(LINUX_SYSMON, &[1])]),
    ("process_termination", &[(LINUX_SYSMON, &[5])]),
];

/// Products that have two names, and services whose records come under another's.
const PRODUCTS: &[(&str, &str)] = &[("fortigate", "fortios"), ("fortinet", "fortios"), ("paloalto", "panos")];
const ALSO: &[(&str, &str)] =
    &[("auth", "sshd"), ("auth", "sudo"), ("auth", "su"), ("syslog", "*"), ("event", "*")];

/// Which event ids of a log are for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ids {
    All,
    Some(Vec<u32>),
    None,
}

impl Ids {
    pub(super) fn contain(&self, id: Option<u32>) -> bool {
        match self {
            Ids::All => true,
            Ids::Some(ids) => id.is_some_and(|id| ids.contains(&id)),
            Ids::None => false,
        }
    }

    fn meet(self, other: Ids) -> Ids {
        match (self, other) {
            (Ids::All, ids) | (ids, Ids::All) => ids,
            (Ids::Some(mut ids), Ids::Some(others)) => {
                ids.retain(|id| others.contains(id));
                if ids.is_empty() { Ids::None } else { Ids::Some(ids) }
            }
            _ => Ids::None,
        }
    }
}

/// Which records of a log are for a rule. `product` and `channel` are in lower case.
pub(super) fn ids(source: &Logsource, product: &str, channel: &str) -> Ids {
    let same = |wanted: &str| canonical(wanted) == canonical(product);
    if source.product.as_deref().is_some_and(|wanted| !same(wanted)) {
        return Ids::None;
    }
    match product {
        "windows" => windows(source, channel),
        "linux" => match source.category.as_deref().and_then(|category| row(LINUX_CATEGORIES, category)) {
            Some(logs) if channel == LINUX_SYSMON => in_log(logs, channel),
            _ => plain(source, channel),
        },
        _ => plain(source, channel),
    }
}

fn windows(source: &Logsource, channel: &str) -> Ids {
    let service = match source.service.as_deref() {
        None => Ids::All,
        Some(service) => match SERVICES.iter().find(|(name, _)| *name == service) {
            Some((_, channels)) if channels.contains(&channel) => Ids::All,
            Some(_) => Ids::None,
            // A service that the table does not know: its channel's own name will do.
            None if service == channel => Ids::All,
            None => Ids::None,
        },
    };
    let category = match source.category.as_deref() {
        None => Ids::All,
        Some(category) => match row(CATEGORIES, category) {
            Some(logs) => in_log(logs, channel),
            None if category == channel => Ids::All,
            None => Ids::None,
        },
    };
    service.meet(category)
}

fn row(table: &'static [(&str, &[Log])], category: &str) -> Option<&'static [Log]> {
    table.iter().find(|(name, _)| *name == category).map(|(_, logs)| *logs)
}

fn in_log(logs: &[Log], channel: &str) -> Ids {
    match logs.iter().find(|(name, _)| *name == channel) {
        None => Ids::None,
        Some((_, [])) => Ids::All,
        Some((_, ids)) => Ids::Some(ids.to_vec()),
    }
}

/// Every event id that the table names.
pub(super) fn ids_of_table() -> impl Iterator<Item = u32> {
    let logs = CATEGORIES.iter().chain(LINUX_CATEGORIES).flat_map(|(_, logs)| logs.iter());
    logs.flat_map(|(_, ids)| ids.iter().copied())
}

/// Other products: the channel is Sigma's service or category by name.
fn plain(source: &Logsource, channel: &str) -> Ids {
    let fits = |wanted: &Option<String>| {
        wanted.as_deref().is_none_or(|wanted| {
            wanted == channel
                || ALSO.iter().any(|(name, also)| *name == wanted && (*also == channel || *also == "*"))
        })
    };
    // One name cannot be both; a record is for a rule that names both when either is its own.
    let either = source.service.is_some() && source.category.is_some();
    let is_for = if either {
        fits(&source.service) || fits(&source.category)
    } else {
        fits(&source.service) && fits(&source.category)
    };
    if is_for { Ids::All } else { Ids::None }
}

fn canonical(product: &str) -> &str {
    PRODUCTS.iter().find(|(name, _)| *name == product).map_or(product, |(_, canonical)| canonical)
}

/// What the table adds to a rule's condition: Sysmon's event 12 is both the making and the removal of a key.
pub(super) fn event_types(category: &str) -> &'static [&'static str] {
    match category {
        "registry_add" => &["createkey"],
        "registry_delete" => &["deletekey", "deletevalue"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Logsource {
        let part = |n: usize| text.split('/').nth(n).filter(|part| !part.is_empty()).map(str::to_owned);
        Logsource { product: part(0), category: part(1), service: part(2) }
    }

    #[test]
    fn a_logsource_is_routed_to_its_channels_and_event_ids() {
        let none: &[u32] = &[];
        for (logsource, product, channel, takes, leaves) in [
            ("windows/process_creation", "windows", SYSMON, [1].as_slice(), [5, 11].as_slice()),
            ("windows/process_creation", "windows", SECURITY, &[4688], &[4624, 1]),
            ("windows/process_creation", "windows", "application", none, &[1, 4688]),
            ("windows/process_creation", "linux", SYSMON, none, &[1]),
            ("linux/process_creation", "linux", LINUX_SYSMON, &[1], &[3]),
            ("windows//security", "windows", SECURITY, &[4624, 1102, 4688], none),
            ("windows//security", "windows", "system", none, &[4624]),
            ("windows/registry_event", "windows", SYSMON, &[12, 13, 14], &[11]),
            ("windows/ps_script", "windows", POWERSHELL_CORE, &[4104], &[4103]),
            ("windows//powershell", "windows", POWERSHELL, &[4103, 4104, 40961], none),
            ("windows", "windows", "anything/at all", &[1, 2, 3], none),
            ("windows", "linux", "sshd", none, &[1]),
            ("linux", "linux", "sshd", &[1], none),
            ("linux//sshd", "linux", "sshd", &[1], none),
            ("linux//auth", "linux", "sshd", &[1], none),
            ("linux//cron", "linux", "sshd", none, &[1]),
            ("fortigate//event", "fortios", "vpn", &[1], none),
            ("/dns", "zeek", "dns", &[1], none),
            ("/dns", "windows", SYSMON, none, &[22]),
            ("windows/process_creation/sysmon", "windows", SYSMON, &[1], &[3]),
            ("windows/process_creation/sysmon", "windows", SECURITY, none, &[4688]),
            ("windows//applocker", "windows", "microsoft-windows-applocker/exe and dll", &[8003], none),
        ] {
            let found = ids(&source(logsource), product, channel);
            assert!(takes.iter().all(|id| found.contain(Some(*id))), "{logsource} {channel}: {found:?}");
            assert!(!leaves.iter().any(|id| found.contain(Some(*id))), "{logsource} {channel}: {found:?}");
        }
    }

    #[test]
    fn the_table_is_in_lower_case_and_has_no_name_twice() {
        let lower = |text: &str| text.to_lowercase() == text;
        for (name, channels) in SERVICES {
            assert!(lower(name) && channels.iter().all(|channel| lower(channel)), "{name}");
            assert_eq!(SERVICES.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
        for (name, logs) in CATEGORIES {
            assert!(lower(name) && logs.iter().all(|(channel, _)| lower(channel)), "{name}");
            assert_eq!(CATEGORIES.iter().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
    }
}
