//! Messages as programs on the wire make them, built field by field.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use crate::speech::quic;

/// UTF-16LE.
pub(super) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The length before a message of SMB.
pub(super) fn nbss(message: &[u8]) -> Vec<u8> {
    let mut framed = (message.len() as u32).to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

/// A message of SMB 2: command, flags, status, tree, body.
pub(super) fn smb2(command: u16, flags: u32, status: u32, tree: u32, body: &[u8]) -> Vec<u8> {
    let mut message = b"\xfeSMB\x40\0\0\0".to_vec();
    message.extend_from_slice(&status.to_le_bytes());
    message.extend_from_slice(&command.to_le_bytes());
    message.extend_from_slice(&[1, 0]);
    message.extend_from_slice(&flags.to_le_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&7_u64.to_le_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&tree.to_le_bytes());
    message.extend_from_slice(&[0x11; 8]);
    message.extend_from_slice(&[0; 16]);
    message.extend_from_slice(body);
    message
}

/// Several messages as one compound, each but the last padded to eight bytes.
pub(super) fn compound(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let mut message = message.clone();
        if at + 1 < messages.len() {
            message.resize(message.len().next_multiple_of(8), 0);
            let length = message.len() as u32;
            message[20..24].copy_from_slice(&length.to_le_bytes());
        }
        whole.extend_from_slice(&message);
    }
    whole
}

/// The body of a create request.
pub(super) fn create(name: &str, access: u32, disposition: u32, options: u32) -> Vec<u8> {
    let name = wide(name);
    let mut body = vec![57, 0, 0, 0, 2, 0, 0, 0];
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&access.to_le_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&7_u32.to_le_bytes());
    body.extend_from_slice(&disposition.to_le_bytes());
    body.extend_from_slice(&options.to_le_bytes());
    body.extend_from_slice(&120_u16.to_le_bytes());
    body.extend_from_slice(&(name.len() as u16).to_le_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&name);
    body
}

/// The body of a write request.
pub(super) fn write(file: u64, data: &[u8]) -> Vec<u8> {
    let mut body = vec![49, 0, 112, 0];
    body.extend_from_slice(&(data.len() as u32).to_le_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&file.to_le_bytes());
    body.extend_from_slice(&[0; 24]);
    body.extend_from_slice(data);
    body
}

/// The body of a request that writes to a pipe and reads its answer.
pub(super) fn transceive(file: u64, data: &[u8]) -> Vec<u8> {
    let mut body = vec![57, 0, 0, 0];
    body.extend_from_slice(&0x0011_c017_u32.to_le_bytes());
    body.extend_from_slice(&file.to_le_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&120_u32.to_le_bytes());
    body.extend_from_slice(&(data.len() as u32).to_le_bytes());
    body.extend_from_slice(&[0; 24]);
    body.extend_from_slice(data);
    body
}

/// The body of a change of a file's properties.
pub(super) fn set_info(class: u8, value: &[u8]) -> Vec<u8> {
    let mut body = vec![33, 0, 1, class];
    body.extend_from_slice(&(value.len() as u32).to_le_bytes());
    body.extend_from_slice(&96_u16.to_le_bytes());
    body.extend_from_slice(&[0; 22]);
    body.extend_from_slice(value);
    body
}

/// The body of a tree connect.
pub(super) fn tree_connect(path: &str) -> Vec<u8> {
    let path = wide(path);
    let mut body = vec![9, 0, 0, 0, 72, 0];
    body.extend_from_slice(&(path.len() as u16).to_le_bytes());
    body.extend_from_slice(&path);
    body
}

/// The body of a tree connect's answer: 1 files, 2 pipes.
pub(super) fn tree_answer(kind: u8) -> Vec<u8> {
    let mut body = vec![16, 0, kind];
    body.resize(16, 0);
    body
}

/// The body of a negotiate's answer.
pub(super) fn negotiate_answer(dialect: u16) -> Vec<u8> {
    let mut body = vec![65, 0, 1, 0];
    body.extend_from_slice(&dialect.to_le_bytes());
    body.resize(64, 0);
    body
}

/// The body of a Session Setup's answer with a token.
pub(super) fn setup_answer(token: &[u8]) -> Vec<u8> {
    let mut body = vec![9, 0, 0, 0, 72, 0];
    body.extend_from_slice(&(token.len() as u16).to_le_bytes());
    body.extend_from_slice(token);
    body
}

