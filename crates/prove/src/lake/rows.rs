//! Rows of one folder as columns, and the Parquet file that they become.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use schema::Event;

use crate::durable::Steady;

/// OCSF 1.3 attributes, their nesting flattened by `_`.
const SCHEMA: &str = "message ocsf {
    required int64 time (TIMESTAMP(MILLIS, true));
    required int64 metadata_logged_time (TIMESTAMP(MILLIS, true));
    required int64 metadata_sequence;
    required int32 class_uid;
    required int32 severity_id;
    required binary metadata_log_provider (STRING);
    optional binary finding_info_analytic_uid (STRING);
    required binary message (STRING);
    optional binary src_endpoint_ip (STRING);
    optional int32 src_endpoint_port;
    optional binary dst_endpoint_ip (STRING);
    optional int32 dst_endpoint_port;
    optional binary device_hostname (STRING);
    optional binary user_name (STRING);
    optional int64 traffic_bytes;
    optional int32 status_id;
    required binary raw_data (STRING);
}";

static TYPE: LazyLock<std::result::Result<TypePtr, String>> =
    LazyLock::new(|| parse_message_type(SCHEMA).map(Arc::new).map_err(|cause| cause.to_string()));

/// Rows, column by column.
#[derive(Debug, Default)]
pub(super) struct Rows {
    time: Required<i64>,
    logged_time: Required<i64>,
    sequence: Required<i64>,
    class_uid: Required<i32>,
    severity_id: Required<i32>,
    watcher: Required<ByteArray>,
    detector: Optional<ByteArray>,
    message: Required<ByteArray>,
    src_ip: Optional<ByteArray>,
    src_port: Optional<i32>,
    dst_ip: Optional<ByteArray>,
    dst_port: Optional<i32>,
    hostname: Optional<ByteArray>,
    user: Optional<ByteArray>,
    bytes: Optional<i64>,
    status_id: Optional<i32>,
    raw: Required<ByteArray>,
}

type Required<T> = Vec<T>;

/// Values that are there, and for each row whether it has one.
#[derive(Debug)]
struct Optional<T> {
    values: Vec<T>,
    present: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Optional { values: Vec::new(), present: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.present.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    fn append(&mut self, more: &mut Self) {
        self.present.append(&mut more.present);
        self.values.append(&mut more.values);
    }
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.time.len()
    }

    #[cfg(test)]
    pub(super) fn positions(&self) -> impl Iterator<Item = u64> {
        self.sequence.iter().map(|position| position.unsigned_abs())
    }

