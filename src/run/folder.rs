//! The folder of a run: whose it is, what it holds, and how it comes to be.
//!
//! ```text
//! no run there:  stage -> (all files are written into the stage) -> install
//! a run there:   refuse, or open it to go on, or stage beside it -> install in its place
//! ```
//!
//! A stage is a folder of a known name, beside the run's folder (inside, where the folder exists without a run).
//! Whatever moment the process is killed at, the next run finds the stage and clears it, and finds the earlier run or
//! the new one, never half of each. On Unix a run locks its folder itself, so the lock is gone with the process and
//! leaves no file.
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::io::Lock;
use crate::output::counted;
use crate::{Error, Result};

use super::{Earlier, RunInfo};

/// The files that a run makes, apart from those of [`is_file_of_a_run`] with numbers in their names.
const FILES: [&str; 6] =
    ["run.json", "params.json", "res.jsonl", "final.safetensors", "checkpoint.safetensors", "exp.npz"];

/// The files that are made of a run, and make no run of a folder.
const MADE_OF_IT: [&str; 5] = ["reprobe.jsonl", "view.json", "report.html", "curves.svg", "attention.svg"];

/// The folder of a run's snapshots.
const SNAPSHOTS: &str = "snapshots";

/// The stage inside a folder that exists.
const INSIDE: &str = ".ihead-new";

fn is_file_of_a_run(name: &str) -> bool {
    makes_a_run(name) || MADE_OF_IT.contains(&name)
}

/// Whether a folder with such a file holds a run.
fn makes_a_run(name: &str) -> bool {
    FILES.contains(&name) || name.starts_with("events.out.tfevents.")
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no such folder.
    Nothing,
    /// A folder, with no file of a run in it.
    NoRun,
    /// A run.
    Run,
}

/// Looks at a folder, after putting right what a process has left that was killed while it replaced it.
///
/// # Errors
/// If it is a file, cannot be read, holds a sweep, or something in it stands where a file of a run should be.
pub(super) fn look(dir: &Path) -> Result<Found> {
    recover(dir)?;
    crate::sweep::refuse_sweep(dir)?;
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            return Err(Error::format(dir, "is no folder, which the run's files would be in; move it away"));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return if dir.file_name().is_none() {
                let given = format!("'{}'", dir.display());
                Err(Error::value("folder of the run", given, "a path that ends in a name"))
            } else if dir.is_symlink() {
                Err(Error::format(
                    dir,
                    "is a link to a folder that is not there; make it, or move the link away",
                ))
            } else {
                Ok(Found::Nothing)
            };
        }
        Err(error) => return Err(Error::io("create", dir, error)),
    }
    let mut found = Found::NoRun;
    for path in entries(dir)? {
        let name = name_of(&path);
        let (file, folder) = (is_file_of_a_run(&name), name == SNAPSHOTS);
        // a link that leads nowhere is none of these
        let is = std::fs::metadata(&path).map_or("a file", |of| match of.file_type() {
            kind if kind.is_dir() => "a folder",
            kind if kind.is_file() => "a file",
            _ => "a device or a pipe",
        });
        if file && is != "a file" || folder && is != "a folder" {
            let should = if file { "a file of a run" } else { "a folder" };
            return Err(Error::format(&path, format!("is {is}, where {should} would be; move it away")));
        }
        if makes_a_run(&name) {
            found = Found::Run;
        }
    }
    let snapshots = crate::io::snapshots(dir)?;
    if let Some((_, path)) = snapshots.iter().find(|(iteration, path)| iteration.is_some() && path.is_dir()) {
        return Err(Error::format(path, "is a folder, where a snapshot of a run would be; move it away"));
    }
    if !snapshots.is_empty() {
        found = Found::Run;
    }
    // what an interrupted installation has left is no run
    Ok(if dir.join(INSIDE).is_dir() && !dir.join("run.json").exists() { Found::NoRun } else { found })
}

