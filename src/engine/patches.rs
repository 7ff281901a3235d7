//! Activations that are put in the place of patched sites.
use crate::graph::{Graph, PatchedSite};
use crate::kernels::Element;
use crate::nn::elements;
use crate::{Error, Result};

/// The values of the patched sites of a graph, each `[batch, seq, dim]` or `[batch, heads, seq, seq]`.
pub(crate) struct Patches<E> {
    sites: Vec<PatchedSite>,
    values: Vec<Option<Vec<E>>>,
    seq: usize,
}

impl<E: Element> Patches<E> {
    /// None yet, for a graph.
    pub fn new(graph: &Graph) -> Self {
        let sites = graph.patched().to_vec();
        Patches { values: vec![None; sites.len()], sites, seq: graph.seq() }
    }

    /// Takes the values of one site.
    pub fn put(&mut self, site: &str, shape: &[usize], values: &[E]) -> Result<()> {
        let Some(slot) = self.sites.iter().position(|known| known.name == site) else {
            return Err(Error::unknown("patched site", site, self.sites.iter().map(|s| s.name.as_str())));
        };
        let mut expected = self.shape(slot);
        let batch = shape.first().copied().unwrap_or_default();
        expected.insert(0, batch);
        let activations = || format!("activations for '{site}'");
        let elements = elements(&expected);
        if shape == expected && elements != Some(values.len()) {
            let found = format!("{} values", values.len());
            return Err(Error::misfit(activations(), found, format!("as many as the shape {shape:?} says")));
        }
        if shape != expected {
            return Err(Error::shape(activations(), &expected, shape));
        }
        if self.sites[slot].heads.is_some() {
            let seen_later = |(row, weights): (usize, &[E])| {
                let t = row % self.seq;
                weights[t + 1..].iter().any(|w| *w != E::zero()).then_some(t)
            };
            if let Some(t) = values.chunks_exact(self.seq).enumerate().find_map(seen_later) {
                let found = format!("a pattern in which position {t} looks at a later one");
                return Err(Error::misfit(format!("patch of '{site}'"), found, "zeros there"));
            }
        }
        self.values[slot] = Some(values.to_vec());
        Ok(())
    }

    /// Checks that every site has values for `batch` sequences.
    pub fn check(&self, batch: usize) -> Result<()> {
        for (slot, site) in self.sites.iter().enumerate() {
            let elements: usize = self.shape(slot).iter().product();
            let found = self.values[slot].as_ref().map(|values| values.len() / elements.max(1));
            let name = &site.name;
            let found = match found {
                Some(found) if found == batch => continue,
                Some(found) => format!("activations of {found} sequences"),
                None => "no activations were handed over".into(),
            };
            let expected = format!("those of the batch's {batch} sequences");
            return Err(Error::misfit(format!("patch of '{name}'"), found, expected));
        }
        Ok(())
    }

    /// The values of a site for some sequences, after [`check`](Self::check).
    pub fn sequences(&self, slot: usize, sequences: std::ops::Range<usize>) -> &[E] {
        let elements: usize = self.shape(slot).iter().product();
        let values = self.values[slot].as_deref().unwrap_or_default();
        &values[sequences.start * elements..sequences.end * elements]
    }

    /// The shape of a site's values for one sequence.
    pub fn shape(&self, slot: usize) -> Vec<usize> {
        let site = &self.sites[slot];
        match site.heads {
            Some(heads) => vec![heads, self.seq, self.seq],
            None => vec![self.seq, site.dim],
        }
    }
}
