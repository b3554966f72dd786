//! Writing a bundle, or the next edition of one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::Lang;
use serde::Serialize;

use super::edition::Edition;
use super::error::Error;
use super::files::{Folder, MANIFEST, part_file, read_part};
use super::manifest::{self, BasisLines, FORMAT, Header, Kind, Manifest, Part};
use super::parts::{Cutter, PATIENTS_PER_INDEX, Plain, entry, patients_per_part};
use super::seal::{Sealer, sha256};
use super::{index, page};
use crate::charts::{Basis, Charts, Origin, Roster};

/// Threads that compress and encrypt; reading charts takes as long as two of them.
const THREADS_MAX: usize = 3;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The bundle's folder: new, empty, or that of the edition before.
    pub dir: &'a Path,
    /// The bundle's own; not the vault's.
    pub passphrase: &'a str,
    /// Whether everything is made anew under a new key, whatever the folder holds.
    pub new_key: bool,
    /// Which language comes first.
    pub lang: Lang,
    /// The hospital's.
    pub zone: &'a TimeZone,
    /// Seconds without a key or a touch after which the page locks itself.
    pub lock_after_seconds: u32,
    /// What is noted as the time of the export.
    pub now: Timestamp,
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Id of the bundle.
    pub bundle: String,
    /// One more with each export.
    pub edition: u64,
    /// The key that signs the bundle's notes, for [`signed::read`](crate::downtime::signed::read).
    pub public_key: String,
    /// Patients in it.
    pub patients: u64,
    /// Those of them whose chart could not be read.
    pub without_chart: u64,
    /// Folders and records that could not be read while patients were listed.
    pub unread: u64,
    /// Files of data.
    pub parts: u64,
    /// Those of them that were written now; the others were as they should be.
    pub parts_written: u64,
    /// Files of data that nothing refers to any more.
    pub parts_removed: u64,
    /// Bytes of all files of data.
    pub bytes: u64,
    /// There was another bundle that the passphrase did not open: notes that browsers hold of it can be read by that bundle alone.
    pub former_is_lost: bool,
}

