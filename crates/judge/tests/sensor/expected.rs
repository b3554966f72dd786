//! The captures, by name, with what their makers say they show.

/// What a capture must show; whatever is neither in `must` nor in `may` has to stay silent.
pub(crate) struct Capture {
    pub(crate) file: &'static str,
    pub(crate) shows: &'static str,
    pub(crate) must: &'static [&'static str],
    pub(crate) may: &'static [&'static str],
}

const fn shows(file: &'static str, shows: &'static str, must: &'static [&'static str]) -> Capture {
    Capture { file, shows, must, may: &[] }
}

const fn also(capture: Capture, may: &'static [&'static str]) -> Capture {
    Capture { file: capture.file, shows: capture.shows, must: capture.must, may }
}

pub(crate) const CAPTURES: &[Capture] = &[
    shows("zeek__206_example_a.pcap", "SYNs of Windows NT 5.2", &["eol.windows"]),
    shows("zeek__rdp-proprietary-encryption.pcap", "RDP in the clear, client build 6000", &["eol.windows"]),
    shows("zeek__rdp-to-ssl.pcap", "one honest RDP session", &[]),
    shows("zeek__rdp-x509.pcap", "RDP, client build 9600", &["eol.windows"]),
    shows("zeek__sshguess.pcap", "SSH guessing", &["bruteforce.ssh"]),
    shows("zeek__smb2.pcap", "SMB 2 writes by Server 2008", &["eol.windows"]),
    shows("zeek__smb3.pcap", "SMB 3, encrypted", &[]),
    shows("zeek__smb311.pcap", "SMB 3.1.1, encrypted", &[]),
    shows("zeek__smb2.delete-on-close-perms-delete-existing.pcap", "SMB 2 removal", &[]),
    shows("zeek__ldap_invalid_credentials.pcap", "failed log-ons over LDAP", &["bruteforce.ldap_ntlm"]),
    shows("OISF__RDP-003.pcap", "RDP of an XP client", &["eol.windows"]),
    shows("OISF__smb2-async-read.pcap", "much is read over SMB 2", &[]),
    // Its server is Windows 10 1703, which has no updates either.
    also(shows("OISF__smb2-delete.pcap", "SMB 2 removals", &[]), &["eol.windows"]),
    shows("OISF__20171220_smb_net_user.pcap", "accounts queried over SMB pipes", &["lateral.account_query"]),
    shows("OISF__zerologon.pcap", "netlogon authentication flood", &["lateral.zerologon"]),
    shows("OISF__smb-version-keyword.pcap", "SMB 2 negotiation", &[]),
    shows("ntop__synscan.pcap", "vertical SYN scan", &["scan.trw"]),
    shows("ntop__hl7.pcap", "HL7 over MLLP, inside", &[]),
    shows("ntop__rdp_over_tls.pcap", "RDP reached from outside", &["exposure.remote"]),
    shows("ntop__teamviewer.pcap", "TeamViewer", &["contract.remote_tool"]),
    shows("ntop__anydesk.pcapng", "AnyDesk", &["contract.remote_tool"]),
    shows("ntop__kerberos-login.pcap", "Kerberos of an old client", &[]),
    shows("ntop__smb_deletefile.pcap", "SMB 2 removals, from the middle", &[]),
    // Both ends are public addresses, so the server is exposed as well.
    also(
        shows(
            "stratosphereips__malicious-ssh-bruteforce.pcap",
            "SSH guessing on port 902",
            &["bruteforce.ssh"],
        ),
        &["exposure.remote"],
    ),
    shows("stratosphereips__test-cc-capture-1.pcap", "beacon over 443", &["beacon.interval"]),
    shows("stratosphereips__test12-icmp-portscan.pcap", "ICMP sweep", &["scan.icmp"]),
    shows("StopDDoS__amp.TCP.reflection.SYNACK.pcap", "backscatter", &[]),
    shows("StopDDoS__pkt.TCP.synflood.spoofed.pcap", "flood with forged sources: no scan", &["scan.flood"]),
    shows(
        "OTRF__purplesharp_ad_playbook_I_2020-10-22042947.cap",
        "lateral movement that succeeds",
        &["scan.fanout"],
    ),
    shows(
        "OTRF__mimikatz_CVE-2020-1472_Unauthenticated_NetrServerAuthenticate2_2020-09-16233923.cap",
        "Zerologon",
        &["lateral.zerologon"],
    ),
    shows("biandratti__macos_tcp_flags.pcap", "SYNs of macOS", &[]),
    shows("lab__rdp_nla_lab.pcap", "RDP guessing under NLA", &["bruteforce.rdp"]),
    shows("lab__smb_enc_off.pcap", "files encrypted over SMB, in the clear", &["encryption.smb"]),
    shows("lab__smb_enc_sign.pcap", "the same, signed", &["encryption.smb"]),
    shows("lab__smb_enc_encrypt.pcap", "the same, over encrypted SMB 3", &["encryption.smb"]),
    shows("lab__smb_copy_off.pcap", "files copied", &[]),
    shows("lab__smb_office_off.pcap", "documents saved as Office does", &[]),
];
