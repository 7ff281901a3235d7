//! Computes metrics of a batch from the activations that an engine shows.
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::data::Batch;
use crate::engine::{AnyEngine, ParamSource, Read, RowLists, RowSet};
use crate::graph::{Graph, NodeId, site_and_head};
use crate::kernels::Element;
use crate::{Error, Result};

use super::attribution::{self, Against, Term};
use super::observation::{Columns, Observation, Places, Resolved, ResolvedMeasure, ResolvedNorm, Row};
use super::{Counter, Head, Key, Measure, Measurements, Metric, Select, Sequence, check_name};

/// What an engine has to show.
const SHOWN: &str = "all that they read";
const VOCABULARY: &str = "the model's vocabulary";

/// A list of metrics, prepared for one graph.
///
/// It says what an engine has to show ([`reads`](Self::reads), only the positions that a metric reads), and turns
/// what the engine shows into [`Measurements`]. Predictions and patterns are measured one sequence
/// at a time, while an engine runs the batch. The CPU engine never holds them for a whole batch. The dfdx engine holds those
/// of a micro-batch, which on a GPU is mostly the whole batch. The record has the same bits whatever the number of threads.
///
/// ```
/// use ihead::data::Batch;
/// use ihead::engine::{Engine, ParamSource, Request};
/// use ihead::graph::Graph;
/// use ihead::probe::{Evaluation, Metric, Measurements, Select};
///
/// fn accuracies(
///     graph: &Graph,
///     engine_for: impl Fn(&Graph, Request) -> Box<dyn Engine<f32>>,
///     params: &dyn ParamSource<f32>,
///     batch: &Batch,
/// ) -> ihead::Result<Measurements> {
///     let metrics = vec![Metric::accuracy("acc_end").over(Select::marks(2..).and(Select::last(500)))];
///     let evaluation = Evaluation::new(metrics, graph, 0)?; // once
///     let request = Request::reads(evaluation.reads().to_vec());
///     let mut engine = engine_for(evaluation.graph(graph), request);
///     let rows = evaluation.rows(batch); // at each batch
///     let pass = evaluation.pass(batch, &rows);
///     engine.run(params, batch, &rows, &|i, reads| pass.observe(i, reads))?;
///     pass.finish()
/// }
/// ```
#[derive(Clone)]
pub struct Evaluation {
    metrics: Vec<Metric>,
    /// The graph with the nodes that metrics added to it, if they did.
    extended: Option<Graph>,
    resolved: Vec<Resolved>,
    places: Places,
    reads: Vec<(NodeId, RowSet)>,
    /// The choice of each `RowSet::Set`, from `first_set` on.
    sets: Vec<Select>,
}

impl Evaluation {
    /// Metrics of the model that `graph` records. The positions to show are the sets `first_set..` of the engine's
    /// run.
    ///
    /// # Errors
    /// Two metrics of one name, or one without a name; a head whose site the graph lacks, is no pattern, or has fewer
    /// heads; a term or a token that the logits have not; a predictor of another vocabulary.
    pub fn new(metrics: impl IntoIterator<Item = Metric>, graph: &Graph, first_set: usize) -> Result<Self> {
        let metrics: Vec<Metric> = metrics.into_iter().collect();
        for (i, metric) in metrics.iter().enumerate() {
            check_name(metric.name())?;
            if metrics[..i].iter().any(|other| other.name() == metric.name()) {
                return Err(Error::duplicate("metrics", metric.name()));
            }
        }
        let mut extended = None;
        let mut terms = Vec::new();
        if metrics.iter().any(|metric| matches!(metric.measure(), Measure::Logit { term: Some(_), .. })) {
            terms = attribution::split(extended.insert(graph.clone()));
        }
        let graph = extended.as_ref().unwrap_or(graph);
        let mut wanted =
            Wanted { graph, terms, reads: Vec::new(), places: Places::default(), heads: Vec::new() };
        let resolved = metrics.iter().map(|metric| wanted.metric(metric)).collect::<Result<_>>()?;
        let Wanted { reads: wanted, places, .. } = wanted;
        let (mut reads, mut sets) = (Vec::new(), Vec::new());
        for (node, select) in wanted {
            reads.push(match select {
                // an engine does less for all positions than for nearly all of them, which it would pick
                select if select.has_all_marks() => (node, RowSet::All),
                select => {
                    sets.push(select);
                    (node, RowSet::Set(first_set + sets.len() - 1))
                }
            });
        }
        Ok(Evaluation { metrics, extended, resolved, places, reads, sets })
    }

    /// The graph that the engine has to run: `graph`, the one that this evaluation was made for, or the same with what
    /// the metrics add to it ([`attribution`]).
    pub fn graph<'a>(&'a self, graph: &'a Graph) -> &'a Graph {
        self.extended.as_ref().unwrap_or(graph)
    }

