//! Signals: the step ends, the run is kept, the status is the one that a shell expects.
use std::time::{Duration, Instant};

use super::{BOTH, Place, ended, signal};

#[test]
fn a_signal_ends_a_run_after_its_step_with_its_weights_and_its_status() {
    for name in BOTH {
        for (sent, number, status) in [("INT", 2, 130), ("TERM", 15, 143), ("HUP", 1, 129)] {
            if ignored(number) {
                println!("SIG{sent} is ignored here, and so by the run: left out");
                continue;
            }
            let place = Place::new();
            let mut run = place.begun(name, &[]);
            signal(&run, sent);
            assert_eq!(run.wait().unwrap().code(), Some(status), "{name} {sent}");
            let said = ended(run);
            assert!(said.starts_with(&format!("stopped: SIG{sent} after ")), "{said}");
            assert_eq!(place.info()["status"], "stopped");
            assert!(place.path("run/final.safetensors").exists());
            for line in place.records().lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}

#[test]
fn a_second_signal_ends_a_run_at_once_in_the_middle_of_a_step() {
    // a batch of seconds, of which the first step never sees the end
    let place = Place::new();
    let more = [
        "optim_args.batch_size=40000",
        "data_args.seq_length=64",
        "model_args.max_length=64",
        "model_args.dim=64",
    ];
    let mut run = place.command("ihead_basic", &more).spawn().unwrap();
    let begun = Instant::now();
    while !place.path("run/checkpoint.safetensors").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint of the beginning");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&run, "TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(run.try_wait().unwrap().is_none(), "the step was shorter than the wait for the second signal");
    let (second, status) = if ignored(1) { ("TERM", 143) } else { ("HUP", 129) };
    signal(&run, second);
    assert_eq!(run.wait().unwrap().code(), Some(status), "{second}");
    assert_eq!(place.info()["status"], "running");
    assert_eq!(place.info()["iterations"], 0);
    assert!(!place.path("run/final.safetensors").exists());
}

/// Whether this process ignores a signal, as one in the background or under `nohup` does, and with it what it starts.
fn ignored(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}
