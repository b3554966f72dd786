//! Public and own captures, read by a small reader of their own: what each shows was counted with other tools.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};
use schema::{
    Contact, Endpoint, KerberosSight, NtlmStep, RdpSight, RpcInterface, RpcSight, Service, Side, Sight,
    SmbDialect, SmbSight, SmbVerb, SystemVersion, Transport,
};

use crate::speech::Speech;

type Key = (Transport, (IpAddr, u16), (IpAddr, u16));

struct Flow {
    contact: Contact,
    speech: Speech,
    next: [Option<u32>; 2],
    /// What came too early, by its sequence number.
    early: [BTreeMap<u32, Vec<u8>>; 2],
    sights: Vec<Sight>,
}

/// What every flow of a capture says.
struct Capture {
    flows: Vec<(Contact, Vec<Sight>)>,
}

impl Capture {
    fn all(&self) -> impl Iterator<Item = &Sight> {
        self.flows.iter().flat_map(|(_, sights)| sights)
    }

    fn count(&self, is: impl Fn(&Sight) -> bool) -> usize {
        self.all().filter(|sight| is(sight)).count()
    }

    fn speaking(&self, service: Service) -> usize {
        let speaks = Sight::Speaks { service };
        self.flows.iter().filter(|(_, sights)| sights.contains(&speaks)).count()
    }

    fn verbs(&self) -> BTreeMap<SmbVerb, usize> {
        let mut verbs = BTreeMap::new();
        for sight in self.all() {
            if let Sight::Smb(SmbSight::Request { verb, .. }) = sight {
                *verbs.entry(*verb).or_default() += 1;
            }
        }
        verbs
    }

    fn versions(&self, step: NtlmStep) -> BTreeMap<Option<SystemVersion>, usize> {
        let mut versions = BTreeMap::new();
        for sight in self.all() {
            if let Sight::Ntlm(ntlm) = sight
                && ntlm.step == step
            {
                *versions.entry(ntlm.version).or_default() += 1;
            }
        }
        versions
    }
}

fn capture(test: &str, name: &str) -> Option<Capture> {
    let path = testkit::shared(test, &format!("network/{name}"))?;
    let mut flows: Vec<Flow> = Vec::new();
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    for packet in packets(&std::fs::read(path).unwrap()) {
        take(&packet, &mut flows, &mut places);
    }
    for flow in &mut flows {
        for side in [Side::Client, Side::Server] {
            flow.settle(side, true);
        }
    }
    Some(Capture { flows: flows.into_iter().map(|flow| (flow.contact, flow.sights)).collect() })
}

/// Ethernet frames and bare IP packets, each with how many bytes stand before IP.
fn packets(file: &[u8]) -> Vec<(Linktype, Vec<u8>)> {
    let mut reader = create_reader(1 << 20, file).unwrap();
    let mut link = Linktype::ETHERNET;
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => link = header.network,
                    PcapBlockOwned::Legacy(packet) => packets.push((link, packet.data.to_vec())),
                    PcapBlockOwned::NG(pcap_parser::Block::InterfaceDescription(interface)) => {
                        link = interface.linktype
                    }
                    PcapBlockOwned::NG(pcap_parser::Block::EnhancedPacket(packet)) => {
                        packets.push((link, packet.packet_data().to_vec()));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(offset);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(_) => return packets,
        }
    }
}

