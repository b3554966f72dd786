//! What ordinary programs make of files, mostly by running them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use crate::corpus::Original;
use crate::encryption::base64;

/// From a file to what the job makes of it; `None` for files that it leaves alone.
type Change = Box<dyn Fn(&Original) -> Option<Vec<u8>>>;

/// One job.
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) tool: Option<&'static str>,
    pub(crate) change: Change,
}

pub(crate) fn jobs() -> Vec<Job> {
    let job = |name, tool, change: Change| Job { name, tool, change };
    let piped = |name: &'static str, line: &'static [&'static str], formats: &'static [&'static str]| {
        job(
            name,
            Some(line[0]),
            Box::new(move |file| {
                (formats.is_empty() || formats.contains(&file.format))
                    .then(|| pipe(line, &file.bytes))
                    .flatten()
            }),
        )
    };
    vec![
        piped("gzip", &["gzip", "-c"], &[]),
        piped("gzip, stored", &["gzip", "-1c"], &["png", "jpeg", "gzip", "zip"]),
        piped("bzip2", &["bzip2", "-c"], &[]),
        piped("xz", &["xz", "-0c"], &[]),
        piped("zstd", &["zstd", "-qc"], &[]),
        piped("zip", &["zip", "-q", "-", "-"], &[]),
        piped("gunzip", &["gzip", "-dc"], &["gzip"]),
        piped("packed anew", &["sh", "-c", "gzip -dc | gzip -9c"], &["gzip"]),
        piped("sed", &["sed", "s/e/E/g"], &["text", "markup", "hl7"]),
        piped("sorted", &["sort"], &["text", "markup", "hl7"]),
        piped("another encoding", &["iconv", "-f", "UTF-8", "-t", "UTF-16"], &["text", "markup"]),
        piped("written as base64", &["base64"], &["text", "markup", "hl7"]),
        piped("written as numbers", &["od", "-An", "-tx1"], &["text", "markup", "hl7"]),
        piped("PNG to JPEG", &["convert", "png:-", "jpg:-"], &["png"]),
        piped("PNG packed anew", &["convert", "png:-", "-quality", "95", "png:-"], &["png"]),
        piped("JPEG of less quality", &["convert", "jpg:-", "-quality", "50", "jpg:-"], &["jpeg"]),
        piped("GIF to PNG", &["convert", "gif:-[0]", "png:-"], &["gif"]),
        piped("a line appended", &["sh", "-c", "cat; echo one more"], &["text", "hl7"]),
        job("left as it is", None, Box::new(|file| Some(file.bytes.clone()))),
        job("the first byte removed", None, Box::new(|file| is_text(file).then(|| file.bytes[1..].to_vec()))),
        job(
            "a line inserted at the start",
            None,
            Box::new(|file| is_text(file).then(|| [b"one more\n", &file.bytes[..]].concat())),
        ),
        job("put into a record as base64", None, Box::new(|file| Some(carried(file)))),
    ]
}

/// A record that carries the file as a document.
fn carried(file: &Original) -> Vec<u8> {
    let first =
        b"MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016||MDM^T02|1|P|2.5\rOBX|1|ED|1||^application^x^Base64^";
    [&first[..], &base64(&file.bytes), b"||||||F\r"].concat()
}

fn is_text(file: &Original) -> bool {
    ["text", "markup"].contains(&file.format)
}

/// What the command makes of `input`; `None` when it fails, as converters do on what they do not know.
fn pipe(line: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output.status.success().then_some(output.stdout)
}
