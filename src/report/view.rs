//! What a model computes in a few sequences, at several moments of its run: the data that a report shows.
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::Batch;
use crate::io::Array;
use crate::{Error, Result};

use super::base64;

/// The file in a run's folder.
pub(crate) const VIEW: &str = "view.json";

/// The form of the file; another one is refused.
pub(super) const FORMAT: u32 = 1;

/// How many tokens are named whether they are shown or not: as many as `plot` shows on an axis.
pub(super) const NAMED: usize = 1024;

/// Likely tokens that are kept at a position.
pub(super) const TOP: usize = 5;

/// Attention, predictions and terms of the logits of a model in a few sequences, at several moments of its run:
/// `view.json` in a run's folder, which [`Run::report`](crate::run::Run::report) writes and the programs `report` and
/// `plot` read.
///
/// The numbers are rounded so that a page with them stays small. Weights of attention from 0 to 1 are kept as the
/// nearest `(i/255)^2` (they differ by less than 0.004), probabilities as the nearest `i/65535`, terms to a part in 32,767 of
/// the largest one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub(super) format: u32,
    /// How many tokens there are; an older version left it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vocab: Option<usize>,
    /// Names of the tokens that are shown, and of the first ones: see [`NAMED`].
    pub(super) tokens: BTreeMap<u32, String>,
    /// The sequences.
    pub(super) sequences: Vec<Shown>,
    /// The attention patterns.
    pub(super) patterns: Vec<Heads>,
    /// The names of the terms of the logits.
    pub(super) terms: Vec<String>,
    /// Likely tokens at a position.
    pub(super) top: usize,
    /// The moments, in order.
    pub(super) moments: Vec<Moment>,
    /// What was left out, for the reader.
    pub(super) notes: Vec<String>,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// Its tokens.
    pub x: Vec<u32>,
    /// The token after each.
    pub y: Vec<u32>,
    /// The marks of the task.
    pub marks: Vec<i32>,
}

/// A site with a pattern of each head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heads {
    /// The site's name.
    pub site: String,
    /// Number of heads.
    pub heads: usize,
}

/// The weights of a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// The iteration of a snapshot; `None` for the final weights.
    pub iteration: Option<usize>,
    /// The lowest and the highest weight of each pattern.
    pub ranges: Vec<[f32; 2]>,
    /// The largest term.
    pub largest: f32,
    /// For each sequence in base64: each pattern and head, row by row up to the diagonal, a byte a weight; at each
    /// position `top` tokens, their probabilities, the probability and the rank of the next token, each 16 bits; at
    /// each position the terms, each 16 bits.
    pub data: Vec<String>,
}

impl Moment {
    /// Returns how many bytes the view takes in a page.
    pub fn bytes(&self) -> usize {
        self.data.iter().map(|data| data.len() + 16).sum()
    }
}

impl View {
    /// Reads the view of the run in a folder; `None` if it has none.
    ///
    /// # Errors
    /// If the file is there and cannot be read, or is of another version's form.
    pub fn read(dir: &Path) -> Result<Option<View>> {
        let path = dir.join(VIEW);
        let Some(text) = crate::io::text_if_there(&path)? else { return Ok(None) };
        let view: View = serde_json::from_str(&text)
            .map_err(|e| Error::format(&path, format!("not what a run shows in a report: {e}")))?;
        if view.format != FORMAT {
            let message = format!("of form {}, expected {FORMAT}: run the program again", view.format);
            return Err(Error::format(&path, message));
        }
        if let Some(fault) = view.fault() {
            return Err(Error::format(&path, format!("damaged: {fault}; run the program again")));
        }
        Ok(Some(view))
    }

    /// What does not fit in it: a page that is made of it could not be drawn.
    fn fault(&self) -> Option<String> {
        let uneven = |s: &Shown| s.x.len() != s.y.len() || s.x.len() != s.marks.len();
        if let Some(i) = self.sequences.iter().position(uneven) {
            return Some(format!("the tokens and marks of sequence {i} are not as many"));
        }
        let length = self.sequences.first().map_or(0, |shown| shown.x.len());
        if length == 0 {
            return Some("it has no sequence, or one without tokens".into());
        }
        if let Some(i) = self.sequences.iter().position(|shown| shown.x.len() != length) {
            return Some(format!("sequence {i} is not as long as the first"));
        }
        if self.moments.is_empty() {
            return Some("it has no moment".into());
        }
        // what a damaged file says may be beyond all sizes
        let heads = self.patterns.iter().fold(0, |sum: usize, pattern| sum.saturating_add(pattern.heads));
        let numbers = self.top.saturating_mul(2).saturating_add(2 + self.terms.len());
        let bytes = |n: usize| {
            (n * (n + 1) / 2).saturating_mul(heads).saturating_add((2 * n).saturating_mul(numbers))
        };
        let sizes = self.sequences.iter().map(|shown| Some(bytes(shown.x.len())));
        let whole = |moment: &Moment| {
            let found = moment.data.iter().map(|data| base64::decode(data).map(|data| data.len()));
            moment.ranges.len() == self.patterns.len() && found.eq(sizes.clone())
        };
        let at = self.moments.iter().position(|moment| !whole(moment))?;
        Some(format!("the data of moment {at} are not those of {} sequences", self.sequences.len()))
    }

