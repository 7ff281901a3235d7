//! What is fuzzed: each target is a function of bytes, which must return. It makes of the bytes what a user may type or a file
//! may hold, reads it, and uses what was read; what is refused must be refused by one line. The programs in `fuzz/` call these
//! with bytes of libFuzzer's, the test beside this file with those of `tests/corpus`.
//!
//! By 2026-11-27 they had run for six and a half hours of processor time, 37 million inputs: the command line and its file for 76 minutes,
//! the small languages for 65, tensors for 61, checkpoints for 64, records for 60, counts for 62. Three faults were found, each by an input
//! written by hand as a beginning (`counts/unigrams-beyond-all`, `checkpoint/words-beyond-all`, `checkpoint/steps-at-most`), none by what the
//! fuzzer made of them.
use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ihead::config::{self, Config, Exit};
use ihead::data::{BatchOptions, Batches, BigramData, Counts, NumpyRng, TriggerOptions, TriggerTask, sample};
use ihead::graph::{Edit, Edits};
use ihead::io;
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::Transfer;
use ihead::paper::{DataArgs, OptimArgs, RunArgs};
use ihead::probe::{Association, Circuit, Recall, StateDict};
use ihead::report::Page;
use ihead::run::{CheckpointEvery, Resume, Run, Schedule, find_runs, table_of_runs};
use ihead::sweep::{Collect, First, collect};
use ihead::train::optim::Optim;
use ihead::train::{Action, Timeline, WeightEdit};

/// A target: bytes in, nothing out, no panic.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
#[allow(dead_code)] // a program of `fuzz/` calls one
pub const TARGETS: [(&str, Target); 12] = [
    ("overrides", overrides),
    ("config_file", config_file),
    ("recalls", recalls),
    ("edits", edits),
    ("timeline", timeline),
    ("schedule", schedule),
    ("optimiser", optimiser),
    ("axes", axes),
    ("tensors", tensors),
    ("checkpoint", checkpoint),
    ("records", records),
    ("counts", counts),
];

/// The settings of a program as `ihead_basic` has them.
#[derive(Config)]
struct Args {
    #[config(flatten)]
    run: RunArgs,
    /// Sizes.
    #[config(default = vec![1, 2])]
    sizes: Vec<usize>,
    /// Texts.
    #[config(default = vec![])]
    names: Vec<String>,
    /// A number that may be absent.
    maybe: Option<f64>,
    #[config(group)]
    model_args: SimplifiedArgs,
    #[config(group)]
    data_args: DataArgs,
    #[config(group)]
    optim_args: OptimArgs,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A value, or none if it was refused by one line of text.
fn one_line<T, E: Display>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| is_one_line(&error.to_string())).ok()
}

fn is_one_line(message: &str) {
    // what a program prints is made plain first, whatever names stand in it
    let plain = ihead::internals::output::plain(message);
    assert!(!plain.is_empty() && !plain.contains('\n'), "{plain:?}");
}

/// A text that is read, written, read and written again: the same.
fn there_and_back<T>(text: &str) -> Option<T>
where
    T: std::str::FromStr + Display,
    T::Err: Display,
{
    let value = one_line(text.parse::<T>())?;
    let written = value.to_string();
    match written.parse::<T>() {
        Ok(again) => assert_eq!(again.to_string(), written, "{text:?} changes when it is written"),
        Err(error) => panic!("{text:?} was written as {written:?}, which is refused: {error}"),
    }
    Some(value)
}

/// A command line: an argument in each line.
pub fn overrides(bytes: &[u8]) {
    let args: Vec<String> = text(bytes).lines().map(String::from).collect();
    parsed(args);
}

fn parsed(args: Vec<String>) {
    match config::parse::<Args>(args) {
        Ok(parsed) => {
            // the settings as a file give the same settings
            let json = parsed.to_json();
            let again = Args::from_value(&json);
            assert!(again.is_ok(), "{json}");
            parsed.warnings.iter().for_each(|warning| is_one_line(&warning.to_string()));
        }
        Err(Exit::Fail(problems)) => problems.iter().for_each(|problem| is_one_line(&problem.to_string())),
        Err(_) => {}
    }
}

/// The file of `--config`.
pub fn config_file(bytes: &[u8]) {
    in_folder(|dir| {
        let path = dir.join("config.json");
        std::fs::write(&path, bytes).unwrap();
        parsed(vec!["--config".to_string(), path.display().to_string()]);
    });
}

/// Recalls, associations of weights and circuits.
pub fn recalls(bytes: &[u8]) {
    let text = text(bytes);
    there_and_back::<Association>(&text);
    there_and_back::<Recall>(&text);
    there_and_back::<Circuit>(&text);
}

/// Edits of sites.
pub fn edits(bytes: &[u8]) {
    let text = text(bytes);
    there_and_back::<Edit>(&text);
    if let Some(edits) = there_and_back::<Edits>(&text) {
        one_line(edits.check(&model(), SEQ));
    }
}

