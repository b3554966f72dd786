//! DCE/RPC, connection-oriented (C706 §12.6, [MS-RPCE]): over TCP, and inside of SMB's pipes.

use schema::{RpcInterface, RpcSight, Side, Sight};

use super::frame::{Fed, Framer, Step};
use super::{Next, index, ntlm};

const HEADER: usize = 16;
/// So much of a bind is looked at: interfaces at its beginning, NTLM at its end.
const BIND_MAX: usize = 6 << 10;
/// The fixed part of a request, up to its operation.
const REQUEST: usize = 24;
const FIRST: u8 = 1;

const REQUEST_KIND: u8 = 0;
const FAULT: u8 = 3;
const BIND: u8 = 11;
const BIND_ACK: u8 = 12;
const BIND_NAK: u8 = 13;
const ALTER: u8 = 14;
const ALTER_ANSWER: u8 = 15;
const AUTH3: u8 = 16;

/// Whether a fragment can begin so: version 5.0 or 5.1, a known kind, a sound representation of numbers, a length.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Some(header) = head.first_chunk::<HEADER>() else { return false };
    let is_known = matches!(header[2], 0 | 2 | 3 | 11..=19);
    let is_sound = header[0] == 5 && header[1] <= 1 && matches!(header[4], 0x00 | 0x10) && header[5] <= 3;
    is_sound && is_known && header[6..8] == [0, 0] && length(header) >= HEADER as u32
}

/// Bytes of a fragment.
pub(super) fn length(head: &[u8]) -> u32 {
    u32::from(number(head, 8).unwrap_or(0))
}

/// How many bytes of a fragment must be seen, by its header.
pub(super) fn needs(head: &[u8]) -> usize {
    if !is_header(head) {
        return HEADER;
    }
    let length = length(head) as usize;
    match head[2] {
        REQUEST_KIND => length.min(REQUEST),
        // The challenge and the answer to it stand at the end of these.
        11..=16 => length.min(BIND_MAX),
        _ => HEADER,
    }
}

