//! Orthanc with real images, captured while it runs and started again by a drill.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::servers::free_port;

use crate::servers::{Ground, Running, Yard, as_nobody, ran, wait_until};

struct Orthanc {
    // Ended before its folder is removed.
    _server: Running,
    ground: Ground,
    storage: PathBuf,
    port: u16,
}

impl Orthanc {
    fn start(test: &str) -> Option<Orthanc> {
        let program = testkit::tool(test, "Orthanc")?;
        testkit::tool(test, "dump2dcm")?;
        let ground = Ground::new();
        let storage = ground.folder("dicom");
        let port = free_port();
        let settings = serde_json::json!({
            "StorageDirectory": storage, "IndexDirectory": storage, "HttpPort": port, "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false, "DicomServerEnabled": false, "Plugins": [],
        });
        let path = ground.dir.path().join("orthanc.json");
        fs::write(&path, settings.to_string()).unwrap();
        let log = fs::File::create(ground.dir.path().join("log")).unwrap();
        let server =
            as_nobody(&program).arg(&path).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let orthanc = Orthanc { ground, storage, port, _server: Running(server) };
        wait_until("Orthanc", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Some(orthanc)
    }

    /// Stores one image of a patient.
    fn store(&self, patient: u32, image: u32) {
        let dump = format!(
            "(0008,0016) UI =SecondaryCaptureImageStorage\n(0008,0018) UI [1.2.392.1.{patient}.{image}]\n\
             (0010,0010) PN [PATIENT^{patient}]\n(0010,0020) LO [{patient:08}]\n(0008,0020) DA [20260101]\n\
             (0020,000d) UI [1.2.392.2.{patient}]\n(0020,000e) UI [1.2.392.3.{patient}]\n(0020,0013) IS [{image}]\n\
             (0028,0002) US 1\n(0028,0004) CS [MONOCHROME2]\n(0028,0010) US 2\n(0028,0011) US 2\n(0028,0100) US 8\n\
             (0028,0101) US 8\n(0028,0102) US 7\n(0028,0103) US 0\n(7fe0,0010) OB 01\\02\\03\\04\n"
        );
        let (text, file) = (self.ground.dir.path().join("dump"), self.ground.dir.path().join("image.dcm"));
        fs::write(&text, dump).unwrap();
        ran(Command::new("dump2dcm").arg("+te").arg(&text).arg(&file));
        let image = fs::read(&file).unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let head = format!("POST /instances HTTP/1.0\r\nContent-Length: {}\r\n\r\n", image.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&image).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("200 OK") && answer.contains("Success"), "{answer}");
    }
}

fn some_image(storage: &Path) -> PathBuf {
    let below = |path: &Path| {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|it| it.unwrap().path()).collect();
        entries.sort();
        entries.into_iter().find(|path| path.is_dir() || path.file_name().unwrap().len() > 30).unwrap()
    };
    below(&below(&below(storage)))
}

#[test]
fn images_are_counted_and_read_back_through_a_server_of_the_drill() {
    let Some(server) = Orthanc::start("images_are_counted") else { return };
    for (patient, image) in [(1, 1), (1, 2), (2, 1)] {
        server.store(patient, image);
    }
    let yard = Yard::new();
    let source = format!("orthanc:name=pacs,storage={}", server.storage.display());
    // It writes its index some seconds later.
    wait_until("Orthanc's index", || {
        let captured = yard.capture(&[&source], &[]).unwrap();
        assert_eq!(captured.manifest.exceptions, []);
        captured.manifest.census.databases.iter().any(|it| it.tables.get("instances") == Some(&3))
    });
    let drill = yard.drill();
    assert_eq!(drill.shortfalls, []);
    let census = drill.census.databases.iter().find(|it| it.engine == "orthanc").unwrap();
    assert_eq!(census.path, "orthanc:pacs");
    let counts = ["patients", "studies", "series", "instances"].map(|level| census.tables[level]);
    assert_eq!(counts, [2, 2, 2, 3]);
    assert!(
        drill.rpo_seconds.is_some_and(|seconds| (0.0..120.0).contains(&seconds)),
        "{:?}",
        drill.rpo_seconds
    );

    // A file that is gone from under the archive, and one that was encrypted in its place.
    let image = some_image(&server.storage);
    let bytes = fs::read(&image).unwrap();
    for content in [None, Some(vec![0x5a; bytes.len()])] {
        match &content {
            None => fs::remove_file(&image).unwrap(),
            Some(noise) => fs::write(&image, noise).unwrap(),
        }
        yard.capture(&[&source], &[]).unwrap();
        assert!(!yard.drill().passed(), "{content:?}");
    }
}
