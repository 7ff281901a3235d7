//! Arrays for `numpy.load`.
use std::fs::File;
use std::io::{BufWriter, Error, Write};
use std::path::Path;

use rawzip::{CompressionMethod, ZipArchiveWriter};

use crate::Result;

use super::write_atomically_with;

/// A type of number that an array can hold.
pub trait ArrayNumber: sealed::Bytes {}

impl<T: sealed::Bytes> ArrayNumber for T {}

mod sealed {
    /// A number as NumPy stores it.
    pub trait Bytes: Copy {
        /// NumPy's name of the type.
        const DESCR: &'static str;

        /// The bytes, the lowest first.
        fn bytes(self) -> impl AsRef<[u8]>;
    }

    macro_rules! numbers {
        ($($number:ty, $descr:literal;)*) => {$(
            impl Bytes for $number {
                const DESCR: &'static str = $descr;

                fn bytes(self) -> impl AsRef<[u8]> {
                    self.to_le_bytes()
                }
            }
        )*};
    }

    numbers! {
        f32, "<f4";
        f64, "<f8";
        i32, "<i4";
        i64, "<i8";
    }
}

/// An `.npz` file that is being written, array by array. It is not compressed, as files of `numpy.savez` are not.
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
    zip: ZipArchiveWriter<BufWriter<&'a mut File>>,
}

impl Npz<'_> {
    /// Writes the file at `path` with the arrays that `write` adds. The file appears only when `write` has succeeded.
    ///
    /// # Errors
    /// If the file cannot be written or `write` fails; an old file at `path` stays.
    pub fn create(path: &Path, write: impl FnOnce(&mut Npz<'_>) -> std::io::Result<()>) -> Result<()> {
        write_atomically_with(path, |file| archive(file, write))
    }

    /// Adds an array `name` of this shape, row-major; its numbers are `f32`, `f64`, `i32` or `i64`.
    ///
    /// # Errors
    /// If it cannot be written, or there are fewer or more values than the shape has.
    pub fn array<T: ArrayNumber>(
        &mut self,
        name: &str,
        shape: &[u64],
        values: impl IntoIterator<Item = T>,
    ) -> std::io::Result<()> {
        // without the time of day, the same arrays are the same file
        let path = format!("{name}.npy");
        let file = self.zip.new_file(&path).compression_method(CompressionMethod::STORE);
        let (mut stored, sums) = file.start().map_err(io)?;
        let mut entry = BufWriter::with_capacity(1 << 16, sums.wrap(&mut stored));
        entry.write_all(&header(T::DESCR, shape))?;
        let (expected, mut found) = (shape.iter().product::<u64>(), 0);
        for value in values {
            found += 1;
            entry.write_all(value.bytes().as_ref())?;
        }
        if found != expected {
            let message =
                format!("array {name}: {found} values for the shape {shape:?}, which has {expected}");
            return Err(Error::other(message));
        }
        let sums = entry.into_inner().map_err(|e| e.into_error())?;
        let (_, sums) = sums.finish().map_err(io)?;
        stored.finish(sums).map(drop).map_err(io)
    }
}

/// What stands before the numbers of an `.npy` file of version 1.0.
fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
    const FIXED: usize = 10;
    let sizes: String = shape.iter().map(|n| format!("{n}, ")).collect();
    // Python writes a tuple of one with a comma, others without
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // filled with spaces up to a multiple of 64 bytes, the last of which is a new line
    let length = (FIXED + dict.len() + 1).next_multiple_of(64) - FIXED;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{dict:width$}\n", width = length - 1).bytes());
    bytes
}

/// The system's error, if it is one.
fn io(error: rawzip::Error) -> Error {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => error,
        other => Error::other(other.to_string()),
    }
}

/// Writes a whole archive; the index at its end included, without which no reader finds an array.
fn archive(file: &mut File, write: impl FnOnce(&mut Npz<'_>) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut npz = Npz { zip: ZipArchiveWriter::new(BufWriter::new(file)) };
    write(&mut npz)?;
    npz.zip.finish().map_err(io)?.flush()
}

#[cfg(test)]
mod tests {
    use super::header;

    #[cfg(target_os = "linux")]
    #[test]
    fn an_index_that_does_not_fit_on_the_disk_is_an_error() {
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(super::archive(&mut full, |_| Ok(())).is_err());
    }

    /// The text as `numpy.lib.format.write_array` writes it.
    #[test]
    fn a_header_is_numpy_s() {
        for (shape, descr, text) in [
            (&[2, 3][..], "<i8", "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }"),
            (&[7], "<f4", "{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }"),
            (&[], "<f8", "{'descr': '<f8', 'fortran_order': False, 'shape': (), }"),
            (&[0, 4], "<i4", "{'descr': '<i4', 'fortran_order': False, 'shape': (0, 4), }"),
        ] {
            let header = header(descr, shape);
            assert_eq!(header[..10], *b"\x93NUMPY\x01\x00\x76\x00");
            assert_eq!(header[10..], *format!("{text:117}\n").as_bytes());
        }
        let long = header("<f4", &[1_000_000_000; 9]);
        assert_eq!((long.len(), u16::from_le_bytes([long[8], long[9]])), (192, 182));
    }
}
