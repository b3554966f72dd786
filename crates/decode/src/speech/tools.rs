//! Tools for reaching in from outside, by the names they reach for.
//!
//! Sources: the vendors' own pages on names that a firewall must let through.

use std::collections::HashMap;
use std::sync::LazyLock;

use schema::Service;

/// A name belongs to a tool when it is one of these or ends with a dot and one of these.
const NAMES: &[(&str, Service)] = &[
    ("anydesk.com", Service::AnyDesk),
    ("anydesk.com.cn", Service::AnyDesk),
    ("anynet.io", Service::AnyDesk),
    ("teamviewer.com", Service::TeamViewer),
    ("teamviewer.cn", Service::TeamViewer),
    ("teamviewer.jp", Service::TeamViewer),
    ("dyngate.com", Service::TeamViewer),
    // ScreenConnect (ConnectWise Control)
    ("screenconnect.com", Service::RemoteSupport),
    ("hostedrmm.com", Service::RemoteSupport),
    // Splashtop
    ("splashtop.com", Service::RemoteSupport),
    ("splashtop.eu", Service::RemoteSupport),
    // RustDesk
    ("rustdesk.com", Service::RemoteSupport),
    // LogMeIn, GoTo
    ("logmein.com", Service::RemoteSupport),
    ("logmein-gateway.com", Service::RemoteSupport),
    ("logmeinrescue.com", Service::RemoteSupport),
    ("logmein123.com", Service::RemoteSupport),
    ("gotoassist.com", Service::RemoteSupport),
    ("gotomypc.com", Service::RemoteSupport),
    ("fastsupport.com", Service::RemoteSupport),
    ("internapcdn.net", Service::RemoteSupport),
    // Chrome Remote Desktop
    ("remotedesktop.google.com", Service::RemoteSupport),
    ("remotedesktop-pa.googleapis.com", Service::RemoteSupport),
    ("chromoting-host.talkgadget.google.com", Service::RemoteSupport),
    ("chromoting-oauth.talkgadget.google.com", Service::RemoteSupport),
    // Quick Assist and Remote Help of Windows
    ("remoteassistance.support.services.microsoft.com", Service::RemoteSupport),
    ("remotehelp.microsoft.com", Service::RemoteSupport),
    // Atera, AeroAdmin, Ammyy, DWService, Supremo, Zoho Assist, BeyondTrust, RemotePC, UltraViewer, Parsec, HopToDesk, MeshCentral
    ("atera.com", Service::RemoteSupport),
    ("aeroadmin.com", Service::RemoteSupport),
    ("ammyy.com", Service::RemoteSupport),
    ("dwservice.net", Service::RemoteSupport),
    ("supremocontrol.com", Service::RemoteSupport),
    ("nanosystems.it", Service::RemoteSupport),
    ("assist.zoho.com", Service::RemoteSupport),
    ("assist.zoho.jp", Service::RemoteSupport),
    ("zohoassist.com", Service::RemoteSupport),
    ("zohoassist.jp", Service::RemoteSupport),
    ("bomgarcloud.com", Service::RemoteSupport),
    ("beyondtrustcloud.com", Service::RemoteSupport),
    ("remotepc.com", Service::RemoteSupport),
    ("ultraviewer.net", Service::RemoteSupport),
    ("parsec.app", Service::RemoteSupport),
    ("hoptodesk.com", Service::RemoteSupport),
    ("meshcentral.com", Service::RemoteSupport),
    ("remoteutilities.com", Service::RemoteSupport),
    ("netsupportsoftware.com", Service::RemoteSupport),
    ("simple-help.com", Service::RemoteSupport),
    ("action1.com", Service::RemoteSupport),
    ("getscreen.me", Service::RemoteSupport),
    ("iperius-rs.com", Service::RemoteSupport),
    ("iperiusremote.com", Service::RemoteSupport),
    // ISL Online and its Japanese distributor; RemoteView
    ("islonline.net", Service::RemoteSupport),
    ("islonline.jp", Service::RemoteSupport),
    ("rview.com", Service::RemoteSupport),
    ("rsupport.com", Service::RemoteSupport),
    // ngrok
    ("ngrok.com", Service::Tunnel),
    ("ngrok.io", Service::Tunnel),
    ("ngrok.app", Service::Tunnel),
    ("ngrok.dev", Service::Tunnel),
    ("ngrok-agent.com", Service::Tunnel),
    ("ngrok-free.app", Service::Tunnel),
    ("ngrok-free.dev", Service::Tunnel),
    // Cloudflare tunnel
    ("argotunnel.com", Service::Tunnel),
    ("trycloudflare.com", Service::Tunnel),
    ("cfargotunnel.com", Service::Tunnel),
    // Visual Studio's tunnels
    ("devtunnels.ms", Service::Tunnel),
    ("tunnels.api.visualstudio.com", Service::Tunnel),
    // Tailscale, ZeroTier, LocalTunnel, Pinggy, Serveo, localhost.run, Playit, frp's own hosting
    ("tailscale.com", Service::Tunnel),
    ("tailscale.io", Service::Tunnel),
    ("zerotier.com", Service::Tunnel),
    ("localtunnel.me", Service::Tunnel),
    ("loca.lt", Service::Tunnel),
    ("pinggy.io", Service::Tunnel),
    ("serveo.net", Service::Tunnel),
    ("localhost.run", Service::Tunnel),
    ("playit.gg", Service::Tunnel),
    ("gofrp.org", Service::Tunnel),
];

/// The tool that reaches for `name` (lower case, no last dot).
pub fn tool(name: &str) -> Option<Service> {
    static KNOWN: LazyLock<HashMap<&'static str, Service>> =
        LazyLock::new(|| NAMES.iter().copied().collect());
    let after_dots = memchr::memchr_iter(b'.', name.as_bytes()).map(|at| at + 1);
    let mut domains = std::iter::once(0).chain(after_dots).filter_map(|at| name.get(at..));
    domains.find_map(|domain| KNOWN.get(domain).copied())
}

/// The tool that speaks TLS without a server's name on a port of its own.
pub(super) fn port(port: u16) -> Option<Service> {
    match port {
        6568 | 7070 => Some(Service::AnyDesk),
        5938 => Some(Service::TeamViewer),
        _ => None,
    }
}
