//! What a run needs of the machine's memory, before it is asked for.
use crate::{Error, Result};

/// Refuses what cannot fit: `bytes` for `what`, which `key` asks for.
///
/// # Errors
/// If the machine has less memory, or the system refuses so much to this process.
///
/// ```
/// assert!(ihead::internals::memory::check("model_args", "a model of dim 8", 1e4).is_ok());
/// let error = ihead::internals::memory::check("model_args", "a model of dim 99999999", 2.4e17).unwrap_err();
/// assert!(error.to_string().starts_with("model_args: a model of dim 99999999 needs at least 240000 TB of memory"));
/// ```
pub fn check(key: &str, what: &str, bytes: f64) -> Result<()> {
    fits(key, what, "at least", bytes)
}

/// The same, where `bytes` are an estimate of all that is needed.
pub(crate) fn check_about(key: &str, what: &str, bytes: f64) -> Result<()> {
    fits(key, what, "about", bytes)
}

fn fits(key: &str, what: &str, quantity: &str, bytes: f64) -> Result<()> {
    let refuse = |limit: String| {
        let message = format!("{what} needs {quantity} {} of memory; {limit}", size(bytes));
        Err(Error::config(key, message))
    };
    match installed() {
        Some(installed) if bytes > installed as f64 => {
            refuse(format!("this machine has {}", size(installed as f64)))
        }
        // a float above the range becomes the greatest integer, which is refused
        _ if Vec::<u8>::new().try_reserve_exact(bytes as usize).is_err() => {
            refuse("the system refuses so much".into())
        }
        _ => Ok(()),
    }
}

/// Bytes of memory of this machine, or the smaller limit of this process's control group; known on Linux.
pub fn installed() -> Option<u64> {
    let total = field("/proc/meminfo", "MemTotal:")?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    Some(total.min(limit))
}

/// The most bytes that this process has held in memory at once; known on Linux.
///
/// ```
/// let held = vec![1_u8; 1 << 24];
/// assert!(ihead::internals::memory::peak().is_none_or(|bytes| bytes > held.len() as u64));
/// ```
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Bytes that a file of the system tells in kB behind this name.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `bytes` in the unit that a reader grasps: `3.2 GB`.
pub(crate) fn size(bytes: f64) -> String {
    match bytes {
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b if b < 1e12 => format!("{:.1} GB", b / 1e9),
        b if b < 1e17 => format!("{:.1} TB", b / 1e12),
        b if b < 1e24 => format!("{:.0} TB", b / 1e12),
        b => format!("{:.0e} TB", b / 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(1.5e6), "1.5 MB");
        assert_eq!(size(3.2e9), "3.2 GB");
        assert_eq!(size(2e20), "200000000 TB");
        // from one unit to the next, and from digits behind the point to none
        let limits = [0.99e9, 1e9, 0.99e12, 1e12, 2.45e16, 1e17, 0.9e24, 1e24].map(size);
        let expected = [
            "990.0 MB",
            "1.0 GB",
            "990.0 GB",
            "1.0 TB",
            "24500.0 TB",
            "100000 TB",
            "900000000000 TB",
            "1e12 TB",
        ];
        assert_eq!(limits, expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_run_may_need_what_the_machine_has_and_no_more() {
        let installed = installed().unwrap() as f64;
        assert!((1e8..1e15).contains(&installed), "{installed}");
        let error = check("k", "x", 2.0 * installed).unwrap_err().to_string();
        let expected = format!(
            "k: x needs at least {} of memory; this machine has {}",
            size(2.0 * installed),
            size(installed)
        );
        assert_eq!(error, expected);
        let error = check_about("k", "x", 2.0 * installed).unwrap_err().to_string();
        assert!(error.starts_with("k: x needs about "), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_of_the_system_are_read_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meminfo");
        std::fs::write(&path, "MemTotal:       24650012 kB\nMemFree:   12 kB\nPages: 7\n").unwrap();
        let of = |name| field(path.to_str().unwrap(), name);
        assert_eq!((of("MemTotal:"), of("MemFree:")), (Some(24650012 * 1024), Some(12 * 1024)));
        assert_eq!((of("Pages:"), of("Swap:"), field("/no/such/file", "MemFree:")), (None, None, None));
    }

    #[test]
    fn what_no_address_space_holds_is_refused_whatever_the_machine() {
        assert!(check("k", "x", 1e30).is_err());
        assert!(check("k", "x", f64::INFINITY).is_err());
        assert!(check("k", "x", 0.0).is_ok());
    }
}
