//! Where a run runs, for its `run.json`.
use std::path::{Path, PathBuf};

use crate::kernels::Level;

/// The name of the CPU, where the system gives it.
pub(super) fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// The vector instructions that the kernels use.
pub(super) fn features() -> String {
    format!("{:?}", Level::current()).to_lowercase()
}

/// The machine's name.
pub(super) fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    name.or_else(|| std::env::var("HOSTNAME").ok()).map(|name| name.trim().into())
}

/// The commit that is checked out where the program lies, or else in the current folder.
pub(super) fn commit() -> Option<String> {
    let program = std::env::current_exe().ok().and_then(|path| commit_of(&path));
    program.or_else(|| commit_of(&std::env::current_dir().ok()?))
}

/// The commit that is checked out around a path.
fn commit_of(path: &Path) -> Option<String> {
    let dot = path.ancestors().map(|dir| dir.join(".git")).find(|dot| dot.exists())?;
    let git = git_folder(&dot)?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(branch) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().into()) };
    // a worktree's branches are in the repository that it belongs to
    let common = std::fs::read_to_string(git.join("commondir")).ok();
    let common = common.map_or_else(|| git.clone(), |common| git.join(common.trim()));
    let loose = std::fs::read_to_string(common.join(branch)).ok();
    loose.map(|commit| commit.trim().into()).or_else(|| {
        let packed = std::fs::read_to_string(common.join("packed-refs")).ok()?;
        let line = packed.lines().find_map(|line| line.strip_suffix(branch)?.split_whitespace().next());
        line.map(String::from)
    })
}

/// The folder that `.git` is, or that it names in a worktree.
fn git_folder(dot: &Path) -> Option<PathBuf> {
    if dot.is_dir() {
        return Some(dot.to_owned());
    }
    let text = std::fs::read_to_string(dot).ok()?;
    Some(dot.parent()?.join(text.trim().strip_prefix("gitdir: ")?))
}

#[cfg(test)]
mod tests {
    use super::commit_of;

    #[test]
    fn the_commit_is_found_loose_packed_or_detached() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        std::fs::create_dir_all(git.join("refs/heads")).unwrap();
        let inside = dir.path().join("target/release/program");
        assert_eq!(commit_of(&inside), None);
        std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        std::fs::write(git.join("packed-refs"), "# pack-refs\n0123abcd refs/heads/main\n").unwrap();
        assert_eq!(commit_of(&inside).as_deref(), Some("0123abcd"));
        std::fs::write(git.join("refs/heads/main"), "4567cdef\n").unwrap();
        assert_eq!(commit_of(&inside).as_deref(), Some("4567cdef"));
        std::fs::write(git.join("HEAD"), "89abef01\n").unwrap();
        assert_eq!(commit_of(&inside).as_deref(), Some("89abef01"));
    }
}
