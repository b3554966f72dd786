/// Why bytes are not what they should be. Offsets count bytes from the start of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input passes the size that this parser takes.
    #[error("HL7 message of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The size allowed.
        limit: usize,
    },
    /// There is no MSH segment where every message begins.
    #[error("no MSH segment at byte 0: this is not an HL7 v2 message")]
    NoHeader,
    /// MSH-1 and MSH-2 do not name usable separators.
    #[error("unusable HL7 separators at byte {offset}")]
    Separators {
        /// Where MSH-1 begins.
        offset: usize,
    },
    /// Bytes that the message's character set does not have.
    #[error("bytes that are not {charset} at byte {offset}")]
    Charset {
        /// Where the first of them is.
        offset: usize,
        /// The character set that was expected.
        charset: &'static str,
    },
    /// A control character that no message holds: the content was overwritten or never written.
    #[error("control character 0x{code:02x} at byte {offset}")]
    Control {
        /// Where it is.
        offset: usize,
        /// Its code.
        code: u8,
    },
    /// A line that does not begin with a segment's name.
    #[error("no HL7 segment at byte {offset}")]
    Segment {
        /// Where the line begins.
        offset: usize,
    },
    /// More segments than this parser takes.
    #[error("more than {limit} HL7 segments: the next one is at byte {offset}")]
    TooManySegments {
        /// Where the first one too many begins.
        offset: usize,
        /// The number allowed.
        limit: usize,
    },
    /// More fields in one segment than this parser takes.
    #[error("more than {limit} fields in the HL7 segment at byte {offset}")]
    TooManyFields {
        /// Where the segment begins.
        offset: usize,
        /// The number allowed.
        limit: usize,
    },
    /// A watcher's line that passes the length that is taken.
    #[error("line of {bytes} bytes is longer than the limit of {limit}")]
    LineTooLong {
        /// Its length.
        bytes: usize,
        /// The length allowed.
        limit: usize,
    },
    /// A watcher's line whose objects and arrays lie too deep in one another.
    #[error("JSON nested deeper than {limit} at byte {offset}")]
    LineTooDeep {
        /// Where the first bracket too many is.
        offset: usize,
        /// The depth allowed.
        limit: usize,
    },
    /// A watcher's line that is no JSON object.
    #[error("no JSON object, as seen at byte {offset}")]
    NotJson {
        /// Where it stops being one.
        offset: usize,
    },
    /// A JSON object that is neither OCSF, nor Suricata's eve, nor a line of our own watchers.
    #[error("a JSON object without class_uid, event_type or type")]
    UnknownLine,
    /// A FHIR resource that is no JSON: cut off, overwritten, nested too deep or not UTF-8.
    #[error("no JSON, as seen in line {line}, column {column}: {cause}")]
    Resource {
        /// Line, counted from 1 within the resource.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What was found, without any of the content.
        cause: &'static str,
    },
    /// JSON that is no FHIR resource.
    #[error("JSON without a resourceType")]
    NoResource,
    /// A FHIR resource that passes the size that is taken.
    #[error("FHIR resource of {bytes} bytes is larger than the limit of {limit}")]
    ResourceTooLarge {
        /// Its size.
        bytes: u64,
        /// The size allowed.
        limit: usize,
    },
}
