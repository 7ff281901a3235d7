//! What the programs do with a wrong command line or a wrong file: one clear line for each mistake, exit status 2, and
//! no file is touched.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::process::{line, run};

/// A folder with an earlier run in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("run")).unwrap();
        for file in ["params.json", "res.jsonl", "final.safetensors", "exp.npz"] {
            std::fs::write(folder.path("run").join(file), format!("an earlier {file}")).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Everything in it.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn collect(dir: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
                if entry.is_dir() {
                    collect(&entry, into);
                } else {
                    into.insert(entry.clone(), std::fs::read(&entry).unwrap());
                }
            }
        }
        let mut content = BTreeMap::new();
        collect(self.0.path(), &mut content);
        content
    }

    /// Runs a program that must refuse these arguments; returns what it says, without `error: `.
    fn refused(&self, program: &str, args: &[String]) -> Vec<String> {
        let before = self.content();
        let mut all = line(&["max_iters=1", "threads=2", "overwrite=true"]);
        for default in ["data_args.k=5".to_string(), format!("save_dir={}", self.path("run").display())] {
            let key = default.split('=').next().unwrap();
            if !args.iter().any(|arg| arg.starts_with(key)) {
                all.push(default);
            }
        }
        all.extend_from_slice(args);
        let output = run(program, &all);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?} prints nothing but the error");
        assert!(before == self.content(), "{args:?} changed a file");
        let error = |line: &str| line.strip_prefix("error: ").map(String::from);
        let lines = stderr.lines().filter(|line| !line.starts_with("warning: "));
        lines.map(|line| error(line).unwrap_or_else(|| panic!("{args:?}: {line}"))).collect()
    }

    /// The same, for a single mistake: the line must contain each part.
    fn refused_with(&self, program: &str, args: &[&str], parts: &[&str]) {
        let said = self.refused(program, &line(args));
        assert_eq!(said.len(), 1, "{args:?}: {said:?}");
        assert!(
            parts.iter().all(|part| said[0].contains(part)),
            "{args:?}: {:?} lacks one of {parts:?}",
            said[0]
        );
    }
}

const BOTH: [&str; 2] = ["ihead_basic", "ihead_full"];

#[test]
fn every_unknown_key_is_reported_with_the_nearest_known_one() {
    let folder = Folder::new();
    for program in BOTH {
        let said = folder.refused(program, &line(&["max_iter=3", "model_args.momentum=0.5", "dimm=64"]));
        assert_eq!(said.len(), 3, "{said:?}");
        let nearest = ["max_iters", "optim_args.momentum", "model_args.dim"];
        let hint = |near: &&str| said.iter().any(|l| l.ends_with(&format!("did you mean '{near}'?")));
        assert!(nearest.iter().all(hint), "{said:?}");
    }
}

#[test]
fn values_of_the_wrong_type_or_out_of_range_are_named() {
    let folder = Folder::new();
    for program in BOTH {
        for (arg, expected) in [
            ("model_args.dim=wide", "an integer of at least 1, found 'wide'"),
            ("model_args.dim=0", "an integer of at least 1, found '0'"),
            ("model_args.dim=1.5", "an integer of at least 1, found '1.5'"),
            ("model_args.max_length=-1", "an integer of at least 1, found '-1'"),
            ("optim_args.batch_size=0", "an integer of at least 1, found '0'"),
            ("test_batch_size=0", "an integer of at least 1, found '0'"),
            ("data_args.seq_length=0", "an integer of at least 1, found '0'"),
            ("eval_delta=0", "an integer of at least 1, found '0'"),
            ("num_data_workers=0", "an integer from 1 to 65536, found '0'"),
            ("optim_args.learning_rate=nan", "a number of at least 0, found 'nan'; it must be finite"),
            ("optim_args.learning_rate=-0.1", "a number of at least 0, found '-0.1'"),
            ("optim_args.weight_decay=inf", "a number of at least 0, found 'inf'; it must be finite"),
            ("optim_args.use_sgd=perhaps", "found 'perhaps'"),
            ("data_args.k=some", "an integer of at least 0, found 'some'"),
            ("seed=-1", "an integer of at least 0, found '-1'"),
            ("threads=0", "an integer from 1 to 1024 or null, found '0'"),
            ("device=gpu", "one of cpu, cuda, found 'gpu'"),
        ] {
            let key = arg.split('=').next().unwrap();
            folder.refused_with(program, &[arg], &[&format!("{key}: expected "), expected]);
        }
        folder.refused_with(program, &["nonsense"], &["'nonsense'", "--help"]);
        folder.refused_with(program, &["model_args=3"], &["model_args: is a section"]);
    }
}

