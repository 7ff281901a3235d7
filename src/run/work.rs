//! The work of a run, the same for every model.
use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::data::{Batches, Loader, LoaderOptions};
use crate::engine::Request;
use crate::graph::AnyModel;
use crate::nn::{ModuleExt, check_writable};
use crate::output::counted;
use crate::train::{Compute, Progress, Subject, Training};
use crate::{Error, Result};

use super::checkpoint::{Checkpoint, Written};
use super::folder::{self, Found};
use super::identity;
use super::inspect::check_length;
use super::looks::Looks;
use super::outputs::{Content, Outputs};
use super::probes::{Probes, Wanted};
use super::recorder::{Recorder, Watch};
use super::screen::{End, Screen};
use super::signals::Watching;
use super::{
    Cause, CheckpointEvery, Earlier, Estimate, History, Logging, Needs, Part, RunInfo, Schedule, Seeds,
    Status, same,
};

/// All of a run but its model; it is compiled once, for every model.
pub(super) struct Work {
    pub training: Training,
    pub batches: Batches,
    pub wanted: Wanted,
    pub schedule: Schedule,
    pub logging: Logging,
    pub dir: Option<PathBuf>,
    pub earlier: Earlier,
    pub events: bool,
    pub every: CheckpointEvery,
    pub settings: Option<String>,
    /// Sequences whose activations are written at the end.
    pub exp: usize,
    /// The report and figures that are made at the end.
    pub looks: Looks,
    /// Metrics of fixed batches that select no position are warned of; those of the paper's programs may select none.
    pub warns_of_empty: bool,
    pub started: Option<Started>,
}

/// What the checks before the first step have made.
pub(super) struct Checked {
    pub probes: Probes,
    /// What the run will hold in memory.
    pub estimate: Estimate,
}

/// What is open once the first step is taken.
pub(super) struct Started {
    loader: Loader,
    recorder: Recorder,
    /// Steps that have been asked for.
    asked: usize,
    /// Whether the last of them failed.
    failed: bool,
}

impl Work {
    /// With the defaults of [`Run::new`](super::Run::new).
    pub fn new(batches: Batches) -> Work {
        Work {
            training: Training::default(),
            batches,
            wanted: Wanted::default(),
            schedule: Schedule::every(25).and_last(),
            logging: Logging::default(),
            dir: None,
            earlier: Earlier::Refuse,
            events: false,
            every: CheckpointEvery::default(),
            settings: None,
            exp: 0,
            looks: Looks::default(),
            warns_of_empty: true,
            started: None,
        }
    }

