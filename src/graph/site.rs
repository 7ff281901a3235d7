//! Names of activations.
use crate::backend::Dim;

use super::ir::{Edit, Op};
use super::pattern::Pattern;
use super::record::Recorder;
use super::stream::Stream;

/// A place in the model, such as `layers.0.attention`, under which activations are named.
///
/// A named activation can be read, ablated, clamped or scaled by its name ([`super::record_with`]); a name costs nothing
/// where nobody asks for it.
///
/// ```
/// use ihead::backend::Dim;
/// use ihead::graph::{Site, Stream};
///
/// /// Named `NAME.ff.hidden`, `NAME` being the place that the caller gives.
/// fn hidden<T: Dim, D: Dim>(x: &Stream<T, D>, site: &Site) -> Stream<T, D> {
///     site.at("ff").stream("hidden", x.relu())
/// }
/// ```
#[derive(Clone)]
pub struct Site {
    recorder: Recorder,
    path: String,
}

impl Site {
    pub(crate) fn root(recorder: Recorder) -> Site {
        Site { recorder, path: String::new() }
    }

    /// The place `name` inside this one.
    pub fn at(&self, name: impl std::fmt::Display) -> Site {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Site { recorder: self.recorder.clone(), path }
    }

    /// The recorder of this forward pass: where parameters become weights.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Names a stream; what comes back is the stream after the edit of this site, if there is one.
    pub fn stream<T: Dim, D: Dim>(&self, name: &str, x: Stream<T, D>) -> Stream<T, D> {
        let path = self.at(name).path;
        let x = match self.recorder.edit(&path) {
            Some(Edit::Ablate) => {
                let id = self.recorder.graph_mut().node(Op::Zero, x.dim().size());
                Stream::new(self.recorder.clone(), id, x.seq(), x.dim())
            }
            Some(Edit::Scale(by)) => x.scale(by),
            Some(Edit::PreviousToken | Edit::Induction) | None => x,
        };
        self.recorder.graph_mut().sites.insert(path, x.id());
        x
    }

    /// Names a pattern; what comes back is the pattern after the edit of this site, if there is one.
    pub fn pattern<T: Dim>(&self, name: &str, pattern: Pattern<T>) -> Pattern<T> {
        let path = self.at(name).path;
        let heads = pattern.heads();
        let op = match self.recorder.edit(&path) {
            Some(Edit::PreviousToken) => Some(Op::PreviousPattern { heads }),
            Some(Edit::Induction) => Some(Op::InductionPattern { heads }),
            Some(Edit::Ablate | Edit::Scale(_)) | None => None,
        };
        let pattern = match op {
            Some(op) => {
                let id = self.recorder.graph_mut().node(op, heads);
                Pattern::new(self.recorder.clone(), id, pattern.seq(), heads)
            }
            None => pattern,
        };
        self.recorder.graph_mut().sites.insert(path, pattern.id());
        pattern
    }
}
