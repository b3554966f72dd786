//! The rules that come with the product: Sigma as any other, in `rules/sigma/`, our own work.

/// Name and text of each that judges what a machine wrote down of itself.
const RECORDS: &[(&str, &str)] = &[
    ("antivirus_service_stopped.yml", include_str!("../../rules/sigma/antivirus_service_stopped.yml")),
    ("backup_catalog_deleted.yml", include_str!("../../rules/sigma/backup_catalog_deleted.yml")),
    ("boot_recovery_disabled.yml", include_str!("../../rules/sigma/boot_recovery_disabled.yml")),
    ("defender_disabled_command.yml", include_str!("../../rules/sigma/defender_disabled_command.yml")),
    ("defender_protection_off.yml", include_str!("../../rules/sigma/defender_protection_off.yml")),
    ("impacket_exec.yml", include_str!("../../rules/sigma/impacket_exec.yml")),
    ("local_admin_added.yml", include_str!("../../rules/sigma/local_admin_added.yml")),
    ("local_admin_command.yml", include_str!("../../rules/sigma/local_admin_command.yml")),
    ("log_cleared_command.yml", include_str!("../../rules/sigma/log_cleared_command.yml")),
    ("log_cleared_security.yml", include_str!("../../rules/sigma/log_cleared_security.yml")),
    ("log_cleared_system.yml", include_str!("../../rules/sigma/log_cleared_system.yml")),
    ("lsass_access.yml", include_str!("../../rules/sigma/lsass_access.yml")),
    ("lsass_dump_command.yml", include_str!("../../rules/sigma/lsass_dump_command.yml")),
    ("rdp_success_external.yml", include_str!("../../rules/sigma/rdp_success_external.yml")),
    ("rdp_tunnel.yml", include_str!("../../rules/sigma/rdp_tunnel.yml")),
    ("remote_service_exec.yml", include_str!("../../rules/sigma/remote_service_exec.yml")),
    ("scheduled_task_remote.yml", include_str!("../../rules/sigma/scheduled_task_remote.yml")),
    ("shadow_copies_deleted.yml", include_str!("../../rules/sigma/shadow_copies_deleted.yml")),
    ("tunnel_service_name.yml", include_str!("../../rules/sigma/tunnel_service_name.yml")),
    ("wmi_remote_process.yml", include_str!("../../rules/sigma/wmi_remote_process.yml")),
];

/// Those that judge logons of all sources; `_logons.yml` only serves the correlations.
const LOGONS: &[(&str, &str)] = &[
    ("_logons.yml", include_str!("../../rules/sigma/_logons.yml")),
    ("guessing_account.yml", include_str!("../../rules/sigma/guessing_account.yml")),
    ("guessing_host.yml", include_str!("../../rules/sigma/guessing_host.yml")),
    ("guessing_rdp_source.yml", include_str!("../../rules/sigma/guessing_rdp_source.yml")),
    ("guessing_smb_source.yml", include_str!("../../rules/sigma/guessing_smb_source.yml")),
    ("guessing_ssh_source.yml", include_str!("../../rules/sigma/guessing_ssh_source.yml")),
    ("spray_source.yml", include_str!("../../rules/sigma/spray_source.yml")),
    (
        "success_after_failures_account.yml",
        include_str!("../../rules/sigma/success_after_failures_account.yml"),
    ),
    (
        "success_after_failures_source.yml",
        include_str!("../../rules/sigma/success_after_failures_source.yml"),
    ),
];

/// Our rules, as [`super::Engine::load`] takes them. `beside_detectors` leaves out those on guessing: [`crate::logins`] says the same of
/// the same logons, and nobody wants to be told twice.
pub fn own_rules(beside_detectors: bool) -> Vec<(String, String)> {
    let logons = if beside_detectors { &[] } else { LOGONS };
    let named = |(name, text): &(&str, &str)| (format!("chartward/{name}"), (*text).to_owned());
    RECORDS.iter().chain(logons).map(named).collect()
}