    /// Writes `view.json` into a folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(VIEW);
        let text = serde_json::to_string(self).map_err(|e| Error::format(&path, e.to_string()))?;
        crate::io::write_atomically(&path, text.as_bytes())
    }

    /// Returns the iterations of the snapshots, and `None` for the final weights.
    pub fn moments(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.moments.iter().map(|moment| moment.iteration)
    }

    /// Returns the sites of the attention patterns.
    pub fn sites(&self) -> impl ExactSizeIterator<Item = &str> {
        self.patterns.iter().map(|pattern| pattern.site.as_str())
    }

    /// Returns the sequences of the view as a batch: `x`, `y` and `marks`, `[sequences, seq]`.
    pub fn batch(&self) -> Batch {
        let all = |of: fn(&Shown) -> &Vec<u32>| self.sequences.iter().flat_map(of).copied().collect();
        Batch {
            x: all(|shown| &shown.x),
            y: all(|shown| &shown.y),
            marks: self.sequences.iter().flat_map(|shown| shown.marks.clone()).collect(),
            batch: self.sequences.len(),
            seq: self.sequences.first().map_or(0, |shown| shown.x.len()),
        }
    }

    /// Returns how many tokens there are; `None` if the view is of a version that did not keep it.
    pub fn vocab(&self) -> Option<usize> {
        self.vocab
    }

    /// Returns the name of a token, or `?` if it has none here: one of the first 1024 has a name, and one that is shown.
    pub fn token(&self, token: u32) -> &str {
        self.tokens.get(&token).map_or("?", String::as_str)
    }

    /// Returns the attention pattern of a site in one sequence, `[1, heads, seq, seq]`. `moment` is a number in the order of
    /// [`moments`](Self::moments).
    ///
    /// # Errors
    /// If there is no such moment, sequence or site.
    pub fn pattern(&self, moment: usize, sequence: usize, site: &str) -> Result<Array> {
        let at = self.sites().position(|known| known == site);
        let at = at.ok_or_else(|| Error::unknown("site", site, self.sites()))?;
        let missing = |what: &'static str, number: usize, of: usize| Error::index(what, number, "a view", of);
        let damaged = || Error::value("view", "damaged data", "data of each sequence");
        let shown = self.moments.get(moment).ok_or_else(|| missing("moment", moment, self.moments.len()))?;
        let data = shown.data.get(sequence);
        let data = data.ok_or_else(|| missing("sequence", sequence, shown.data.len()))?;
        let bytes = base64::decode(data).ok_or_else(damaged)?;
        let (seq, heads) = (self.batch().seq, self.patterns[at].heads);
        let triangle = seq * (seq + 1) / 2;
        let mut from = self.patterns[..at].iter().map(|pattern| pattern.heads * triangle).sum::<usize>();
        if bytes.len() < from + heads * triangle {
            return Err(damaged());
        }
        let range = shown.ranges.get(at).copied().unwrap_or([0.0, 1.0]);
        let mut values = vec![0.0; heads * seq * seq];
        for row in values.chunks_exact_mut(seq).enumerate().map(|(i, row)| &mut row[..=i % seq]) {
            row.iter_mut().zip(&bytes[from..]).for_each(|(value, byte)| *value = weight(*byte, range));
            from += row.len();
        }
        Ok(Array { shape: vec![1, heads, seq, seq], values })
    }

    /// How large it will be in a page, nearly.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.tokens.values().map(|name| name.len() + 12).sum();
        self.moments.iter().map(Moment::bytes).sum::<usize>() + names + 2000
    }

    /// The same with fewer moments and sequences, so that it needs at most so many bytes; nothing if that cannot be.
    pub(super) fn within(mut self, bytes: usize) -> Option<View> {
        let (moments, sequences) = (self.moments.len(), self.sequences.len());
        while self.bytes() > bytes {
            if self.moments.len() > 4 || self.sequences.len() == 1 && self.moments.len() > 1 {
                let last = self.moments.len() - 1;
                let kept = last.div_ceil(2);
                let at = |i: usize| (i * last + kept / 2) / kept;
                let chosen: Vec<usize> = if last == 1 { vec![1] } else { (0..=kept).map(at).collect() };
                let mut number = 0..;
                self.moments.retain(|_| number.next().is_some_and(|i| chosen.contains(&i)));
            } else if self.sequences.len() > 1 {
                let fewer = self.sequences.len() / 2;
                self.sequences.truncate(fewer);
                self.moments.iter_mut().for_each(|moment| moment.data.truncate(fewer));
            } else {
                return None;
            }
        }
        if (moments, sequences) != (self.moments.len(), self.sequences.len()) {
            let (m, s) = (self.moments.len(), self.sequences.len());
            self.notes.push(format!(
                "To keep this page small, it shows {s} of {sequences} sequences and {m} of {moments} moments."
            ));
        }
        Some(self)
    }
}

