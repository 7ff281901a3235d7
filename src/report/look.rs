//! Makes views of a model: attention, predictions, terms of the logits.
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::data::Batch;
use crate::engine::{AnyEngine, ParamSource, Read, Request, RowSet};
use crate::graph::{AnyModel, Edits, Graph, NodeId};
use crate::kernels::{Element, cross_entropy_row};
use crate::nn::{AnyParam, ModuleExt, ParamId, Values};
use crate::probe::attribution::{self, Term};
use crate::train::{Compute, Timeline};
use crate::{Error, Result};

use super::base64;
use super::view::{FORMAT, Heads, Moment, NAMED, Shown, TOP, View, byte};

/// The most bytes of what is seen, in a page.
const BYTES: usize = 3_000_000;

/// The most sequences, and the most tokens of each, that are looked at.
const SEQUENCES: usize = 4;
const POSITIONS: usize = 256;

/// A run of which a view is made.
pub struct Looked<'a> {
    /// The model; only the saved weights are read, not its own.
    pub model: &'a dyn AnyModel,
    /// The batch whose first sequences are viewed.
    pub batch: &'a Batch,
    /// The edits of sites with which the run began.
    pub edits: &'a Edits,
    /// What changed during the run.
    pub timeline: &'a Timeline,
    /// How many steps were taken.
    pub iterations: usize,
    /// Where to compute.
    pub compute: Compute,
}

impl View {
    /// Makes the view of a run from the saved weights in its folder: its snapshots and `final.safetensors`. `name` gives the
    /// name of a token.
    ///
    /// # Errors
    /// If there are no stored weights, or they are not of this model.
    pub fn of_run(dir: &Path, of: &Looked<'_>, name: impl Fn(u32) -> String) -> Result<View> {
        of.batch.check()?;
        let vocab = of.model.vocab_size();
        let stored = crate::io::stored(dir)?;
        let moments: Vec<Option<usize>> = stored.iter().map(|(iteration, _)| *iteration).collect();
        let edits = of.timeline.edits_at(&moments, of.iterations, of.edits);
        let mut different = edits.clone();
        different.dedup();
        let seq = of.batch.seq.clamp(1, 2);
        let graphs = different.iter().map(|edits| of.model.record_edited(seq, edits));
        let parts = Parts::of(&graphs.collect::<Result<Vec<_>>>()?);
        let heads = parts.patterns.iter().map(|site| site.heads).sum();
        let room = Room { moments: stored.len(), sequences: of.batch.batch, positions: of.batch.seq };
        let shown = room.within(heads, parts.terms.len());
        let batch = first(of.batch, &shown);
        let mut view = View {
            format: FORMAT,
            vocab: Some(vocab),
            tokens: BTreeMap::new(),
            sequences: (0..batch.batch)
                .map(|i| {
                    let (x, y, marks) = batch.sequence(i);
                    Shown { x: x.to_vec(), y: y.to_vec(), marks: marks.to_vec() }
                })
                .collect(),
            patterns: parts.patterns.clone(),
            terms: parts.terms.clone(),
            top: TOP,
            moments: vec![],
            notes: room.notes(&shown),
        };
        let mut used: Vec<u32> = (0..vocab.min(NAMED) as u32).collect();
        used.extend(batch.x.iter().chain(&batch.y));
        for ((iteration, path), edits) in thinned(stored.into_iter().zip(edits).collect(), shown.moments) {
            let graph = of.model.record_edited(batch.seq, &edits)?;
            let weights = Stored::read(&path, of.model)?;
            let seen = see(&graph, &parts, &weights, &batch, of.compute)?;
            used.extend(seen.iter().flat_map(|seen| seen.top.iter().map(|(token, _)| *token)));
            view.moments.push(moment(&seen, parts.patterns.len(), iteration));
        }
        view.tokens = used.into_iter().map(|token| (token, name(token))).collect();
        Ok(view)
    }
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    moments: usize,
    sequences: usize,
    positions: usize,
}

impl Room {
    /// Bytes in a page.
    fn bytes(&self, heads: usize, terms: usize) -> usize {
        let n = self.positions;
        let each = heads * n * (n + 1) / 2 + n * (4 * TOP + 4 + 2 * terms);
        self.moments * self.sequences * (each * 4 / 3 + 16)
    }

