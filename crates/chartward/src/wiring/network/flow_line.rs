//! One flow as a line of OCSF Network Activity (4001).

use ipnet::IpNet;
use schema::{FlowEnd, NetEvent, Traffic};
use serde_json::{Value, json};

use super::activity::{self, Passed};

/// The line. Client to server is `out`.
pub(super) fn line(event: &NetEvent, traffic: &Traffic, end: FlowEnd, internal: &[IpNet]) -> Value {
    let contact = &event.contact;
    let passed = Passed {
        activity_id: match end {
            FlowEnd::Finished => 2,
            FlowEnd::Reset => 3,
            FlowEnd::Idle | FlowEnd::Evicted | FlowEnd::Going => 6,
        },
        client: contact.client.address,
        server: contact.server.address,
        port: contact.server.port,
        transport: contact.transport,
        vlan: contact.vlan,
        first: traffic.first,
        last: traffic.last,
        bytes: traffic.bytes,
        packets: traffic.packets,
    };
    let mut line = activity::line(&passed, internal);
    line["src_endpoint"]["port"] = contact.client.port.into();
    line["connection_info"]["uid"] = event.flow.to_string().into();
    line["end"] = json!(end);
    line
}
