use serde::{Deserialize, Serialize};

use super::{FlowEnd, Side, Traffic};

/// What an event shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "sight", rename_all = "snake_case")]
pub enum Sight {
    /// The first packet.
    Opened {
        /// What family of systems its SYN looks like; `None` without a SYN.
        syn: Option<SynFamily>,
        /// Whether the direction is certain: by a SYN or SYN-ACK; otherwise it was guessed from the ports.
        sure: bool,
    },
    /// The server answered: SYN-ACK, or the first packet back.
    Answered,
    /// The server, or something before it, refused: RST to a SYN, ICMP unreachable.
    Refused,
    /// Nothing came back in time, though other flows of this capture are seen in both directions.
    Unanswered,
    /// SYN-ACK, RST, ICMP errors or DNS answers that nobody here asked for: somebody else's attack with forged sources.
    Backscatter,
    /// What speaks there, told by its contents.
    Speaks {
        /// The protocol or tool.
        service: Service,
    },
    /// A name that the client wanted to reach.
    Named {
        /// The name in lower case, without a last dot, at most 255 bytes.
        name: Box<str>,
        /// Where it stood.
        source: NameSource,
    },
    /// SMB.
    Smb(SmbSight),
    /// NTLM inside whatever carries it.
    Ntlm(NtlmSight),
    /// RDP.
    Rdp(RdpSight),
    /// Kerberos.
    Kerberos(KerberosSight),
    /// DCE/RPC over TCP or over a named pipe.
    Rpc(RpcSight),
    /// The flow's sums, at its end, and of a long one every few minutes (`end` is then `going`).
    Traffic {
        /// Since its beginning.
        traffic: Traffic,
        /// How it ended.
        end: FlowEnd,
    },
}

/// What a SYN looks like. A weak sign: forged easily, and rewritten by some routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SynFamily {
    /// Windows 2000, XP or Server 2003.
    Nt5,
    /// Windows Vista, Server 2008 or later.
    Nt6,
    /// Linux or Android.
    Linux,
    /// macOS, iOS or a BSD.
    Bsd,
    /// A scanner's own packets: no options.
    Bare,
    /// None of these.
    Unknown,
}

/// Protocols and tools that are told by their contents, whatever the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// SMB 1, 2 or 3.
    Smb,
    /// Remote Desktop.
    Rdp,
    /// Secure Shell.
    Ssh,
    /// HTTP without TLS.
    Http,
    /// TLS.
    Tls,
    /// DNS.
    Dns,
    /// Kerberos.
    Kerberos,
    /// LDAP.
    Ldap,
    /// DCE/RPC.
    Rpc,
    /// WinRM.
    WinRm,
    /// Telnet.
    Telnet,
    /// FTP's control channel.
    Ftp,
    /// SMTP.
    Smtp,
    /// VNC (RFB).
    Vnc,
    /// HL7 v2 in MLLP.
    Mllp,
    /// DICOM.
    Dicom,
    /// AnyDesk.
    AnyDesk,
    /// TeamViewer.
    TeamViewer,
    /// Another remote-support tool: ScreenConnect, Splashtop, RustDesk, LogMeIn, Chrome Remote Desktop, by the names they reach for.
    RemoteSupport,
    /// A tunnel for reaching in from outside: ngrok, Cloudflare tunnel, frp, by the names they reach for.
    Tunnel,
}

/// Where a name stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameSource {
    /// A DNS question.
    Dns,
    /// TLS ClientHello's server name.
    Sni,
    /// HTTP's Host field.
    HttpHost,
}

/// SMB dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmbDialect {
    /// SMB 1 (CIFS).
    Smb1,
    /// 2.0.2 or 2.1.
    Smb2,
    /// 3.0 or 3.0.2.
    Smb3,
    /// 3.1.1.
    Smb311,
}

/// What an SMB message shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "smb", rename_all = "snake_case")]
pub enum SmbSight {
    /// What the server chose.
    Negotiated {
        /// The dialect.
        dialect: SmbDialect,
    },
    /// The server answered a Session Setup.
    SetUp {
        /// NT status: 0 a log-on, `0xC000006D` a wrong password, `0xC0000016` the handshake goes on.
        status: u32,
    },
    /// The client reached for a share.
    Tree {
        /// Whether it is an administrative one: `ADMIN$`, `C$` and the like.
        admin: bool,
        /// Whether it is `IPC$`.
        ipc: bool,
    },
    /// A request in the clear.
    Request {
        /// What it asks for.
        verb: SmbVerb,
        /// Bytes of the message.
        bytes: u32,
    },
    /// A request that is encrypted: its length is that in the clear and 52 more.
    Sealed {
        /// Bytes of the message as it would be in the clear.
        bytes: u32,
        /// Whether the client sent it.
        from_client: bool,
    },
    /// What the server, or the client, says of its own system in SMB 1's Session Setup.
    System {
        /// Who says so.
        side: Side,
        /// The version.
        version: SystemVersion,
    },
}