    /// The metrics of the list, in order.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// What the engine has to show, for [`Request::reads`](crate::engine::Request::reads).
    pub fn reads(&self) -> &[(NodeId, RowSet)] {
        &self.reads
    }

    /// The positions to show for a batch: the sets `first_set..` of the run.
    pub fn rows(&self, batch: &Batch) -> Vec<RowLists> {
        self.sets.iter().map(|select| select.rows(batch)).collect()
    }

    /// A run over `batch`; `rows` are the lists that are given to the engine, all of them.
    pub fn pass<'a>(&'a self, batch: &'a Batch, rows: &'a [RowLists]) -> Pass<'a> {
        let slots = (0..batch.batch).map(|_| Mutex::new(Slot::Unseen)).collect();
        Pass { evaluation: self, batch, rows, slots }
    }

    /// Runs an engine for [`graph`](Self::graph) that shows [`reads`](Self::reads) over a batch, with these lists of positions, and returns its
    /// loss, if it has one, and the metrics.
    ///
    /// # Errors
    /// Those of the engine, and of [`Pass::finish`].
    pub(crate) fn run<P>(
        &self,
        engine: &mut AnyEngine,
        params: &P,
        batch: &Batch,
        rows: &[RowLists],
    ) -> Result<(f64, Measurements)>
    where
        P: ParamSource<f32> + ParamSource<f64>,
    {
        let pass = self.pass(batch, rows);
        let loss = match engine {
            AnyEngine::Single(engine) => {
                engine.run(params, batch, rows, &|i, reads| pass.observe(i, reads))?
            }
            AnyEngine::Double(engine) => {
                engine.run(params, batch, rows, &|i, reads| pass.observe(i, reads))?
            }
        };
        Ok((loss, pass.finish()?))
    }

    /// The means of counters, in the order of the metrics: those of [`Pass::counters`], or of several merged.
    pub fn record(&self, counters: &[Counter]) -> Measurements {
        let mut record = Measurements::new();
        for (metric, counter) in self.metrics.iter().zip(counters) {
            record.insert(metric.name(), metric.unit(), counter.mean());
        }
        record
    }

    fn count<E: Element>(&self, sequence: Sequence<'_>, reads: &[Read<'_, E>]) -> Result<Vec<Counter>> {
        let mut observation = Observation::new(sequence, reads, &self.places);
        let mut count = |(metric, resolved): (&Metric, &Resolved)| {
            let counted = observation.count(resolved);
            counted.map_err(|error| error.of_part(format!("metric '{}'", metric.name())))
        };
        self.metrics.iter().zip(&self.resolved).map(&mut count).collect()
    }
}

impl fmt::Debug for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluation")
            .field("metrics", &self.metrics)
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}

/// What was learnt of a sequence.
enum Slot {
    Unseen,
    Counted(Vec<Counter>),
    Failed(Error),
}

/// The measurement of one run of an engine over a batch.
pub struct Pass<'a> {
    evaluation: &'a Evaluation,
    batch: &'a Batch,
    rows: &'a [RowLists],
    slots: Vec<Mutex<Slot>>,
}