/// An encrypted message that is `inside` bytes in the clear.
pub(super) fn sealed(inside: u32) -> Vec<u8> {
    let mut message = b"\xfdSMB".to_vec();
    message.extend_from_slice(&[0x5a; 32]);
    message.extend_from_slice(&inside.to_le_bytes());
    message.extend_from_slice(&[0, 0, 1, 0]);
    message.extend_from_slice(&[0x11; 8]);
    message.resize(52 + inside as usize, 0xa5);
    message
}

/// A message of SMB 1 with one command: words, then bytes.
pub(super) fn smb1(
    command: u8,
    is_answer: bool,
    status: u32,
    tree: u16,
    words: &[u8],
    bytes: &[u8],
) -> Vec<u8> {
    let mut message = b"\xffSMB".to_vec();
    message.push(command);
    message.extend_from_slice(&status.to_le_bytes());
    message.push(if is_answer { 0x98 } else { 0x18 });
    // Unicode, NT status.
    message.extend_from_slice(&0xc807_u16.to_le_bytes());
    message.extend_from_slice(&[0; 12]);
    message.extend_from_slice(&tree.to_le_bytes());
    message.extend_from_slice(&[1, 0, 0, 8, 2, 0]);
    message.push((words.len() / 2) as u8);
    message.extend_from_slice(words);
    message.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    message.extend_from_slice(bytes);
    message
}

/// The three messages of NTLM, as they stand in every protocol.
pub(super) fn ntlm_negotiate(version: [u8; 4]) -> Vec<u8> {
    let mut message = b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2".to_vec();
    message.extend_from_slice(&[0; 16]);
    message.extend_from_slice(&version);
    message.extend_from_slice(&[0, 0, 0, 15]);
    message
}

pub(super) fn ntlm_challenge(version: [u8; 4]) -> Vec<u8> {
    let mut message = b"NTLMSSP\0\x02\0\0\0".to_vec();
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&0xe289_8215_u32.to_le_bytes());
    message.extend_from_slice(&[0x42; 8]);
    message.extend_from_slice(&[0; 16]);
    message.extend_from_slice(&version);
    message.extend_from_slice(&[0, 0, 0, 15]);
    message
}

pub(super) fn ntlm_authenticate(domain: &str, user: &str, version: [u8; 4]) -> Vec<u8> {
    let (domain, user) = (wide(domain), wide(user));
    let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
    let field = |message: &mut Vec<u8>, length: usize, at: usize| {
        message.extend_from_slice(&(length as u16).to_le_bytes());
        message.extend_from_slice(&(length as u16).to_le_bytes());
        message.extend_from_slice(&(at as u32).to_le_bytes());
    };
    let end = 88 + domain.len() + user.len();
    field(&mut message, 24, end);
    field(&mut message, 24, end + 24);
    field(&mut message, domain.len(), 88);
    field(&mut message, user.len(), 88 + domain.len());
    field(&mut message, 0, end);
    field(&mut message, 0, end);
    message.extend_from_slice(&0xe288_8215_u32.to_le_bytes());
    message.extend_from_slice(&version);
    message.extend_from_slice(&[0, 0, 0, 15]);
    message.resize(88, 0);
    message.extend_from_slice(&domain);
    message.extend_from_slice(&user);
    message.resize(end + 48, 0x77);
    message
}

/// A fragment of DCE/RPC: kind, flags, what follows the header, and a trailer of authentication.
pub(super) fn rpc(kind: u8, flags: u8, body: &[u8], auth: &[u8]) -> Vec<u8> {
    let mut fragment = vec![5, 0, kind, flags, 0x10, 0, 0, 0];
    let trailer = if auth.is_empty() { 0 } else { 8 + auth.len() };
    fragment.extend_from_slice(&((16 + body.len() + trailer) as u16).to_le_bytes());
    fragment.extend_from_slice(&(auth.len() as u16).to_le_bytes());
    fragment.extend_from_slice(&1_u32.to_le_bytes());
    fragment.extend_from_slice(body);
    if !auth.is_empty() {
        fragment.extend_from_slice(&[10, 6, 0, 0, 0, 0, 0, 0]);
        fragment.extend_from_slice(auth);
    }
    fragment
}

