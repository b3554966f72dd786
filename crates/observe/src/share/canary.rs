//! Decoys: files that look like records, that nobody reads or writes, so that a change to them can only be harm.
//!
//! They lie in folders that sort before and after all patients' (`!00`, `~99`) and that no record system reads, since
//! neither is a part of a patient id. Their contents follow from a seed that is kept here and not on the share, so a restart knows
//! them again and who reads this source cannot tell them from their names.

use serde::{Deserialize, Serialize};

use super::client::{Client, Trouble};
use super::view::View;
use crate::Error;

/// Written to the share by the operator's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoys {
    /// Everything about them follows from this.
    pub seed: u64,
    /// The folders of the share under which they lie; empty for its root.
    pub below: Vec<String>,
}

/// One of them.
pub(super) struct Decoy {
    /// Folders to make for it, outermost first.
    pub(super) folders: Vec<String>,
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

const BOUND: std::time::Duration = std::time::Duration::from_secs(20);

impl Decoys {
    /// New ones, not yet written.
    pub fn new(below: Vec<String>) -> Self {
        let mut seed = [0; 8];
        // Without randomness they are the same everywhere, which only makes them easier to recognise.
        let _ = getrandom::fill(&mut seed);
        Self { seed: u64::from_le_bytes(seed), below }
    }

    pub(super) fn files(&self) -> Vec<Decoy> {
        let mut dice = Dice(self.seed | 1);
        self.below.iter().flat_map(|below| decoys(below, &mut dice)).collect()
    }

    /// How many files they are.
    pub fn count(&self) -> usize {
        self.files().len()
    }

    /// Writes them. A file that is there already is never overwritten.
    pub fn plant(&self, view: &View) -> Result<(), Error> {
        match view {
            View::Session(client) => self.plant_over(client),
            View::Mounted(mounted) => {
                let mut decoys = self.files().into_iter();
                decoys.try_for_each(|decoy| mounted.write(decoy.folders, decoy.path, decoy.content))
            }
        }
    }

    fn plant_over(&self, client: &Client) -> Result<(), Error> {
        let mut connection = client.connection.clone();
        for decoy in self.files() {
            let request = async {
                for folder in &decoy.folders {
                    match client.tree.create_directory(&mut connection, folder).await {
                        Err(error) if error.kind() != smb2::ErrorKind::AlreadyExists => return Err(error),
                        _ => {}
                    }
                }
                client.tree.write_file_compound_exclusive(&mut connection, &decoy.path, &decoy.content).await
            };
            client.run("plant a decoy", BOUND, request)?;
        }
        Ok(())
    }