impl Pass<'_> {
    /// Measures sequence `i`: an engine's observer. `reads` are the activations of [`Evaluation::reads`].
    ///
    /// Sequences may come in any order and from several threads; each leaves its own sums. What does not fit is told
    /// by [`counters`](Self::counters).
    pub fn observe<E: Element>(&self, i: usize, reads: &[Read<'_, E>]) {
        let Some(slot) = self.slots.get(i) else { return };
        let counted =
            self.check(i, reads).and_then(|()| self.evaluation.count(Sequence::of(self.batch, i), reads));
        let found = counted.map_or_else(Slot::Failed, Slot::Counted);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// Whether the engine shows what was asked for.
    fn check<E>(&self, i: usize, reads: &[Read<'_, E>]) -> Result<()> {
        let wanted = &self.evaluation.reads;
        if reads.len() != wanted.len() {
            return Err(Error::shape("activations read by the metrics", &[wanted.len()], &[reads.len()]));
        }
        for (read, (_, rows)) in reads.iter().zip(wanted) {
            let missing = match *rows {
                RowSet::All => missing(0..self.batch.seq as u32, read.positions),
                RowSet::Set(set) => match self.rows.get(set).filter(|list| i < list.sequences()) {
                    Some(list) => missing(list.sequence(i).iter().copied(), read.positions),
                    None => {
                        return Err(Error::misfit("metrics", format!("no positions of set {set}"), SHOWN));
                    }
                },
            };
            if let Some(t) = missing {
                let found = format!("position {t} of sequence {i} was not shown");
                return Err(Error::misfit("metrics", found, SHOWN));
            }
        }
        let (_, targets, _) = self.batch.sequence(i);
        let vocab = self.evaluation.places.logits.map(|logits| reads[logits].cols);
        let Some(vocab) = vocab else { return Ok(()) };
        let fits = targets.iter().try_for_each(|y| check_token(*y, vocab));
        fits.map_err(|error| error.of_part(format!("sequence {i}")))
    }

    /// The sums of each metric, added in the order of the sequences.
    ///
    /// # Errors
    /// If a sequence was not shown, or not as it was asked for, a predictor's answer is no distribution, or a rule's token is not of
    /// the model's vocabulary.
    pub fn counters(self) -> Result<Vec<Counter>> {
        let evaluation = self.evaluation;
        let mut sums = vec![Counter::default(); evaluation.metrics.len()];
        for (i, slot) in self.slots.into_iter().enumerate() {
            let counters = match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Slot::Counted(counters) => counters,
                // nothing was asked for, so nothing was shown
                Slot::Unseen if evaluation.reads.is_empty() => {
                    evaluation.count::<f32>(Sequence::of(self.batch, i), &[])?
                }
                Slot::Unseen => {
                    return Err(Error::misfit("metrics", format!("sequence {i} was not shown"), SHOWN));
                }
                Slot::Failed(error) => return Err(error),
            };
            sums.iter_mut().zip(counters).for_each(|(sum, counter)| sum.merge(counter));
        }
        Ok(sums)
    }

    /// The mean of each metric.
    ///
    /// # Errors
    /// Those of [`counters`](Self::counters).
    pub fn finish(self) -> Result<Measurements> {
        let evaluation = self.evaluation;
        Ok(evaluation.record(&self.counters()?))
    }
}

/// Refuses a token that a vocabulary of this size has not.
pub(super) fn check_token(token: u32, vocab: usize) -> Result<()> {
    match token as usize {
        token if token < vocab => Ok(()),
        token => Err(Error::index("token", token, VOCABULARY, vocab)),
    }
}

/// The first of the wanted positions that is not shown; an engine may show more. Both rise.
fn missing(mut wanted: impl Iterator<Item = u32>, shown: &[u32]) -> Option<u32> {
    let mut shown = shown.iter();
    wanted.find(|t| !shown.any(|s| s == t))
}

/// Gathers what the metrics read.
struct Wanted<'a> {
    graph: &'a Graph,
    terms: Vec<Term>,
    reads: Vec<(NodeId, Select)>,
    places: Places,
    heads: Vec<Head>,
}

