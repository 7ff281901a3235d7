//! Arrays for `numpy.load`.
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;

use crate::Result;

use super::write_atomically_with;

/// An `.npz` file being written, array by array.
pub struct Npz<'a> {
    writer: NpzWriter<&'a mut File>,
}

impl Npz<'_> {
    /// Writes the file at `path`; it appears when `write` has succeeded.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(path: &Path, write: impl FnOnce(&mut Npz<'_>) -> std::io::Result<()>) -> Result<()> {
        write_atomically_with(path, |file| {
            write(&mut Npz { writer: NpzWriter::new(&mut *file) })?;
            file.flush()?;
            file.rewind()
        })
    }

    /// Adds an array `name` of this shape, row-major.
    ///
    /// # Errors
    /// If it cannot be written, or there are fewer or more values than the shape has.
    pub fn array<T: npyz::AutoSerialize>(
        &mut self,
        name: &str,
        shape: &[u64],
        values: impl IntoIterator<Item = T>,
    ) -> std::io::Result<()> {
        let options = zip_options();
        let entry = self.writer.array(name, options)?;
        let mut array = entry.default_dtype().shape(shape).begin_nd()?;
        array.extend(values)?;
        array.finish()
    }
}

fn zip_options() -> npyz::zip::write::FileOptions {
    npyz::zip::write::FileOptions::default().large_file(true)
}
