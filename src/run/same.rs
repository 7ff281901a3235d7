//! What may change when a run is continued, and what may not.
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::config::by_key;
use crate::{Error, Result};

/// Settings of the programs that may change: where and how long a run goes, what is shown, when it is measured.
const FREE: [&str; 18] = [
    "threads",
    "max_iters",
    "eval_delta",
    "log",
    "log_norms",
    "log_probes",
    "tensorboard",
    "report",
    "figures",
    "checkpoint_every",
    "on_divergence",
    "save_dir",
    "root_dir",
    "resume",
    "overwrite",
    "reprobe",
    "run.threads",
    "run.schedule",
];

/// Refuses to continue a run of other settings: each that differs is named, with what it was and what it is.
///
/// # Errors
/// If one differs that may not.
pub(super) fn check(dir: &Path, was: &Value, is: &Value) -> Result<()> {
    let (was, is) = (flat(was), flat(is));
    let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let changed =
        keys.into_iter().filter(|key| !FREE.contains(&key.as_str()) && was.get(*key) != is.get(*key));
    let shown = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
    let mut changed: Vec<String> =
        changed.map(|key| format!("{key} was {}, is {}", shown(was.get(key)), shown(is.get(key)))).collect();
    if changed.is_empty() {
        return Ok(());
    }
    // what the program was asked for says it; what the run was made of by that says it again
    if changed.iter().any(|line| !line.starts_with("run.")) {
        changed.retain(|line| !line.starts_with("run."));
    }
    let found = format!("holds a run with other settings ({})", changed.join("; "));
    let mend = "to go on with it, give the same ones; threads, max_iters and what is logged may change";
    Err(Error::folder(dir, found, mend))
}

/// The values that are not null, by dotted key.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    by_key(value).into_iter().filter(|(_, value)| !value.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::check;

    #[test]
    fn what_may_change_is_passed_over_and_the_rest_is_named() {
        let was =
            json!({ "threads": 1, "optim_args": { "learning_rate": 0.2 }, "run": { "optim": "sgd(0.2)" } });
        let mut is = was.clone();
        is["threads"] = 8.into();
        assert!(check(Path::new("r"), &was, &is).is_ok());
        is["optim_args"]["learning_rate"] = 0.1.into();
        is["run"]["optim"] = "sgd(0.1)".into();
        let error = check(Path::new("r"), &was, &is).unwrap_err().to_string();
        let named = "r holds a run with other settings (optim_args.learning_rate was 0.2, is 0.1";
        assert!(error.starts_with(named), "{error}");
    }
}
