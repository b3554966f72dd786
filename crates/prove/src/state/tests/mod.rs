mod recovery;
mod tables;