    /// [`Run::train_watched`].
    pub fn go_on(&mut self, subject: &mut dyn Subject, steps: Option<usize>) -> Result<History> {
        let before = self.started.as_ref().map_or(0, |started| started.asked);
        let asked = steps.map_or(usize::MAX, |steps| before.saturating_add(steps));
        if let Some(whole) = self.training.whole.filter(|whole| asked > *whole) {
            let found = if steps.is_some() { &format!("{asked} in all") } else { "until it is stopped" };
            return Err(Error::value("steps", found, format!("at most {whole}, as `Run::steps` says")));
        }
        if let Some(started) = &mut self.started {
            if steps.is_none() {
                self.training.timeline.check_times(None)?;
            }
            if started.failed {
                // an engine in which the user's code has panicked has lost its buffers
                let (model, edits) = (subject.model(), &self.training.edits);
                Error::or_panicked("the run", || started.recorder.probes.reopen(model, edits))?;
                (started.failed, started.recorder.before) = (false, None);
            }
        }
        let mut started = match self.started.take() {
            Some(started) => started,
            None => {
                let model = subject.model_mut();
                // it records the model, draws batches and asks the loss where it is
                Error::or_panicked("the run, before its first step,", || {
                    check_writable(model)?;
                    check_length("the task", self.batches.task().seq_length(), model)?;
                    self.training.check(model, &self.batches, self.training.whole.or(steps))?;
                    self.start(model)
                })?
            }
        };
        if let Some(outputs) = &mut started.recorder.outputs
            && outputs.info.ended.take().is_some()
        {
            (outputs.info.status, outputs.info.error) = (Status::Running, None);
            outputs.describe()?;
        }
        let watching = started.recorder.outputs.is_some().then(Watching::begin);
        let done = self.training.cursor().iteration;
        started.asked = asked;
        let seq = self.batches.task().seq_length();
        let left = steps.map(|_| asked.saturating_sub(done));
        let progress = if self.logging.lines { Progress::new(left) } else { Progress::silent() };
        if left == Some(0) && done > 0 {
            progress.line(&format!(
                "{} taken before, {asked} asked for: nothing is left to do",
                counted(done, "iteration")
            ))?;
        }
        let table = self.logging.lines && !self.logging.paper;
        let mut screen = if table { Screen::of_terminal() } else { None };
        let began = Instant::now();
        let recorder = &mut started.recorder;
        let mut watch = Watch { recorder, progress, screen: &mut screen, steps: asked, subject };
        let trained = self.training.steps(&mut watch, seq, &mut started.loader, asked);
        drop(watch);
        if trained.is_err() {
            // what was asked for and not taken is not asked for any more
            started.asked = self.training.cursor().iteration;
            started.failed = true;
        }
        let ended = started.recorder.end(subject.model(), &self.training, &started.loader, trained);
        drop(watching);
        let history = started.recorder.history.clone();
        let dir = started.recorder.outputs.as_ref().map(|outputs| outputs.dir().to_owned());
        self.started = Some(started);
        if ended.as_ref().err().is_none_or(|error| error.stop().is_some()) {
            // a run that was stopped says so, whatever else fails; and what cannot be shown of a run is no failure of it
            let looked = self.look(subject.model());
            ended.and(looked)?;
        } else {
            ended?;
        }
        let (steps, last) = (self.training.cursor().iteration, history.records().last());
        let lines = screen.map(|screen| {
            let end =
                End { steps, took: began.elapsed(), last: last.map(|(_, r)| r), report: self.looks.report };
            screen.end(&end, dir.as_deref())
        });
        lines.into_iter().flatten().try_for_each(crate::output::line)?;
        Ok(history)
    }

    /// Says in `run.json` what the files have taken that are written after the run's end.
    pub fn written(&mut self) -> Result<()> {
        let outputs = self.started.as_mut().and_then(|started| started.recorder.outputs.as_mut());
        outputs.map_or(Ok(()), |outputs| {
            outputs.info.peak_memory = crate::memory::peak();
            outputs.describe()
        })
    }

    /// Says in `run.json` that a file that belongs to the run could not be written after its end.
    pub fn failed(&mut self, error: Error) -> Error {
        let outputs = self.started.as_mut().and_then(|started| started.recorder.outputs.as_mut());
        if let Some(outputs) = outputs {
            outputs.info.status = Status::Failed;
            outputs.info.error = Some(error.to_string());
            let _ = outputs.describe();
        }
        error
    }

    /// Refuses what is written into the folder of a run, or read of it, in a run without one.
    fn check_folder(&self) -> Result<()> {
        let asked = [
            ("report", self.looks.report),
            ("figures", self.looks.figures),
            ("resume", self.earlier == Earlier::Resume),
            ("tensorboard", self.events),
            ("snapshots of the timeline", self.training.timeline.takes_snapshots()),
        ];
        match asked.into_iter().find(|(_, asked)| *asked && self.dir.is_none()) {
            Some((what, _)) => {
                Err(Error::value(what, "asked for", "the folder of a run: `save_to`, or save_dir=..."))
            }
            None => Ok(()),
        }
    }