/// A folder that belongs to this run alone, until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    lock: Option<Lock>,
}

impl Folder {
    /// Takes the folder of an earlier run, to continue it.
    ///
    /// # Errors
    /// If another process runs in it.
    pub fn open(dir: &Path) -> Result<Folder> {
        let folder = Folder::take(&absolute(dir)?)?;
        clear_temporary(&folder.dir)?;
        Ok(folder)
    }

    /// Locks a folder that exists.
    fn take(dir: &Path) -> Result<Folder> {
        // between opening it and locking it, another run may have put a new folder in its place
        for _ in 0..100 {
            let folder = Folder { dir: dir.to_owned(), lock: lock(dir)? };
            if folder.is_there() {
                return Ok(folder);
            }
        }
        Err(busy(dir))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Whether the folder is still where it was.
    pub fn is_there(&self) -> bool {
        match (&self.lock, std::fs::metadata(&self.dir)) {
            (_, Err(_)) => false,
            #[cfg(unix)]
            (Some(lock), Ok(found)) => {
                use std::os::unix::fs::MetadataExt;
                lock.file().metadata().is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
            }
            (_, Ok(_)) => true,
        }
    }
}

/// A folder in the making. Dropped before it is installed, it leaves everything as it was.
#[derive(Debug)]
pub(super) struct Stage {
    /// Where files are written.
    stage: Option<Folder>,
    /// Where they will be.
    target: PathBuf,
    /// The folder that is there already, locked.
    there: Option<Folder>,
    /// Whether it holds a run that is to be replaced.
    replaces: bool,
    /// Folders that were made to hold it, outermost first.
    made: Vec<PathBuf>,
}

impl Stage {
    /// A stage for the folder `dir`.
    ///
    /// # Errors
    /// If it holds a run that may not be replaced, a folder cannot be made, or another process runs in it.
    pub fn new(dir: &Path, earlier: Earlier) -> Result<Stage> {
        let found = look(dir)?;
        if found == Found::Run && earlier != Earlier::Overwrite {
            return Err(refused(dir));
        }
        let made = if found == Found::Nothing { make_parents(dir)? } else { vec![] };
        let target = absolute(dir)?;
        let mut new = Stage { stage: None, target, there: None, replaces: found == Found::Run, made };
        if found != Found::Nothing {
            new.there = Some(Folder::take(&new.target)?);
        }
        if new.replaces {
            check_removable(&new.target)?;
        }
        let stage = match found {
            Found::NoRun => new.target.join(INSIDE),
            Found::Nothing | Found::Run => beside(&new.target, "new"),
        };
        if found == Found::NoRun {
            clear_interrupted(&new.target)?;
        } else if stage.exists() {
            // a lock on it says that another run is about to begin here
            drop(Folder::take(&stage).map_err(|_| busy(&new.target))?);
            remove(&stage)?;
        }
        std::fs::create_dir(&stage).map_err(|e| Error::io("create", dir, e))?;
        new.stage = Some(Folder::take(&stage)?);
        Ok(new)
    }

    /// Where files are to be written.
    pub fn path(&self) -> &Path {
        self.stage.as_ref().map_or(&self.target, Folder::path)
    }