    /// As much of it as fits.
    fn within(&self, heads: usize, terms: usize) -> Room {
        let mut room = Room {
            moments: self.moments,
            sequences: self.sequences.min(SEQUENCES),
            positions: self.positions.min(POSITIONS),
        };
        while room.bytes(heads, terms) > BYTES {
            match room {
                Room { moments: 9.., .. } => room.moments -= 1,
                Room { sequences: 3.., .. } => room.sequences -= 1,
                Room { positions: 97.., .. } => room.positions -= 32,
                Room { moments: 4.., .. } => room.moments -= 1,
                Room { sequences: 2.., .. } => room.sequences -= 1,
                Room { moments: 2.., .. } => room.moments -= 1,
                Room { positions: 2.., .. } => room.positions /= 2,
                _ => break,
            }
        }
        room
    }

    /// What is left out.
    fn notes(&self, shown: &Room) -> Vec<String> {
        let parts = [
            ("sequences of the test batch, the first ones", shown.sequences, self.sequences),
            ("positions of each, the first ones", shown.positions, self.positions),
            ("files of weights, evenly chosen", shown.moments, self.moments),
        ];
        let less = parts.into_iter().filter(|(_, shown, of)| shown < of);
        less.map(|(what, shown, of)| format!("Shown: {shown} of {of} {what}.")).collect()
    }
}

/// So many of a list, with its ends; the last, if it is to be one.
fn thinned<T>(all: Vec<T>, to: usize) -> Vec<T> {
    let last = all.len().saturating_sub(1);
    let chosen: Vec<usize> = match to {
        0 | 1 => vec![last],
        _ => (0..to).map(|i| (i * last + (to - 1) / 2) / (to - 1)).collect(),
    };
    all.into_iter().enumerate().filter(|(i, _)| chosen.contains(i)).map(|(_, one)| one).collect()
}

/// The first sequences of a batch, and of each the first positions.
fn first(batch: &Batch, shown: &Room) -> Batch {
    let mut kept = Batch { batch: shown.sequences, seq: shown.positions, ..Batch::default() };
    for i in 0..shown.sequences {
        let (x, y, marks) = batch.sequence(i);
        kept.x.extend(&x[..shown.positions]);
        kept.y.extend(&y[..shown.positions]);
        kept.marks.extend(&marks[..shown.positions]);
    }
    kept
}

/// What is looked at in each moment. An edit that the timeline makes may leave out some of it, or add to it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Parts {
    /// The attention patterns; of several sites with one pattern in every moment, the first.
    patterns: Vec<Heads>,
    /// The names of the terms of the logits.
    terms: Vec<String>,
}

impl Parts {
    /// All that is in one of these graphs.
    fn of(graphs: &[Graph]) -> Parts {
        let mut parts = Parts::default();
        let sites = graphs.iter().flat_map(|graph| graph.sites().iter().map(move |site| (graph, site)));
        for (graph, (site, node)) in sites.filter(|(graph, (_, node))| graph.is_pattern(**node)) {
            let alike = |known: &str| graphs.iter().all(|graph| graph.site(known) == graph.site(site));
            if !parts.patterns.iter().any(|known| known.site == *site || alike(&known.site)) {
                parts.patterns.push(Heads { site: site.clone(), heads: graph.width(*node) });
            }
        }
        for term in graphs.iter().flat_map(attribution::terms) {
            if !parts.terms.contains(&term) {
                parts.terms.push(term);
            }
        }
        parts
    }
}

/// Stored weights, for a model that keeps its own.
struct Stored {
    by_id: HashMap<ParamId, Values>,
}

impl Stored {
    fn read(path: &Path, model: &dyn AnyModel) -> Result<Stored> {
        let mut stored = crate::io::read_all_of(path, model)?;
        let values =
            |(name, _, tensor): (String, _, &dyn AnyParam)| Some((tensor.id(), stored.remove(&name)?.values));
        Ok(Stored { by_id: model.tensors().into_iter().filter_map(values).collect() })
    }
}

impl<E: Element> ParamSource<E> for Stored {
    fn read(&self, id: ParamId, into: &mut [E]) {
        if let Some(values) = self.by_id.get(&id) {
            values.copy_to(into);
        }
    }

