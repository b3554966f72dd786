//! Prints how fast the lake takes findings in durable batches of 1,000, and how many bytes they take as Parquet.
//!
//! `cargo run --release -p prove --example lake_rate [DIR] [EVENTS]`; the disk below DIR is what is measured.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use prove::{Lake, lake};
use schema::Event;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let parent = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let total: u64 = args.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(1_000_000);
    let dir = parent.join(format!("lake-rate-{}", std::process::id()));
    let settings = lake::Settings { region: "local".into(), account: "bench".into(), retention_days: 30 };
    let now = Timestamp::now();
    let lake = Lake::open(&dir, settings)?;

    let (mut appended, mut flushed, mut slowest) = (0.0, 0.0, 0.0_f64);
    for first in (0..total).step_by(1000) {
        let batch: Vec<Event> = (first..total.min(first + 1000)).map(|n| finding(n, now)).collect();
        let begun = Instant::now();
        lake.append(&batch, now)?;
        let took = begun.elapsed().as_secs_f64();
        (appended, slowest) = (appended + took, slowest.max(took));
        if lake.pending().events >= 200_000 {
            let begun = Instant::now();
            lake.flush()?;
            lake.release(lake.position())?;
            flushed += begun.elapsed().as_secs_f64();
        }
    }
    let begun = Instant::now();
    lake.flush()?;
    flushed += begun.elapsed().as_secs_f64();
    let bytes = size(&dir.join("findings"))?;
    println!(
        "{{\"events\":{total},\"append_seconds\":{appended:.1},\"appended_per_second\":{:.0},\"slowest_batch_ms\":{:.0},\"flush_seconds\":{flushed:.1},\"parquet_bytes_per_event\":{:.1},\"peak_memory_kib\":{}}}",
        total as f64 / appended,
        slowest * 1e3,
        bytes as f64 / total as f64,
        peak_kib()
    );
    drop(lake);
    fs::remove_dir_all(&dir)?;
    Ok(())
}

fn finding(n: u64, now: Timestamp) -> Event {
    let host = n * 7919 % 250;
    let title = format!("a host asks {} others for SMB within a minute", n % 97 + 20);
    let json = format!(
        r#"{{"class_uid":2004,"category_uid":2,"activity_id":1,"time":{},"severity_id":{},"finding_info":{{"uid":"{n:016x}","title":"{title}"}},"src_endpoint":{{"ip":"10.1.{}.{host}","port":{}}},"dst_endpoint":{{"ip":"10.2.0.9","port":445}},"attacks":[{{"technique":{{"uid":"T1021.002","name":"SMB/Windows Admin Shares"}},"tactic":{{"uid":"TA0008"}}}}],"metadata":{{"version":"1.3.0","product":{{"name":"Chartward","vendor_name":"Chartward"}}}}}}"#,
        now.as_millisecond(),
        n % 5 + 1,
        n % 16,
        n * 31 % 60_000 + 1024
    );
    Event {
        time: now,
        class_uid: 2004,
        severity_id: (n % 5 + 1) as u8,
        watcher: "sensor-1".into(),
        detector: "lateral.smb".into(),
        title,
        src_ip: format!("10.1.{}.{host}", n % 16).parse().ok(),
        src_port: Some((n * 31 % 60_000 + 1024) as u16),
        dst_ip: "10.2.0.9".parse().ok(),
        dst_port: Some(445),
        hostname: Some(format!("ward-{host}")),
        user: None,
        bytes: Some(n % 100_000),
        status_id: Some(1),
        json,
    }
}

fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// The most memory this process had, from proc(5) `status`.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