impl Wanted<'_> {
    fn metric(&mut self, metric: &Metric) -> Result<Resolved> {
        let select = metric.select();
        let measure = match metric.measure() {
            Measure::Loss => self.of_logits(select, ResolvedMeasure::Loss),
            Measure::Accuracy => self.of_logits(select, ResolvedMeasure::Accuracy),
            Measure::TopK(0) => {
                return Err(Error::value(format!("k of metric '{}'", metric.name()), 0, "at least 1"));
            }
            Measure::TopK(k) => self.of_logits(select, ResolvedMeasure::TopK(*k)),
            Measure::Rank => self.of_logits(select, ResolvedMeasure::Rank),
            Measure::Probability => self.of_logits(select, ResolvedMeasure::Probability),
            Measure::Entropy => self.of_logits(select, ResolvedMeasure::Entropy),
            Measure::Kl(predictor) => {
                let fits = predictor.check(self.graph.vocab());
                fits.map_err(|error| error.of_part(format!("metric '{}'", metric.name())))?;
                self.of_logits(select, ResolvedMeasure::Kl(predictor.clone()))
            }
            Measure::Margin => self.logit(None, &Against::BestOther, select)?,
            Measure::Logit { term, against } => self.logit(term.as_deref(), against, select)?,
            Measure::Share(of) => ResolvedMeasure::Share(of.clone()),
            Measure::Norm { site } => ResolvedMeasure::Norm(self.stream(site, select)?),
            Measure::By { site, rule, .. } => {
                let row = match site {
                    Some(site) => self.row(site, select)?,
                    None => {
                        let read = self.logits(select);
                        Row::Columns(Columns { read, first: 0, width: self.graph.vocab() })
                    }
                };
                ResolvedMeasure::By { row, rule: rule.clone() }
            }
            Measure::Attention { head, key, by, through } => {
                let through = through.as_ref().map(|other| self.head(other, select)).transpose()?;
                // from where `through` looks, any position may be the query
                let queries = if through.is_some() { &Select::All } else { select };
                if matches!(key, Key::PredictedToken) {
                    self.want_logits(queries);
                }
                let head = self.head(head, queries)?;
                ResolvedMeasure::Attention { head, key: key.clone(), by: *by, through }
            }
        };
        Ok(Resolved { measure, select: select.clone() })
    }

    fn want_logits(&mut self, select: &Select) {
        self.places.logits = Some(self.logits(select));
    }

    /// The number of the read of the logits, which are wanted at these positions.
    fn logits(&mut self, select: &Select) -> usize {
        self.read(self.graph.logits(), select)
    }

    /// The rows of a stream, or those of head 2 of a pattern for `site[2]`, which are wanted at these positions.
    fn row(&mut self, site: &str, select: &Select) -> Result<Row> {
        let (name, head) = site_and_head(site)?;
        if !self.graph.is_pattern(self.site(name)?) {
            return self.stream(site, select).map(Row::Columns);
        }
        let Some(head) = head else {
            let one = format!("one head of it, as '{name}[0]'");
            return Err(Error::misfit(format!("site '{site}'"), "an attention pattern", one));
        };
        self.head(&Head::new(name, head), select).map(Row::Head)
    }

    /// The columns of a stream, whose rows are wanted at these positions: all of them, or those of head 2 of `site[2]`.
    fn stream(&mut self, site: &str, select: &Select) -> Result<Columns> {
        let (name, head) = site_and_head(site)?;
        let node = self.site(name)?;
        let recorded = &self.graph.nodes()[node.index()];
        if recorded.op.is_pattern() {
            return Err(Error::misfit(format!("site '{site}'"), "an attention pattern", "a stream"));
        }
        let (heads, head) = match head {
            None => (1, 0),
            Some(head) => {
                let named = "a stream that `forward` names with its heads";
                let heads = self.graph.heads(node);
                let without = || Error::misfit(format!("site '{site}'"), "a stream without heads", named);
                (heads.ok_or_else(without)?, head)
            }
        };
        if head >= heads {
            return Err(Error::index("head", head, format!("'{name}'"), heads));
        }
        let width = recorded.cols / heads;
        Ok(Columns { read: self.read(node, select), first: head * width, width })
    }

    /// A measure of the logits at these positions.
    fn of_logits(&mut self, select: &Select, measure: ResolvedMeasure) -> ResolvedMeasure {
        self.want_logits(select);
        measure
    }

    fn logit(&mut self, term: Option<&str>, against: &Against, select: &Select) -> Result<ResolvedMeasure> {
        if let Against::Token(token) = *against {
            check_token(token, self.graph.vocab())?;
        }
        self.want_logits(select);
        let against = against.clone();
        let Some(name) = term else { return Ok(ResolvedMeasure::Logit { read: None, norm: None, against }) };
        let known = self.terms.iter().map(|term| term.name.as_str());
        let term = self.terms.iter().find(|term| term.name == name);
        let term = term.ok_or_else(|| Error::unknown("term of the logits", name, known))?.clone();
        let norm = term.norm.map(|norm| ResolvedNorm {
            term: self.read(norm.term, select),
            whole: self.read(norm.whole, select),
            eps: norm.eps,
            size: norm.size,
        });
        Ok(ResolvedMeasure::Logit { read: Some(self.read(term.logits, select)), norm, against })
    }

    /// What the model computes under this name.
    fn site(&self, name: &str) -> Result<NodeId> {
        let names = self.graph.sites().keys().map(String::as_str);
        self.graph.site(name).ok_or_else(|| Error::unknown("site", name, names))
    }

    /// The number of a head, whose rows are wanted at these positions.
    fn head(&mut self, head: &Head, select: &Select) -> Result<usize> {
        let (graph, Head { site, head: number }) = (self.graph, head);
        let node = self.site(site)?;
        let recorded = &graph.nodes()[node.index()];
        if !recorded.op.is_pattern() {
            return Err(Error::misfit(format!("site '{site}'"), "a stream", "an attention pattern"));
        }
        if *number >= recorded.cols {
            return Err(Error::index("head", *number, format!("'{site}'"), recorded.cols));
        }
        let read = self.read(node, select);
        let place = self.heads.iter().position(|known| known == head);
        Ok(place.unwrap_or_else(|| {
            self.heads.push(head.clone());
            self.places.heads.push((read, *number));
            self.heads.len() - 1
        }))
    }

    /// The number of a read, which is wanted at these positions too.
    fn read(&mut self, node: NodeId, select: &Select) -> usize {
        let place = self.reads.iter().position(|(known, _)| *known == node);
        if let Some(place) = place {
            let known = &mut self.reads[place].1;
            *known = std::mem::replace(known, Select::All).or(select.clone());
            return place;
        }
        self.reads.push((node, select.clone()));
        self.reads.len() - 1
    }
}