    fn values(&self, id: ParamId) -> Option<&[E]> {
        self.by_id.get(&id)?.borrowed()
    }

    fn check(&self, id: ParamId) -> Result<()> {
        match self.by_id.contains_key(&id) {
            true => Ok(()),
            false => Err(Error::misfit(
                "forward",
                "a parameter that no field of the model names",
                "one that is named",
            )),
        }
    }
}

/// What is seen of a sequence.
#[derive(Default)]
struct SeenSequence {
    /// Of each pattern the weights of its heads, row by row up to the diagonal.
    weights: Vec<Vec<f32>>,
    /// `TOP` tokens at each position with their probabilities.
    top: Vec<(u32, f64)>,
    /// The probability and the rank of the next token at each position.
    next: Vec<(f64, usize)>,
    /// The terms at each position.
    terms: Vec<f32>,
}

/// Runs a batch and keeps what is looked at, for each sequence.
fn see(
    graph: &Graph,
    parts: &Parts,
    weights: &Stored,
    batch: &Batch,
    compute: Compute,
) -> Result<Vec<SeenSequence>> {
    let mut graph = graph.clone();
    let mut found = attribution::split(&mut graph);
    let mut nodes: Vec<NodeId> = Vec::new();
    let mut place = |node: NodeId| {
        nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
            nodes.push(node);
            nodes.len() - 1
        })
    };
    let patterns: Vec<(Option<usize>, usize)> =
        parts.patterns.iter().map(|known| (graph.site(&known.site).map(&mut place), known.heads)).collect();
    let logits = place(graph.logits());
    let mut placed = |name: &String| {
        let term = found.swap_remove(found.iter().position(|term| term.name == *name)?);
        let norm = term.norm.as_ref().map(|norm| (place(norm.term), place(norm.whole)));
        Some(PlacedTerm { logits: place(term.logits), norm, term })
    };
    let terms: Vec<Option<PlacedTerm>> = parts.terms.iter().map(&mut placed).collect();
    let request = Request::reads(nodes.iter().map(|node| (*node, RowSet::All)).collect());
    let mut engine = compute.engine(&graph, &request, &|_| false)?;
    let slots: Vec<Mutex<SeenSequence>> = (0..batch.batch).map(|_| Mutex::default()).collect();
    let looks = Looks { patterns: &patterns, logits, terms: &terms };
    let keep = |i: usize, seen: SeenSequence| {
        *slots[i].lock().unwrap_or_else(PoisonError::into_inner) = seen;
    };
    match &mut engine {
        AnyEngine::Single(engine) => {
            engine.run(weights, batch, &[], &|i, reads| keep(i, looks.at(batch.sequence(i).1, reads)))?
        }
        AnyEngine::Double(engine) => {
            engine.run(weights, batch, &[], &|i, reads| keep(i, looks.at(batch.sequence(i).1, reads)))?
        }
    };
    Ok(slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

/// A term, and where it is among the reads.
struct PlacedTerm {
    term: Term,
    logits: usize,
    /// The term and the whole stream, before a final norm.
    norm: Option<(usize, usize)>,
}

/// What is looked at, among the reads. What a moment has not is zero.
struct Looks<'a> {
    /// The place of each pattern, and its heads.
    patterns: &'a [(Option<usize>, usize)],
    logits: usize,
    terms: &'a [Option<PlacedTerm>],
}

impl Looks<'_> {
    fn at<E: Element>(&self, targets: &[u32], reads: &[Read<'_, E>]) -> SeenSequence {
        let mut seen = SeenSequence::default();
        for (place, heads) in self.patterns {
            let rows = || (0..*heads).flat_map(|h| (0..targets.len()).map(move |t| (h, t)));
            seen.weights.push(match place.map(|place| &reads[place]) {
                Some(read) => rows()
                    .flat_map(|(h, t)| &read.head_row(h, t)[..=t])
                    .map(|weight| weight.to_f64() as f32)
                    .collect(),
                None => rows().flat_map(|(_, t)| std::iter::repeat_n(0.0, t + 1)).collect(),
            });
        }
        for (t, target) in targets.iter().enumerate() {
            let (row, y) = (reads[self.logits].row(t), *target as usize);
            let probability = |token: usize| (-cross_entropy_row(row, token)).exp();
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|a, b| row[*b].to_f64().total_cmp(&row[*a].to_f64()).then(a.cmp(b)));
            let rank = 1 + order.iter().position(|token| *token == y).unwrap_or(order.len());
            // a small vocabulary is filled up
            let top =
                (0..TOP).map(|i| order.get(i).map_or((0, 0.0), |token| (*token as u32, probability(*token))));
            seen.top.extend(top);
            seen.next.push((probability(y), rank));
            seen.terms.extend(self.terms.iter().map(|term| match term {
                Some(term) => term.value(reads, t, y) as f32,
                None => 0.0,
            }));
        }
        seen
    }
}

