//! Locks that say that a process works here. The system takes them back when the process ends, however it does.
use std::fs::{File, TryLockError};
use std::time::Duration;

/// A file or a folder that is locked until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Locks a file or a folder.
    pub fn new(file: File) -> Result<Self, TryLockError> {
        lock(&file).map(|()| Self { file })
    }

    /// The same, unless another process has locked it; a file system that knows no locks refuses nobody.
    pub fn where_known(file: File) -> Option<Self> {
        (!matches!(lock(&file), Err(TryLockError::WouldBlock))).then_some(Self { file })
    }

    /// What is locked.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether a process has locked a file or a folder.
    pub fn is_held(file: &File) -> bool {
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for Lock {
    /// Closing the file would not be enough: a process that is just being started has a copy of it for a moment.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Who only asks whether something is locked holds a lock for a moment, and so does a process that is just being started, until
/// it has its own program: what is locked is tried again for a tenth of a second.
fn lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..10 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            other => return other,
        }
    }
    Err(TryLockError::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_owner_whoever_has_a_copy_of_the_file() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(path.path()).unwrap();
        let lock = Lock::new(open()).unwrap();
        assert!(Lock::is_held(&open()) && Lock::where_known(open()).is_none());
        assert!(matches!(Lock::new(open()), Err(TryLockError::WouldBlock)));
        let copy = lock.file().try_clone().unwrap();
        drop(lock);
        assert!(!Lock::is_held(&open()) && Lock::new(open()).is_ok());
        drop(copy);
    }
}