/// Whether the weights of a pattern are kept by their square roots: those from 0 to 1.
fn by_root([low, high]: [f32; 2]) -> bool {
    low >= 0.0 && high <= 1.0
}

/// The weight that a byte stands for.
fn weight(byte: u8, range: [f32; 2]) -> f32 {
    let share = f32::from(byte) / 255.0;
    if by_root(range) { share * share } else { range[0] + share * (range[1] - range[0]) }
}

/// The byte of a weight.
pub(super) fn byte(weight: f32, range: [f32; 2]) -> u8 {
    let share = if by_root(range) {
        weight.max(0.0).sqrt()
    } else {
        (weight - range[0]) / (range[1] - range[0]).max(f32::MIN_POSITIVE)
    };
    (share * 255.0).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_comes_back_nearly() {
        for i in 0..=1000 {
            let share = i as f32 / 1000.0;
            let found = weight(byte(share, [0.0, 1.0]), [0.0, 1.0]);
            assert!((found - share).abs() < 0.004, "{share} {found}");
            let range = [-3.0, 5.0];
            let value = -3.0 + 8.0 * share;
            assert!((weight(byte(value, range), range) - value).abs() <= 8.0 / 510.0 + 1e-5);
        }
        assert_eq!(weight(byte(1e-5, [0.0, 1.0]), [0.0, 1.0]), (1.0f32 / 255.0).powi(2));
    }

    fn view(moments: usize, sequences: usize) -> View {
        let shown = Shown { x: vec![0; 2], y: vec![0; 2], marks: vec![0; 2] };
        let moment = |i| Moment {
            iteration: Some(i),
            ranges: vec![],
            largest: 1.0,
            data: vec!["x".repeat(984); sequences],
        };
        View {
            format: FORMAT,
            vocab: None,
            tokens: BTreeMap::new(),
            sequences: vec![shown; sequences],
            patterns: vec![],
            terms: vec![],
            top: TOP,
            moments: (0..moments).map(moment).collect(),
            notes: vec![],
        }
    }

    #[test]
    fn what_is_damaged_is_found() {
        let whole = View {
            patterns: vec![Heads { site: "pattern".into(), heads: 2 }],
            terms: vec!["term".into()],
            moments: vec![Moment {
                iteration: None,
                ranges: vec![[0.0, 1.0]],
                largest: 1.0,
                data: vec![base64::encode(&[7; 2 * 3 + 2 * 2 * (2 * TOP + 2 + 1)]); 2],
            }],
            ..view(1, 2)
        };
        assert_eq!(whole.fault(), None);
        let with = |change: fn(&mut View)| {
            let mut view = whole.clone();
            change(&mut view);
            view.fault().unwrap_or_default()
        };
        assert!(with(|view| view.sequences[1].marks.clear()).contains("sequence 1"));
        assert!(with(|view| view.moments.clear()).contains("no moment"));
        assert!(with(|view| view.sequences.clear()).contains("no sequence"));
        let empty = Shown { x: vec![], y: vec![], marks: vec![] };
        let empty = View { sequences: vec![empty.clone(), empty], ..whole.clone() };
        assert!(empty.fault().unwrap_or_default().contains("no sequence"));
        let shorter = with(|view| {
            let last = &mut view.sequences[1];
            last.x.pop();
            last.y.pop();
            last.marks.pop();
        });
        assert!(shorter.contains("sequence 1 is not as long as the first"));
        for change in [
            (|view| view.moments[0].data[1] = "AAAA".into()) as fn(&mut View),
            |view| view.moments[0].data[0].replace_range(..1, "*"),
            |view| view.moments[0].data.truncate(1),
            |view| view.moments[0].ranges.clear(),
            |view| view.terms.clear(),
            |view| view.patterns[0].heads = usize::MAX,
            |view| view.top = usize::MAX,
        ] {
            assert!(with(change).contains("moment 0"), "{}", with(change));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_said() {
        let kept = |bytes: usize, moments, sequences| view(moments, sequences).within(bytes);
        assert_eq!(kept(50_000, 10, 4), Some(view(10, 4)));
        let fewer = kept(26_000, 10, 4).unwrap();
        let iterations: Vec<_> = fewer.moments().flatten().collect();
        assert_eq!((iterations.len(), iterations[0], iterations[5]), (6, 0, 9)); // the ends stay
        assert!(fewer.bytes() <= 26_000 && fewer.notes.len() == 1);
        let one = kept(3_500, 10, 4).unwrap();
        assert_eq!((one.sequences.len(), one.moments().collect::<Vec<_>>()), (1, vec![Some(9)]));
        assert_eq!(kept(2_500, 10, 4), None);
    }
}
