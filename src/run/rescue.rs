//! Where the weights of a run go whose folder cannot take them.
use std::path::{Path, PathBuf};

use crate::nn::Module;

/// Writes the weights of a run in `dir` to some other place; says where they are, or that they are lost.
pub(super) fn weights(dir: &Path, model: &(impl Module + ?Sized)) -> (String, Option<PathBuf>) {
    let run = dir.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
    let name = format!("ihead-rescued-{run}-{}.safetensors", std::process::id());
    let mut refused = String::new();
    for place in places() {
        let path = place.join(&name);
        match crate::io::save(&path, model) {
            Ok(()) => return (format!("the last weights are in {}", path.display()), Some(path)),
            Err(error) => refused = format!(", {error}"),
        }
    }
    (format!("the last weights are lost{refused}"), None)
}

/// Folders that may have room.
fn places() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    [Some(std::env::temp_dir()), std::env::current_dir().ok(), home].into_iter().flatten().collect()
}