/// A bind to interfaces, each given as it is written and bound to the context of its place.
pub(super) fn rpc_bind(interfaces: &[&str], auth: &[u8]) -> Vec<u8> {
    let mut body = vec![0xb8, 0x10, 0xb8, 0x10, 0, 0, 0, 0, interfaces.len() as u8, 0, 0, 0];
    for (context, interface) in interfaces.iter().enumerate() {
        body.extend_from_slice(&(context as u16).to_le_bytes());
        body.extend_from_slice(&[1, 0]);
        body.extend_from_slice(&uuid(interface));
        body.extend_from_slice(&[1, 0, 0, 0]);
        body.extend_from_slice(&uuid("8a885d04-1ceb-11c9-9fe8-08002b104860"));
        body.extend_from_slice(&[2, 0, 0, 0]);
    }
    rpc(11, 3, &body, auth)
}

/// A call.
pub(super) fn rpc_request(context: u16, operation: u16, flags: u8, stub: usize) -> Vec<u8> {
    let mut body = (stub as u32).to_le_bytes().to_vec();
    body.extend_from_slice(&context.to_le_bytes());
    body.extend_from_slice(&operation.to_le_bytes());
    body.resize(8 + stub, 0x33);
    rpc(0, flags, &body, &[])
}

fn uuid(written: &str) -> [u8; 16] {
    let digits: String = written.chars().filter(|letter| *letter != '-').collect();
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    }
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

