//! What changes during a run, as one value.
use serde::{Deserialize, Serialize};

use crate::nn::ModuleExt;
use crate::{Error, Result};

/// A change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Parameters that this name or pattern (`*`) matches stop training.
    Freeze(String),
    /// They train, also if something else had frozen them.
    Release(String),
    /// The optimiser's step size.
    LearningRate(f64),
}

/// A change at the beginning of an iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The iteration, from 0.
    pub at: usize,
    /// The change.
    pub action: Action,
}

/// All that changes during a run, in order of time.
///
/// ```
/// use ihead::train::{Action, Timeline};
/// let timeline = Timeline::default()
///     .at(0, Action::Freeze("layers.*.attention.wk.weight".into()))
///     .at(300, Action::Release("layers.1.*".into()))
///     .at(300, Action::LearningRate(0.01));
/// assert_eq!(timeline.of(300).len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    events: Vec<Event>,
}

impl Timeline {
    /// The same timeline with one more change; changes of one iteration happen in the order in which they were added.
    pub fn at(mut self, at: usize, action: Action) -> Self {
        let place = self.events.partition_point(|event| event.at <= at);
        self.events.insert(place, Event { at, action });
        self
    }

    /// From `freeze_until`: `ITERATION:NAME,...` freezes each parameter from the start and releases it then.
    ///
    /// # Errors
    /// If the text is not of that form.
    ///
    /// ```
    /// use ihead::train::Timeline;
    /// let timeline = Timeline::freeze_until("100:layers.1.attention.wk.weight").unwrap();
    /// assert_eq!(timeline.events()[1].at, 100);
    /// assert!(Timeline::freeze_until("wk:100").is_err());
    /// ```
    pub fn freeze_until(text: &str) -> Result<Timeline> {
        let mut timeline = Timeline::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let parsed =
                entry.split_once(':').and_then(|(at, name)| Some((at.trim().parse().ok()?, name.trim())));
            let Some((at, name)) = parsed.filter(|(_, name)| !name.is_empty()) else {
                let message =
                    format!("'{entry}' is not ITERATION:NAME, as in 300:layers.1.attention.wk.weight");
                return Err(Error::Config { key: "freeze_until".into(), message });
            };
            timeline = timeline.at(0, Action::Freeze(name.into())).at(at, Action::Release(name.into()));
        }
        Ok(timeline)
    }

    /// The changes, in order of time.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The changes of one iteration.
    pub fn of(&self, iteration: usize) -> &[Event] {
        let start = self.events.partition_point(|event| event.at < iteration);
        let end = self.events.partition_point(|event| event.at <= iteration);
        &self.events[start..end]
    }

    /// Checks every name against the model.
    ///
    /// # Errors
    /// If a name or pattern matches no parameter: the nearest name is in the message.
    pub fn check(&self, model: &(impl ModuleExt + ?Sized)) -> Result<()> {
        for event in &self.events {
            if let Action::Freeze(name) | Action::Release(name) = &event.action {
                model.matching(name)?;
            }
        }
        Ok(())
    }
}
