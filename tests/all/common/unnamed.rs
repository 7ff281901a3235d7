//! The simplified model as its formulas, with no name on any activation.
use ihead::backend::Dim;
use ihead::graph::{Model, Pattern, Stream, Tokens, Weight};
use ihead::model::Simplified;
use ihead::nn::{Map, Module, Visitor, VisitorMut};

/// A model without feed-forwards, with positions that are added; the parameters are those of the model that is lent.
pub struct Unnamed<'a>(pub &'a Simplified<usize, usize, usize>);

impl Module for Unnamed<'_> {
    fn visit<'a>(&'a self, prefix: &str, visitor: &mut Visitor<'a, '_>) {
        self.0.visit(prefix, visitor);
    }

    fn visit_mut(&mut self, _: &str, _: &mut VisitorMut<'_>) {}
}

/// The parameter of a map that is no identity.
fn matrix<T: Dim>(x: &Tokens<T, usize>, map: &Map<usize>) -> Weight<usize, usize> {
    let Map::Linear(linear) = map else { panic!("the map has a matrix") };
    linear.weight(x.recorder())
}

impl Model for Unnamed<'_> {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        self.0.vocab()
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let (model, recorder) = (self.0, x.recorder());
        let embedded = x.lookup(&recorder.weight(&model.tok_embeddings.weight));
        let mut h = embedded + x.positions(&recorder.weight(&model.pe));
        for layer in &model.layers {
            let attention = &layer.attention;
            let keys = h.linear(&matrix(x, &attention.wk));
            let pattern = Pattern::causal(&h, &keys, attention.scores);
            let mixed = pattern.mix(&h.linear(&matrix(x, &attention.wv)));
            h = h.clone() + mixed.linear(&matrix(x, &attention.wo));
        }
        h.linear(&model.output.weight(&model.tok_embeddings, recorder))
    }
}
