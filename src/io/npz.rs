//! Arrays for `numpy.load`.
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use npyz::zip::{CompressionMethod, DateTime, ZipWriter, write::FileOptions};
use npyz::{WriteOptions, WriterBuilder};

use crate::Result;

use super::write_atomically_with;

/// An `.npz` file being written, array by array, uncompressed as by `numpy.savez`.
///
/// ```
/// # fn main() -> ihead::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("exp.npz");
/// ihead::io::Npz::create(&path, |npz| {
///     npz.array("tokens", &[2, 3], [1_i64, 2, 3, 4, 5, 6])?;
///     npz.array("loss", &[2], [0.5_f32, 0.25])
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Npz<'a> {
    zip: ZipWriter<&'a mut File>,
}

impl Npz<'_> {
    /// Writes the file at `path`; it appears when `write` has succeeded.
    ///
    /// # Errors
    /// If the file cannot be written or `write` fails; an old file at `path` stays.
    pub fn create(path: &Path, write: impl FnOnce(&mut Npz<'_>) -> std::io::Result<()>) -> Result<()> {
        write_atomically_with(path, |file| archive(file, write))
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
        let stored = FileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
        // without the time of day, the same arrays are the same file
        let stored = stored.last_modified_time(DateTime::default());
        self.zip.start_file(npyz::npz::file_name_from_array_name(name), stored)?;
        let entry = BufWriter::with_capacity(1 << 16, &mut self.zip);
        let mut array = WriteOptions::new().default_dtype().shape(shape).writer(entry).begin_nd()?;
        array.extend(values)?;
        array.finish()
    }
}

/// Writes a whole archive; the index at its end included, without which no reader finds an array.
fn archive(file: &mut File, write: impl FnOnce(&mut Npz<'_>) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut npz = Npz { zip: ZipWriter::new(file) };
    write(&mut npz)?;
    npz.zip.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn an_index_that_does_not_fit_on_the_disk_is_an_error() {
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(super::archive(&mut full, |_| Ok(())).is_err());
    }
}
