//! The sources of a drill: each is started again on what was restored, and counted.

use std::path::Path;

use jiff::Timestamp;
use schema::{Census, DatabaseCensus, Manifest, Shortfall, ShortfallKind};

use crate::adapter::{self, Engines, Findings, Restored};
use crate::capture::sources::{complete, newest};
use crate::error::Error;

/// What all sources came to.
#[derive(Default)]
pub(super) struct SourcesFound {
    databases: Vec<DatabaseCensus>,
    newest: Vec<Timestamp>,
    pub(super) shortfalls: Vec<Shortfall>,
    pub(super) remarks: Vec<Shortfall>,
    pub(super) not_proven: Vec<String>,
    /// How servers were kept apart.
    pub(super) sandbox: Vec<String>,
    /// Of each source: its name, its newest record, and when it was back.
    pub(super) times: Vec<(String, Option<Timestamp>, f64)>,
}

impl SourcesFound {
    /// Starts and counts each.
    pub(super) fn of(
        manifest: Option<&Manifest>,
        restored: &Path,
        engines: Option<&Path>,
        since_start: &dyn Fn() -> f64,
    ) -> Result<SourcesFound, Error> {
        let mut all = SourcesFound::default();
        let Some(manifest) = manifest.filter(|manifest| !manifest.sources.is_empty()) else { return Ok(all) };
        let Some(engines) = engines else {
            let place = "no place was given in which a server may run".to_owned();
            let detail = |source: &schema::SourceCapture| Shortfall {
                kind: ShortfallKind::NotStarted,
                what: format!("{} {}", source.kind, source.name),
                detail: place.clone(),
            };
            all.shortfalls = manifest.sources.iter().map(detail).collect();
            return Ok(all);
        };
        let engines = Engines::new(engines)?;
        all.sandbox = engines.said();
        for source in &manifest.sources {
            let prefix = format!("{}:{}", source.kind, source.name);
            let of_it = |database: &&DatabaseCensus| {
                database
                    .path
                    .strip_prefix(&prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let expected: Vec<&DatabaseCensus> = manifest.census.databases.iter().filter(of_it).collect();
            let folder = restored.join(source.folder.trim_start_matches('/'));
            let found =
                adapter::drill(&Restored { source, expected: &expected, folder: &folder, engines: &engines });
            let name = format!("{} {}", source.kind, source.name);
            all.times.push((name, newest(&found.databases), since_start()));
            all.add(found);
        }
        Ok(all)
    }

    fn add(&mut self, found: Findings) {
        self.newest.extend(newest(&found.databases));
        self.databases.extend(found.databases);
        self.shortfalls.extend(found.shortfalls);
        self.remarks.extend(found.remarks);
        self.not_proven.extend(found.not_proven);
        self.sandbox.extend(found.sandbox);
    }

    /// See [`complete`].
    pub(super) fn complete(&self, files: Census, manifest: Option<&Manifest>) -> Census {
        let has_sources = manifest.is_some_and(|manifest| !manifest.sources.is_empty());
        complete(files, &self.databases, &self.newest, has_sources)
    }
}
