//! Small graphs, by name.
use crate::Module;
use crate::backend::Dim;
use crate::engine::Request;
use crate::graph::{FixedPattern, Graph, Model, NodeId, Pattern, Scores, Stream, Tokens, record};
use crate::nn::{Init, ModuleExt, Param};
use crate::plan::compile::compile;
use crate::plan::lower::Way;
use crate::plan::program::Program;
use crate::plan::text::Text;

/// Positions of a sequence.
pub const SEQ: usize = 6;

/// What each graph computes between embeddings and unembedding.
pub const BODIES: [&str; 18] = [
    "maps",
    "a map that is read twice",
    "tables",
    "attention to tables",
    "two layers",
    "narrow maps",
    "a branch aside",
    "sums and relus",
    "chain",
    "gates",
    "heads",
    "keys that are values",
    "previous tokens",
    "two maps",
    "scaled",
    "a mix and a map",
    "beside attention",
    "a mix that is replaced",
];

/// A model whose forward pass is chosen by name.
#[derive(Module)]
pub struct Toy {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    pos: Param<(usize, usize)>,
    #[param]
    a: Param<(usize, usize)>,
    #[param]
    b: Param<(usize, usize)>,
    #[param]
    unembed: Param<(usize, usize)>,
    body: &'static str,
}

impl Toy {
    /// A model of 8 columns.
    pub fn new(body: &'static str, vocab: usize) -> Toy {
        let matrix = |rows, cols| Param::new((rows, cols), Init::Normal { std: 0.5 });
        let (tok, pos, unembed) = (matrix(vocab, 8), matrix(SEQ, 8), matrix(vocab, 8));
        Toy { tok, pos, a: matrix(8, 8), b: matrix(8, 8), unembed, body }
    }

    /// The recorded graph of so many tokens.
    pub fn graph(&self) -> Graph {
        record(self, SEQ).unwrap()
    }
}

impl Model for Toy {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        *self.tok.dims().first().unwrap()
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let (r, site) = (x.recorder(), x.site());
        let [a, b] = [&self.a, &self.b].map(|p| r.weight(p));
        let tokens = x.lookup(&r.weight(&self.tok));
        let h = tokens.clone() + x.positions(&r.weight(&self.pos));
        let first = || Pattern::causal(&h, &h, Scores::new(1));
        let body = match self.body {
            "maps" => h.tanh().linear(&a).linear(&b),
            "a map that is read twice" => {
                let mapped = h.tanh().linear(&a);
                mapped.tanh() + mapped.linear(&b)
            }
            "tables" => tokens.linear(&a),
            "attention to tables" => site.pattern("pattern", first()).mix(&tokens),
            "two layers" => {
                let h = h.clone() + first().mix(&h.linear(&a));
                let (queries, keys) = (site.stream("queries", h.clone()), h.linear(&b));
                Pattern::causal(&queries, &site.stream("keys", keys), Scores::new(1)).mix(&h.shift(1))
            }
            "narrow maps" => {
                let h = h.clone() + first().mix(&tokens.linear(&a));
                let mixed = Pattern::causal(&h, &h, Scores::new(1)).mix(&h.linear(&a));
                h + mixed.linear(&b)
            }
            "a branch aside" => {
                let read = h.tanh();
                site.stream("aside", read.linear(&b).silu());
                read.linear(&a)
            }
            "sums and relus" => {
                let mapped = site.stream("mapped", h.tanh().linear(&a));
                site.stream("sum", mapped.relu() + h.silu()).linear(&b).relu()
            }
            "chain" => h.linear(&a).silu().silu().silu().silu().silu(),
            "gates" => {
                let (gate, up) = (h.linear(&a), h.tanh().linear(&b));
                site.stream("silu", gate.silu()) * up.clone() + up.tanh() * up.silu() + {
                    let itself = h.linear(&b);
                    itself.silu() * itself
                }
            }
            "heads" => {
                let (q, v) = (h.tanh().linear(&a).rotate(2, 100.0), h.tanh().linear(&b));
                site.pattern("pattern", Pattern::causal(&q, &h.tanh(), Scores::new(2))).mix(&v)
            }
            "keys that are values" => {
                let keys = h.tanh().linear(&a).columns(0, 4);
                let pattern = Pattern::causal(&h.tanh().linear(&b), &keys, Scores::new(2).key_heads(1));
                let mixed = pattern.mix(&keys);
                mixed.concat(&mixed, 8)
            }
            "previous tokens" => {
                let read = h.tanh();
                read.clone() + Pattern::fixed(&h, 1, FixedPattern::Previous).mix(&read)
            }
            "a mix and a map" => {
                let read = h.tanh();
                read.linear(&a) + first().mix(&read.silu().linear(&b))
            }
            "scaled" => h.tanh().scale(0.5).linear(&a),
            "two maps" => h.tanh().linear(&a) + h.silu().linear(&b),
            "beside attention" => {
                let alone = h.tanh().linear(&a);
                h.clone() + first().mix(&alone).linear(&b) + alone.silu().linear(&a)
            }
            "a mix that is replaced" => {
                site.stream("mixed", first().mix(&tokens.linear(&a))).relu().linear(&b)
            }
            other => panic!("no body '{other}'"),
        };
        body.linear(&r.weight(&self.unembed))
    }
}

/// A graph lowered for a request, where all but the `frozen` parameters train.
pub struct Lowered {
    pub graph: Graph,
    pub program: Program,
}

impl Lowered {
    /// Lowers the graph of a toy.
    pub fn new(toy: &Toy, request: &Request, frozen: &[&str], way: Way) -> Lowered {
        let still: Vec<_> = frozen.iter().map(|name| toy.tensor(name).unwrap().id()).collect();
        let (graph, program) = compile(&toy.graph(), request, &|id| !still.contains(&id), way);
        Lowered { graph, program }
    }

    /// The program, a line an instruction.
    pub fn text(&self) -> String {
        Text { graph: &self.graph, program: &self.program }.to_string()
    }

    /// The weights whose gradients are summed over sequences.
    pub fn leaves(&self) -> Vec<String> {
        self.program.leaves.iter().map(|leaf| self.graph.weight_text(*leaf)).collect()
    }
}

/// A site of a graph.
pub fn site(graph: &Graph, name: &str) -> NodeId {
    graph.site(name).unwrap()
}