fn take((link, bytes): &(Linktype, Vec<u8>), flows: &mut Vec<Flow>, places: &mut BTreeMap<Key, usize>) {
    let sliced = match *link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(bytes).ok(),
        Linktype::LINUX_SLL => LaxSlicedPacket::from_ip(bytes.get(16..).unwrap_or_default()).ok(),
        Linktype::NULL => LaxSlicedPacket::from_ip(bytes.get(4..).unwrap_or_default()).ok(),
        _ => LaxSlicedPacket::from_ip(bytes).ok(),
    };
    let Some(sliced) = sliced else { return };
    let (from, to): (IpAddr, IpAddr) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        _ => return,
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let (source, target) = ((from, tcp.source_port()), (to, tcp.destination_port()));
            let opens = (tcp.syn() && !tcp.ack()).then_some(Side::Client);
            let answers = (tcp.syn() && tcp.ack()).then_some(Side::Server);
            let (flow, side) = flow(Transport::Tcp, source, target, opens.or(answers), flows, places);
            flow.segment(side, tcp.sequence_number(), tcp.syn(), tcp.payload());
        }
        Some(TransportSlice::Udp(udp)) => {
            let (source, target) = ((from, udp.source_port()), (to, udp.destination_port()));
            let (flow, side) = flow(Transport::Udp, source, target, None, flows, places);
            let contact = flow.contact;
            flow.speech.datagram(&contact, side, udp.payload(), &mut flow.sights);
        }
        _ => {}
    }
}

/// The flow of a packet; a new one when its SYN opens it, or when there was none.
fn flow<'a>(
    transport: Transport,
    source: (IpAddr, u16),
    target: (IpAddr, u16),
    known: Option<Side>,
    flows: &'a mut Vec<Flow>,
    places: &mut BTreeMap<Key, usize>,
) -> (&'a mut Flow, Side) {
    let key = (transport, source.min(target), source.max(target));
    if known == Some(Side::Client)
        && let Some(at) = places.get(&key)
        && flows[*at].next != [None, None]
        && !flows[*at].sights.is_empty()
    {
        places.remove(&key);
    }
    let at = *places.entry(key).or_insert_with(|| {
        let is_client = match known {
            Some(side) => side == Side::Client,
            None => source.1 >= target.1,
        };
        let (client, server) = if is_client { (source, target) } else { (target, source) };
        let end = |(address, port): (IpAddr, u16)| Endpoint { address, port };
        let contact = Contact { client: end(client), server: end(server), transport, vlan: None };
        flows.push(Flow {
            contact,
            speech: Speech::new(),
            next: [None, None],
            early: Default::default(),
            sights: Vec::new(),
        });
        flows.len() - 1
    });
    let flow = &mut flows[at];
    let from_client = flow.contact.client == Endpoint { address: source.0, port: source.1 };
    (flow, if from_client { Side::Client } else { Side::Server })
}

impl Flow {
    fn segment(&mut self, side: Side, sequence: u32, is_first: bool, payload: &[u8]) {
        let at = side as usize;
        if is_first {
            self.next[at] = Some(sequence.wrapping_add(1));
        }
        if payload.is_empty() {
            return;
        }
        self.next[at].get_or_insert(sequence);
        let place = self.early[at].entry(sequence).or_default();
        if place.len() < payload.len() {
            *place = payload.to_vec();
        }
        self.settle(side, false);
    }

    /// Feeds what is in order; at the end, or when too much waits, over holes too.
    fn settle(&mut self, side: Side, is_over: bool) {
        let at = side as usize;
        loop {
            let Some(next) = self.next[at] else { return };
            let behind = |sequence: u32| sequence.wrapping_sub(next) > 1 << 31;
            let ready =
                self.early[at].keys().copied().find(|sequence| *sequence == next || behind(*sequence));
            let Some(sequence) = ready else {
                let ahead = self.early[at].keys().copied().min_by_key(|sequence| sequence.wrapping_sub(next));
                match ahead.filter(|_| is_over || self.early[at].len() > 64) {
                    Some(sequence) => {
                        self.speech.gap(side);
                        self.next[at] = Some(sequence);
                        continue;
                    }
                    None => return,
                }
            };
            let payload = self.early[at].remove(&sequence).unwrap();
            let known = next.wrapping_sub(sequence) as usize;
            if known < payload.len() {
                self.speech.feed(&self.contact, side, &payload[known..], &mut self.sights);
                self.next[at] = Some(sequence.wrapping_add(payload.len() as u32));
            }
        }
    }
}