/// A number of two bytes in the sender's order.
fn number(head: &[u8], at: usize) -> Option<u16> {
    let bytes = *head.get(at..)?.first_chunk()?;
    Some(if head.get(4)? & 0x10 == 0 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

/// That the server refused, if this fragment says so.
pub(super) fn refusal(head: &[u8]) -> Option<Sight> {
    matches!(head.get(2), Some(&FAULT | &BIND_NAK)).then_some(Sight::Rpc(RpcSight::Fault))
}

/// The interfaces that a connection's contexts stand for.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    bound: Vec<(u16, RpcInterface)>,
}

/// Contexts of one connection, and of one bind.
const CONTEXTS_MAX: usize = 32;

impl Contexts {
    /// Reads the beginning of a fragment, as [`needs`] says.
    pub(super) fn read(&mut self, fragment: &[u8], out: &mut Vec<Sight>) {
        match fragment.get(2) {
            Some(&BIND | &ALTER) => {
                self.bind(fragment, out);
                out.extend(ntlm::find(fragment).map(Sight::Ntlm));
            }
            Some(&BIND_ACK | &ALTER_ANSWER | &AUTH3) => out.extend(ntlm::find(fragment).map(Sight::Ntlm)),
            // What follows of a call that was cut into fragments is not another call.
            Some(&REQUEST_KIND) if fragment[3] & FIRST != 0 => {
                let (Some(context), Some(operation)) = (number(fragment, 20), number(fragment, 22)) else {
                    return;
                };
                out.push(Sight::Rpc(RpcSight::Request { interface: self.interface(context), operation }));
            }
            _ => {}
        }
    }

    fn interface(&self, context: u16) -> RpcInterface {
        let found = self.bound.iter().find(|(id, _)| *id == context);
        found.map_or(RpcInterface::Other, |(_, interface)| *interface)
    }

    /// Tells each interface once, though clients offer it in several ways of writing numbers.
    fn bind(&mut self, fragment: &[u8], out: &mut Vec<Sight>) {
        let count = usize::from(fragment.get(24).copied().unwrap_or(0)).min(CONTEXTS_MAX);
        let little = fragment[4] & 0x10 != 0;
        let mut at = 28;
        let mut told = Vec::new();
        for _ in 0..count {
            let (Some(context), Some(uuid)) = (number(fragment, at), fragment.get(at + 4..at + 20)) else {
                return;
            };
            let interface = uuid.first_chunk().map_or(RpcInterface::Other, |uuid| interface(uuid, little));
            self.note(context, interface);
            if !told.contains(&interface) {
                told.push(interface);
                out.push(Sight::Rpc(RpcSight::Bind { interface }));
            }
            let transfers = usize::from(fragment.get(at + 2).copied().unwrap_or(0));
            at += 24 + 20 * transfers;
        }
    }

    fn note(&mut self, context: u16, interface: RpcInterface) {
        self.bound.retain(|(id, _)| *id != context);
        if self.bound.len() < CONTEXTS_MAX {
            self.bound.push((context, interface));
        }
    }
}

/// Interfaces by their numbers, as they are written.
const INTERFACES: &[(u128, RpcInterface)] = &[
    (0x367abb81_9844_35f1_ad32_98f038001003, RpcInterface::ServiceControl),
    (0x1ff70682_0a51_30e8_076d_740be8cee98b, RpcInterface::TaskScheduler),
    (0x86d35949_83c9_4044_b424_db363231fd0c, RpcInterface::TaskScheduler),
    (0x378e52b0_c0a9_11cf_822d_00aa0051e40f, RpcInterface::TaskScheduler),
    // IRemoteSCMActivator, IWbemLevel1Login, IWbemServices, IWbemLoginClientID, IWbemFetchSmartEnum, IWbemWCOSmartEnum
    (0x000001a0_0000_0000_c000_000000000046, RpcInterface::Wmi),
    (0xf309ad18_d86a_11d0_a075_00c04fb68820, RpcInterface::Wmi),
    (0x9556dc99_828c_11cf_a37e_00aa003240c7, RpcInterface::Wmi),
    (0xd4781cd6_e5d3_44df_ad94_930efe48a887, RpcInterface::Wmi),
    (0x1c1c45ee_4395_11d2_b60b_00104b703efd, RpcInterface::Wmi),
    (0x423ec01e_2e35_11d2_b604_00104b703efd, RpcInterface::Wmi),
    (0x338cd001_2244_31f1_aaaa_900038001003, RpcInterface::Registry),
    (0x12345678_1234_abcd_ef00_01234567cffb, RpcInterface::Netlogon),
    (0xe3514235_4b06_11d1_ab04_00c04fc2dcd2, RpcInterface::Replication),
    (0x12345678_1234_abcd_ef00_0123456789ab, RpcInterface::Spooler),
    (0x76f03f96_cdfd_44fc_a22c_64950a001209, RpcInterface::Spooler),
    (0x12345778_1234_abcd_ef00_0123456789ac, RpcInterface::Accounts),
    (0x12345778_1234_abcd_ef00_0123456789ab, RpcInterface::Accounts),
    (0xc681d488_d850_11d0_8c52_00c04fd90f7e, RpcInterface::Efs),
    (0xdf1941c5_fe89_4e79_bf10_463657acf44d, RpcInterface::Efs),
    (0xe1af8308_5d1f_11c9_91a4_08002b14a0fa, RpcInterface::Mapper),
];

fn interface(uuid: &[u8; 16], is_little: bool) -> RpcInterface {
    let mut written = *uuid;
    if is_little {
        written[..4].reverse();
        written[4..6].reverse();
        written[6..8].reverse();
    }
    let number = u128::from_be_bytes(written);
    INTERFACES
        .iter()
        .find(|(known, _)| *known == number)
        .map_or(RpcInterface::Other, |(_, interface)| *interface)
}

/// A connection of DCE/RPC over TCP.
#[derive(Debug, Default)]
pub(super) struct Rpc {
    sides: [Framer; 2],
    /// Sides that are out of step until a segment begins with a fragment.
    lost: [bool; 2],
    contexts: Contexts,
}

impl Rpc {
    pub(super) fn feed(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Sight>) -> Next {
        let at = index(side);
        if self.lost[at] {
            if !is_header(bytes) {
                return Next::On;
            }
            self.lost[at] = false;
        }
        let contexts = &mut self.contexts;
        let fed = self.sides[at].feed(bytes, HEADER, |fragment| {
            if !is_header(fragment) {
                return Step::Lost;
            }
            let needed = needs(fragment);
            if fragment.len() < needed {
                return Step::More(needed);
            }
            // The kind says who sends it, also where the flow's direction was guessed wrongly.
            contexts.read(fragment, out);
            out.extend(refusal(fragment));
            Step::Next(u64::from(length(fragment)))
        });
        self.lost[at] = fed != Fed::All;
        // Both out of step: this was no DCE/RPC, or too much of it is missing.
        if self.lost == [true, true] { Next::Done } else { Next::On }
    }

    pub(super) fn pass(&mut self, side: Side, bytes: u64) -> bool {
        !self.lost[index(side)] && self.sides[index(side)].pass(bytes)
    }

    pub(super) fn gap(&mut self, side: Side) -> Next {
        self.sides[index(side)].begin();
        self.lost[index(side)] = true;
        Next::On
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.sides.iter().map(Framer::room).sum::<usize>()
            + self.contexts.bound.capacity() * size_of::<(u16, RpcInterface)>()
    }
}