/// Writes the bundle. `progress` hears how many of how many patients are done.
pub fn export(
    charts: &Charts<'_>,
    basis: &Basis,
    request: &Request<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Exported, Error> {
    let folder = Folder::hold(request.dir)?;
    let edition = Edition::next(request.dir, request.passphrase, request.new_key)?;
    let roster = charts.roster();
    let patients_per_part =
        patients_per_part(charts, &roster, basis.as_of, edition.before.as_ref(), &edition.sealer)?;
    let written = write_parts(charts, basis, &roster, &folder, &edition, patients_per_part, progress)?;
    page::FILES.iter().try_for_each(|(name, content)| folder.replace(name, content.as_bytes()).map(drop))?;
    let Written { parts, parts_written, without_chart } = written;
    let (public_key, sealer) = (edition.signing.public_key.clone(), &edition.sealer);
    let manifest = Manifest {
        edition: edition.number,
        made_at: request.now,
        basis: basis_lines(basis, request.zone),
        patients: roster.patients.len() as u64,
        unread: roster.unread.len() as u64,
        lock_after_seconds: request.lock_after_seconds,
        patients_per_part,
        parts,
        signing: edition.signing,
        former: edition.former,
    };
    let header = Header {
        format: FORMAT.to_owned(),
        bundle: edition.bundle,
        made_at: request.now,
        lang: request.lang,
        lock: edition.lock,
        manifest: manifest::sealed(&manifest, sealer)?,
    };
    // Everything that it refers to is on the medium first: this is the moment at which the new edition is there.
    folder.settle()?;
    folder.replace(MANIFEST, manifest::text(&header)?.as_bytes())?;
    let parts_removed = folder.sweep(&manifest.parts.iter().map(|part| part.file.as_str()).collect())?;
    Ok(Exported {
        bundle: header.bundle,
        edition: manifest.edition,
        public_key,
        patients: manifest.patients,
        without_chart,
        unread: manifest.unread,
        parts: manifest.parts.len() as u64,
        parts_written,
        parts_removed,
        bytes: manifest.parts.iter().map(|part| part.bytes).sum(),
        former_is_lost: edition.former_is_lost,
    })
}

fn basis_lines(basis: &Basis, zone: &TimeZone) -> BasisLines {
    let (origin, snapshot) = match &basis.origin {
        Origin::Snapshot { snapshot, .. } => (snapshot.0.clone(), Some(snapshot.0.clone())),
        Origin::Folder { path } => (path.clone(), None),
    };
    BasisLines {
        en: basis.lines(None, Lang::En, zone),
        ja: basis.lines(None, Lang::Ja, zone),
        proven: basis.is_proven(),
        origin,
        snapshot,
    }
}

struct Written {
    parts: Vec<Part>,
    parts_written: u64,
    without_chart: u64,
}

/// Reads chart after chart on this thread, since a source is asked by one alone, while others compress, encrypt and write.
fn write_parts(
    charts: &Charts<'_>,
    basis: &Basis,
    roster: &Roster,
    folder: &Folder,
    edition: &Edition,
    patients_per_part: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written, Error> {
    let known = edition.before.iter().flat_map(|before| &before.parts);
    let known: BTreeMap<&str, &Part> = known.map(|part| (part.name.as_str(), part)).collect();
    let (jobs, todo) = bounded::<(usize, Plain)>(1);
    let (results, done) = unbounded();
    let failed = AtomicBool::new(false);
    let writer = Writer { folder, sealer: &edition.sealer, known: &known, failed: &failed };
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
    let without_chart = thread::scope(|scope| {
        for _ in 0..threads {
            let (todo, results) = (todo.clone(), results.clone());
            scope.spawn(move || writer.work(&todo, &results));
        }
        drop((todo, results));
        let mut cut = Cut::new(&edition.sealer, patients_per_part, jobs);
        for (index, patient) in roster.patients.iter().enumerate() {
            // Why is among the results.
            if failed.load(Ordering::Relaxed) {
                break;
            }
            let entry = entry(charts, &patient.patient, basis.as_of)?;
            cut.take(patient, &entry);
            progress(index as u64 + 1, roster.patients.len() as u64);
        }
        Ok(cut.end())
    })?;
    let mut parts = BTreeMap::new();
    for (number, result) in done {
        let (part, is_new) = result?;
        parts.insert(number, (part, is_new));
    }
    let parts_written = parts.values().filter(|(_, is_new)| *is_new).count() as u64;
    let parts = parts.into_values().map(|(part, _)| part).collect();
    Ok(Written { parts, parts_written, without_chart })
}

/// Charts and index lines on their way into parts.
struct Cut<'e> {
    sealer: &'e Sealer,
    jobs: Sender<(usize, Plain)>,
    begun: usize,
    charts: Cutter,
    index: Cutter,
    chart_part: Option<Plain>,
    index_part: Option<Plain>,
    without_chart: u64,
}

impl<'e> Cut<'e> {
    fn new(sealer: &'e Sealer, patients_per_part: u64, jobs: Sender<(usize, Plain)>) -> Cut<'e> {
        let (charts, index) = (Cutter::new(patients_per_part), Cutter::new(PATIENTS_PER_INDEX));
        Cut { sealer, jobs, begun: 0, charts, index, chart_part: None, index_part: None, without_chart: 0 }
    }

    fn take(&mut self, patient: &crate::charts::RosterLine, entry: &super::parts::Entry) {
        let id = &patient.patient.0;
        let number = self.sealer.number(id);
        let name = |kind: &str| {
            let digest = self.sealer.digest(kind, id.as_bytes());
            format!("{kind}-{}", digest.get(..16).unwrap_or_default())
        };
        let new_part = self.chart_part.is_none();
        let part = self.chart_part.get_or_insert_with(|| Plain {
            kind: Kind::Charts,
            name: name("charts"),
            patients: 0,
            content: Vec::new(),
        });
        part.content.push(if part.patients == 0 { b'[' } else { b',' });
        part.content.extend_from_slice(&entry.json);
        part.patients += 1;
        let new_index = self.index_part.is_none();
        let lines = self.index_part.get_or_insert_with(|| Plain {
            kind: Kind::Index,
            name: name("index"),
            patients: 0,
            content: Vec::new(),
        });
        if new_part || new_index {
            lines.content.extend_from_slice(index::heading(&part.name).as_bytes());
        }
        let line = index::line(patient, entry.has_chart);
        lines.content.extend_from_slice(line.as_bytes());
        lines.patients += 1;
        self.without_chart += u64::from(!entry.has_chart);
        if self.charts.ends_behind(number, entry.json.len()) {
            self.send_charts();
        }
        if self.index.ends_behind(number, line.len()) {
            let part = self.index_part.take();
            self.send(part);
        }
    }

    fn send_charts(&mut self) {
        if let Some(mut part) = self.chart_part.take() {
            part.content.push(b']');
            self.send(Some(part));
        }
    }

    fn send(&mut self, part: Option<Plain>) {
        if let Some(part) = part {
            // Nobody takes it when they have failed, which is among the results.
            let _ = self.jobs.send((self.begun, part));
            self.begun += 1;
        }
    }

    fn end(mut self) -> u64 {
        self.send_charts();
        let part = self.index_part.take();
        self.send(part);
        self.without_chart
    }
}

/// Seals and writes parts whose content is new.
#[derive(Clone, Copy)]
struct Writer<'e> {
    folder: &'e Folder,
    sealer: &'e Sealer,
    known: &'e BTreeMap<&'e str, &'e Part>,
    failed: &'e AtomicBool,
}

type Settled = (usize, Result<(Part, bool), Error>);

impl Writer<'_> {
    fn work(self, todo: &Receiver<(usize, Plain)>, results: &Sender<Settled>) {
        for (number, plain) in todo {
            let result = self.settle(plain);
            self.failed.fetch_or(result.is_err(), Ordering::Relaxed);
            let _ = results.send((number, result));
        }
    }

    /// The part as it is on the medium, and whether it was written now.
    fn settle(self, plain: Plain) -> Result<(Part, bool), Error> {
        let Plain { kind, name, patients, content } = plain;
        let digest = self.sealer.digest(&name, &content);
        let before = self.known.get(name.as_str()).filter(|part| part.content == digest && part.kind == kind);
        // What lies on a stick for months is read once more before it is relied on.
        let is_whole = |part: &Part| {
            read_part(self.folder.dir(), &name, &part.file)
                .is_some_and(|sealed| sha256(&sealed) == part.sha256)
        };
        if let Some(part) = before.filter(|part| is_whole(part)) {
            return Ok(((*part).clone(), false));
        }
        let sealed = self.sealer.seal(&name, &content)?;
        let file = part_file()?;
        let bytes = self.folder.write_part(&name, &file, &sealed)?;
        Ok((Part { kind, sha256: sha256(&sealed), name, file, bytes, patients, content: digest }, true))
    }
}
