//! Small models, each around one operation, and batches for them.
use ihead::backend::{Const, Dim};
use ihead::data::Batch;
use ihead::engine::Engine;
use ihead::engine::{Request, RowLists, RowSet};
use ihead::graph::{Edit, Edits, Graph, Model, Normaliser, Pattern, Scores, Stream, Tokens, Weight, record};
use ihead::nn::{Init, ModuleExt, Param, Params};

pub const VOCAB: usize = 7;
pub const DIM: usize = 4;
pub const SEQ: usize = 6;

/// What stands between the embedding and the unembedding of [`Tiny`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    Nothing,
    Linear,
    Scale,
    Gain,
    Bias,
    Normalise,
    Relu,
    Twice,
    Rotate,
    WeightProduct,
    WeightSquare,
    WeightGram,
    WeightSum,
    WeightSymmetricSum,
    WeightTranspose,
    WeightScale,
    Attention(usize, Normaliser),
    /// With relative positions.
    Relative(usize, Normaliser),
    SelfScores,
    TwoLayers,
}

pub const BODIES: [Body; 30] = [
    Body::Nothing,
    Body::Linear,
    Body::Scale,
    Body::Gain,
    Body::Bias,
    Body::Normalise,
    Body::Relu,
    Body::Twice,
    Body::Rotate,
    Body::WeightProduct,
    Body::WeightSquare,
    Body::WeightGram,
    Body::WeightSum,
    Body::WeightSymmetricSum,
    Body::WeightTranspose,
    Body::WeightScale,
    Body::Attention(1, Normaliser::Softmax),
    Body::Attention(2, Normaliser::Softmax),
    Body::Attention(2, Normaliser::Relu),
    Body::Attention(1, Normaliser::MeanRelu),
    Body::Attention(4, Normaliser::Softmax),
    Body::SelfScores,
    Body::TwoLayers,
    Body::Attention(2, Normaliser::SoftmaxOffByOne),
    Body::Attention(2, Normaliser::Sigmoid),
    Body::Attention(1, Normaliser::Linear),
    Body::Attention(2, Normaliser::MeanLinear),
    Body::Relative(1, Normaliser::Softmax),
    Body::Relative(2, Normaliser::Sigmoid),
    Body::Relative(1, Normaliser::MeanRelu),
];

/// Embeddings, a body, unembedding.
#[derive(ihead::Module)]
pub struct Tiny {
    #[param]
    pub tok: Param<(usize, usize)>,
    #[param]
    pub pos: Param<(usize, usize)>,
    #[param]
    pub a: Param<(usize, usize)>,
    #[param]
    pub b: Param<(usize, usize)>,
    #[param]
    pub gain: Param<(usize,)>,
    #[param]
    pub bias: Param<(usize,)>,
    /// A row for each head, where there are relative positions.
    #[param]
    pub relative: Option<Param<(usize, usize)>>,
    #[param]
    pub unembed: Param<(usize, usize)>,
    pub body: Body,
}

impl Tiny {
    pub fn new(body: Body) -> Tiny {
        let matrix = |rows, cols, std| Param::new((rows, cols), Init::Normal { std });
        let vector = || Param::new((DIM,), Init::Normal { std: 1.0 });
        Tiny {
            tok: matrix(VOCAB, DIM, 1.0),
            pos: matrix(SEQ + 2, DIM, 1.0),
            a: matrix(DIM, DIM, 0.7),
            b: matrix(DIM, DIM, 0.7),
            gain: vector(),
            bias: vector(),
            relative: match body {
                Body::Relative(heads, _) => Some(matrix(heads, SEQ + 2, 0.8)),
                _ => None,
            },
            unembed: matrix(VOCAB, DIM, 1.0),
            body,
        }
        .init(11)
    }
}

