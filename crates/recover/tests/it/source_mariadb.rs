//! MariaDB, captured from a real server and started again by a drill.

use crate::servers::{Mariadb, Yard};

fn fill(server: &Mariadb) {
    server.sql(
            "CREATE DATABASE emr CHARACTER SET utf8mb4; CREATE DATABASE `-医事``s`;
             CREATE TABLE emr.patient (id INT PRIMARY KEY, name VARCHAR(80), scan LONGBLOB, seen DATETIME) ENGINE=InnoDB;
             INSERT INTO emr.patient SELECT seq, CONCAT('患者', seq), REPEAT(CHAR(seq % 256), 1000), '2026-02-03 04:05:06'
                 FROM emr.seq_1_to_300;
             UPDATE emr.patient SET seen = '2999-01-01' WHERE id = 7;
             CREATE TABLE `-医事``s`.`claim of 1` (n INT) ENGINE=InnoDB; INSERT INTO `-医事``s`.`claim of 1` VALUES (1), (2);
             CREATE PROCEDURE emr.nothing() SELECT 1;",
        );
}

fn comes_back(test: &str, kind: &str) {
    let Some(server) = Mariadb::start(test) else { return };
    fill(&server);
    let yard = Yard::new();
    let captured = yard.capture(&[&server.source(kind)], &[]).unwrap();
    server.sql("DROP DATABASE emr");
    let drill = yard.drill();
    assert_eq!(drill.shortfalls, []);
    assert_eq!(drill.census.databases, captured.manifest.census.databases);
    let rows = |database: &str, table: &str| {
        let path = format!("{kind}:emr/{database}");
        drill.census.databases.iter().find(|it| it.path == path).and_then(|it| it.tables.get(table)).copied()
    };
    assert_eq!((rows("emr", "patient"), rows("-医事`s", "claim of 1")), (Some(300), Some(2)));
    assert_eq!(drill.census.newest_record, "2026-02-03T04:05:06Z".parse().ok());
}

#[test]
fn a_dump_of_every_database_comes_back() {
    comes_back("a_dump_of_every_database", "mariadb");
}

#[test]
fn copied_data_files_come_back() {
    comes_back("copied_data_files", "mariadb-copy");
}

#[test]
fn an_account_that_sees_nothing_leaves_no_snapshot() {
    let Some(server) = Mariadb::start("an_account_that_sees_nothing") else { return };
    fill(&server);
    server.sql("CREATE USER stranger");
    let yard = Yard::new();
    for kind in ["mariadb", "mariadb-copy"] {
        let source = server.source(kind).replace("user=root", "user=stranger");
        assert!(yard.capture(&[&source], &[]).is_err(), "{kind}");
        assert_eq!(yard.snapshots(), 0);
    }
}

#[test]
fn a_password_that_was_handed_over_opens_the_server_and_no_other_does() {
    let Some(server) = Mariadb::start("a_password_that_was_handed_over") else { return };
    fill(&server);
    // All that an option file could read otherwise than it was meant.
    let password = r##"p"a'ss\n #;[wort]= 鍵"##;
    let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
    server.sql(&format!("CREATE USER keeper IDENTIFIED BY '{quoted}'; GRANT ALL ON *.* TO keeper"));
    let yard = Yard::new();
    for kind in ["mariadb", "mariadb-copy"] {
        let source = server.source(kind).replace("user=root", "user=keeper,password-secret=emr-db");
        let not_handed = yard.capture(&[&source], &[]).err().map(|error| error.to_string()).unwrap();
        assert!(not_handed.contains("\"emr-db\"") && not_handed.contains("not handed over"), "{not_handed}");
        assert!(yard.capture_with_password(&source, "another").is_err(), "{kind}");
        let captured = yard.capture_with_password(&source, password).unwrap();
        assert!(!serde_json::to_string(&captured.manifest).unwrap().contains("wort"));
        let drill = yard.drill();
        assert_eq!(drill.shortfalls, []);
        assert_eq!(drill.census.databases, captured.manifest.census.databases);
    }
}
