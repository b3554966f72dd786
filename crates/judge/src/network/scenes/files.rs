use schema::{Sight, SmbSight, SmbVerb};

use super::{Flow, Scene, Stage, attack, benign};

use SmbVerb::{Close, Create, Delete, List, Open, OpenWrite, Read, Rename, Write};

const CLIENT: &str = "192.168.10.66";
const SERVER: &str = "192.168.10.20";

/// Read whole, written back, renamed.
const ENCRYPTED: &[SmbVerb] =
    &[Open, Read, Read, Close, OpenWrite, Write, Write, Close, OpenWrite, Rename, Close];
/// Saved by Office: a temporary file takes the place of what was.
const SAVED: &[SmbVerb] = &[
    List, Open, Read, Close, Create, Write, Close, OpenWrite, Rename, Close, OpenWrite, Rename, Close,
    OpenWrite, Delete, Close,
];

pub(super) fn scenes() -> Vec<Scene> {
    vec![
        attack("encryption.smb", "renamed", played(12, 0.2, ENCRYPTED)),
        attack("encryption.smb", "slow", played(12, 240.0, ENCRYPTED)),
        attack(
            "encryption.smb",
            "new_and_removed",
            played(70, 0.3, &[Open, Read, Close, Create, Write, Close, OpenWrite, Delete, Close]),
        ),
        attack("encryption.smb", "sealed", sealed(20, true)),
        benign("encryption.smb", "copy_from", played(80, 0.1, &[Open, Read, Read, Close])),
        benign("encryption.smb", "copy_to", played(80, 0.1, &[Create, Write, Write, Close])),
        benign("encryption.smb", "office", played(20, 30.0, SAVED)),
        benign("encryption.smb", "moved", played(60, 0.1, &[OpenWrite, Rename, Close])),
        benign(
            "encryption.smb",
            "pictures_arrive",
            played(60, 0.1, &[Create, Write, Close, OpenWrite, Rename, Close]),
        ),
        benign("encryption.smb", "cleared", played(60, 0.1, &[OpenWrite, Delete, Close])),
        benign("encryption.smb", "sealed_copy", sealed(40, false)),
        benign("encryption.smb", "terminal_server", terminal_server()),
    ]
}

fn played(files: u32, pause: f64, verbs: &[SmbVerb]) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, SERVER, 445);
    for _ in 0..files {
        play(&mut stage, flow, verbs);
        stage.wait(pause);
    }
    stage
}

fn play(stage: &mut Stage, flow: Flow, verbs: &[SmbVerb]) {
    for verb in verbs {
        stage.see(flow, Sight::Smb(SmbSight::Request { verb: *verb, bytes: 120 }));
        stage.wait(0.002);
    }
}

/// Forty people read, save and tidy up through one machine.
fn terminal_server() -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet("192.168.10.9", SERVER, 445);
    for person in 0..40 {
        play(&mut stage, flow, &[Open, Read, Close, Open, Read, Close]);
        if person % 2 == 0 {
            play(&mut stage, flow, SAVED);
        }
        if person % 7 == 0 {
            play(&mut stage, flow, &[OpenWrite, Rename, Close]);
        }
        stage.wait(3.0);
    }
    stage
}

/// Only lengths are seen: each close has 88 bytes, each read 113.
fn sealed(files: u32, written_back: bool) -> Stage {
    let mut stage = Stage::default();
    let flow = stage.meet(CLIENT, SERVER, 445);
    let see = |stage: &mut Stage, bytes: u32, from_client: bool| {
        stage.see(flow, Sight::Smb(SmbSight::Sealed { bytes, from_client }));
        stage.wait(0.002);
    };
    for file in 0..files {
        let size = 4_000 + file * 37;
        for (bytes, from_client) in [(144, true), (156, false), (113, true), (80 + size, false), (88, true)] {
            see(&mut stage, bytes, from_client);
        }
        if written_back {
            for bytes in [144, 112 + size, 88, 144, 152, 88] {
                see(&mut stage, bytes, true);
            }
        }
    }
    stage
}
