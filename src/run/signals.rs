//! Signals, in one place: while a run has a folder, or a sweep has runs, the first SIGINT, SIGTERM or SIGHUP asks it to stop after
//! its step, a second one ends the process at once. Otherwise signals do what they always do.
use crate::error::Stop;

/// Signals are caught while one of these is there.
pub(crate) struct Watching(());

#[cfg(unix)]
mod unix {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::flag;

    use super::{Stop, Watching};

    struct Signals {
        /// Nobody watches: the system's default action.
        idle: Arc<AtomicBool>,
        watching: AtomicUsize,
        caught: Arc<AtomicUsize>,
    }

    static SIGNALS: OnceLock<Signals> = OnceLock::new();

    const ALL: [(i32, Stop); 3] =
        [(SIGINT, Stop::Interrupt), (SIGTERM, Stop::Terminate), (SIGHUP, Stop::HangUp)];

    fn install() -> Signals {
        let (idle, caught) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let again = Arc::new(AtomicBool::new(false));
        let ignored = ignored();
        for (signal, stop) in ALL.into_iter().filter(|(signal, _)| ignored & (1 << (signal - 1)) == 0) {
            // in the order in which they are run; a handler that the system refuses leaves the default action
            let _ = flag::register_conditional_default(signal, idle.clone())
                .and_then(|_| {
                    flag::register_conditional_shutdown(signal, i32::from(stop.status()), again.clone())
                })
                .and_then(|_| flag::register(signal, again.clone()))
                .and_then(|_| flag::register_usize(signal, caught.clone(), signal as usize));
        }
        Signals { idle, watching: AtomicUsize::new(0), caught }
    }

    /// The signals that whoever started this process wants ignored (`nohup`), a bit for each; known on Linux.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }

    /// From now on a file that would be longer than the system allows (`ulimit -f`) is an error of who writes it, and not the end of the
    /// process.
    pub fn no_end_by_long_files() {
        static CAUGHT: OnceLock<()> = OnceLock::new();
        CAUGHT.get_or_init(|| {
            let _ = flag::register(SIGXFSZ, Arc::default());
        });
    }

    impl Watching {
        pub fn begin() -> Watching {
            let signals = SIGNALS.get_or_init(install);
            signals.watching.fetch_add(1, Ordering::SeqCst);
            signals.idle.store(false, Ordering::SeqCst);
            Watching(())
        }
    }

    impl Drop for Watching {
        fn drop(&mut self) {
            if let Some(signals) = SIGNALS.get()
                && signals.watching.fetch_sub(1, Ordering::SeqCst) == 1
            {
                signals.idle.store(true, Ordering::SeqCst);
            }
        }
    }

    pub fn caught() -> Option<Stop> {
        let caught = SIGNALS.get()?.caught.load(Ordering::Relaxed);
        ALL.iter().find(|(signal, _)| *signal as usize == caught).map(|(_, stop)| *stop)
    }
}

#[cfg(unix)]
pub(crate) use unix::caught;
#[cfg(unix)]
pub(super) use unix::no_end_by_long_files;

#[cfg(not(unix))]
impl Watching {
    pub fn begin() -> Watching {
        Watching(())
    }
}

/// Nothing: no signal ends a process that writes a long file.
#[cfg(not(unix))]
pub(super) fn no_end_by_long_files() {}

/// What has asked this process to stop.
#[cfg(not(unix))]
pub(crate) fn caught() -> Option<Stop> {
    None
}
