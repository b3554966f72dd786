//! Previous versions of a share: VSS shadow copies of a Windows server, snapshots behind Samba's `vfs_shadow_copy2`.
//!
//! The server lists them by their times (`FSCTL_SRV_ENUMERATE_SNAPSHOTS`, MS-SMB2 §3.3.5.15.1), and an open that carries a time
//! (`SMB2_CREATE_TIMEWARP_TOKEN`, §2.2.13.2.7) is an open in the past. All files of one are of the same instant, which files read one after
//! the other never are.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use smb2::client::{Connection, Tree};
use smb2::msg::close::CloseRequest;
use smb2::msg::create::{CreateDisposition, CreateRequest, CreateResponse, ImpersonationLevel, ShareAccess};
use smb2::msg::create_context::{CreateContext, pack_contexts};
use smb2::msg::directory_info::parse_entries;
use smb2::msg::ioctl::{IoctlRequest, IoctlResponse};
use smb2::msg::query_directory::{
    FileInformationClass, QueryDirectoryFlags, QueryDirectoryRequest, QueryDirectoryResponse,
};
use smb2::msg::read::{ReadRequest, ReadResponse};
use smb2::pack::{Pack, ReadCursor, Unpack};
use smb2::types::flags::FileAccessMask;
use smb2::types::status::NtStatus;
use smb2::types::{Command, FileId, OplockLevel};

use super::client::{Client, Entry, NAME_BYTES_MAX, REQUEST_MAX, Stamp, within};
use crate::Error;

/// What is asked for at once: no more than one credit pays for.
const PIECE: u32 = 64 << 10;
const ENUMERATE_SNAPSHOTS: u32 = 0x0014_4064;
const IS_FSCTL: u32 = 1;
const TIMEWARP: &[u8] = b"TWrp";
const DIRECTORY_FILE: u32 = 0x01;
const NON_DIRECTORY_FILE: u32 = 0x40;
const ATTRIBUTE_DIRECTORY: u32 = 0x10;
const ATTRIBUTE_REPARSE: u32 = 0x400;
/// Seconds from 1601 to 1970.
const EPOCH_SECONDS: i64 = 11_644_473_600;

/// One previous version of a whole share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shadow {
    at: Timestamp,
}

impl Shadow {
    /// The instant that all its files are of, by the server's clock.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    #[cfg(test)]
    pub(super) fn of(at: Timestamp) -> Shadow {
        Shadow { at }
    }

    /// From `@GMT-2026.11.22-09.00.00`.
    fn parse(token: &str) -> Option<Shadow> {
        let time = DateTime::strptime("@GMT-%Y.%m.%d-%H.%M.%S", token).ok()?;
        Some(Shadow { at: time.to_zoned(TimeZone::UTC).ok()?.timestamp() })
    }

    fn context(self) -> Vec<u8> {
        let ticks = (self.at.as_second() + EPOCH_SECONDS).saturating_mul(10_000_000);
        pack_contexts(&[CreateContext::new(TIMEWARP, ticks.to_le_bytes().to_vec())])
    }
}

impl Client {
    /// The share's previous versions, the newest first. A server that has none, or does not say, has none.
    pub fn shadows(&self) -> Result<Vec<Shadow>, Error> {
        // Paths of such a share begin with its server's name, which the server takes off again.
        if self.tree.is_dfs {
            return Ok(Vec::new());
        }
        let (tree, connection) = (Arc::clone(&self.tree), self.connection.clone());
        let listed = self.run("list the previous versions of", REQUEST_MAX, async move {
            let root = open(&tree, &connection, "", DIRECTORY_FILE, None).await?;
            let request = IoctlRequest {
                ctl_code: ENUMERATE_SNAPSHOTS,
                file_id: root.file_id,
                max_input_response: 0,
                max_output_response: PIECE,
                flags: IS_FSCTL,
                input_data: Vec::new(),
            };
            let answer = ask::<IoctlResponse>(&tree, &connection, Command::Ioctl, &request).await;
            close(&tree, &connection, root.file_id).await;
            Ok(answer.map(|answer| answer.output_data).unwrap_or_default())
        })?;
        Ok(tokens(&listed))
    }
}