    /// Checks everything, then makes the files.
    fn start(&mut self, model: &mut dyn AnyModel) -> Result<Started> {
        let Checked { mut probes, estimate } = self.check(model)?;
        self.check_folder()?;
        if let Some(dir) = self.dir.as_ref().filter(|_| self.looks.wanted()) {
            // what the report would refuse at the end; a file that is not of the run stays, even if the run replaces another
            crate::io::own_snapshots(dir)?;
        }
        self.prepare_looks()?;
        if self.warns_of_empty {
            self.wanted.warn_of_empty();
        }
        // what is compared when the run is continued, which a run without a folder is not
        let identity = if self.dir.is_some() { self.identity(model)? } else { Value::Null };
        self.training.prepare(model)?;
        let mut written = Written::default();
        let (mut batches, mut history) = (self.batches.clone(), History::default());
        let outputs = match self.dir.clone() {
            None => None,
            Some(dir) if self.earlier.resumes() && folder::look(&dir)? == Found::Run => {
                let (folder, checkpoint) = Outputs::open(&dir)?;
                same::check(&dir, &checkpoint.rest.settings, &identity)?;
                batches = batches.resume(&checkpoint.rest.data)?;
                written = checkpoint.rest.written.clone();
                history = History::read(&folder.path().join("res.jsonl"), &written)?;
                let cursor = checkpoint.rest.cursor;
                Outputs::check_what_stays(folder.path(), cursor, model)?;
                checkpoint.restore(model, &mut self.training)?;
                probes.reopen(model, &self.training.edits)?;
                let info = self.describe(model, &estimate, &probes)?;
                Some(Outputs::reopen(folder, cursor, &written, self.events, info)?)
            }
            Some(dir) if self.earlier == Earlier::Resume => {
                let mend = "resume=auto begins one where there is none";
                return Err(Error::folder(dir, "holds no run to continue", mend));
            }
            Some(dir) => {
                let position = self.batches.position();
                let checkpoint =
                    Checkpoint::of(model, &self.training, position, Written::default(), identity.clone())?;
                let content = Content {
                    params: self.settings.as_deref(),
                    snapshots: self.training.timeline.takes_snapshots(),
                    events: self.events,
                    checkpoint: &checkpoint,
                };
                let info = self.describe(model, &estimate, &probes)?;
                Some(Outputs::create(&dir, self.earlier, &content, info)?)
            }
        };
        let loader = Loader::new(batches, LoaderOptions::default())?;
        let (schedule, logging) = (self.schedule.clone(), self.logging.clone());
        let recorder = Recorder {
            schedule,
            probes,
            logging,
            outputs,
            history,
            before: None,
            done: self.training.cursor().iteration,
            unmeasured: false,
            began: Instant::now(),
            written,
            every: self.every,
            identity,
        };
        Ok(Started { loader, recorder, asked: 0, failed: false })
    }

    /// What may not change when the run is continued: the settings of the program, and what they have made.
    fn identity(&self, model: &dyn AnyModel) -> Result<Value> {
        let options = self.batches.options();
        let (first_batch, few) = identity::first_of(self.batches.clone())?;
        let mut run = Value::Object(self.made_of());
        run["precision"] = format!("{:?}", self.training.compute.precision).into();
        run["batches"] =
            json!({ "size": options.batch_size, "seed": options.seed, "workers": options.workers });
        let graph = self.training.graph(model, self.batches.task().seq_length())?;
        run[same::GRAPH] = graph.to_string().lines().collect::<Value>();
        run[same::FIRST_BATCH] = first_batch.into();
        run[same::LOSS] = identity::of_loss(model, &graph, &self.training, &few)?;
        let trains: Vec<String> = model.training().into_iter().map(|(name, _)| name).collect();
        run[same::TRAINS] = trains.join(", ").into();
        let mut identity = self.program_settings()?;
        identity["run"] = run;
        Ok(identity)
    }

    /// The settings of the program, an object: an empty one, if it gives none.
    fn program_settings(&self) -> Result<Value> {
        let settings = self.settings.as_deref().map_or_else(|| Ok(json!({})), serde_json::from_str::<Value>);
        let found = match settings {
            Ok(settings) if settings.is_object() => return Ok(settings),
            Ok(_) => "no object".to_owned(),
            Err(error) => format!("not JSON: {error}"),
        };
        Err(Error::value("settings", found, "an object in JSON, as `settings_json` writes it"))
    }

