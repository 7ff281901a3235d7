//! Activation patching and mean ablation.
use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::data::Batch;
use crate::engine::AnyEngine;
use crate::graph::{AnyModel, Edit, Edits, Graph};
use crate::io::Array;
use crate::nn::elements;
use crate::{Error, Result};

use super::activations;

/// The values of patched sites, in the order in which they were given, each of all heads with those that are patched, if not all.
#[derive(Default)]
pub(crate) struct Patches(Vec<(String, Option<Vec<usize>>, Array)>);

impl Patches {
    /// Takes the values of one more site, or of some of its heads.
    pub fn put(&mut self, site: String, heads: Option<Vec<usize>>, values: Array) {
        self.0.push((site, heads, values));
    }

    /// Gives them to an engine of `graph`, which has one place for each site: of several patches of a site, each head has the last
    /// that names it.
    pub fn give(&self, graph: &Graph, engine: &mut AnyEngine) -> Result<()> {
        let mut given: BTreeMap<&str, Cow<'_, Array>> = BTreeMap::new();
        for (site, heads, values) in &self.0 {
            engine.patch(site, &values.shape, &values.values)?; // refuses what does not fit the site
            let values = match (given.remove(site.as_str()), heads) {
                (Some(before), Some(heads)) => {
                    let all = graph.site(site).and_then(|node| graph.heads(node));
                    let merged = with_heads(before.into_owned(), heads, values, site, all)?;
                    engine.patch(site, &merged.shape, &merged.values)?;
                    Cow::Owned(merged)
                }
                _ => Cow::Borrowed(values),
            };
            given.insert(site, values);
        }
        Ok(())
    }
}

/// The values `before`, with these heads from `values`; `all` are the heads of a stream.
fn with_heads(
    mut before: Array,
    heads: &[usize],
    values: &Array,
    site: &str,
    all: Option<usize>,
) -> Result<Array> {
    if before.shape != values.shape {
        return Err(Error::shape(format!("a second patch of '{site}'"), &before.shape, &values.shape));
    }
    let (all, row) = match before.shape[..] {
        [_, heads, seq, keys] => (heads, heads * seq * keys),
        [_, _, dim] => (all.unwrap_or(1), dim),
        _ => unreachable!("the engine has taken it"),
    };
    let width = row / all;
    for (to, from) in before.values.chunks_exact_mut(row).zip(values.values.chunks_exact(row)) {
        for head in heads {
            let columns = head * width..(head + 1) * width;
            to[columns.clone()].copy_from_slice(&from[columns]);
        }
    }
    Ok(before)
}

/// Returns the activations `own`, with those of `other` in their place at the positions where `take(sequence, position)` is
/// true. Both are `[batch, seq, dim]`, or `[batch, heads, seq, seq]` if they are patterns.
///
/// ```
/// use ihead::io::Array;
/// use ihead::run::at_positions;
/// let own = Array { shape: vec![1, 3, 2], values: vec![0.0; 6] };
/// let other = Array { shape: vec![1, 3, 2], values: vec![1.0; 6] };
/// let mixed = at_positions(&own, &other, |_sequence, position| position == 1)?;
/// assert_eq!(mixed.values, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If they have different shapes or are not activations, or one has more or fewer values than its shape says.
pub fn at_positions(own: &Array, other: &Array, take: impl Fn(usize, usize) -> bool) -> Result<Array> {
    if own.shape != other.shape {
        return Err(Error::shape("activations", &own.shape, &other.shape));
    }
    let elements = elements(&own.shape);
    if let Some(array) = [own, other].into_iter().find(|array| elements != Some(array.values.len())) {
        return Err(Error::shape("values of activations", &own.shape, &[array.values.len()]));
    }
    let (heads, seq, cols) = match own.shape[..] {
        [_, seq, dim] => (1, seq, dim),
        [_, heads, seq, keys] => (heads, seq, keys),
        _ => {
            let found = format!("an array of shape {:?}", own.shape);
            return Err(Error::misfit(
                "activations",
                found,
                "[batch, seq, dim] or [batch, heads, seq, keys]",
            ));
        }
    };
    let mut mixed = own.clone();
    let rows = mixed.values.chunks_exact_mut(cols.max(1)).zip(other.values.chunks_exact(cols.max(1)));
    for (row, (to, from)) in rows.enumerate() {
        if take(row / (heads * seq), row % seq) {
            to.copy_from_slice(from);
        }
    }
    Ok(mixed)
}

/// Makes the edits of a mean ablation: they replace each of these streams by its mean over the sequences and positions of a
/// batch. A site is written as in [`Edits`]: `layers.1.attention.mixed[0]` is head 0 alone of a site that has heads, and `*` in
/// a name stands for any characters.
///
/// ```
/// use ihead::config::Config;
/// use ihead::data::Batch;
/// use ihead::model::{Simplified, SimplifiedArgs};
/// use ihead::probe::Metric;
/// use ihead::run::{Inspect, mean_ablation};
///
/// let sizes = SimplifiedArgs { max_length: 4, dim: 16, ..SimplifiedArgs::defaults() };
/// let model = Simplified::new(10, &sizes)?.init(0);
/// let batch = Batch { x: vec![7, 1, 7, 1], y: vec![1, 7, 1, 2], marks: vec![0; 4], batch: 1, seq: 4 };
/// let edits = mean_ablation(&model, &batch, ["layers.0.attention.out", "layers.*.attention.mixed[0]"])?;
/// let found = Inspect::new(&model).edits(edits).measure([Metric::loss("loss")], &batch)?;
/// assert!(found.get("loss").is_some());
/// # Ok::<(), ihead::Error>(())
/// ```
///
/// # Errors
/// If a text names no site, the model has no such site or no such head, the site is a pattern, the batch has no sequences or does
/// not fit the model, or a parameter was never initialised.
pub fn mean_ablation<'a>(
    model: &dyn AnyModel,
    batch: &Batch,
    sites: impl IntoIterator<Item = &'a str>,
) -> Result<Edits> {
    let mut asked = sites.into_iter().map(|site| Edits::of_site(site, Edit::Ablate));
    let asked = asked.try_fold(Edits::default(), |all, one| one.map(|one| all.and(one)))?;
    if batch.batch == 0 {
        return Err(Error::value("batch", "no sequences", "at least one, over which a mean is taken"));
    }
    asked.check(model, batch.seq)?;
    let graph = model.record_edited(batch.seq, &Edits::default())?;
    let rows = batch.batch as f64 * batch.seq as f64;
    asked.replaced(&graph, |site| {
        let found = activations(model, batch, site)?;
        let [_, _, dim] = found.shape[..] else {
            let place = format!("mean ablation of '{site}'");
            return Err(Error::misfit(place, "an attention pattern", "a stream, whose mean is a row"));
        };
        let mut mean = vec![0.0; dim];
        for row in found.values.chunks_exact(dim.max(1)) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows);
        Ok(Edit::Row(mean))
    })
}