    /// Puts the stage where the run's folder is to be, all of it or nothing.
    ///
    /// # Errors
    /// If the file system refuses; an earlier run is then where it was.
    pub fn install(mut self) -> Result<Folder> {
        let failed = |e| Error::io("create", &self.target, e);
        let Some(mut stage) = self.stage.take() else { return Err(busy(&self.target)) };
        let from = &stage.dir;
        let installed = match &mut self.there {
            Some(there) if !self.replaces => {
                move_all(from, &self.target).map_err(failed)?;
                std::fs::remove_dir(from).map_err(failed)?;
                self.there.take()
            }
            there => {
                let old = beside(&self.target, "old");
                let moved = if there.is_some() { std::fs::rename(&self.target, &old) } else { Ok(()) };
                let put = moved.map_err(|e| Error::io("replace", &self.target, e)).and_then(|()| {
                    std::fs::rename(from, &self.target).map_err(|error| {
                        let _ = std::fs::rename(&old, &self.target);
                        failed(error)
                    })
                });
                if let Err(error) = put {
                    self.stage = Some(stage); // which is removed with what is in it
                    return Err(error);
                }
                if there.is_some() {
                    clear_replaced(&old, &self.target)?;
                }
                Some(Folder { dir: self.target.clone(), lock: stage.lock.take() })
            }
        };
        self.made.clear();
        installed.ok_or_else(|| busy(&self.target))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.take() {
            let _ = remove(&stage.dir);
        }
        for dir in self.made.iter().rev() {
            let _ = std::fs::remove_dir(dir);
        }
    }
}

/// Puts right what a killed process has left while it installed a folder.
fn recover(dir: &Path) -> Result<()> {
    let Ok(target) = absolute(dir) else { return Ok(()) };
    let old = beside(&target, "old");
    if !old.is_dir() {
        return Ok(());
    }
    let held = Folder::take(&old).map_err(|_| busy(dir))?;
    match target.exists() {
        false => std::fs::rename(&old, &target).map_err(|e| Error::io("move", &held.dir, e)),
        true => clear_replaced(&old, &target),
    }
}

/// Removes what an interrupted installation into a folder without a run has left.
fn clear_interrupted(dir: &Path) -> Result<()> {
    let stage = dir.join(INSIDE);
    if stage.is_dir() {
        let own = |path: &PathBuf| makes_a_run(&name_of(path));
        for path in entries(dir)?.into_iter().filter(own) {
            std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
        remove(&stage)?;
    }
    clear_temporary(dir)
}

/// Refuses to replace a run whose files could not be removed any more when the new one is in its place.
fn check_removable(dir: &Path) -> Result<()> {
    let snapshots = dir.join(SNAPSHOTS);
    let dirs = [Some(dir), snapshots.is_dir().then_some(&*snapshots)];
    dirs.into_iter().flatten().try_for_each(|dir| {
        crate::io::check_folder(dir).map_err(|e| Error::io("replace the files in", dir, e))
    })
}

/// Removes the files of the run in `old`; what is not of a run goes to `new`.
fn clear_replaced(old: &Path, new: &Path) -> Result<()> {
    for path in entries(old)? {
        let name = name_of(&path);
        let failed = |e| Error::io("remove", &path, e);
        if is_file_of_a_run(&name) || is_temporary(&name) {
            std::fs::remove_file(&path).map_err(failed)?;
        } else if name == SNAPSHOTS {
            for (iteration, snapshot) in crate::io::snapshots(old)? {
                if iteration.is_some() {
                    std::fs::remove_file(&snapshot).map_err(|e| Error::io("remove", &snapshot, e))?;
                }
            }
            clear_temporary(&path)?;
            let kept = new.join(SNAPSHOTS);
            if std::fs::remove_dir(&path).is_err() {
                std::fs::create_dir_all(&kept).map_err(failed)?;
                move_all(&path, &kept).and_then(|()| std::fs::remove_dir(&path)).map_err(failed)?;
            }
        } else if path.file_name().is_some_and(|name| name == INSIDE) {
            remove(&path)?;
        } else if let Some(name) = path.file_name() {
            std::fs::rename(&path, new.join(name)).map_err(|e| Error::io("move", &path, e))?;
        }
    }
    std::fs::remove_dir(old).map_err(|e| Error::io("remove", old, e))
}

/// Moves everything from one folder to another, `run.json` last: with it the folder holds a run. A folder that is in both is one
/// then.
fn move_all(from: &Path, to: &Path) -> std::io::Result<()> {
    let listed = std::fs::read_dir(from)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<PathBuf> = listed.into_iter().map(|entry| entry.path()).collect();
    paths.sort_by_key(|path| name_of(path) == "run.json");
    paths.iter().try_for_each(|path| match path.file_name().map(|name| to.join(name)) {
        Some(there) if path.is_dir() && there.is_dir() => {
            move_all(path, &there)?;
            std::fs::remove_dir(path)
        }
        Some(there) => std::fs::rename(path, there),
        None => Ok(()),
    })
}

/// Removes the temporary files of writes that were not finished.
fn clear_temporary(dir: &Path) -> Result<()> {
    for path in entries(dir)? {
        if is_temporary(&name_of(&path)) {
            std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
    }
    let snapshots = dir.join(SNAPSHOTS);
    if name_of(dir) != SNAPSHOTS && snapshots.is_dir() { clear_temporary(&snapshots) } else { Ok(()) }
}

fn is_temporary(name: &str) -> bool {
    name.starts_with(crate::io::TEMPORARY) && name.ends_with(".tmp")
}

/// Removes a stage.
fn remove(stage: &Path) -> Result<()> {
    std::fs::remove_dir_all(stage).map_err(|e| Error::io("remove", stage, e))
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("read", dir, e);
    let listed = std::fs::read_dir(dir).map_err(failed)?;
    listed.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The path without links, which stays right whatever the current folder becomes.
fn absolute(dir: &Path) -> Result<PathBuf> {
    let failed = |e| Error::io("create", dir, e);
    if let Ok(path) = std::fs::canonicalize(dir) {
        return Ok(path);
    }
    let Some(name) = dir.file_name() else { return Err(failed(std::io::ErrorKind::NotFound.into())) };
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(std::fs::canonicalize(parent).map_err(failed)?.join(name))
}

/// `parent/.NAME.WHAT`.
fn beside(target: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".ihead-{what}"));
    target.with_file_name(name)
}

/// Makes the folders around `dir`; returns those that were not there, outermost first.
fn make_parents(dir: &Path) -> Result<Vec<PathBuf>> {
    let lacking: Vec<&Path> =
        dir.ancestors().skip(1).take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    let mut made = Vec::new();
    for parent in lacking.into_iter().rev() {
        if let Err(error) = std::fs::create_dir(parent)
            && !parent.is_dir()
        {
            made.iter().rev().for_each(|dir| drop(std::fs::remove_dir(dir)));
            return Err(Error::io("create", dir, error));
        }
        made.push(parent.to_owned());
    }
    Ok(made)
}

/// Locks a folder, where the file system knows locks.
#[cfg(unix)]
fn lock(dir: &Path) -> Result<Option<Lock>> {
    let file = File::open(dir).map_err(|e| Error::io("open", dir, e))?;
    Lock::where_known(file).map(Some).ok_or_else(|| busy(dir))
}

/// Folders cannot be locked here.
#[cfg(not(unix))]
fn lock(_: &Path) -> Result<Option<Lock>> {
    Ok(None)
}

/// Whether a process runs in a folder now.
pub(super) fn is_locked(dir: &Path) -> bool {
    #[cfg(unix)]
    return File::open(dir).is_ok_and(|file| Lock::is_held(&file));
    #[cfg(not(unix))]
    return false;
}

fn busy(dir: &Path) -> Error {
    let by =
        RunInfo::read(dir).map_or_else(|_| String::new(), |info| format!(" by process {}", info.process));
    Error::folder(
        dir,
        format!("is being written{by}"),
        "wait for the end of that run, or write to another folder",
    )
}

/// Why a folder with an earlier run is not written to.
fn refused(dir: &Path) -> Error {
    let what = RunInfo::read(dir).map_or_else(
        |_| "holds an earlier run".into(),
        |info| format!("holds a run ({}, {})", info.status_now(dir), counted(info.iterations, "iteration")),
    );
    let mend = "resume=true continues it, overwrite=true replaces it (`Run::earlier` in a program without these settings); \
                or write to another folder";
    Error::folder(dir, what, mend)
}
