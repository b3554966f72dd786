//! What a power loss may leave of a folder: all that was flushed, and of the rest any part.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::disk::Step;
use super::scene::Dice;

#[derive(Debug, Clone, Default)]
struct File {
    content: Vec<u8>,
    /// As it was at the last flush.
    flushed: Vec<u8>,
}

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

/// A change of one name that no flush has made durable yet. A rename within a folder happens whole or not at all; one between two
/// folders is two changes, of which the second never outlives the first.
#[derive(Debug, Clone)]
struct Change {
    number: usize,
    folder: PathBuf,
    gone: Option<PathBuf>,
    come: Option<(PathBuf, Node)>,
    only_with: Option<usize>,
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((path, node)) = &self.come {
            names.insert(path.clone(), *node);
        }
    }
}

/// A folder as its steps leave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Volume {
    files: Vec<File>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<Change>,
    number: usize,
}

/// One thing that a power loss may leave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Remains(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Volume {
    /// A folder whose present content is durable; nothing if it is missing.
    pub(crate) fn of(root: &Path) -> Volume {
        let mut volume = Volume::default();
        volume.load(root, root);
        volume
    }

    fn load(&mut self, root: &Path, path: &Path) {
        let Ok(entries) = fs::read_dir(path) else { return };
        self.durable.insert(path.strip_prefix(root).unwrap().to_owned(), Node::Dir);
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.load(root, &path);
            } else {
                let content = fs::read(&path).unwrap();
                self.files.push(File { flushed: content.clone(), content });
                let node = Node::File(self.files.len() - 1);
                self.durable.insert(path.strip_prefix(root).unwrap().to_owned(), node);
            }
        }
    }

    /// All names as a process sees them.
    fn now(&self) -> BTreeMap<PathBuf, Node> {
        let mut names = self.durable.clone();
        self.pending.iter().for_each(|change| change.apply(&mut names));
        names
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        match self.now().get(path) {
            Some(Node::File(number)) => self.files.get_mut(*number),
            _ => None,
        }
    }

    fn change(&mut self, folder: &Path, gone: Option<&Path>, come: Option<(&Path, Node)>) -> usize {
        self.number += 1;
        self.pending.push(Change {
            number: self.number,
            folder: folder.to_owned(),
            gone: gone.map(Path::to_owned),
            come: come.map(|(path, node)| (path.to_owned(), node)),
            only_with: None,
        });
        self.number
    }

    pub(crate) fn step(&mut self, step: &Step) {
        let folder_of = |path: &Path| path.parent().map_or_else(|| PathBuf::from(".."), Path::to_owned);
        match step {
            Step::MakeDir(path) => {
                if !self.now().contains_key(path) {
                    self.change(&folder_of(path), None, Some((path, Node::Dir)));
                }
            }
            Step::Create(path) => {
                self.files.push(File::default());
                let node = Node::File(self.files.len() - 1);
                self.change(&folder_of(path), None, Some((path, node)));
            }
            Step::Write(path, bytes) => {
                if let Some(file) = self.file(path) {
                    file.content.extend_from_slice(bytes);
                }
            }
            Step::Flush(path) => {
                if let Some(file) = self.file(path) {
                    file.flushed = file.content.clone();
                }
            }
            Step::Remove(path) => {
                if self.now().contains_key(path) {
                    self.change(&folder_of(path), Some(path), None);
                }
            }
            Step::Rename(from, to) => self.rename(from, to, &folder_of),
            Step::FlushDir(dir) => self.flush_dir(dir),
            Step::List(_) | Step::Read(_) => {}
        }
    }

    fn rename(&mut self, from: &Path, to: &Path, folder_of: &dyn Fn(&Path) -> PathBuf) {
        let now = self.now();
        let Some(node) = now.get(from).copied() else { return };
        let (folder, target) = (folder_of(from), folder_of(to));
        if now.contains_key(to) {
            self.change(&folder, Some(from), None);
        } else if folder == target {
            self.change(&folder, Some(from), Some((to, node)));
        } else {
            let come = self.change(&target, None, Some((to, node)));
            self.change(&folder, Some(from), None);
            if let Some(last) = self.pending.last_mut() {
                last.only_with = Some(come);
            }
        }
    }

    fn flush_dir(&mut self, dir: &Path) {
        let needed: Vec<usize> =
            self.pending.iter().filter(|change| change.folder == dir).filter_map(|c| c.only_with).collect();
        let (durable, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.folder == dir || needed.contains(&change.number));
        self.pending = pending;
        durable.iter().for_each(|change| change.apply(&mut self.durable));
    }

    /// What may be left: everything, nothing that was not flushed, each pending change alone lost, and as many random parts.
    pub(crate) fn remains(&self, dice: &mut Dice, random: usize) -> Vec<Remains> {
        let all: Vec<bool> = vec![true; self.pending.len()];
        let mut choices = vec![all.clone(), vec![false; self.pending.len()]];
        for lost in 0..self.pending.len().min(random) {
            let mut one = all.clone();
            one[self.pending.len() - 1 - lost] = false;
            choices.push(one);
        }
        choices.extend((0..random).map(|_| self.pending.iter().map(|_| dice.roll(2) == 0).collect()));
        choices.into_iter().enumerate().map(|(nr, kept)| self.remain(&kept, nr, dice)).collect()
    }

    fn remain(&self, kept: &[bool], choice: usize, dice: &mut Dice) -> Remains {
        let mut names = self.durable.clone();
        let mut applied = Vec::new();
        for (change, kept) in self.pending.iter().zip(kept) {
            if *kept && change.only_with.is_none_or(|with| applied.contains(&with) || !self.is_pending(with))
            {
                change.apply(&mut names);
                applied.push(change.number);
            }
        }
        let mut remains = BTreeMap::new();
        for (path, node) in &names {
            let has_way = path.ancestors().skip(1).all(|above| names.get(above) == Some(&Node::Dir));
            if has_way {
                let content = match node {
                    Node::Dir => None,
                    Node::File(number) => Some(self.content(&self.files[*number], choice, dice)),
                };
                remains.insert(path.clone(), content);
            }
        }
        Remains(remains)
    }

    fn is_pending(&self, number: usize) -> bool {
        self.pending.iter().any(|change| change.number == number)
    }

    /// Unflushed content is there, or lost, or cut off, or as long as it was and zero from somewhere on.
    fn content(&self, file: &File, choice: usize, dice: &mut Dice) -> Vec<u8> {
        if file.content == file.flushed || choice == 0 {
            return file.content.clone();
        }
        let mut content = file.content.clone();
        let cut = dice.roll(content.len());
        match if choice == 1 { 0 } else { dice.roll(4) } {
            0 => return file.flushed.clone(),
            1 => content.truncate(cut),
            2 => content[cut..].fill(0),
            _ => {}
        }
        content
    }
}

impl Remains {
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Lays out what is left. The machine has started anew since, so nobody lives whose lock this is: whole locks are left out, as the next
    /// one to come would remove them.
    pub(crate) fn lay_out(&self, root: &Path) {
        let _ = fs::remove_dir_all(root);
        for (path, content) in &self.0 {
            let at = root.join(path);
            match content {
                None => fs::create_dir(at).unwrap(),
                Some(bytes) => {
                    let is_lock = path.starts_with("locks") && !path.to_string_lossy().contains("-tmp-");
                    if !is_lock {
                        fs::write(at, bytes).unwrap();
                    }
                }
            }
        }
    }
}