/// What a request asks for, as far as it matters for judging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmbVerb {
    /// Opens for reading.
    Open,
    /// Opens for writing.
    OpenWrite,
    /// Makes, or replaces, a file.
    Create,
    /// Opens or makes a file that ends with .exe, .dll, .sys, .bat, .ps1 or the like.
    CreateProgram,
    /// Opens the named pipe of a service that runs programs: svcctl, atsvc, winreg, ITaskSchedulerService.
    PipeControl,
    /// Opens another named pipe.
    Pipe,
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Renames.
    Rename,
    /// Removes: the disposition of delete, or delete on close.
    Delete,
    /// Truncates or changes the length.
    Resize,
    /// Closes.
    Close,
    /// Lists a folder.
    List,
    /// Sends to a pipe and reads its answer.
    Transact,
    /// Anything else.
    Other,
}

/// Who said what in NTLM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NtlmStep {
    /// NEGOTIATE, by the client; its version is a mere claim.
    Negotiate,
    /// CHALLENGE, by the server: the most reliable sign of its system.
    Challenge,
    /// AUTHENTICATE, by the client.
    Authenticate,
}

/// One NTLM message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NtlmSight {
    /// Which of the three.
    pub step: NtlmStep,
    /// The version in it; `None` when it has none.
    pub version: Option<SystemVersion>,
    /// A keyed-nothing hash (FNV-1a, 64 bits) of domain and user in lower case, to tell accounts apart without keeping names; 0 for
    /// none or anonymous. Only in AUTHENTICATE.
    pub account: u64,
}

/// A version of Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SystemVersion {
    /// Such as 5, 6, 10.
    pub major: u8,
    /// Such as 2.
    pub minor: u8,
    /// Such as 3790.
    pub build: u16,
}

/// What RDP shows before it encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rdp", rename_all = "snake_case")]
pub enum RdpSight {
    /// The client's connection request.
    Asked {
        /// `requestedProtocols`: 0 RDP's own encryption, 1 TLS, 2 CredSSP (NLA).
        protocols: u32,
        /// FNV-1a of the `mstshash` cookie's user name; 0 without one.
        account: u64,
    },
    /// What the server chose: 0 RDP's own encryption, 1 TLS, 2 CredSSP (NLA), 8 CredSSP with early authorisation.
    Chosen {
        /// See above.
        protocol: u32,
    },
    /// The client's build, in the clear.
    Build {
        /// Such as 2600 for XP.
        build: u32,
    },
}

/// What Kerberos shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kerberos", rename_all = "snake_case")]
pub enum KerberosSight {
    /// A request for a first ticket.
    AsRequest {
        /// FNV-1a of realm and client name in lower case.
        account: u64,
        /// Whether it offers the oldest encryption alone (RC4 or DES).
        weak: bool,
    },
    /// A first ticket was given.
    AsReply,
    /// A request for a service's ticket.
    TgsRequest {
        /// FNV-1a of realm and service name in lower case.
        service: u64,
        /// Whether it offers the oldest encryption alone.
        weak: bool,
    },
    /// A service's ticket was given.
    TgsReply,
    /// An error: 6 unknown client, 24 wrong password, 18 locked, 25 pre-authentication wanted.
    Error {
        /// RFC 4120's number.
        code: u32,
        /// FNV-1a of realm and client name in lower case; 0 when the error does not say.
        account: u64,
    },
}

/// Interfaces that attackers move by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RpcInterface {
    /// Service control manager: svcctl.
    ServiceControl,
    /// Scheduled tasks: atsvc, ITaskSchedulerService, SASec.
    TaskScheduler,
    /// WMI and the DCOM activation that leads to it: IWbemServices, IWbemLevel1Login, IRemoteSCMActivator.
    Wmi,
    /// Remote registry: winreg.
    Registry,
    /// Logons of machines: netlogon.
    Netlogon,
    /// Replication of the directory: drsuapi.
    Replication,
    /// Print spooler: spoolss, MS-PAR.
    Spooler,
    /// Security accounts: samr, lsarpc.
    Accounts,
    /// Encrypting file system, as used for coercion: efsrpc.
    Efs,
    /// The endpoint mapper.
    Mapper,
    /// Any other.
    Other,
}

/// What DCE/RPC shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rpc", rename_all = "snake_case")]
pub enum RpcSight {
    /// The client binds to an interface.
    Bind {
        /// Which.
        interface: RpcInterface,
    },
    /// The client calls.
    Request {
        /// The interface of the context, as far as its bind was seen.
        interface: RpcInterface,
        /// The operation's number, such as 12 `CreateServiceW`, 19 `StartServiceW`, 26 `NetrServerAuthenticate3`.
        operation: u16,
    },
    /// The server answered with a fault or refused the bind.
    Fault,
}