/// What each capture shows, as its list says and other tools counted it.
#[test]
fn captures_of_file_shares_show_what_was_done() {
    let test = "speech::captures_of_file_shares_show_what_was_done";
    for name in ["lab__smb_enc_off.pcap", "lab__smb_enc_sign.pcap"] {
        let Some(capture) = capture(test, name) else { return };
        let verbs = capture.verbs();
        let opened: usize = [SmbVerb::Open, SmbVerb::Create, SmbVerb::OpenWrite]
            .iter()
            .filter_map(|verb| verbs.get(verb))
            .sum();
        assert_eq!(opened, 120, "{name}");
        for (verb, count) in
            [(SmbVerb::Read, 40), (SmbVerb::Write, 40), (SmbVerb::Rename, 40), (SmbVerb::Close, 120)]
        {
            assert_eq!(verbs.get(&verb), Some(&count), "{name} {verb:?}");
        }
    }
    let Some(office) = capture(test, "lab__smb_office_off.pcap") else { return };
    let verbs = office.verbs();
    let shown = [SmbVerb::Read, SmbVerb::Write, SmbVerb::Rename, SmbVerb::Delete, SmbVerb::List]
        .map(|verb| verbs[&verb]);
    // Its ten deletes are opens that remove on close.
    assert_eq!(shown, [10, 10, 20, 10, 40]);
    let Some(copy) = capture(test, "lab__smb_copy_off.pcap") else { return };
    let verbs = copy.verbs();
    assert_eq!((verbs.get(&SmbVerb::Read), verbs.get(&SmbVerb::Write)), (Some(&40), None));
    let opens = |verbs: &BTreeMap<SmbVerb, usize>| -> usize {
        use SmbVerb::{Create, CreateProgram, Open, OpenWrite, Pipe, PipeControl};
        // Removing on close is opening too; the dispositions among them are told apart by the count.
        [Open, OpenWrite, Create, CreateProgram, Pipe, PipeControl]
            .iter()
            .filter_map(|verb| verbs.get(verb))
            .sum()
    };
    for (name, created) in
        [("zeek__smb2.pcap", 6), ("ntop__smb_deletefile.pcap", 27), ("OISF__smb2-delete.pcap", 25)]
    {
        let Some(capture) = capture(test, name) else { return };
        assert_eq!(opens(&capture.verbs()), created, "{name}");
    }
    let Some(writes) = capture(test, "zeek__smb2.pcap") else { return };
    assert_eq!(writes.verbs()[&SmbVerb::Write], 25);
    let Some(pipes) = capture(test, "OISF__20171220_smb_net_user.pcap") else { return };
    assert_eq!(pipes.verbs()[&SmbVerb::Transact], 46);
}

#[test]
fn encrypted_messages_tell_their_length_in_the_clear() {
    let test = "speech::encrypted_messages_tell_their_length_in_the_clear";
    let sealed =
        |capture: &Capture| capture.count(|sight| matches!(sight, Sight::Smb(SmbSight::Sealed { .. })));
    for (name, count, dialect) in
        [("zeek__smb3.pcap", 44, SmbDialect::Smb3), ("zeek__smb311.pcap", 28, SmbDialect::Smb311)]
    {
        let Some(capture) = capture(test, name) else { return };
        assert_eq!(sealed(&capture), count, "{name}");
        assert_eq!(
            capture.count(|sight| *sight == Sight::Smb(SmbSight::Negotiated { dialect })),
            1,
            "{name}"
        );
    }
    let Some(lab) = capture(test, "lab__smb_enc_encrypt.pcap") else { return };
    let sent =
        |bytes: u32| lab.count(|sight| *sight == Sight::Smb(SmbSight::Sealed { bytes, from_client: true }));
    assert_eq!(
        lab.count(|sight| matches!(sight, Sight::Smb(SmbSight::Sealed { from_client: true, .. }))),
        405
    );
    assert_eq!([196, 140, 157, 165, 204].map(|length| sent(length - 52)), [120, 120, 40, 40, 40]);
}