impl Model for Tiny {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        let [a, b, unembed] = [&self.a, &self.b, &self.unembed].map(|p| r.weight(p));
        let (gain, bias): (Weight<Const<1>, usize>, Weight<Const<1>, usize>) =
            (r.vector(&self.gain), r.vector(&self.bias));
        let h = x.lookup(&r.weight(&self.tok)) + x.positions(&r.weight(&self.pos));
        let site = x.site();
        let attention = |h: &Stream<T, usize>, heads: usize, normaliser: Normaliser, name: &str| {
            let scores = Scores::new(heads).scale(0.6).normaliser(normaliser);
            let mut pattern = Pattern::causal(&h.linear(&a), &h.linear(&b), scores);
            if let Some(relative) = &self.relative {
                pattern = pattern.with_bias(&r.weight(relative));
            }
            let mixed = if name == "second" { "second_mixed" } else { "mixed" };
            site.heads(mixed, site.pattern(name, pattern).mix(h), heads)
        };
        let h = match self.body {
            Body::Nothing => h,
            Body::Linear => h.linear(&a),
            Body::Scale => h.scale(-1.7),
            Body::Gain => h.gain(&gain),
            Body::Bias => h.bias(&bias),
            Body::Normalise => h.normalise(1e-5),
            Body::Relu => h.linear(&a).relu(),
            Body::Twice => h.clone() + h,
            Body::Rotate => h.linear(&a).rotate(2, 100.0),
            Body::WeightProduct => h.linear(&a.matmul(&b)),
            Body::WeightSquare => h.linear(&a.matmul(&a)),
            Body::WeightGram => h.linear(&a.matmul(&a.transpose())),
            Body::WeightSum => h.linear(&(a + b)),
            Body::WeightSymmetricSum => h.linear(&(a.clone() + a.transpose())),
            Body::WeightTranspose => h.linear(&a.transpose()),
            Body::WeightScale => h.linear(&a.scale(0.3)),
            Body::Attention(heads, normaliser) | Body::Relative(heads, normaliser) => {
                attention(&h, heads, normaliser, "pattern")
            }
            Body::SelfScores => Pattern::causal(&h, &h, Scores::new(1).scale(0.5)).mix(&h),
            Body::TwoLayers => {
                let h =
                    h.clone() + attention(&h.normalise(1e-5).gain(&gain), 2, Normaliser::Softmax, "first");
                let h = h.clone() + attention(&h, 1, Normaliser::Softmax, "second");
                h.clone() + h.bias(&bias).relu()
            }
        };
        site.stream("body", h).linear(&unembed)
    }
}

/// Five sequences in which tokens recur; the marks are one where a sequence's number and the position say so, and
/// nowhere in sequence 1.
pub fn batch() -> Batch {
    let mut batch = Batch::new(5, SEQ);
    let mut sequence = 0;
    batch.draw_each(|tokens, marks| {
        let token = |t: usize| ((t * t + 3 * sequence + t * sequence) % 4 + sequence % 3) as u32;
        tokens.iter_mut().enumerate().for_each(|(t, to)| *to = token(t));
        if sequence != 1 {
            marks.iter_mut().enumerate().for_each(|(t, mark)| *mark = i32::from((t + sequence) % 3 != 0));
        }
        sequence += 1;
    });
    batch
}

/// The marked positions.
pub fn marked(batch: &Batch) -> [RowLists; 1] {
    [RowLists::select(batch, |_, mark| mark >= 1)]
}

/// An edit of these heads of a site; of the whole site, if none is listed.
pub fn edit_of(site: &str, heads: &[usize], edit: Edit) -> Edits {
    match heads {
        [] => Edits::default().with(site, edit),
        heads => Edits::default().on_heads(site, heads.iter().copied(), edit),
    }
}

/// A request for the loss alone.
pub fn loss(rows: RowSet) -> Request {
    Request::loss(rows)
}

/// The edits that `tiny` has sites for, each alone, and some of them together: every kind, of all heads and of some.
pub fn edits(tiny: &Tiny) -> Vec<Edits> {
    let row = || Edit::Row((0..DIM).map(|c| 0.3 * c as f64 - 0.4).collect());
    let rows = (0..SEQ).map(|t| (0..DIM).map(|c| (t * c) as f64 * 0.1).collect()).collect();
    let parents = Edit::Parents((0..SEQ as u32).map(|t| t / 2).collect());
    let of_patterns = [
        Edit::Ablate,
        Edit::PreviousToken,
        Edit::Induction,
        Edit::FirstToken,
        Edit::CurrentToken,
        Edit::Uniform,
        parents,
    ];
    let of_streams = [Edit::Ablate, Edit::Scale(2.0), row(), Edit::Rows(rows)];
    let one = |site: &str, heads: &[usize], edit: &Edit| edit_of(site, heads, edit.clone());
    let mut all = Vec::new();
    let (graph, has) = (graph(tiny), |site: &str| graph(tiny).site(site).is_some());
    for site in ["pattern", "first", "second"].into_iter().filter(|site| has(site)) {
        let heads = graph.width(graph.site(site).unwrap());
        all.extend(of_patterns.iter().map(|edit| one(site, &[], edit)));
        all.extend(of_patterns.iter().map(|edit| one(site, &[heads - 1], edit)));
        if heads > 1 {
            all.push(one(site, &[0], &Edit::Uniform).on_heads(site, [1], Edit::Ablate));
        }
    }
    for site in ["mixed", "second_mixed", "body"].into_iter().filter(|site| has(site)) {
        all.extend(of_streams.iter().map(|edit| one(site, &[], edit)));
    }
    if matches!(tiny.body, Body::Attention(2.., _)) {
        all.push(one("pattern", &[0], &Edit::Induction).and(one("mixed", &[1], &row())));
        all.extend(of_streams.iter().map(|edit| one("mixed", &[1], edit)));
    }
    all
}

pub fn graph(tiny: &Tiny) -> Graph {
    record(tiny, SEQ).unwrap()
}

/// The dfdx engine in f64, two sequences at once.
pub fn engine(graph: &Graph, request: &Request, tiny: &Tiny) -> Box<dyn Engine<f64>> {
    let params = Params::of(tiny);
    ihead_reference::double(graph, request, &|id| params.trains(id), 2)
}