impl PlacedTerm {
    /// What it adds at a position to the logit of `token` minus the mean logit.
    fn value<E: Element>(&self, reads: &[Read<'_, E>], t: usize, token: usize) -> f64 {
        let row = reads[self.logits].row(t);
        let mean = row.iter().map(|v| v.to_f64()).sum::<f64>() / row.len() as f64;
        let scale = match (&self.term.norm, self.norm) {
            (Some(norm), Some((one, whole))) => norm.scale(reads[one].row(t), reads[whole].row(t)),
            _ => 1.0,
        };
        scale * (row[token].to_f64() - mean)
    }
}

/// What was seen in a moment, with so many patterns, rounded and packed.
fn moment(sequences: &[SeenSequence], patterns: usize, iteration: Option<usize>) -> Moment {
    let ends = |p: usize| {
        let all = sequences.iter().flat_map(|seen| &seen.weights[p]).filter(|w| w.is_finite());
        all.fold([0.0f32, 0.0], |[low, high], w| [low.min(*w), high.max(*w)])
    };
    let ranges: Vec<[f32; 2]> = (0..patterns).map(ends).collect();
    let terms = sequences.iter().flat_map(|seen| &seen.terms).filter(|term| term.is_finite());
    let largest = terms.fold(0.0f32, |most, term| most.max(term.abs()));
    let small = |value: f64, most: f64| (value.clamp(0.0, 1.0) * most).round() as u16;
    let packed = |seen: &SeenSequence| {
        let weights = seen.weights.iter().zip(&ranges);
        let mut bytes: Vec<u8> =
            weights.flat_map(|(weights, range)| weights.iter().map(|w| byte(*w, *range))).collect();
        for (top, (probability, rank)) in seen.top.chunks_exact(TOP).zip(&seen.next) {
            let tokens = top.iter().map(|(token, _)| u16::try_from(*token).unwrap_or(u16::MAX));
            let shares = top.iter().map(|(_, share)| small(*share, 65535.0));
            let next = [small(*probability, 65535.0), u16::try_from(*rank).unwrap_or(u16::MAX)];
            bytes.extend(tokens.chain(shares).chain(next).flat_map(u16::to_le_bytes));
        }
        let term = |value: &f32| (value / largest.max(f32::MIN_POSITIVE) * 32767.0).round() as i16;
        bytes.extend(seen.terms.iter().map(term).flat_map(i16::to_le_bytes));
        base64::encode(&bytes)
    };
    Moment { iteration, largest, data: sequences.iter().map(packed).collect(), ranges }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config as _;
    use crate::graph::record;
    use crate::model::{Full, FullArgs};

    #[test]
    fn what_is_looked_at_has_bounds() {
        let all = |moments, sequences, positions| Room { moments, sequences, positions };
        assert_eq!(all(3, 2, 32).within(2, 4), all(3, 2, 32));
        assert!(all(3, 2, 32).notes(&all(3, 2, 32)).is_empty());
        for (room, heads) in
            [(all(5, 512, 256), 2), (all(100, 512, 256), 2), (all(1, 8, 4096), 16), (all(30, 8, 256), 96)]
        {
            let shown = room.within(heads, 12);
            assert!(shown.bytes(heads, 12) <= BYTES, "{room:?} {shown:?}");
            assert!(shown.moments > 0 && shown.sequences > 0 && shown.positions > 0);
            assert!(!room.notes(&shown).is_empty());
        }
        assert_eq!(thinned((0..10).collect(), 4), [0, 3, 6, 9]);
        assert_eq!(thinned((0..10).collect(), 1), [9]);
        assert_eq!(thinned((0..10).collect(), 6), [0, 2, 4, 5, 7, 9]);
        assert_eq!(thinned((0..3).collect(), 3), [0, 1, 2]);
    }

    /// What there is too much of is left out in this order: many moments, sequences beyond two, positions beyond 96, moments
    /// beyond three, the second sequence, the other moments, positions.
    #[test]
    fn what_is_left_out_first() {
        let all = |moments, sequences, positions| Room { moments, sequences, positions };
        for (room, fewer) in [
            (all(9, 4, 128), all(8, 4, 128)),
            (all(8, 3, 128), all(8, 2, 128)),
            (all(8, 2, 128), all(8, 2, 96)),
            (all(4, 2, 96), all(3, 2, 96)),
            (all(3, 2, 96), all(3, 1, 96)),
            (all(2, 1, 96), all(1, 1, 96)),
            (all(1, 1, 96), all(1, 1, 48)),
            (all(1, 1, 2), all(1, 1, 1)),
        ] {
            let heads = (1..).find(|heads| room.bytes(*heads, 4) > BYTES).unwrap();
            assert_eq!(room.within(heads, 4), fewer, "{room:?} {heads}");
        }
    }

    /// With a final norm, too.
    #[test]
    fn what_the_terms_add_is_the_logit_less_the_mean() {
        const SEQ: usize = 5;
        let args = FullArgs { max_length: SEQ, dim: 8, n_heads: 2, ..FullArgs::defaults() };
        let model = Full::new(7, &args).unwrap().init(3);
        let batch =
            Batch { x: vec![0, 6, 2, 3, 2], y: vec![6, 2, 3, 2, 5], marks: vec![0; SEQ], batch: 1, seq: SEQ };
        let value = |(_, _, tensor): (String, _, &dyn AnyParam)| (tensor.id(), tensor.data().clone());
        let weights = Stored { by_id: model.tensors().into_iter().map(value).collect() };
        let graph = record(&model, SEQ).unwrap();
        let parts = Parts::of(std::slice::from_ref(&graph));
        let seen = see(&graph, &parts, &weights, &batch, Compute::default()).unwrap();
        let logits = crate::run::activations(&model, &batch, "logits").unwrap().values;
        let terms = seen[0].terms.chunks_exact(parts.terms.len());
        for ((row, y), terms) in logits.chunks_exact(7).zip(&batch.y).zip(terms) {
            let expected = row[*y as usize] - row.iter().sum::<f32>() / 7.0;
            let found: f32 = terms.iter().sum();
            assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
        }
    }

    /// Edits of the timeline give a moment other terms, and make one pattern of several.
    #[test]
    fn what_a_moment_has_not_is_zero() {
        const SEQ: usize = 4;
        let args = FullArgs { max_length: SEQ, dim: 8, n_heads: 2, no_ffn: true, ..FullArgs::defaults() };
        let model = Full::new(7, &args).unwrap().init(3);
        let batch =
            Batch { x: vec![0, 6, 2, 3], y: vec![6, 2, 3, 2], marks: vec![0; SEQ], batch: 1, seq: SEQ };
        let graph = |edits: &str| AnyModel::record_edited(&model, SEQ, &edits.parse().unwrap()).unwrap();
        let graphs =
            [graph(""), graph("layers.*.attention.pattern=uniform"), graph("layers.1.attention.out=ablate")];
        let parts = Parts::of(&graphs);
        let sites: Vec<&str> = parts.patterns.iter().map(|heads| heads.site.as_str()).collect();
        assert_eq!(sites, ["layers.0.attention.pattern", "layers.1.attention.pattern"]);
        assert_eq!(parts.terms[4..6], ["layers.1.attention.out[0]", "layers.1.attention.out[1]"]);
        let value = |(_, _, tensor): (String, _, &dyn AnyParam)| (tensor.id(), tensor.data().clone());
        let weights = Stored { by_id: model.tensors().into_iter().map(value).collect() };
        let seen = graphs.map(|graph| see(&graph, &parts, &weights, &batch, Compute::default()).unwrap());
        let [whole, uniform, ablated] = seen.each_ref().map(|seen| &seen[0]);
        assert_eq!(uniform.weights[0], uniform.weights[1]);
        assert_eq!(uniform.weights[1].len(), 2 * SEQ * (SEQ + 1) / 2);
        let last = |seen: &SeenSequence| seen.terms[(SEQ - 1) * parts.terms.len()..][4..6].to_vec();
        assert!(last(whole).iter().all(|term| *term != 0.0));
        assert_eq!(last(ablated), [0.0, 0.0]);
        assert_eq!(ablated.terms.len(), SEQ * parts.terms.len());
    }

    #[test]
    fn what_was_seen_is_read_back() {
        let of = |sequence: usize| SeenSequence {
            weights: [(2 * 6, 0), (6, 5)]
                .map(|(n, shift)| (0..n).map(|i| ((i + shift + 3 * sequence) % 12) as f32 / 12.0).collect())
                .into(),
            top: (0..3 * TOP).map(|i| (i as u32, 0.25)).collect(),
            next: vec![(0.5, 1), (0.25, 2), (0.125, 3)],
            terms: (0..6).map(|i| (i as f32 - 2.0) * (1.0 + sequence as f32)).collect(),
        };
        let sites = [("a", 2), ("b", 1)].map(|(site, heads)| Heads { site: site.into(), heads });
        let (patterns, seen) = (Vec::from(sites), [of(0), of(1)]);
        let moment = super::moment(&seen, 2, Some(7));
        assert_eq!((moment.iteration, moment.largest), (Some(7), 6.0));
        // what there is room for is measured in the bytes that a view takes
        let room = Room { moments: 1, sequences: 2, positions: 3 };
        assert_eq!(room.bytes(3, 2), moment.bytes());
        assert_eq!(Room { moments: 5, ..room }.bytes(3, 2), 5 * moment.bytes());
        let three = SeenSequence { terms: vec![1.0; 3 * 3], ..of(0) };
        assert_eq!(Room { sequences: 1, ..room }.bytes(3, 3), super::moment(&[three], 2, None).bytes());
        for (i, one) in seen.iter().enumerate() {
            let bytes = base64::decode(&moment.data[i]).unwrap();
            let (words, _) = bytes[18..].as_chunks::<2>();
            // at each position tokens, their shares, the share and the rank of the next token
            let at = |t: usize, i: usize| u16::from_le_bytes(words[t * (2 * TOP + 2) + i]);
            assert_eq!(
                (at(1, 0), at(1, TOP), at(2, 2 * TOP), at(2, 2 * TOP + 1)),
                (TOP as u16, 16384, 8192, 3)
            );
            let terms = words[3 * (2 * TOP + 2)..].iter().map(|word| f32::from(i16::from_le_bytes(*word)));
            for (found, term) in terms.map(|term| term / 32767.0 * moment.largest).zip(&one.terms) {
                assert!((found - term).abs() < 2e-4, "{found} {term}");
            }
        }
        let view = View {
            format: FORMAT,
            vocab: None,
            tokens: BTreeMap::new(),
            sequences: vec![Shown { x: vec![0; 3], y: vec![0; 3], marks: vec![0; 3] }; 2],
            patterns: patterns.clone(),
            terms: vec!["one".into(), "two".into()],
            top: TOP,
            moments: vec![moment],
            notes: vec![],
        };
        for (i, one) in seen.iter().enumerate() {
            for (heads, weights) in patterns.iter().zip(&one.weights) {
                let found = view.pattern(0, i, &heads.site).unwrap();
                assert_eq!(found.shape, [1, heads.heads, 3, 3]);
                let mut weights = weights.iter();
                for (place, found) in found.values.iter().enumerate() {
                    let (query, key) = (place / 3 % 3, place % 3);
                    let whole = if key <= query { *weights.next().unwrap() } else { 0.0 };
                    assert!((found - whole).abs() < 0.005, "{} {place}: {found} {whole}", heads.site);
                }
            }
        }
        assert!(view.pattern(1, 0, "a").is_err() && view.pattern(0, 2, "a").is_err());
        assert!(view.pattern(0, 0, "c").unwrap_err().to_string().contains('c'));
    }
}