/// The times in an array of snapshots: three numbers, then texts of UTF-16 that each end with a zero.
fn tokens(array: &[u8]) -> Vec<Shadow> {
    let text: Vec<u16> = array
        .get(12..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut found: Vec<Shadow> = text
        .split(|unit| *unit == 0)
        .filter_map(|token| Shadow::parse(&String::from_utf16_lossy(token)))
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    found
}

/// Lists a folder as it was.
pub(super) async fn read_folder(
    tree: &Tree,
    connection: &Connection,
    shadow: Shadow,
    path: &str,
    entries_max: usize,
    entries: &mut Vec<Entry>,
    left_out: &mut u64,
) -> smb2::Result<()> {
    let folder = open(tree, connection, path, DIRECTORY_FILE, Some(shadow)).await?;
    let listed = list(tree, connection, folder.file_id, entries_max, entries, left_out).await;
    close(tree, connection, folder.file_id).await;
    listed
}

async fn list(
    tree: &Tree,
    connection: &Connection,
    folder: FileId,
    entries_max: usize,
    entries: &mut Vec<Entry>,
    left_out: &mut u64,
) -> smb2::Result<()> {
    let class = FileInformationClass::FileIdBothDirectoryInformation;
    loop {
        let request = QueryDirectoryRequest {
            file_information_class: class,
            flags: QueryDirectoryFlags(0),
            file_index: 0,
            file_id: folder,
            output_buffer_length: PIECE,
            file_name: "*".to_owned(),
        };
        let batch =
            match ask::<QueryDirectoryResponse>(tree, connection, Command::QueryDirectory, &request).await {
                Err(smb2::Error::Protocol { status: NtStatus::NO_MORE_FILES, .. }) => return Ok(()),
                answer => parse_entries(class, &answer?.output_buffer)?,
            };
        if batch.is_empty() {
            return Ok(());
        }
        for found in batch {
            let name = smb2::decode_name(&found.file_name).into_owned();
            if name == "." || name == ".." {
                continue;
            }
            let impossible = name.is_empty()
                || name.len() > NAME_BYTES_MAX
                || name.contains(['/', '\0'])
                || found.file_attributes & ATTRIBUTE_REPARSE != 0;
            if impossible || entries.len() >= entries_max {
                *left_out += 1;
                if entries.len() >= entries_max {
                    return Ok(());
                }
                continue;
            }
            entries.push(Entry {
                name,
                is_folder: found.file_attributes & ATTRIBUTE_DIRECTORY != 0,
                identity: found.file_id.filter(|id| *id != 0).map(|id| (id, found.creation_time.0)),
                stamp: Stamp {
                    size: found.end_of_file,
                    modified: found.last_write_time.0,
                    changed: found.change_time.0,
                },
            });
        }
    }
}

/// A file as it was.
pub(super) struct PastFile {
    tree: Arc<Tree>,
    connection: Connection,
    id: FileId,
}

impl PastFile {
    pub(super) async fn open(
        tree: &Arc<Tree>,
        connection: Connection,
        shadow: Shadow,
        path: &str,
    ) -> smb2::Result<PastFile> {
        let opened = open(tree, &connection, path, NON_DIRECTORY_FILE, Some(shadow)).await?;
        Ok(PastFile { tree: Arc::clone(tree), connection, id: opened.file_id })
    }

    /// At most `length` bytes at `offset`; none at its end.
    pub(super) async fn read_at(&self, offset: u64, length: u64) -> smb2::Result<Vec<u8>> {
        let request = ReadRequest {
            padding: 0x50,
            flags: 0,
            length: u32::try_from(length).unwrap_or(PIECE).min(PIECE),
            offset,
            file_id: self.id,
            minimum_count: 0,
            channel: 0,
            remaining_bytes: 0,
            read_channel_info: Vec::new(),
        };
        match ask::<ReadResponse>(&self.tree, &self.connection, Command::Read, &request).await {
            Err(smb2::Error::Protocol { status: NtStatus::END_OF_FILE, .. }) => Ok(Vec::new()),
            answer => Ok(answer?.data),
        }
    }

    pub(super) async fn close(self) {
        close(&self.tree, &self.connection, self.id).await;
    }
}

async fn open(
    tree: &Tree,
    connection: &Connection,
    path: &str,
    options: u32,
    shadow: Option<Shadow>,
) -> smb2::Result<CreateResponse> {
    let request = CreateRequest {
        requested_oplock_level: OplockLevel::None,
        impersonation_level: ImpersonationLevel::Impersonation,
        desired_access: FileAccessMask::new(
            FileAccessMask::FILE_READ_DATA
                | FileAccessMask::FILE_READ_ATTRIBUTES
                | FileAccessMask::SYNCHRONIZE,
        ),
        file_attributes: 0,
        share_access: ShareAccess(
            ShareAccess::FILE_SHARE_READ | ShareAccess::FILE_SHARE_WRITE | ShareAccess::FILE_SHARE_DELETE,
        ),
        create_disposition: CreateDisposition::FileOpen,
        create_options: options,
        name: smb2::encode_path(path),
        create_contexts: shadow.map(Shadow::context).unwrap_or_default(),
    };
    ask(tree, connection, Command::Create, &request).await
}

async fn close(tree: &Tree, connection: &Connection, id: FileId) {
    // A handle that is not given back goes with the connection.
    let _ =
        connection.execute(Command::Close, &CloseRequest { flags: 0, file_id: id }, Some(tree.tree_id)).await;
}

async fn ask<T: Unpack>(
    tree: &Tree,
    connection: &Connection,
    command: Command,
    request: &dyn Pack,
) -> smb2::Result<T> {
    let frame = within(REQUEST_MAX, connection.execute(command, request, Some(tree.tree_id)))
        .await
        .unwrap_or(Err(smb2::Error::Timeout))?;
    let status = frame.header.status;
    if !status.is_success() {
        return Err(smb2::Error::Protocol { status, command });
    }
    T::unpack(&mut ReadCursor::new(&frame.body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(names: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        for name in names {
            bytes.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        }
        bytes
    }

    #[test]
    fn the_newest_previous_version_comes_first_and_anything_else_is_none() {
        let at = |text: &str| Shadow { at: text.parse().unwrap() };
        for (bytes, expected) in [
            (array(&[]), vec![]),
            (vec![], vec![]),
            (vec![1, 2, 3], vec![]),
            (
                array(&[
                    "@GMT-2026.11.21-07.00.00",
                    "@GMT-2026.11.22-12.00.00",
                    "",
                    "@GMT-2026.11.22-12.00.00",
                ]),
                vec![at("2026-11-22T12:00:00Z"), at("2026-11-21T07:00:00Z")],
            ),
            (array(&["@GMT-2026.13.40-07.00.00", "..\\x", "@GMT-"]), vec![]),
        ] {
            assert_eq!(tokens(&bytes), expected);
        }
    }

    #[test]
    fn an_open_in_the_past_carries_its_time() {
        let context = Shadow::parse("@GMT-1970.01.01-00.00.00").unwrap().context();
        assert!(context.windows(4).any(|word| word == TIMEWARP));
        assert!(context.windows(8).any(|word| word == 116_444_736_000_000_000_u64.to_le_bytes()));
    }
}