#[test]
fn systems_are_told_by_what_they_say_of_themselves() {
    let test = "speech::systems_are_told_by_what_they_say_of_themselves";
    let system = |major, minor, build| Some(SystemVersion { major, minor, build });
    for (name, step, version, count) in [
        ("zeek__smb2.pcap", NtlmStep::Challenge, system(6, 0, 6001), 1),
        ("zeek__smb2.pcap", NtlmStep::Negotiate, system(6, 0, 6001), 1),
        ("zeek__smb3.pcap", NtlmStep::Challenge, system(10, 0, 14393), 1),
        ("zeek__smb311.pcap", NtlmStep::Challenge, system(10, 0, 14393), 1),
        ("zeek__ldap_invalid_credentials.pcap", NtlmStep::Challenge, system(10, 0, 17763), 12),
        ("zeek__ldap_invalid_credentials.pcap", NtlmStep::Negotiate, system(10, 0, 18362), 12),
        ("zeek__ldap_invalid_credentials.pcap", NtlmStep::Authenticate, system(10, 0, 18362), 12),
        ("OISF__smb2-delete.pcap", NtlmStep::Negotiate, system(6, 1, 7600), 1),
        ("OISF__smb2-delete.pcap", NtlmStep::Challenge, system(10, 0, 15063), 1),
        ("OISF__zerologon.pcap", NtlmStep::Challenge, system(10, 0, 17763), 11),
        ("OISF__smb-version-keyword.pcap", NtlmStep::Challenge, system(10, 0, 17763), 1),
    ] {
        let Some(capture) = capture(test, name) else { return };
        assert_eq!(capture.versions(step).get(&version), Some(&count), "{name} {step:?}");
    }
    for (name, build) in [
        ("zeek__rdp-proprietary-encryption.pcap", 6000),
        ("zeek__rdp-x509.pcap", 9600),
        ("OISF__RDP-003.pcap", 2600),
    ] {
        let Some(capture) = capture(test, name) else { return };
        assert_eq!(capture.count(|sight| *sight == Sight::Rdp(RdpSight::Build { build })), 1, "{name}");
    }
}

#[test]
fn services_are_told_on_any_port() {
    let test = "speech::services_are_told_on_any_port";
    for (name, service, flows) in [
        ("zeek__sshguess.pcap", Service::Ssh, 11),
        // On port 902; the 67th connection carries no byte.
        ("stratosphereips__malicious-ssh-bruteforce.pcap", Service::Ssh, 66),
        ("ntop__hl7.pcap", Service::Mllp, 1),
        ("ntop__teamviewer.pcap", Service::TeamViewer, 2),
        ("ntop__anydesk.pcapng", Service::AnyDesk, 4),
        ("ntop__rdp_over_tls.pcap", Service::Rdp, 1),
        ("lab__rdp_nla_lab.pcap", Service::Rdp, 35),
        ("zeek__rdp-to-ssl.pcap", Service::Rdp, 2),
        ("OTRF__purplesharp_ad_playbook_I_2020-10-22042947.cap", Service::WinRm, 9),
        ("ntop__kerberos-login.pcap", Service::Kerberos, 13),
        ("stratosphereips__test-cc-capture-1.pcap", Service::Tls, 299),
    ] {
        let Some(capture) = capture(test, name) else { return };
        assert_eq!(capture.speaking(service), flows, "{name}");
    }
    let Some(beacon) = capture(test, "stratosphereips__test-cc-capture-1.pcap") else { return };
    assert_eq!(
        beacon.count(|sight| matches!(sight, Sight::Named { name, .. } if &**name == "testing.com")),
        299
    );
    for name in ["StopDDoS__amp.TCP.reflection.SYNACK.pcap", "ntop__synscan.pcap"] {
        let Some(silent) = capture(test, name) else { return };
        assert_eq!(silent.all().count(), 0, "{name}");
    }
}

