//! Signals: the step ends, the run is kept, the status is the one that a shell expects.
use super::{BOTH, Place, ended, signal};

#[test]
fn a_signal_ends_a_run_after_its_step_with_its_weights_and_its_status() {
    for name in BOTH {
        for (sent, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
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
