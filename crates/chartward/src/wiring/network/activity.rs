//! OCSF Network Activity (4001), as far as one flow and the sum of many have it in common.

use std::net::IpAddr;

use ipnet::IpNet;
use schema::{Micros, Severity, Transport};
use serde_json::{Value, json};

/// What passed between two ends. Client to server is `out`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// Close 2, Reset 3, Traffic 6.
    pub(crate) activity_id: u32,
    pub(crate) client: IpAddr,
    pub(crate) server: IpAddr,
    /// Of the server.
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    pub(crate) vlan: Option<u16>,
    pub(crate) first: Micros,
    pub(crate) last: Micros,
    /// Out, in.
    pub(crate) bytes: [u64; 2],
    pub(crate) packets: [u64; 2],
}

/// The line.
pub(crate) fn line(passed: &Passed, internal: &[IpNet]) -> Value {
    let within = |address: IpAddr| internal.iter().any(|net| net.contains(&address));
    let (direction_id, direction) = match (within(passed.client), within(passed.server)) {
        (false, true) => (1, "Inbound"),
        (true, false) => (2, "Outbound"),
        (true, true) => (3, "Lateral"),
        (false, false) => (0, "Unknown"),
    };
    let (protocol_num, protocol_name) = match passed.transport {
        Transport::Tcp => (6, "tcp"),
        Transport::Udp => (17, "udp"),
        Transport::Icmp if passed.client.is_ipv6() => (58, "ipv6-icmp"),
        Transport::Icmp => (1, "icmp"),
        Transport::Other(number) => (number, ""),
    };
    let ([bytes_out, bytes_in], [packets_out, packets_in]) = (passed.bytes, passed.packets);
    let mut line = json!({
        "class_uid": 4001,
        "category_uid": 4,
        "activity_id": passed.activity_id,
        "type_uid": 400_100 + passed.activity_id,
        "time": passed.last / 1_000,
        "start_time": passed.first / 1_000,
        "end_time": passed.last / 1_000,
        "severity_id": Severity::Informational,
        "src_endpoint": {"ip": passed.client},
        "dst_endpoint": {"ip": passed.server, "port": passed.port},
        "connection_info": {
            "protocol_num": protocol_num, "protocol_name": protocol_name,
            "direction_id": direction_id, "direction": direction,
        },
        "traffic": {
            "bytes": bytes_out + bytes_in, "bytes_out": bytes_out, "bytes_in": bytes_in,
            "packets": packets_out + packets_in, "packets_out": packets_out, "packets_in": packets_in,
        },
        "metadata": {"product": {"name": "chartward", "vendor_name": "chartward"}, "version": "1.6.0"},
    });
    if let Some(vlan) = passed.vlan {
        line["src_endpoint"]["vlan_uid"] = vlan.to_string().into();
    }
    line
}