/// Timelines, the actions and the changes of weights in them.
pub fn timeline(bytes: &[u8]) {
    let text = text(bytes);
    there_and_back::<Action>(&text);
    there_and_back::<WeightEdit>(&text);
    one_line(Timeline::freeze_until(&text));
    if let Some(timeline) = there_and_back::<Timeline>(&text) {
        one_line(timeline.check(&model(), SEQ, &Edits::default(), Some(20)));
        for iteration in [0, 1, 19, 20, usize::MAX] {
            timeline.actions(iteration, Some(20)).count();
            timeline.learning_rate(iteration);
        }
    }
}

/// Schedules, and the other small texts of a run.
pub fn schedule(bytes: &[u8]) {
    let text = text(bytes);
    one_line(text.parse::<CheckpointEvery>());
    one_line(text.parse::<Resume>());
    one_line(text.parse::<First>());
    one_line(text.parse::<Transfer>());
    if let Some(schedule) = there_and_back::<Schedule>(&text) {
        one_line(schedule.check());
        for iteration in [0, 1, 1000, usize::MAX] {
            schedule.contains(iteration, Some(1000));
            schedule.contains(iteration, None);
        }
    }
}

/// Optimisers.
pub fn optimiser(bytes: &[u8]) {
    there_and_back::<Optim>(&text(bytes));
}

/// Axes of a sweep: a text in each line.
pub fn axes(bytes: &[u8]) {
    let texts: Vec<String> = text(bytes).lines().map(String::from).collect();
    if let Err(problems) = ihead::internals::sweep::axes(&texts, &Args::schema()) {
        problems.iter().for_each(|problem| is_one_line(&problem.to_string()));
    }
    if let Some(line) = texts.first() {
        parsed(vec!["--sweep".to_string(), line.clone()]);
    }
}

/// Runs something in a folder of its own.
fn in_folder(body: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    body(dir.path());
}

const SEQ: usize = 4;

fn model() -> Simplified<usize, usize, usize> {
    let args = SimplifiedArgs { dim: 2, max_length: SEQ, ..SimplifiedArgs::defaults() };
    Simplified::new(65, &args).unwrap().init(0)
}

/// A safetensors file: the weights of a model, or of a probe.
pub fn tensors(bytes: &[u8]) {
    in_folder(|dir| {
        let path = dir.join("weights.safetensors");
        std::fs::write(&path, bytes).unwrap();
        if let Some(tensors) = one_line(io::read(&path)) {
            // what was read is written and read again
            let again = dir.join("again.safetensors");
            let all = tensors.iter().map(|(name, array)| (name.as_str(), array.shape.clone(), &array.values));
            one_line(io::write(&again, all));
            let found = one_line(io::read(&again)).expect("what was written is read");
            assert_eq!(found.len(), tensors.len());
            // as a probe finds them
            found.names().iter().for_each(|name| drop(found.find_short(name)));
        }
        one_line(io::load(&path, &mut model()));
        one_line(io::load_matching(&path, "*", &mut model()));
    });
}

/// The files of a run with a checkpoint, by their names.
fn stopped_run() -> &'static [(String, Vec<u8>)] {
    static RUN: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    RUN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        small_run(&run, false).train(2).unwrap();
        let entries = std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.path().is_file());
        let content = |entry: std::fs::DirEntry| std::fs::read(entry.path()).unwrap();
        files.map(|entry| (entry.file_name().into_string().unwrap(), content(entry))).collect()
    })
}

fn small_run(dir: &Path, resume: bool) -> Run<Simplified<usize, usize, usize>> {
    // made once: it takes longer than the rest of an input
    static TASK: OnceLock<Arc<TriggerTask>> = OnceLock::new();
    let task = TASK.get_or_init(|| {
        let options = TriggerOptions { k: 1, seq_length: SEQ, ..Default::default() };
        Arc::new(TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).unwrap())
    });
    let batches = Batches::new(task.clone(), BatchOptions { batch_size: 1, seed: 0, workers: 1 }).unwrap();
    let run = Run::new(model(), batches).threads(1).quiet().save_to(dir);
    let run = run.checkpoint_every(CheckpointEvery::Never);
    if resume { run.resume() } else { run }
}

/// A checkpoint: the JSON of its metadata if the bytes begin with a brace; lines of `=NAME SIZE`, tensors that have so many
/// elements; else the whole file.
pub fn checkpoint(bytes: &[u8]) {
    let files = stopped_run();
    in_folder(|dir| {
        let run = dir.join("run");
        std::fs::create_dir(&run).unwrap();
        for (name, content) in files {
            if name != "checkpoint.safetensors" {
                std::fs::write(run.join(name), content).unwrap();
            } else if bytes.starts_with(b"{") {
                std::fs::write(run.join(name), changed(content, Some(&text(bytes)), &[])).unwrap();
            } else if bytes.starts_with(b"=") {
                let text = text(bytes);
                let sizes: Vec<(&str, usize)> = text.lines().filter_map(size).collect();
                std::fs::write(run.join(name), changed(content, None, &sizes)).unwrap();
            } else {
                std::fs::write(run.join(name), bytes).unwrap();
            }
        }
        // with a step more, if it can go on
        one_line(small_run(&run, true).train(3));
    });
}

