//! The acts against real parts: nftables in network namespaces, control groups, a mail server, a syslog server, a web server.

mod cgroup;
mod net;
mod notify;
mod servers;
mod wall;
