//! The acts against real parts: nftables in network namespaces, control groups, a mail server, a syslog server, a web server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cgroup;
mod legs;
mod net;
mod notify;
mod policy;
mod policy_emit;
mod policy_model;
mod wall;