#[test]
fn settings_that_do_not_fit_each_other_are_refused() {
    let folder = Folder::new();
    for program in BOTH {
        folder.refused_with(
            program,
            &["data_args.seq_length=300"],
            &["data_args.seq_length: 300", "max_length=256"],
        );
        folder.refused_with(program, &["data_args.k=66"], &["data_args.k: 66", "at most the 65 tokens"]);
        let offset = "data_args.special_toks_offset=61";
        folder.refused_with(
            program,
            &["data_args.fixed_special_toks=True", offset],
            &["data_args.special_toks_offset: 61", "at most 60"],
        );
        let shown = ["data_args.show_latents=True", "data_args.seq_length=4"];
        folder.refused_with(program, &shown, &["data_args.k: 5", "show_latents"]);
    }
    folder.refused_with(
        "ihead_basic",
        &["model_args.use_rope=True", "model_args.dim=15"],
        &["model_args.dim: 15 is odd"],
    );
    folder.refused_with("ihead_full", &["model_args.dim=130"], &["model_args.n_heads: 4 heads", "dim 130"]);
}

#[test]
fn initial_weights_that_are_no_state_dict_of_the_model_are_refused() {
    let folder = Folder::new();
    let golden = |case: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(case);
    let whole = std::fs::read(golden("basic_readme").join("init.safetensors")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path(name), bytes).unwrap();
        format!("init_from={}", folder.path(name).display())
    };
    let missing = format!("init_from={}", folder.path("none.safetensors").display());
    folder.refused_with("ihead_basic", &[&missing], &["cannot read ", "none.safetensors"]);
    let directory = format!("init_from={}", folder.path("run").display());
    folder.refused_with("ihead_basic", &[&directory], &["cannot read "]);
    for (name, bytes) in [
        ("cut.safetensors", &whole[..whole.len() / 2]),
        ("header.safetensors", &whole[..20]),
        ("short.safetensors", &whole[..4]),
        ("empty.safetensors", &[]),
        ("foreign.safetensors", b"this is a letter, not a state dict"),
    ] {
        let arg = write(name, bytes);
        folder.refused_with("ihead_basic", &[&arg], &[name, "not a whole safetensors file"]);
    }
    // of another model, and of another width
    let of = |case: &str| format!("init_from={}", golden(case).join("init.safetensors").display());
    folder.refused_with(
        "ihead_basic",
        &[&of("full_defaults")],
        &["the model has no tensor layers.0.attention.wq.weight"],
    );
    folder.refused_with("ihead_full", &[&of("basic_readme")], &["the model has no tensor pe"]);
    folder.refused_with("ihead_basic", &[&of("basic_readme")], &["has shape", "expected ["]);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let folder = Folder::new();
    let file = folder.path("run").join("params.json");
    for (dir, said) in [
        (file.clone(), "is no folder, which the run's files would be in"),
        (file.join("inside"), "cannot create "),
    ] {
        let arg = format!("save_dir={}", dir.display());
        folder.refused_with("ihead_basic", &[&arg], &[said, "params.json"]);
    }
    let (root, dir) = (format!("root_dir={}", file.display()), "save_dir=inside");
    folder.refused_with("ihead_full", &[&root, dir], &["cannot create "]);
}

