//! Files that are whole or not there.
use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Writes a file so that a reader sees the old content or the new, whenever the process ends.
///
/// # Errors
/// If the folder cannot be written to; the old file stays.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(content))
}

/// The same, with the content written piece by piece.
///
/// # Errors
/// If the folder cannot be written to or `write` fails; the old file stays.
pub fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |e| Error::io("write", path, e);
    let mut file = temporary(parent).map_err(failed)?;
    write(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

/// How the names of temporary files begin, so that those that a killed process leaves are known.
pub(crate) const TEMPORARY: &str = ".ihead-";

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).suffix(".tmp");
    builder
}

/// A temporary file with the permissions of any new file: all that the umask lets through.
#[cfg(unix)]
fn temporary(dir: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o666);
    builder().permissions(permissions).tempfile_in(dir)
}

/// A temporary file.
#[cfg(not(unix))]
fn temporary(dir: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    builder().tempfile_in(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_atomically(&path, b"old").unwrap();
        let failed = write_atomically_with(&path, |file| {
            file.write_all(b"ne")?;
            Err(std::io::Error::other("no space"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