    /// Adds an event, and says how many bytes it takes here, roughly.
    pub(super) fn push(&mut self, position: u64, arrived: Timestamp, event: Event) -> usize {
        // Each text column costs an allocation beside its bytes.
        let size = 768 + event.json.len() + event.title.len();
        let text = |text: String| ByteArray::from(text.into_bytes());
        self.time.push(event.time.as_millisecond());
        self.logged_time.push(arrived.as_millisecond());
        self.sequence.push(i64::try_from(position).unwrap_or(i64::MAX));
        self.class_uid.push(i32::try_from(event.class_uid).unwrap_or(i32::MAX));
        self.severity_id.push(i32::from(event.severity_id));
        self.watcher.push(text(event.watcher));
        self.detector.push(Some(event.detector).filter(|detector| !detector.is_empty()).map(text));
        self.message.push(text(event.title));
        self.src_ip.push(event.src_ip.map(|ip| text(ip.to_string())));
        self.src_port.push(event.src_port.map(i32::from));
        self.dst_ip.push(event.dst_ip.map(|ip| text(ip.to_string())));
        self.dst_port.push(event.dst_port.map(i32::from));
        self.hostname.push(event.hostname.map(text));
        self.user.push(event.user.map(text));
        self.bytes.push(event.bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        self.status_id.push(event.status_id.map(i32::from));
        self.raw.push(text(event.json));
        size
    }

    /// Adds other rows at the end.
    pub(super) fn append(&mut self, mut more: Rows) {
        self.time.append(&mut more.time);
        self.logged_time.append(&mut more.logged_time);
        self.sequence.append(&mut more.sequence);
        self.class_uid.append(&mut more.class_uid);
        self.severity_id.append(&mut more.severity_id);
        self.watcher.append(&mut more.watcher);
        self.detector.append(&mut more.detector);
        self.message.append(&mut more.message);
        self.src_ip.append(&mut more.src_ip);
        self.src_port.append(&mut more.src_port);
        self.dst_ip.append(&mut more.dst_ip);
        self.dst_port.append(&mut more.dst_port);
        self.hostname.append(&mut more.hostname);
        self.user.append(&mut more.user);
        self.bytes.append(&mut more.bytes);
        self.status_id.append(&mut more.status_id);
        self.raw.append(&mut more.raw);
    }

    /// Writes a row group, columns in the order of [`SCHEMA`].
    fn write(&self, mut group: SerializedRowGroupWriter<'_, Steady>) -> Result<()> {
        put_i64(&mut group, &self.time, None)?;
        put_i64(&mut group, &self.logged_time, None)?;
        put_i64(&mut group, &self.sequence, None)?;
        put_i32(&mut group, &self.class_uid, None)?;
        put_i32(&mut group, &self.severity_id, None)?;
        put_text(&mut group, &self.watcher, None)?;
        put_text(&mut group, &self.detector.values, Some(&self.detector.present))?;
        put_text(&mut group, &self.message, None)?;
        put_text(&mut group, &self.src_ip.values, Some(&self.src_ip.present))?;
        put_i32(&mut group, &self.src_port.values, Some(&self.src_port.present))?;
        put_text(&mut group, &self.dst_ip.values, Some(&self.dst_ip.present))?;
        put_i32(&mut group, &self.dst_port.values, Some(&self.dst_port.present))?;
        put_text(&mut group, &self.hostname.values, Some(&self.hostname.present))?;
        put_text(&mut group, &self.user.values, Some(&self.user.present))?;
        put_i64(&mut group, &self.bytes.values, Some(&self.bytes.present))?;
        put_i32(&mut group, &self.status_id.values, Some(&self.status_id.present))?;
        put_text(&mut group, &self.raw, None)?;
        group.close().map(|_| ())
    }

    /// Adds a whole row group.
    fn read(&mut self, group: &dyn RowGroupReader) -> Result<()> {
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let mut column = 0;
        let mut next = || {
            let reader = group.get_column_reader(column);
            column += 1;
            reader
        };
        get_i64(next()?, rows, &mut self.time, None)?;
        get_i64(next()?, rows, &mut self.logged_time, None)?;
        get_i64(next()?, rows, &mut self.sequence, None)?;
        get_i32(next()?, rows, &mut self.class_uid, None)?;
        get_i32(next()?, rows, &mut self.severity_id, None)?;
        get_text(next()?, rows, &mut self.watcher, None)?;
        get_text(next()?, rows, &mut self.detector.values, Some(&mut self.detector.present))?;
        get_text(next()?, rows, &mut self.message, None)?;
        get_text(next()?, rows, &mut self.src_ip.values, Some(&mut self.src_ip.present))?;
        get_i32(next()?, rows, &mut self.src_port.values, Some(&mut self.src_port.present))?;
        get_text(next()?, rows, &mut self.dst_ip.values, Some(&mut self.dst_ip.present))?;
        get_i32(next()?, rows, &mut self.dst_port.values, Some(&mut self.dst_port.present))?;
        get_text(next()?, rows, &mut self.hostname.values, Some(&mut self.hostname.present))?;
        get_text(next()?, rows, &mut self.user.values, Some(&mut self.user.present))?;
        get_i64(next()?, rows, &mut self.bytes.values, Some(&mut self.bytes.present))?;
        get_i32(next()?, rows, &mut self.status_id.values, Some(&mut self.status_id.present))?;
        get_text(next()?, rows, &mut self.raw, None)
    }
}

/// A Parquet file that has its name once it is whole and on the disk.
pub(super) struct Unfinished {
    writer: SerializedFileWriter<Steady>,
    rows: u64,
}

impl Unfinished {
    /// Begins a file; `path` is where it lies until it is finished.
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let schema = TYPE.clone().map_err(ParquetError::General)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .set_created_by("chartward".to_owned())
            .set_column_dictionary_enabled(ColumnPath::from("raw_data"), false)
            .set_column_dictionary_enabled(ColumnPath::from("metadata_sequence"), false)
            .build();
        let writer =
            SerializedFileWriter::new(Steady::new(File::create(path)?), schema, Arc::new(properties))?;
        Ok(Unfinished { writer, rows: 0 })
    }

    pub(super) fn add(&mut self, rows: &Rows) -> Result<()> {
        if rows.len() > 0 {
            rows.write(self.writer.next_row_group()?)?;
            self.rows += rows.len() as u64;
        }
        Ok(())
    }

    /// Ends it, makes it durable and gives it its name; how many rows it has.
    pub(super) fn finish(mut self, from: &Path, to: &Path) -> Result<u64> {
        self.writer.finish()?;
        self.writer.inner().sync_all()?;
        fs::rename(from, to)?;
        Ok(self.rows)
    }
}

/// Hands over the row groups of a file, one at a time, each with the bytes it takes uncompressed.
pub(super) fn read_groups(path: &Path, mut each: impl FnMut(Rows, usize) -> Result<()>) -> Result<()> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    for n in 0..reader.num_row_groups() {
        let group = reader.get_row_group(n)?;
        let mut rows = Rows::default();
        rows.read(group.as_ref())?;
        let bytes = usize::try_from(group.metadata().total_byte_size()).unwrap_or(usize::MAX);
        each(rows, bytes)?;
    }
    Ok(())
}

macro_rules! columns {
    ($put:ident, $get:ident, $value:ty, $type:ty, $reader:ident) => {
        fn $put(
            group: &mut SerializedRowGroupWriter<'_, Steady>,
            values: &[$value],
            present: Option<&[i16]>,
        ) -> Result<()> {
            let column = group.next_column()?;
            let mut column = column.ok_or_else(|| ParquetError::General("no such column".to_owned()))?;
            column.typed::<$type>().write_batch(values, present, None)?;
            column.close()
        }

        fn $get(
            reader: ColumnReader,
            rows: usize,
            values: &mut Vec<$value>,
            present: Option<&mut Vec<i16>>,
        ) -> Result<()> {
            let ColumnReader::$reader(mut reader) = reader else {
                return Err(ParquetError::General("a column has another type".to_owned()));
            };
            let (read, ..) = reader.read_records(rows, present, None, values)?;
            if read != rows {
                return Err(ParquetError::EOF(format!("a column has {read} of {rows} rows")));
            }
            Ok(())
        }
    };
}

columns!(put_i32, get_i32, i32, Int32Type, Int32ColumnReader);
columns!(put_i64, get_i64, i64, Int64Type, Int64ColumnReader);
columns!(put_text, get_text, ByteArray, ByteArrayType, ByteArrayColumnReader);