    /// Takes them away again, each only if it still holds what was planted, and the folders made for them where nothing
    /// else lies in them. Returns how many are left.
    pub fn unplant(&self, view: &View) -> Result<usize, Error> {
        let mut left = 0;
        let decoys = self.files();
        let paths = decoys.iter().enumerate().map(|(number, decoy)| (number, decoy.path.clone())).collect();
        let soon = std::time::Instant::now() + BOUND;
        for (number, found) in view.samples(paths, soon) {
            let Some(decoy) = decoys.get(number) else { continue };
            match found {
                Ok((sample, _)) if sample.head() == decoy.content => {
                    remove(view, &decoy.path)?;
                }
                Err(Trouble::Gone) => {}
                _ => left += 1,
            }
        }
        for decoy in &decoys {
            for folder in decoy.folders.iter().rev() {
                // Fails where something else lies in it, which is as it should be.
                let _ = remove_folder(view, folder);
            }
        }
        Ok(left)
    }
}

fn remove(view: &View, path: &str) -> Result<(), Error> {
    match view {
        View::Session(client) => {
            let mut connection = client.connection.clone();
            client.run("remove a decoy", BOUND, client.tree.delete_file(&mut connection, path))
        }
        View::Mounted(mounted) => mounted.remove(path.to_owned()),
    }
}

fn remove_folder(view: &View, path: &str) -> Result<(), Error> {
    match view {
        View::Session(client) => {
            let mut connection = client.connection.clone();
            let removal = client.tree.delete_directory(&mut connection, path);
            client.run("remove the folder of a decoy", BOUND, removal)
        }
        View::Mounted(mounted) => mounted.remove_folder(path.to_owned()),
    }
}

fn decoys(below: &str, dice: &mut Dice) -> Vec<Decoy> {
    let mut made: Vec<Decoy> = [("!00", "000", '0'), ("~99", "999", '9')]
        .into_iter()
        .map(|shape| record(below, shape, dice))
        .collect();
    let lines: Vec<String> = (0..40)
        .map(|line| {
            format!(
                "{line},{:010},{},{}.{}",
                dice.up_to(9_999_999),
                dice.date(),
                dice.up_to(90),
                dice.up_to(9)
            )
        })
        .collect();
    let content = format!("no,id,date,value\r\n{}\r\n", lines.join("\r\n")).into_bytes();
    made.push(Decoy { folders: vec![], path: join(below, &format!("!{}_index.csv", dice.date())), content });
    made
}

/// Looks like a laboratory result of SS-MIX2.
fn record(below: &str, (top, middle, digit): (&str, &str, char), dice: &mut Dice) -> Decoy {
    let (date, order) = (dice.date(), dice.up_to(999_999_999));
    let patient: String = std::iter::repeat_n(digit, 10).collect();
    let mut path = below.to_owned();
    let mut folders = Vec::new();
    for folder in [top, middle, &patient, &date, "OML-11"] {
        path = join(&path, folder);
        folders.push(path.clone());
    }
    let stamp = format!("{date}{:02}{:02}{:02}000", 8 + dice.up_to(9), dice.up_to(59), dice.up_to(59));
    let mut text = format!(
        "MSH|^~\\&|HIS|SEND|GW|RECEIVE|{stamp}||OUL^R22^OUL_R22|{order}|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
         PID|0001||{patient}^^^^PI||DECOY^CHARTWARD^^^^^L^I||19000101|O\r"
    );
    for line in 1..12 + dice.up_to(9) {
        let (code, value, rest) = (10 + dice.up_to(89), dice.up_to(300), dice.up_to(9));
        text += &format!(
            "OBX|{line}|NM|3A0{code}0000023271{code}^TEST^JC10||{value}.{rest}|g/dL|||||F|||{stamp}\r"
        );
    }
    let path = join(&path, &format!("{patient}_{date}_OML-11_{order:015}_{stamp}_01_1"));
    Decoy { folders, path, content: text.into_bytes() }
}

pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Xorshift: nothing here needs to be unpredictable beyond its seed.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % (most + 1)
    }

    fn date(&mut self) -> String {
        format!("20{:02}{:02}{:02}", 10 + self.up_to(8), 1 + self.up_to(11), 1 + self.up_to(27))
    }
}

#[cfg(test)]
mod tests {
    use decode::content::{Kind, Sample};
    use decode::ssmix2::RecordName;

    use super::*;

    #[test]
    fn decoys_look_like_records_and_follow_from_the_seed() {
        let decoys = Decoys { seed: 7, below: vec![String::new(), "ssmix".into()] };
        let files = decoys.files();
        assert_eq!(files.len(), 6);
        for (decoy, again) in files.iter().zip(decoys.files()) {
            assert_eq!((&decoy.path, &decoy.content), (&again.path, &again.content));
            let name = decoy.path.rsplit('/').next().unwrap();
            let kind = Kind::of(&Sample::whole(&decoy.content));
            let is_record = RecordName::parse(name.as_bytes()).is_some() && kind == Kind::Hl7;
            assert!(is_record || (name.ends_with(".csv") && kind == Kind::Text), "{name} {kind:?}");
            assert!((400..12_000).contains(&decoy.content.len()));
        }
        assert_ne!(files[0].path, Decoys { seed: 9, ..decoys }.files()[0].path);
    }
}