#[test]
fn earlier_records_stay_when_a_file_of_the_folder_cannot_be_written() {
    for file in ["run.json", "params.json", "res.jsonl", "final.safetensors", "exp.npz"] {
        let folder = Folder::new();
        let path = folder.path("run").join(file);
        let _ = std::fs::remove_file(&path);
        std::fs::create_dir(&path).unwrap();
        folder.refused_with("ihead_full", &[], &[file, "is a folder, where a file of a run would be"]);
    }
    #[cfg(unix)]
    for file in ["res.jsonl", "final.safetensors"] {
        let folder = Folder::new();
        let path = folder.path("run").join(file);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        folder.refused_with(
            "ihead_full",
            &[],
            &[file, "is a device or a pipe, where a file of a run would be"],
        );
    }
    let folder = Folder::new();
    std::fs::write(folder.path("run/snapshots"), "a file").unwrap();
    folder.refused_with("ihead_basic", &[], &["snapshots", "is a file, where a folder would be"]);
}

#[test]
fn texts_that_cannot_be_counted_are_refused() {
    let folder = Folder::new();
    let text = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path(name), bytes).unwrap();
        format!("data_args.text={}", folder.path(name).display())
    };
    for (name, bytes, said) in [
        ("empty.txt", b"".as_slice(), "text: empty"),
        ("one.txt", b"aaaa", "text: 'a' alone, repeated"),
        ("binary.txt", b"ab\xff\xfeab", "not UTF-8"),
        ("few.txt", b"abab", "data_args.k: 5"),
    ] {
        let arg = text(name, bytes);
        folder.refused_with("ihead_basic", &[&arg], &[said]);
    }
    let missing = format!("data_args.text={}", folder.path("none.txt").display());
    folder.refused_with("ihead_full", &[&missing], &["cannot read ", "none.txt"]);
}

#[test]
fn freezing_what_the_model_has_not_names_the_nearest_parameter() {
    let folder = Folder::new();
    folder.refused_with(
        "ihead_basic",
        &["freeze_until=3:layers.1.attention.wq.weight"],
        &[
            "freeze_until: ",
            "no parameter 'layers.1.attention.wq.weight'; did you mean 'layers.1.attention.wk.weight'?",
        ],
    );
    folder.refused_with("ihead_basic", &["freeze_until=3:pe"], &["pe: a buffer, which never trains"]);
    for wrong in ["freeze_until=wk", "freeze_until=3", "freeze_until=-1:output.weight", "freeze_until=3:"] {
        folder.refused_with("ihead_basic", &[wrong], &["freeze_until: ", "is not ITERATION:NAME"]);
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_says_how_to_get_it() {
    let folder = Folder::new();
    for program in BOTH {
        folder.refused_with(program, &["device=cuda"], &["device=cuda: ", "--features cuda"]);
        folder.refused_with(
            program,
            &["device=cuda", "data_args.k=0"],
            &["device=cuda: ", "--features cuda"],
        );
    }
}

#[test]
fn what_no_machine_can_hold_is_refused_before_it_is_asked_for() {
    let folder = Folder::new();
    for program in BOTH {
        for key in ["optim_args.batch_size", "test_batch_size"] {
            let arg = format!("{key}=999999999999");
            folder.refused_with(program, &[&arg], &[&format!("{key}: 999999999999 sequences")]);
        }
        folder.refused_with(
            program,
            &["model_args.dim=400000000"],
            &["model_args.dim: ", "dim 400000000", "memory"],
        );
        let greatest = "model_args.max_length=18446744073709551615";
        folder.refused_with(program, &[greatest], &["model_args.max_length: ", "memory"]);
        let long = ["model_args.max_length=3000000", "data_args.seq_length=3000000", "test_batch_size=1"];
        let batch = ["optim_args.batch_size=1", "model_args.dim=4"];
        folder.refused_with(
            program,
            &[&long[..], &batch].concat(),
            &["data_args.seq_length: 3000000 tokens", "memory"],
        );
        folder.refused_with(program, &["num_data_workers=99999999999"], &["num_data_workers: "]);
    }
    folder.refused_with(
        "ihead_full",
        &["model_args.n_layers=99999999999"],
        &["model_args.n_layers: ", "memory"],
    );
}
