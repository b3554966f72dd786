//! GNUmed, an electronic medical record that nobody here wrote: 22 versions of schema on top of each other, with its own roles,
//! triggers, views, inheritance and test patients.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::tz::TimeZone;
use recover::charts::mapping::{Database, Mapping, Origin, Rooms};
use recover::charts::{Charts, Source};

use crate::servers::{Postgres, Yard, as_nobody, ran};

const INSTALLER: &str = "/var/lib/gnumed/server";
const DATABASE: &str = "gnumed_v22";
const FAST: [&str; 14] = [
    "-c",
    "jit=off",
    "-c",
    "wal_level=minimal",
    "-c",
    "max_wal_senders=0",
    "-c",
    "synchronous_commit=off",
    "-c",
    "full_page_writes=off",
    "-c",
    "max_wal_size=4GB",
    "-c",
    "shared_buffers=256MB",
];

/// Where the installed database is kept between runs: its own installer takes two minutes for all versions since 2004.
fn cache() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let version = Command::new("dpkg-query").args(["-W", "-f=${Version}", "gnumed-server"]).output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    cache.unwrap_or_else(env::temp_dir).join("chartward-tests").join(format!("gnumed-{version}.sql"))
}

/// Runs GNUmed's own installer against the server, and keeps what it made.
fn install(server: &Postgres, kept: &Path) {
    let home = server.ground.folder("gnumed");
    ran(Command::new("cp").args(["-r", INSTALLER]).arg(home.join("server")));
    ran(Command::new("chmod").args(["-R", "a+rwX"]).arg(&home));
    let mut installer = as_nobody(Path::new("/usr/bin/python3"));
    installer.current_dir(home.join("server/bootstrap")).arg("bootstrap_gm_db_system.py");
    installer.args(["--conf-file=bootstrap-latest.conf", "--quiet"]);
    installer.arg(format!("--log-file={}", home.join("log").display()));
    installer.env("HOME", &home).env("PYTHONPATH", &home).env("PGHOST", &server.socket);
    ran(installer.env("GM_DB_PORT", "5432").env("PGPORT", "5432"));
    let dump = |program: &str, args: &[&str]| {
        let mut command = Command::new(server.bin.join(program));
        ran(command.args(["-U", "postgres", "-h"]).arg(&server.socket).args(args))
    };
    let roles = dump("pg_dumpall", &["--roles-only"]).replace("CREATE ROLE postgres;", "");
    let text = roles + &dump("pg_dump", &["--create", DATABASE]);
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let unfinished = kept.with_extension(format!("unfinished-{}", std::process::id()));
    fs::write(&unfinished, text).unwrap();
    fs::rename(&unfinished, kept).unwrap();
}

#[test]
fn an_emr_that_nobody_here_wrote_comes_back_with_every_row() {
    const TEST: &str = "an_emr_that_nobody_here_wrote";
    let psycopg = Command::new("/usr/bin/python3").args(["-c", "import psycopg2"]).output();
    if !Path::new(INSTALLER).is_dir() || !psycopg.is_ok_and(|output| output.status.success()) {
        return testkit::skip(
            TEST,
            "gnumed-server or python3-psycopg2 is not installed (./test installs them)",
        );
    }
    let Some(server) = Postgres::start(TEST, &FAST) else { return };
    let kept = cache();
    if kept.is_file() {
        let mut psql = Command::new(server.bin.join("psql"));
        // Its databases are read-only until a program says otherwise, also to their own restore.
        psql.env("PGOPTIONS", "-c default_transaction_read_only=off");
        ran(psql
            .args(["-Xq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(&server.socket)
            .arg("-f")
            .arg(&kept));
    } else {
        install(&server, &kept);
    }
    let yard = Yard::new();
    let captured =
        yard.capture(&[&server.source("postgresql", &format!(",database={DATABASE}"))], &[]).unwrap();
    let drill = yard.drill();
    assert_eq!(drill.shortfalls, []);
    assert_eq!(drill.census.databases, captured.manifest.census.databases);
    let census = drill.census.databases.iter().find(|it| it.path.ends_with(DATABASE)).unwrap();
    let patients = census.tables["dem.identity"];
    assert!(census.tables.len() > 150 && patients > 5, "{} tables, {patients} patients", census.tables.len());
    assert!(census.tables["clin.clin_narrative"] > 0 && census.newest_record.is_some());
    charts(&yard);
}

/// The mapping that we ship reads the charts of its test patients.
fn charts(yard: &Yard) {
    let mapping = Mapping::parse(include_str!("../../../../docs/mappings/gnumed.toml")).unwrap();
    let snapshot = yard.vault.find("latest").unwrap();
    let restored = tempfile::tempdir_in(yard.dir.path()).unwrap();
    let engines = tempfile::tempdir_in(yard.dir.path()).unwrap();
    let rooms = Rooms { restored: restored.path(), engines: engines.path() };
    let origin = Origin::Snapshot(&yard.vault, &snapshot);
    let database = Database::open(&mapping, &origin, &rooms, TimeZone::UTC).unwrap();
    let charts = Charts::open(Source::snapshot(&yard.vault, &snapshot)).unwrap().with_database(database);
    let roster = charts.roster();
    assert!(roster.unread.is_empty(), "{:?}", roster.unread);
    let captain =
        roster.search("Kirk").into_iter().find(|line| line.name.as_deref() == Some("Kirk James Tiberius"));
    let chart = charts.chart(&captain.unwrap().patient, None).unwrap();
    assert!(chart.unread.is_empty(), "{:?}", chart.unread);
    assert!(chart.allergies[0].value.substance.contains("Penicillin"));
    assert!(
        chart.labs.iter().any(|series| series.name == "leukocytes" && series.results[0].value.value == "9.5")
    );
    let counts = [
        chart.problems.len(),
        chart.medication.len(),
        chart.stays.len(),
        chart.visits.len(),
        chart.notes.len(),
    ];
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