/// `=NAME SIZE`, with few elements.
fn size(line: &str) -> Option<(&str, usize)> {
    let (name, size) = line.strip_prefix('=')?.rsplit_once(' ')?;
    Some((name, size.parse::<usize>().ok()? % 1000))
}

/// A safetensors file with another text in its metadata, and tensors of other sizes, which are zero.
fn changed(file: &[u8], json: Option<&str>, sizes: &[(&str, usize)]) -> Vec<u8> {
    let (length, content) = file.split_first_chunk().unwrap();
    let (header, tensors) = content.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
    if let Some(json) = json {
        header["__metadata__"]["ihead"] = json.into();
    }
    if !sizes.is_empty() {
        // without the checksum, which would be the first to be wrong
        let rest = header["__metadata__"]["ihead"].as_str().unwrap();
        let mut rest: serde_json::Value = serde_json::from_str(rest).unwrap();
        rest.as_object_mut().unwrap().remove("sum");
        header["__metadata__"]["ihead"] = rest.to_string().into();
    }
    let mut end = 0;
    let mut data = Vec::new();
    let header = header.as_object_mut().unwrap();
    for (name, _) in sizes.iter().filter(|(name, _)| *name != "__metadata__") {
        let new = || serde_json::json!({ "dtype": "F32", "shape": [0], "data_offsets": [0, 0] });
        header.entry(*name).or_insert_with(new);
    }
    for (name, entry) in header.iter_mut().filter(|(name, _)| *name != "__metadata__") {
        let offset = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
        let piece = &tensors[offset(0)..offset(1)];
        match sizes.iter().find(|(changed, _)| changed == name) {
            None => data.extend_from_slice(piece),
            Some((_, size)) => {
                let bytes = if entry["dtype"] == "F64" { 8 } else { 4 };
                data.resize(data.len() + bytes * size, 0);
                entry["shape"] = serde_json::json!([size]);
            }
        }
        entry["data_offsets"] = serde_json::json!([end, data.len()]);
        end = data.len();
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// The files of a run that others read: its records, `run.json`, `params.json` and `view.json`, parted by the character that ASCII has
/// for it, 0x1e. An empty part is the file as a run writes it.
pub fn records(bytes: &[u8]) {
    const NAMES: [&str; 4] = ["res.jsonl", "run.json", "params.json", "view.json"];
    let files = stopped_run();
    in_folder(|dir| {
        let run = dir.join("run");
        std::fs::create_dir(&run).unwrap();
        let mut parts = bytes.split(|byte| *byte == 0x1e);
        for name in NAMES {
            let given = parts.next().unwrap_or_default();
            let own = files.iter().find(|(found, _)| found == name);
            match (given, own) {
                ([], Some((_, content))) => std::fs::write(run.join(name), content).unwrap(),
                ([], None) => {}
                (given, _) => std::fs::write(run.join(name), given).unwrap(),
            }
        }
        let runs = one_line(find_runs(dir)).unwrap_or_default();
        assert!(table_of_runs(&runs).to_string().contains("status"));
        if let Some(page) = one_line(Page::of_runs(&[dir.to_owned()])) {
            assert!(page.html().contains("<html"));
        }
        if let Some(collected) = one_line(collect(&[dir], &Collect::default())) {
            collected.table.csv();
            collected.table.jsonl();
            collected.table.markdown();
        }
    });
}

/// A text of which bigrams are counted, and counts as JSON.
pub fn counts(bytes: &[u8]) {
    in_folder(|dir| {
        let path = dir.join("text");
        std::fs::write(&path, bytes).unwrap();
        let from_file = one_line(Counts::from_text(&path));
        if let Ok(text) = std::str::from_utf8(bytes) {
            assert_eq!(one_line(Counts::of(text)), from_file);
        } else {
            assert_eq!(from_file, None);
        }
        from_file.iter().for_each(drawn);
        if let Ok(counts) = serde_json::from_slice(bytes) {
            drawn(&counts);
        }
    });
}

/// Sequences of what was counted.
fn drawn(counts: &Counts) {
    let Some(data) = one_line(BigramData::new(counts)) else { return };
    let tokens: Vec<u32> = (0..data.vocab() as u32).collect();
    one_line(data.encode(&data.decode(&tokens)));
    assert!(tokens.iter().all(|token| data.cond(*token).iter().all(|p| p.is_finite())));
    let options = TriggerOptions { k: 1, seq_length: SEQ, ..Default::default() };
    if let Some(task) = one_line(TriggerTask::new(Arc::new(data), options)) {
        one_line(sample(&task, &mut NumpyRng::new(&[0]), 2));
    }
}