/// A ClientHello for a name in records of at most `record` bytes.
pub(super) fn client_hello(name: &str, record: usize) -> Vec<u8> {
    let mut list = vec![0];
    list.extend_from_slice(&(name.len() as u16).to_be_bytes());
    list.extend_from_slice(name.as_bytes());
    let mut extensions = vec![0x0a, 0x0a, 0, 0, 0, 0];
    extensions.extend_from_slice(&(list.len() as u16 + 2).to_be_bytes());
    extensions.extend_from_slice(&(list.len() as u16).to_be_bytes());
    extensions.extend_from_slice(&list);
    extensions.extend_from_slice(&[0, 43, 0, 3, 2, 3, 4]);
    let mut body = vec![3, 3];
    body.extend_from_slice(&[0x61; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut hello = vec![1];
    hello.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    hello.extend_from_slice(&body);
    hello.chunks(record).flat_map(|part| tls_record(22, part)).collect()
}

pub(super) fn tls_record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// A query for an address.
pub(super) fn dns_query(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// An element of DER.
pub(super) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match content.len() {
        length @ 0..=127 => element.push(length as u8),
        length => {
            element.push(0x82);
            element.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    element.extend_from_slice(content);
    element
}

pub(super) fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn principal(name: &str) -> Vec<u8> {
    let names: Vec<Vec<u8>> = name.split('/').map(|part| der(0x1b, part.as_bytes())).collect();
    der(0x30, &joined(&[der(0xa0, &[2, 1, 1]), der(0xa1, &der(0x30, &joined(&names)))]))
}

/// A request for a ticket: 10 the first, 12 a service's.
pub(super) fn kerberos_request(kind: u8, realm: &str, name: &str, kinds: &[i8]) -> Vec<u8> {
    let etypes: Vec<Vec<u8>> = kinds.iter().map(|kind| der(2, &[*kind as u8])).collect();
    let is_first = kind == 10;
    let mut body = vec![der(0xa0, &der(3, &[0, 0x40, 0x81, 0, 0x10]))];
    if is_first {
        body.push(der(0xa1, &principal(name)));
    }
    body.push(der(0xa2, &der(0x1b, realm.as_bytes())));
    body.push(der(0xa3, &principal(if is_first { "krbtgt/EXAMPLE.TEST" } else { name })));
    body.push(der(0xa5, &der(0x18, b"20370913024805Z")));
    body.push(der(0xa7, &der(2, &[0x12, 0x34, 0x56, 0x78])));
    body.push(der(0xa8, &der(0x30, &joined(&etypes))));
    let request = [der(0xa1, &[2, 1, 5]), der(0xa2, &der(2, &[kind])), der(0xa4, &der(0x30, &joined(&body)))];
    der(0x60 + kind, &der(0x30, &joined(&request)))
}

/// A refusal.
pub(super) fn kerberos_error(code: u8, realm: &str, client: Option<&str>) -> Vec<u8> {
    let mut parts = vec![
        der(0xa0, &[2, 1, 5]),
        der(0xa1, &[2, 1, 30]),
        der(0xa4, &der(0x18, b"20181012081500Z")),
        der(0xa5, &[2, 1, 7]),
        der(0xa6, &der(2, &[code])),
    ];
    if let Some(client) = client {
        parts.push(der(0xa7, &der(0x1b, realm.as_bytes())));
        parts.push(der(0xa8, &principal(client)));
    }
    parts.push(der(0xa9, &der(0x1b, realm.as_bytes())));
    parts.push(der(0xaa, &principal("krbtgt/EXAMPLE.TEST")));
    der(0x7e, &der(0x30, &joined(&parts)))
}

/// A message behind a length of four bytes.
pub(super) fn counted(message: &[u8]) -> Vec<u8> {
    let mut framed = (message.len() as u32).to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

/// X.224's connection request of RDP.
pub(super) fn rdp_request(user: &str, protocols: u32) -> Vec<u8> {
    let mut body = format!("Cookie: mstshash={user}\r\n").into_bytes();
    body.extend_from_slice(&[1, 0, 8, 0]);
    body.extend_from_slice(&protocols.to_le_bytes());
    x224(0xe0, &body)
}

/// X.224's connection confirm of RDP.
pub(super) fn rdp_confirm(protocol: u32) -> Vec<u8> {
    let mut body = vec![2, 0, 8, 0];
    body.extend_from_slice(&protocol.to_le_bytes());
    x224(0xd0, &body)
}

fn x224(kind: u8, variable: &[u8]) -> Vec<u8> {
    let length = 11 + variable.len();
    let mut message = vec![3, 0, (length >> 8) as u8, length as u8, (length - 5) as u8, kind, 0, 0, 0, 0, 0];
    message.extend_from_slice(variable);
    message
}

/// MCS Connect-Initial with the client's core data.
pub(super) fn rdp_initial(build: u32) -> Vec<u8> {
    let mut core = vec![1, 0xc0, 216, 0, 4, 0, 8, 0, 0, 4, 0, 3, 1, 0xca, 3, 0xaa, 4, 4, 0, 0];
    core.extend_from_slice(&build.to_le_bytes());
    core.resize(216, 0);
    let mut message = vec![3, 0, 1, 0x80, 2, 0xf0, 0x80, 0x7f, 0x65];
    message.extend_from_slice(&[0x11; 100]);
    message.extend_from_slice(b"Duca\x80\xd8");
    message.extend_from_slice(&core);
    message.resize(0x180, 0);
    message
}

/// A client's first packet of QUIC with pieces of a ClientHello, each with its place. Its tag is empty.
pub(super) fn quic_initial(version: u32, number: u8, pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let connection = [0x42; 8];
    let mut clear = vec![1];
    for (offset, piece) in pieces {
        clear.push(6);
        clear.extend_from_slice(&(0x4000 | *offset as u16).to_be_bytes());
        clear.extend_from_slice(&(0x4000 | piece.len() as u16).to_be_bytes());
        clear.extend_from_slice(piece);
    }
    clear.resize(1_160, 0);
    let keys = quic::keys(version, &connection).unwrap();
    let encrypt = |key: [u8; 16], block: [u8; 16]| -> [u8; 16] {
        let mut block = Array::from(block);
        Aes128::new(&key.into()).encrypt_block(&mut block);
        block.into()
    };
    for (at, block) in clear.chunks_mut(16).enumerate() {
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&keys.iv);
        counter[11] ^= number;
        counter[15] = at as u8 + 2;
        let stream = encrypt(keys.key, counter);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
    let mut packet = vec![if version == 1 { 0xc0 } else { 0xd0 }];
    packet.extend_from_slice(&version.to_be_bytes());
    packet.push(8);
    packet.extend_from_slice(&connection);
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&(0x4000 | (1 + clear.len() as u16 + 16)).to_be_bytes());
    let at = packet.len();
    packet.push(number);
    packet.extend_from_slice(&clear);
    packet.resize(packet.len() + 16, 0);
    packet.resize(packet.len().max(1_200), 0);
    let sample: [u8; 16] = packet[at + 4..at + 20].try_into().unwrap();
    let mask = encrypt(keys.header, sample);
    packet[0] ^= mask[0] & 0x0f;
    packet[at] ^= mask[1];
    packet
}
