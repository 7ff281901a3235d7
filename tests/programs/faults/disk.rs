//! A disk that is full, and a folder that is gone, on a real small file system where one can be mounted.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Place, error_of, said};

/// A file system of 300 kB in memory, until it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    /// Nothing, said aloud, where this process may not mount one.
    fn mount() -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=300k", "tmpfs"]).arg(dir.path()).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Small(dir));
        }
        eprintln!("skipped: no file system can be mounted here (as root, on Linux)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // lazily: a process that is killed late may still have files open
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// The folder to which a run went, which is all in `place`.
fn rescued(place: &Place) -> PathBuf {
    let found: Vec<PathBuf> = std::fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[test]
fn a_full_disk_keeps_the_last_weights_elsewhere_and_whole_records() {
    let Some(disk) = Small::mount() else { return };
    let (place, other) = (Place::new(), Place::new());
    let save = format!("save_dir={}", disk.path().join("run").display());
    let mut command = place.command("ihead_full", &["eval_delta=1", &save]);
    let output = command.env("TMPDIR", other.path("")).stdout(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let error = error_of(&output);
    assert!(error.contains("No space left on device") && error.contains(" kept in "), "{error}");
    let lines = std::fs::read_to_string(disk.path().join("run/res.jsonl")).unwrap();
    assert!(lines.ends_with('\n'), "the last line is torn");
    let run = rescued(&other);
    let kept = std::fs::read_to_string(run.join("res.jsonl")).unwrap();
    assert!(kept.starts_with(&lines) && kept.len() > lines.len());
    for line in kept.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let info: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    let iterations = info["iterations"].as_u64().unwrap();
    assert_eq!(kept.lines().count() as u64, iterations);
    assert_eq!(info["status"], "failed");
    // it goes on from there, to what a run with room has
    let more = format!("max_iters={}", iterations + 3);
    let save = format!("save_dir={}", run.display());
    place.done("ihead_full", &["eval_delta=1", "resume=true", &more, &save]);
    place.done("ihead_full", &["eval_delta=1", &more]);
    for file in ["res.jsonl", "final.safetensors", "exp.npz"] {
        let (went_on, whole) = (run.join(file), place.path("run").join(file));
        assert!(std::fs::read(went_on).unwrap() == std::fs::read(whole).unwrap(), "{file}");
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_is_said_and_an_earlier_run_stays() {
    let Some(disk) = Small::mount() else { return };
    let place = Place::new();
    let save = format!("save_dir={}", disk.path().join("run").display());
    place.done("ihead_basic", &["max_iters=2", &save]);
    let room = disk.path().join("filler");
    let mut filler = std::fs::File::create(&room).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(1), &mut filler);
    let before = super::content(&disk.path().join("run"));
    let output = place.run("ihead_basic", &["max_iters=2", "overwrite=true", &save]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(error_of(&output).contains("No space left on device"), "{}", said(&output));
    assert!(before == super::content(&disk.path().join("run")));
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 2, "something is left beside the run");
}

#[test]
fn a_disk_that_is_taken_away_keeps_the_run_elsewhere() {
    let Some(disk) = Small::mount() else { return };
    let (place, other) = (Place::new(), Place::new());
    let folder = disk.path().join("run");
    let save = format!("save_dir={}", folder.display());
    let mut command = place.command("ihead_basic", &["eval_delta=1000000", "on_divergence=continue", &save]);
    let run =
        command.env("TMPDIR", other.path("")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while std::fs::metadata(folder.join("res.jsonl")).map_or(0, |found| found.len()) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(disk);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        error_of(&output).contains("is gone: the run's folder was removed, moved or replaced"),
        "{}",
        said(&output)
    );
    for file in ["run.json", "res.jsonl", "checkpoint.safetensors", "final.safetensors"] {
        assert!(rescued(&other).join(file).exists(), "{file}");
    }
}
