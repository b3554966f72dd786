//! Fonts: the one in the binary, and those of the machine for the characters that it lacks.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use krilla::text::Font;
use skrifa::charmap::{Charmap, MapVariant};
use skrifa::instance::{LocationRef, Size};
use skrifa::raw::TableProvider;
use skrifa::{FontRef, MetadataProvider};

use super::Fault;

/// BIZ UDGothic Regular, SIL Open Font License 1.1 (assets/OFL.txt): a bare machine must print Japanese.
const BUNDLED: &[u8] = include_bytes!("../../assets/BIZUDGothic-Regular.ttf.zst");
const BUNDLED_BYTES: usize = 4_667_376;
/// Fonts of the machine that are looked into, and how large each may be.
const FILES_MAX: usize = 400;
const FILE_BYTES_MAX: u64 = 40 << 20;
/// Fonts of the machine that are kept open; each takes its file's size of memory.
const OPEN_MAX: usize = 8;
/// What is read of fonts while a document is made: a text full of unheard-of characters costs a fraction of a second, no more.
const SEARCH_BYTES_MAX: u64 = 256 << 20;
const FOLDERS: [&str; 3] = ["/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/X11/fonts"];

/// A character's picture in one of the fonts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Face {
    pub(super) font: u8,
    pub(super) glyph: u16,
    /// In em.
    pub(super) advance: f32,
}

/// The fonts of one document.
pub(super) struct Fonts {
    open: Vec<Open>,
    known: HashMap<(char, Option<char>), Option<Face>>,
    /// `None` until a character is missing for the first time.
    machine: Option<Vec<PathBuf>>,
    folders: Vec<PathBuf>,
    search_bytes: u64,
}

struct Open {
    data: Arc<Vec<u8>>,
    index: u32,
    krilla: Font,
}

impl Fonts {
    /// The bundled font, and the folders of the machine's fonts for what it lacks.
    pub(super) fn new() -> Result<Fonts, Fault> {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share/fonts"));
        Fonts::with_folders(FOLDERS.iter().map(PathBuf::from).chain(home).collect())
    }

    /// The bundled font, and what lies in `folders`.
    pub(super) fn with_folders(folders: Vec<PathBuf>) -> Result<Fonts, Fault> {
        let data = zstd::bulk::decompress(BUNDLED, BUNDLED_BYTES).map_err(|_| Fault::Font)?;
        let bundled = Open::new(data, 0).ok_or(Fault::Font)?;
        Ok(Fonts { open: vec![bundled], known: HashMap::new(), machine: None, folders, search_bytes: 0 })
    }

    pub(super) fn krilla(&self, font: u8) -> Option<&Font> {
        self.open.get(usize::from(font)).map(|open| &open.krilla)
    }

    /// The picture of `char`, with a variation selector where one follows; `None` when no font has it.
    pub(super) fn face(&mut self, char: char, selector: Option<char>) -> Option<Face> {
        if let Some(face) = self.known.get(&(char, selector)) {
            return *face;
        }
        let face = self.open.iter().enumerate().find_map(|(number, open)| open.face(number, char, selector));
        let face = face.or_else(|| self.of_the_machine(char, selector));
        self.known.insert((char, selector), face);
        face
    }

    fn of_the_machine(&mut self, char: char, selector: Option<char>) -> Option<Face> {
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        let folders = &self.folders;
        let files = self.machine.get_or_insert_with(|| font_files(folders));
        for file in files.iter() {
            if self.search_bytes > SEARCH_BYTES_MAX {
                return None;
            }
            let Some(data) = read(file) else { continue };
            self.search_bytes += data.len() as u64;
            let Some(index) = (0..16).find(|index| {
                FontRef::from_index(&data, *index)
                    .is_ok_and(|font| may_be_embedded(&font) && glyph(&font, char, selector).is_some())
            }) else {
                continue;
            };
            let Some(open) = Open::new(data, index) else { continue };
            let face = open.face(self.open.len(), char, selector);
            self.open.push(open);
            return face;
        }
        None
    }
}

impl Open {
    fn new(data: Vec<u8>, index: u32) -> Option<Open> {
        let data = Arc::new(data);
        let krilla = Font::new(data.clone().into(), index)?;
        Some(Open { data, index, krilla })
    }

    fn face(&self, number: usize, char: char, selector: Option<char>) -> Option<Face> {
        let font = FontRef::from_index(&self.data, self.index).ok()?;
        let glyph = glyph(&font, char, selector)?;
        let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        let advance = metrics.advance_width(skrifa::GlyphId::new(u32::from(glyph)))?;
        (advance.is_finite() && (0.0..=4.0).contains(&advance)).then_some(Face {
            font: u8::try_from(number).ok()?,
            glyph,
            advance,
        })
    }
}

fn glyph(font: &FontRef<'_>, char: char, selector: Option<char>) -> Option<u16> {
    let map: Charmap<'_> = font.charmap();
    let plain = || map.map(char);
    let glyph = match selector {
        None => plain(),
        Some(selector) => match map.map_variant(char, selector)? {
            MapVariant::UseDefault => plain(),
            MapVariant::Variant(glyph) => Some(glyph),
        },
    }?;
    u16::try_from(glyph.to_u32()).ok().filter(|glyph| *glyph != 0)
}

/// OS/2 fsType: bit 1 alone forbids embedding, bit 8 subsets, bit 9 outlines.
fn may_be_embedded(font: &FontRef<'_>) -> bool {
    let rights = font.os2().map_or(0, |table| table.fs_type());
    let has_outlines = font.glyf().is_ok() || font.cff().is_ok();
    rights & 0x000e != 0x0002 && rights & 0x0300 == 0 && has_outlines
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let opened = fs::File::open(file).ok()?;
    if !opened.metadata().ok()?.is_file() {
        return None;
    }
    opened.take(FILE_BYTES_MAX).read_to_end(&mut data).ok()?;
    Some(data)
}

/// Font files below the folders, those first whose names say that they are Japanese.
fn font_files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = folders.iter().map(|folder| (folder.clone(), 0)).collect();
    while let Some((folder, depth)) = open.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten().take(FILES_MAX);
        for entry in entries {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if kind.is_dir() && depth < 4 {
                open.push((path, depth + 1));
            } else if ["ttf", "otf", "ttc"].iter().any(|known| extension.eq_ignore_ascii_case(known)) {
                files.push(path);
            }
        }
        if files.len() >= FILES_MAX {
            break;
        }
    }
    let is_japanese = |path: &PathBuf| {
        let name = path.to_string_lossy().to_lowercase();
        ["ipamj", "hanazono", "ipa", "cjk", "jp", "gothic", "mincho"].iter().any(|part| name.contains(part))
    };
    files.sort_by_key(|path| (!is_japanese(path), path.clone()));
    files.truncate(FILES_MAX);
    files
}