#[test]
fn calls_that_take_over_a_domain_are_counted() {
    let test = "speech::calls_that_take_over_a_domain_are_counted";
    let calls = |capture: &Capture, operation: u16| {
        let call = Sight::Rpc(RpcSight::Request { interface: RpcInterface::Netlogon, operation });
        capture.count(|sight| *sight == call)
    };
    let Some(zerologon) = capture(test, "OISF__zerologon.pcap") else { return };
    // NetrServerReqChallenge, NetrServerAuthenticate3, NetrServerPasswordSet2.
    assert_eq!([4, 26, 30].map(|operation| calls(&zerologon, operation)), [21, 21, 1]);
    assert_eq!(zerologon.speaking(Service::Rpc), 42);
    let name = "OTRF__mimikatz_CVE-2020-1472_Unauthenticated_NetrServerAuthenticate2_2020-09-16233923.cap";
    let Some(mimikatz) = capture(test, name) else { return };
    assert_eq!([4, 15, 30].map(|operation| calls(&mimikatz, operation)), [445, 445, 1]);
    let Some(tickets) = capture(test, "ntop__kerberos-login.pcap") else { return };
    assert_eq!(
        tickets.count(|sight| matches!(sight, Sight::Kerberos(KerberosSight::TgsRequest { weak: true, .. }))),
        13
    );
}

/// The reference counts the same requests, log-ons and calls.
#[test]
fn messages_are_counted_as_tshark_counts_them() {
    let test = "speech::messages_are_counted_as_tshark_counts_them";
    let Some(tshark) = testkit::tool(test, "tshark") else { return };
    let values = |name: &str, filter: &str, fields: &[&str]| -> Vec<Vec<String>> {
        let Some(path) = testkit::shared(test, &format!("network/{name}")) else { return Vec::new() };
        let mut command = std::process::Command::new(&tshark);
        command.arg("-r").arg(path).args(["-Y", filter, "-T", "fields"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        // Messages that share a packet stand beside each other with commas.
        let columns = |line: &str| line.split('\t').map(|column| column.replace(' ', "")).collect::<Vec<_>>();
        lines.lines().map(columns).collect()
    };
    for name in [
        "lab__smb_enc_sign.pcap",
        "ntop__smb_deletefile.pcap",
        "zeek__smb2.pcap",
        "zeek__smb2.delete-on-close-perms-delete-existing.pcap",
        "OISF__smb2-delete.pcap",
        "OISF__20171220_smb_net_user.pcap",
    ] {
        let Some(capture) = capture(test, name) else { return };
        let mut theirs: BTreeMap<u16, usize> = BTreeMap::new();
        let rows = values(name, "smb2", &["smb2.flags.response", "smb2.cmd", "ntlmssp.messagetype"]);
        for row in &rows {
            for (answers, command) in row[0].split(',').zip(row[1].split(',')) {
                if matches!(answers, "0" | "False") {
                    *theirs.entry(command.parse().unwrap()).or_default() += 1;
                }
            }
        }
        let verbs = capture.verbs();
        for (command, verb) in
            [(6, SmbVerb::Close), (8, SmbVerb::Read), (9, SmbVerb::Write), (14, SmbVerb::List)]
        {
            assert_eq!(verbs.get(&verb), theirs.get(&command), "{name} {verb:?}");
        }
        let requests: usize =
            theirs.iter().filter(|(command, _)| ![0, 1, 3].contains(*command)).map(|(_, count)| count).sum();
        assert_eq!(verbs.values().sum::<usize>(), requests, "{name}");
        let trees = capture.count(|sight| matches!(sight, Sight::Smb(SmbSight::Tree { .. })));
        assert_eq!(Some(&trees).filter(|count| **count > 0), theirs.get(&3), "{name}");
        let spoken = rows.iter().filter(|row| !row[2].is_empty()).count();
        assert_eq!(capture.count(|sight| matches!(sight, Sight::Ntlm(_))), spoken, "{name}");
    }
    let name = "OISF__zerologon.pcap";
    let Some(capture) = capture(test, name) else { return };
    // It leaves one call with operation 26 away, which lies in a segment that it takes for a repeated one.
    let calls = values(name, "dcerpc.pkt_type == 0 && dcerpc.opnum == 4", &["dcerpc.opnum"]);
    assert_eq!(
        capture.count(|sight| matches!(sight, Sight::Rpc(RpcSight::Request { operation: 4, .. }))),
        calls.len()
    );
}
