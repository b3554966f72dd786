//! The formats, each found by the program's name, or by its shape where no program is said.

use schema::AuthEvent;

use super::join::Join;
use super::line::{Line, address};
use super::{Out, access, pam, remote, samba, server, sshd, vpn};

/// How a format is read.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// A line by itself.
    Alone(for<'a> fn(&Line<'a>) -> Option<AuthEvent<'a>>),
    /// A line with what its process said before.
    Joined(fn(&Line<'_>, &mut Join, Out<'_>) -> bool),
}

/// A format.
pub(super) struct Format {
    /// Its name in figures and documents.
    pub(super) name: &'static str,
    /// Sigma's `logsource.service`; empty: `category` is `webserver`.
    pub(super) service: &'static str,
    /// Sigma's `logsource.product`.
    pub(super) product: &'static str,
    pub(super) read: Read,
    /// Tags of syslog, in lower case.
    programs: &'static [&'static str],
    /// Whether a message without a tag has its shape.
    shape: fn(&str) -> bool,
}

fn never(_: &str) -> bool {
    false
}

const fn format(
    name: &'static str,
    (product, service): (&'static str, &'static str),
    read: Read,
    programs: &'static [&'static str],
    shape: fn(&str) -> bool,
) -> Format {
    Format { name, service, product, read, programs, shape }
}

/// Those who are asked by shape come in this order.
pub(super) static FORMATS: &[Format] = &[
    format(
        "sshd",
        ("linux", "sshd"),
        Read::Joined(sshd::read),
        &["sshd", "sshd-session", "sshd-auth", "in.sshd"],
        never,
    ),
    format("dropbear", ("linux", "sshd"), Read::Alone(remote::dropbear), &["dropbear"], never),
    format("xrdp", ("linux", "xrdp"), Read::Alone(remote::xrdp), &["xrdp", "xrdp-sesman"], |text| {
        text.contains("AUTHFAIL: user=") || text.contains("created session (access granted)")
    }),
    format(
        "samba",
        ("linux", "samba"),
        Read::Alone(samba::read),
        &["smb", "smbd", "samba", "smbd_audit", "winbindd"],
        |text| text.starts_with("Auth: ["),
    ),
    format("fortigate", ("fortigate", "event"), Read::Alone(vpn::fortigate), &[], |text| {
        text.starts_with("date=")
            || text.starts_with("logver=")
            || text.starts_with("timestamp=")
            || text.starts_with("devname=")
    }),
    format("paloalto", ("paloalto", "globalprotect"), Read::Alone(vpn::paloalto), &[], |text| {
        text.starts_with("1,20") || text.starts_with("0,20") || text.starts_with(",20")
    }),
    format(
        "pulse",
        ("pulse", "vpn"),
        Read::Alone(vpn::pulse),
        &["pulsesecure", "juniper", "ivanti"],
        |text| text.starts_with("PulseSecure: ") || text.contains(" - ive - ["),
    ),
    format(
        "openvpn",
        ("linux", "openvpn"),
        Read::Alone(vpn::openvpn),
        &["openvpn", "ovpn-server", "openvpn-server", "ovpn"],
        |text| {
            let (first, _) = super::line::word(text);
            text.starts_with("TLS Error: ")
                || first.contains(':') && first.split('/').any(|part| address(part).is_some())
        },
    ),
    format("softether", ("linux", "softether"), Read::Alone(vpn::softether), &["vpnserver"], |text| {
        text.contains("User authentication failed. The user name that has been provided was \"")
    }),
    format(
        "guacamole",
        ("linux", "guacamole"),
        Read::Alone(remote::guacamole),
        &["guacd", "guacamole", "tomcat", "tomcat9"],
        |text| {
            text.contains("Authentication attempt from ")
                || text.contains("\" successfully authenticated from ")
        },
    ),
    format(
        "mssql",
        ("mssql", "errorlog"),
        Read::Alone(server::mssql),
        &["mssqlserver", "sqlservr"],
        |text| text.starts_with("Logon "),
    ),
    format(
        "mysql",
        ("mysql", "error"),
        Read::Alone(server::mysql),
        &["mysqld", "mariadbd", "mysqld_safe", "mariadb"],
        |text| text.contains("Access denied for user '"),
    ),
    format(
        "postgresql",
        ("postgresql", "error"),
        Read::Alone(server::postgres),
        &["postgres", "postgresql"],
        |text| text.contains("FATAL:  "),
    ),
    format("vsftpd", ("linux", "vsftpd"), Read::Alone(server::vsftpd), &["vsftpd"], |text| {
        text.starts_with("[pid ") && text.contains(": Client \"")
    }),
    format("proftpd", ("linux", "proftpd"), Read::Alone(server::proftpd), &["proftpd"], never),
    format("pure-ftpd", ("linux", "pure-ftpd"), Read::Alone(server::pureftpd), &["pure-ftpd"], never),
    format(
        "dovecot",
        ("linux", "dovecot"),
        Read::Alone(server::dovecot),
        &["dovecot", "auth-worker", "imap-login", "pop3-login"],
        never,
    ),
    format("postfix", ("linux", "postfix"), Read::Alone(server::postfix), &["smtpd", "postfix"], never),
    format("sendmail", ("linux", "sendmail"), Read::Alone(server::sendmail), &["sendmail", "sm-mta"], never),
    format("login", ("linux", "auth"), Read::Alone(pam::login), &["login"], never),
    format("su", ("linux", "auth"), Read::Alone(pam::su), &["su"], never),
    format("sudo", ("linux", "sudo"), Read::Alone(pam::sudo), &["sudo"], never),
    format("proxmox", ("linux", "proxmox"), Read::Alone(server::proxmox), &["pvedaemon", "pveproxy"], never),
    format("webmin", ("linux", "webmin"), Read::Alone(server::webmin), &["webmin", "usermin"], never),
    format(
        "routeros",
        ("routeros", "system"),
        Read::Alone(server::routeros),
        &["system,error,critical", "system,info,account"],
        |text| text.starts_with("login failure for user "),
    ),
    format(
        "fail2ban",
        ("linux", "fail2ban"),
        Read::Alone(server::fail2ban),
        &["fail2ban", "fail2ban-server", "fail2ban.actions"],
        never,
    ),
    format(
        "old",
        ("linux", "auth"),
        Read::Alone(remote::old),
        &["telnetd", "in.telnetd", "klogind", "rlogind", "rshd", "ftpd"],
        never,
    ),
    format(
        "rd-gateway",
        ("windows", "terminalservices-gateway"),
        Read::Alone(server::rd_gateway),
        &[],
        |text| text.contains("on client computer \""),
    ),
    format(
        "access",
        ("", ""),
        Read::Alone(access::read),
        &["nginx", "httpd", "apache2", "apache", "access"],
        |text| text.contains(" [") && text.contains("] \""),
    ),
    format(
        "web-error",
        ("linux", "apache"),
        Read::Alone(server::web_error),
        &["error", "nginx-error"],
        |text| text.contains("[client ") || text.contains(": *") && text.contains(" user \""),
    ),
];

