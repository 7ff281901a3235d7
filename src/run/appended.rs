//! Files that grow: `res.jsonl`, events.
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file to which whole pieces are added: a piece that cannot be written is not there in part.
#[derive(Debug)]
pub(super) struct Appended {
    path: PathBuf,
    file: File,
    /// Bytes of whole pieces.
    len: u64,
}

impl Appended {
    /// A new file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: PathBuf) -> Result<Appended> {
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(Appended { path, file, len: 0 })
    }

    /// The first `len` bytes of an existing file, to continue after them.
    ///
    /// # Errors
    /// If it cannot be written, or has fewer bytes.
    pub fn reopen(path: PathBuf, len: u64) -> Result<Appended> {
        let failed = |e| Error::io("write", &path, e);
        let mut file = File::options().write(true).open(&path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < len {
            let message = format!("has {found} bytes, the checkpoint knows of {len}");
            return Err(Error::format(&path, message));
        }
        file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len))).map_err(failed)?;
        Ok(Appended { path, file, len })
    }

    /// Adds a piece; the system has all of it when this returns.
    ///
    /// # Errors
    /// If it cannot be written; then the file is as it was.
    pub fn add(&mut self, piece: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(piece) {
            let _ = self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
            return Err(Error::io("write", &self.path, error));
        }
        self.len += piece.len() as u64;
        Ok(())
    }

    /// Waits until the disk has it.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io("write", &self.path, e))
    }

    /// Bytes of whole pieces.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The same file, whose folder is now this one.
    pub fn moved_to(mut self, dir: &Path) -> Appended {
        if let Some(name) = self.path.file_name() {
            self.path = dir.join(name);
        }
        self
    }
}
