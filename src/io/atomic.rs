//! Files that are written whole or not at all.
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes a file so that a reader sees either the old content or the new, even if the process is killed while it writes. Where
/// the path is a link, the file that it leads to is written.
///
/// # Errors
/// If the folder cannot be written to, or the path is that of a device, a pipe or a folder; what was there stays.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(content))
}

/// Writes a file as [`write_atomically`] does, with the content written piece by piece.
///
/// # Errors
/// If the folder cannot be written to or `write` fails; the old file stays.
pub fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<()> {
    let target = file_to_write(path)?;
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |e| Error::io("write", path, e);
    if !parent.is_dir() {
        let why = if parent.exists() { "is not a folder" } else { "is not there" };
        let kind = std::io::ErrorKind::NotFound;
        return Err(failed(std::io::Error::new(kind, format!("the folder {} {why}", parent.display()))));
    }
    let mut file = temporary(parent).map_err(failed)?;
    write(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(&target).map_err(|e| failed(e.error))?;
    Ok(())
}

/// The path of the file that is to be written or replaced.
fn file_to_write(path: &Path) -> Result<PathBuf> {
    // a link that leads nowhere is replaced, as a file would be
    let Ok(target) = std::fs::canonicalize(path) else { return Ok(path.to_owned()) };
    match std::fs::metadata(&target) {
        Ok(found) if !found.is_file() => {
            let why = "no file; expected one, or a name that is free";
            Err(Error::io("write", path, std::io::Error::new(std::io::ErrorKind::InvalidInput, why)))
        }
        _ => Ok(target),
    }
}

/// The text of a file; nothing if it is not there.
///
/// # Errors
/// If it is there and cannot be read.
pub(crate) fn text_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => text(path).map(Some),
    }
}

/// The text of a file or a pipe.
///
/// # Errors
/// If it cannot be read, is a device, or is no text.
pub(crate) fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(|e| Error::io("read", path, e))?;
    Ok(text)
}

/// Opens a file or a pipe to be read; a device such as `/dev/zero` may never end.
///
/// # Errors
/// If it cannot be opened, or is a device.
pub(crate) fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = file.metadata().map_err(|e| Error::io("read", path, e))?.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Err(Error::format(path, "a device; expected a file or a pipe"));
        }
    }
    Ok(file)
}

/// Reads a file or a pipe of at most `most` bytes; what is longer is refused once so much has been read.
///
/// # Errors
/// If it cannot be read, is a device, or is longer.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    if bytes.len() as u64 > most {
        return Err(Error::format(path, format!("longer than {} MB", most / 1_000_000)));
    }
    Ok(bytes)
}

/// How the names of temporary files begin, so that those that a killed process leaves are known.
pub(crate) const TEMPORARY: &str = ".ihead-";

/// Sees whether files can be made and removed in a folder.
///
/// # Errors
/// If they cannot.
pub(crate) fn check_folder(dir: &Path) -> std::io::Result<()> {
    temporary(dir)?.close()
}

/// A temporary file with the permissions of any new file: all that the umask lets through. (`tempfile_in` lets nobody else read it,
/// and has its path in errors, which name the file that is to be written.)
fn temporary(dir: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let open = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
    tempfile::Builder::new().prefix(TEMPORARY).suffix(".tmp").make_in(dir, open)
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

    /// The message named the temporary file, too.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_cannot_be_made_is_named_once() {
        let error = write_atomically(Path::new("/proc/a"), b"new").unwrap_err().to_string();
        assert_eq!(error, "cannot write /proc/a: No such file or directory (os error 2)");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write_atomically(&at("file"), b"old").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        write_atomically(&at("link"), b"new").unwrap();
        assert!(at("link").is_symlink());
        assert_eq!(std::fs::read(at("file")).unwrap(), b"new");
        let socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("null")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        for name in ["socket", "null", "folder"] {
            let error = write_atomically(&at(name), b"new").unwrap_err().to_string();
            let said =
                format!("cannot write {}: no file; expected one, or a name that is free", at(name).display());
            assert_eq!(error, said);
        }
        drop(socket);
    }

    /// A file that is damaged, or a folder of its name, is not taken for none.
    #[test]
    fn a_file_that_is_not_there_is_no_fault_and_one_that_cannot_be_read_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert_eq!(text_if_there(&path).unwrap(), None);
        std::fs::write(&path, "text").unwrap();
        assert_eq!(text_if_there(&path).unwrap().as_deref(), Some("text"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        for unreadable in [&path, dir.path()] {
            let error = text_if_there(unreadable).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot read {}", unreadable.display())), "{error}");
        }
    }

    #[test]
    fn what_is_as_long_as_it_may_be_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![7; 2_000_001]).unwrap();
        assert_eq!(read_at_most(&path, 2_000_001).unwrap().len(), 2_000_001);
        let error = read_at_most(&path, 2_000_000).unwrap_err().to_string();
        assert!(error.contains("longer than 2 MB"), "{error}");
    }
}