    /// Checks everything but the timeline, which its callers have checked, without touching a file.
    pub fn check(&self, model: &dyn AnyModel) -> Result<Checked> {
        let (training, task) = (&self.training, self.batches.task());
        let seq = task.seq_length();
        check_length("the task", seq, model)?;
        training.optim.check(model)?;
        self.schedule.check()?;
        self.every.check()?;
        let settings = self.program_settings()?;
        let graph = training.graph(model, seq)?;
        training.check_values(model, &graph)?;
        if task.vocab() > graph.vocab() {
            let (found, most) = (format!("{} tokens", task.vocab()), graph.vocab());
            return Err(Error::misfit(
                task.name(),
                found,
                format!("at most the {most} of the model's vocabulary"),
            ));
        }
        self.wanted.check(model, &settings)?;
        for (entry, edits) in training.timeline.edited(&training.edits) {
            self.wanted.check_edited(model, seq, &edits).map_err(|error| error.of_part(entry))?;
        }
        let estimate = self.estimate(model)?;
        estimate.check(|part| match part {
            Part::Weights => Cause::new("model", "all its weights"),
            Part::Sequence => Cause::new("seq_length", format!("{seq} tokens a sequence")),
            Part::Batches => {
                let batch = self.batches.options().batch_size;
                Cause::new("batch_size", format!("{batch} sequences of {seq} tokens"))
            }
        })?;
        training.compute.engine(&graph, &Request::default(), &|_| false)?;
        let probes = self.wanted.clone().open(model, seq, training)?;
        Ok(Checked { probes, estimate })
    }

    /// What it will hold in memory.
    fn estimate(&self, model: &dyn AnyModel) -> Result<Estimate> {
        let training = &self.training;
        let needs = Needs {
            seq: self.batches.task().seq_length(),
            batch: self.batches.options().batch_size,
            sets: self.wanted.sets.iter().map(|set| (set.batch.batch, set.batch.seq)).collect(),
            evaluates: !self.wanted.training.is_empty(),
            exp: self.exp,
            optim: &training.optim,
            changes_gradients: !training.gradient_rules.is_empty(),
            loss: &training.loss,
            timeline: &training.timeline,
            edits: &training.edits,
            compute: training.compute,
            on_divergence: training.on_divergence,
            keeps: self.dir.is_some(),
        };
        Estimate::of(model, &needs)
    }

    /// What the run is made of, as `run.json` has it.
    fn made_of(&self) -> Map<String, Value> {
        let (training, task) = (&self.training, self.batches.task());
        let made_of = json!({
            "task": { "name": task.name(), "vocab": task.vocab(), "seq_length": task.seq_length() },
            "optim": training.optim.to_string(),
            "loss": training.loss,
            "timeline": training.timeline,
            "edits": training.edits,
            "schedule": self.schedule,
        });
        let mut made_of = made_of.as_object().cloned().unwrap_or_default();
        if !training.gradient_rules.is_empty() {
            made_of.insert("gradient_rules".into(), training.gradient_rules.words().into());
        }
        made_of
    }

    /// What `run.json` says of a run that begins.
    fn describe(&self, model: &dyn AnyModel, estimate: &Estimate, probes: &Probes) -> Result<RunInfo> {
        let settings = self.program_settings()?;
        let Compute { device, threads, precision } = self.training.compute.on_cores();
        Ok(RunInfo {
            device: format!("{device:?}").to_lowercase(),
            precision: format!("{precision:?}").to_lowercase(),
            threads,
            seeds: Seeds {
                data: self.batches.options().seed,
                weights: settings.get("seed").and_then(Value::as_u64),
            },
            made_of: self.made_of(),
            estimated_memory: Some(estimate.bytes() as u64),
            chances: probes.chances(model)?,
            recalls: probes.recalls(),
            ..RunInfo::begin()
        })
    }
}