/// Programs whose messages are PAM's alone.
pub(super) static PAM: Format = format("pam", ("linux", "auth"), Read::Alone(pam::read), &[], never);

/// The format of a program, by its tag.
pub(super) fn by_program(program: &str) -> Option<&'static Format> {
    // The one that fills logs first; the rest is a walk over some fifty short names.
    if program == "sshd" {
        return FORMATS.first();
    }
    FORMATS.iter().find(|format| format.programs.iter().any(|name| name.eq_ignore_ascii_case(program)))
}

/// The format of a message that no tag names.
pub(super) fn by_shape(text: &str) -> Option<&'static Format> {
    // Whoever asks a web server writes name, path and agent, and may write there what has the shape of another format.
    let is_access = access::is_one(text);
    FORMATS.iter().find(|format| if is_access { format.name == "access" } else { (format.shape)(text) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_program_and_no_name_stands_twice() {
        let programs: Vec<&str> = FORMATS.iter().flat_map(|format| format.programs).copied().collect();
        assert_eq!(programs.iter().collect::<BTreeSet<_>>().len(), programs.len());
        assert!(programs.iter().all(|name| *name == name.to_ascii_lowercase()));
        assert_eq!(FORMATS.iter().map(|format| format.name).collect::<BTreeSet<_>>().len(), FORMATS.len());
        assert_eq!(by_program("sshd").map(|format| format.name), Some("sshd"));
    }
}
