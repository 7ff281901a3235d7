//! Models whose sizes do not fit: the whole message of each, which is there when the model is recorded.
use std::any::Any;
use std::cell::RefCell;

use ihead::Module;
use ihead::backend::Dim;
use ihead::graph::{
    FixedPattern, Mask, Model, Pattern, Recorder, Scores, Site, Stream, Tokens, Weight, record,
};
use ihead::nn::{Init, Param};
use ihead::ops::RowWise;

const VOCAB: usize = 5;
const SEQ: usize = 7;

/// The norm's gains are found to be too wide for the heads, by their names.
#[test]
fn a_norm_of_queries_and_keys_of_another_width_is_refused_by_name() {
    use ihead::nn::{Attention, Embedding, Linear, QkNorm};
    #[derive(Module)]
    struct One {
        #[module]
        embed: Embedding<usize, usize>,
        #[module]
        attention: Attention<usize, usize, QkNorm>,
        #[module]
        output: Linear<usize, usize>,
    }
    impl Model for One {
        type Vocab = usize;
        fn vocab(&self) -> usize {
            VOCAB
        }
        fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
            let h = self.embed.forward(x);
            self.output.forward(&self.attention.forward(&h, &h, &x.site().at("attention")))
        }
    }
    let of_width = |width: usize| One {
        embed: Embedding::new(VOCAB, 16),
        attention: Attention::new(16, 4).changed(QkNorm::new(width)),
        output: Linear::new(16, VOCAB),
    };
    assert!(record(&of_width(4), SEQ).is_ok());
    assert_eq!(
        record(&of_width(8), SEQ).unwrap_err().to_string(),
        "matmul: 'attention.change.q_gain' [1, 8] times a constant [4, 16]; expected a second matrix of 8 rows"
    );
}

/// Two rows, of which the second must be half as wide; puts out a row as wide as the second.
struct Halves;

impl RowWise for Halves {
    fn name(&self) -> &str {
        "halves"
    }
    fn width(&self, inputs: &[usize]) -> Result<usize, String> {
        match *inputs {
            [whole, half] if 2 * half == whole => Ok(half),
            [whole, _] => Err(format!("a second row of width {}", whole / 2)),
            _ => Err("two rows".into()),
        }
    }
    fn forward(&self, _: &[&[f64]], _: &mut [f64]) {}
    fn backward(&self, _: &[&[f64]], _: &[f64], _: &[f64], _: &mut [Vec<f64>]) {}
}

thread_local! {
    /// Handles that a model has carried out of its recording.
    static CARRIED: RefCell<Option<Carried>> = const { RefCell::new(None) };
}

struct Carried {
    recorder: Recorder,
    site: Site,
    weight: Weight<usize, usize>,
    /// A `Stream<T, usize>`, a `Pattern<T>` and the tokens.
    stream: Box<dyn Any>,
    pattern: Box<dyn Any>,
    tokens: Box<dyn Any>,
}

#[derive(Module)]
struct Sample {
    #[param]
    tok: Param<(usize, usize)>,
    #[param]
    pos: Param<(usize, usize)>,
    #[param]
    few: Param<(usize, usize)>,
    #[param]
    a: Param<(usize, usize)>,
    #[param]
    narrow: Param<(usize, usize)>,
    #[param]
    by_heads: Param<(usize, usize)>,
    #[param]
    gain: Param<(usize,)>,
    #[param]
    short: Param<(usize,)>,
    #[param]
    unembed: Param<(usize, usize)>,
    forgotten: Param<(usize, usize)>,
    body: &'static str,
}

impl Sample {
    fn new(body: &'static str) -> Sample {
        let matrix = |rows, cols| Param::new((rows, cols), Init::Zeros);
        Sample {
            tok: matrix(VOCAB, 8),
            pos: matrix(SEQ + 1, 8),
            few: matrix(3, 8),
            a: matrix(8, 8),
            narrow: matrix(4, 8),
            by_heads: matrix(2, SEQ),
            gain: Param::new((8,), Init::Zeros),
            short: Param::new((4,), Init::Zeros),
            unembed: matrix(VOCAB, 8),
            forgotten: matrix(8, 8),
            body,
        }
    }

    /// A stream of width 8, or what is not.
    fn body<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        let [a, narrow, few, by_heads] =
            [&self.a, &self.narrow, &self.few, &self.by_heads].map(|p| r.weight(p));
        let (gain, short) = (r.vector(&self.gain), r.vector(&self.short));
        let h = x.site().stream("h", x.lookup(&r.weight(&self.tok)));
        let n = h.linear(&narrow); // width 4
        let scores = Scores::new(2);
        let pattern = || Pattern::causal(&h, &h, scores);
        match self.body {
            "fits" => h + n.linear(&narrow.transpose()),
            "linear" => n.linear(&a),
            "sum" => h + n,
            "difference" => h - n,
            "product" => h * n,
            "gain" => h.gain(&short),
            "bias" => n.bias(&gain),
            "lookup" => x.lookup(&few),
            "positions" => h + x.positions(&few),
            "queries and keys" => Pattern::causal(&h, &n, scores).mix(&h),
            "heads" => Pattern::causal(&h, &h, Scores::new(3)).mix(&h),
            "no heads" => Pattern::causal(&h, &h, Scores::new(0)).mix(&h),
            "endless scores" => Pattern::causal(&h, &h, Scores::new(4).scale(f64::NAN)).mix(&h),
            "key heads" => Pattern::causal(&h, &h, Scores::new(4).key_heads(3)).mix(&h),
            "no key heads" => Pattern::causal(&h, &h, Scores::new(4).key_heads(0)).mix(&h),
            "grouped keys" => Pattern::causal(&h, &h, Scores::new(4).key_heads(2)).mix(&h),
            "mix" => Pattern::causal(&h, &h, Scores::new(8)).mix(&n).linear(&narrow.transpose()),
            "mix by groups" => pattern().mix_grouped(&n, 2, 8),
            "mix of no groups" => pattern().mix_grouped(&h, 0, 8),
            "bias of heads" => Pattern::causal(&h, &h, Scores::new(4)).with_bias(&by_heads).mix(&h),
            "bias of distances" => pattern().with_bias(&few.transpose()).mix(&h),
            "bias of a rule" => Pattern::fixed(&h, 2, FixedPattern::Previous).with_bias(&by_heads).mix(&h),
            "mask of a head" => pattern().masked_heads(&[2], &Mask::strict()).mix(&h),
            "mask of a rule" => Pattern::fixed(&h, 2, FixedPattern::First).masked(&Mask::strict()).mix(&h),
            "mask that is no number" => pattern().masked(&Mask::scores("odd", |_, _| f64::NAN)).mix(&h),
            "fixed in no heads" => Pattern::fixed(&h, 0, FixedPattern::Previous).mix(&h),
            "parents" => Pattern::fixed(&h, 1, FixedPattern::Parents([0, 0].into())).mix(&h),
            "later parents" => {
                Pattern::fixed(&h, 1, FixedPattern::Parents([0, 2, 0, 0, 0, 0, 0].into())).mix(&h)
            }
            "weights of a rule" => Pattern::fixed(&h, 1, FixedPattern::window(2, 3)).mix(&h),
            "weights" => Pattern::fixed(&h, 1, FixedPattern::Weights(vec![0.5; 7].into())).mix(&h),
            "concat" => h.concat(&n, 13usize).columns(0, 8),
            "columns" => h.columns(5, 4).linear(&narrow.transpose()),
            "columns without end" => h.columns(usize::MAX, 4).linear(&narrow.transpose()),
            "rotate" => h.rotate(8, 1e4),
            "rotate in no heads" => h.rotate(0, 1e4),
            "rotate in most heads" => h.rotate(usize::MAX, 1e4),
            "rms_normalise_heads" => h.rms_normalise_heads(3, 1e-5),
            "softmax_heads" => n.softmax_heads(0).linear(&narrow.transpose()),
            "sized" => h.sized(4usize).linear(&narrow.transpose()),
            "site of no edit" => x.site().at("expert[0]").stream("out", h),
            "site without a name" => x.site().stream("", h),
            "site by heads" => x.site().heads("q", h, 5),
            "matmul" => h.linear(&narrow.matmul(&narrow)).linear(&narrow.transpose()),
            "sum of weights" => h.linear(&(a + narrow.transpose().matmul(&narrow) + few)),
            "product of weights" => h.linear(&(narrow * few)).linear(&a),
            "repeat_columns" => h.gain(&short.repeat_columns(3, 8)),
            "repeat_columns without end" => h.gain(&short.repeat_columns(usize::MAX, 8)),
            "constant" => h.gain(&r.constant(ihead::backend::Const::<1>, 8, &[1.0; 7])),
            "constant without end" => h.linear(&r.constant(usize::MAX, 8, &[])),
            "constant that is no number" => {
                h.gain(&r.constant(ihead::backend::Const::<1>, 2, &[1.0, f64::NAN]).repeat_columns(4, 8))
            }
            "scale by no number" => h.scale(f64::NAN),
            "map by no number" => h.linear(&a.scale(f64::INFINITY)),
            "rotate by no base" => h.rotate(2, f64::NAN),
            "rotate by a negative base" => h.rotate(2, -2.0),
            "normalise with a negative number" => h.normalise(-1.0),
            "normalise_heads with no number" => h.normalise_heads(2, f64::NAN),
            "rms_normalise with no number" => h.rms_normalise(f64::NAN),
            "rms_normalise_heads without end" => h.rms_normalise_heads(2, f64::INFINITY),
            "logits" => h.linear(&a).linear(&a), // put out as they are
            "two of a name" => x.site().stream("h", h.linear(&a)),
            "forgotten field" => h.linear(&r.weight(&self.forgotten)),
            "nothing" => h.columns(8, 0),
            "own width" => h.rows(Halves, &[&h], 8),
            "own result" => h.rows(Halves, &[&n.linear(&narrow.transpose()).columns(0, 4)], 8),
            "own inputs" => h.rows(Halves, &[], 8),
            other => self.foreign(other, x, h),
        }
    }

    /// What uses a handle of another recording.
    fn foreign<T: Dim>(&self, body: &str, x: &Tokens<T, usize>, h: Stream<T, usize>) -> Stream<T, usize> {
        let r = x.recorder();
        let pattern = Pattern::causal(&h, &h, Scores::new(1));
        let unembed = r.weight(&self.unembed);
        if body == "carry" {
            let (weight, stream) = (r.weight(&self.a), Box::new(h.clone()));
            let (pattern, tokens) = (Box::new(pattern), Box::new(x.clone()));
            let carried = Carried { recorder: r.clone(), site: x.site(), weight, stream, pattern, tokens };
            CARRIED.set(Some(carried));
            return h;
        }
        CARRIED.with_borrow(|carried| {
            let c = carried.as_ref().expect("carried out before");
            let stream: &Stream<T, usize> = c.stream.downcast_ref().expect("the same sizes");
            let theirs: &Pattern<T> = c.pattern.downcast_ref().expect("the same sizes");
            let tokens: &Tokens<T, usize> = c.tokens.downcast_ref().expect("the same sizes");
            let vector = c.recorder.vector(&self.gain);
            match body {
                "foreign linear" => h.linear(&c.weight),
                "foreign sum" => h + stream.clone(),
                "foreign difference" => h - stream.clone(),
                "foreign product" => h * stream.clone(),
                "foreign first" => stream.clone() + h,
                "foreign gain" => h.gain(&vector),
                "foreign bias" => h.bias(&vector),
                "foreign lookup" => h + x.lookup(&c.weight),
                "foreign positions" => h + x.positions(&c.recorder.weight(&self.few)),
                "foreign keys" => Pattern::causal(&h, stream, Scores::new(1)).mix(&h),
                "foreign queries" => Pattern::causal(stream, &h, Scores::new(1)).mix(&h),
                "foreign values" => pattern.mix(stream),
                "foreign pattern" => theirs.mix(&h),
                "foreign bias of scores" => pattern.with_bias(&c.recorder.weight(&self.by_heads)).mix(&h),
                "foreign concat" => h.concat(stream, 16usize).columns(0, 8),
                "foreign rows" => h.rows(Halves, &[stream], 8),
                "foreign site" => h.clone() + c.site.stream("body", h),
                "foreign stream at a site" => x.site().stream("body", stream.clone()),
                "foreign stream at a site by heads" => x.site().heads("body", stream.clone(), 2),
                "foreign pattern at a site" => x.site().pattern("body", theirs.clone()).mix(&h),
                "foreign matmul" => h.linear(&unembed.transpose().matmul(&unembed).matmul(&c.weight)),
                "foreign sum of weights" => h.linear(&(r.weight(&self.a) + c.weight.clone())),
                "foreign product of weights" => h.linear(&(r.weight(&self.a) * c.weight.clone())),
                "foreign constant" => h.gain(&c.recorder.constant(ihead::backend::Const::<1>, 8, &[1.0; 8])),
                "foreign tokens" => tokens.lookup(&c.recorder.weight(&self.tok)),
                other => panic!("no body '{other}'"),
            }
        })
    }
}

impl Model for Sample {
    type Vocab = usize;

    fn vocab(&self) -> usize {
        VOCAB
    }

    fn forward<T: Dim>(&self, x: &Tokens<T, usize>) -> Stream<T, usize> {
        let h = self.body(x);
        if self.body == "logits" {
            return h;
        }
        h.linear(&h.recorder().weight(&self.unembed))
    }
}

/// Each misfit and its message.
const MISFITS: &[(&str, &str)] = &[
    ("linear", "linear: 'a' [8, 8] of linear [7, 4] made from 'h'; expected a stream of width 8"),
    ("sum", "sum: 'h' [7, 8] and linear [7, 4] made from 'h'; expected streams of the same shape"),
    (
        "difference",
        "difference: 'h' [7, 8] and linear [7, 4] made from 'h'; expected streams of the same shape",
    ),
    ("product", "multiply: 'h' [7, 8] and linear [7, 4] made from 'h'; expected two rows of the same width"),
    ("gain", "gain: 'short' [1, 4] and 'h' [7, 8]; expected a vector of width 8"),
    ("bias", "bias: 'gain' [1, 8] and linear [7, 4] made from 'h'; expected a vector of width 4"),
    ("lookup", "lookup by token: 'few' [3, 8]; expected a row for each of 5 tokens"),
    ("positions", "lookup by position: 'few' [3, 8]; expected a row for each of 7 positions"),
    (
        "queries and keys",
        "pattern: queries 'h' [7, 8] and keys linear [7, 4] made from 'h'; expected keys of width 8",
    ),
    (
        "heads",
        "pattern: queries 'h' [7, 8] and keys 'h' [7, 8]; expected a number of heads that divides the width 8, not 3",
    ),
    (
        "no heads",
        "pattern: queries 'h' [7, 8] and keys 'h' [7, 8]; expected a number of heads that divides the width 8, not 0",
    ),
    ("endless scores", "pattern: scores times NaN; expected a finite number"),
    (
        "key heads",
        "pattern: queries 'h' [7, 8] and keys 'h' [7, 8]; expected a number of key heads that divides the 4 heads, not 3",
    ),
    (
        "no key heads",
        "pattern: queries 'h' [7, 8] and keys 'h' [7, 8]; expected a number of key heads that divides the 4 heads, not 0",
    ),
    ("grouped keys", "pattern: queries 'h' [7, 8] and keys 'h' [7, 8]; expected keys of width 4"),
    (
        "mix",
        "mix: linear [7, 4] made from 'h' in 8 heads, mixed by 8 heads to width 4; expected a number of value heads that divides the width 4, not 8",
    ),
    (
        "mix by groups",
        "mix: linear [7, 4] made from 'h' in 2 heads, mixed by 2 heads to width 8; expected a result of width 4",
    ),
    (
        "mix of no groups",
        "mix: 'h' [7, 8] in 0 heads, mixed by 2 heads to width 8; expected a number of value heads that divides the 2 heads, not 0",
    ),
    (
        "bias of heads",
        "bias of scores: 'by_heads' [2, 7]; expected a row for each of 4 heads, a column for each of 7 distances",
    ),
    (
        "bias of distances",
        "bias of scores: 'few'^T [8, 3]; expected a row for each of 2 heads, a column for each of 7 distances",
    ),
    ("bias of a rule", "bias of scores: a fixed pattern; expected one that is made of scores"),
    ("mask of a head", "mask: head 2; expected heads below 2"),
    ("mask of a rule", "mask: a fixed pattern; expected one that is made of scores"),
    (
        "mask that is no number",
        "mask: odd: the score of query 0, key 0 is NaN; expected a finite score or minus infinity",
    ),
    ("fixed in no heads", "fixed pattern: 0 heads; expected one at least"),
    ("parents", "fixed pattern 'parents': 2 parents; expected one for each of 7 positions"),
    (
        "later parents",
        "fixed pattern 'parents': position 1 would look at 2, which comes later; expected earlier ones",
    ),
    ("weights", "fixed pattern 'weights': 7 weights; expected those of 7 queries and 7 keys"),
    ("weights of a rule", "fixed pattern 'weights': weights of 3 queries and 3 keys; expected 7 of each"),
    (
        "concat",
        "concat: 'h' [7, 8] beside linear [7, 4] made from 'h' as a stream of width 13; expected width 12, over the same positions",
    ),
    (
        "columns",
        "columns: 4 columns from 5 on of 'h' [7, 8]; expected one column at least, and columns below 8",
    ),
    (
        "columns without end",
        "columns: 4 columns from 18446744073709551615 on of 'h' [7, 8]; expected one column at least, and columns below 8",
    ),
    ("rotate", "rotate: 'h' [7, 8] in 8 heads; expected heads of an even width: pairs are turned"),
    (
        "rotate in no heads",
        "rotate: 'h' [7, 8] in 0 heads; expected heads of an even width: pairs are turned",
    ),
    (
        "rotate in most heads",
        "rotate: 'h' [7, 8] in 18446744073709551615 heads; expected heads of an even width: pairs are turned",
    ),
    (
        "rms_normalise_heads",
        "rms_normalise(1e-5): 'h' [7, 8] in 3 heads; expected a number of heads that divides the width",
    ),
    (
        "softmax_heads",
        "softmax: linear [7, 4] made from 'h' in 0 heads; expected a number of heads that divides the width",
    ),
    ("sized", "sized: 'h' [7, 8]; expected width 4"),
    (
        "site of no edit",
        "site 'expert[0].out': a name that no edit can have; expected parts with a dot between them, without white space and \
         `( ) [ ] { } , = : *`",
    ),
    (
        "site without a name",
        "site '': a name that no edit can have; expected parts with a dot between them, without white space and \
         `( ) [ ] { } , = : *`",
    ),
    ("site by heads", "site 'q': 'h' [7, 8] in 5 heads; expected a number of heads that divides the width"),
    ("matmul", "matmul: 'narrow' [4, 8] times 'narrow' [4, 8]; expected a second matrix of 8 rows"),
    (
        "sum of weights",
        "sum: ('a' + ('narrow'^T 'narrow')) [8, 8] and 'few' [3, 8]; expected matrices of the same shape",
    ),
    ("product of weights", "multiply: 'narrow' [4, 8] and 'few' [3, 8]; expected matrices of the same shape"),
    (
        "repeat_columns",
        "repeat_columns: 3 times each column of 'short' [1, 4] as a matrix of 8 columns; expected 12 columns",
    ),
    (
        "repeat_columns without end",
        "repeat_columns: 18446744073709551615 times each column of 'short' [1, 4] as a matrix of 8 columns; expected 18446744073709551615 columns",
    ),
    ("constant", "constant: 7 values for a matrix [1, 8]; expected 8 values"),
    (
        "constant without end",
        "constant: 0 values for a matrix [18446744073709551615, 8]; expected 18446744073709551615 values",
    ),
    ("constant that is no number", "constant: NaN at place 1 of a matrix [1, 2]; expected finite values"),
    ("scale by no number", "scale: NaN times 'h' [7, 8]; expected a finite number"),
    ("map by no number", "scale: inf times 'a' [8, 8]; expected a finite number"),
    ("rotate by no base", "rotate: angles of the base NaN; expected a base that is positive and finite"),
    (
        "rotate by a negative base",
        "rotate: angles of the base -2; expected a base that is positive and finite",
    ),
    (
        "normalise with a negative number",
        "normalise(-1e0): 'h' [7, 8]; expected a finite number of at least 0 beside the mean of squares",
    ),
    (
        "normalise_heads with no number",
        "normalise(NaN): 'h' [7, 8]; expected a finite number of at least 0 beside the mean of squares",
    ),
    (
        "rms_normalise with no number",
        "rms_normalise(NaN): 'h' [7, 8]; expected a finite number of at least 0 beside the mean of squares",
    ),
    (
        "rms_normalise_heads without end",
        "rms_normalise(inf): 'h' [7, 8]; expected a finite number of at least 0 beside the mean of squares",
    ),
    ("logits", "logits: linear [7, 8] made from 'h'; expected a logit for each of 5 tokens"),
    ("two of a name", "two activations are named 'h'; give each its own place with `site.at(..)`"),
    (
        "forgotten field",
        "forward: a parameter [8, 8] that no field of the model names; expected `#[module]` or `#[param]` on each field",
    ),
    (
        "nothing",
        "columns: 0 columns from 8 on of 'h' [7, 8]; expected one column at least, and columns below 8",
    ),
    ("own width", "halves: 'h' [7, 8] and 'h' [7, 8]; expected a second row of width 4"),
    (
        "own result",
        "halves: 'h' [7, 8] and columns [7, 4] made from 'h' as a stream of width 8; expected width 4",
    ),
    ("own inputs", "halves: 'h' [7, 8]; expected two rows"),
    ("foreign linear", "linear: a matrix of another recording; expected one of this model"),
    ("foreign sum", "sum: a stream of another recording; expected one of this model"),
    ("foreign difference", "difference: a stream of another recording; expected one of this model"),
    ("foreign product", "multiply: a stream of another recording; expected one of this model"),
    ("foreign first", "logits: a stream of another recording; expected one of this model"),
    ("foreign gain", "gain: a vector of another recording; expected one of this model"),
    ("foreign bias", "bias: a vector of another recording; expected one of this model"),
    ("foreign lookup", "lookup: a table of another recording; expected one of this model"),
    ("foreign positions", "lookup: a table of another recording; expected one of this model"),
    ("foreign keys", "pattern: keys of another recording; expected those of this model"),
    ("foreign queries", "logits: a stream of another recording; expected one of this model"),
    ("foreign values", "mix: values of another recording; expected those of this model"),
    ("foreign pattern", "logits: a stream of another recording; expected one of this model"),
    ("foreign bias of scores", "bias of scores: a matrix of another recording; expected one of this model"),
    ("foreign concat", "concat: a stream of another recording; expected one of this model"),
    ("foreign rows", "halves: a stream of another recording; expected one of this model"),
    ("foreign site", "site 'body': a place of another recording; expected one of this model"),
    (
        "foreign stream at a site",
        "site 'body': an activation of another recording; expected one of this model",
    ),
    (
        "foreign stream at a site by heads",
        "site 'body': an activation of another recording; expected one of this model",
    ),
    (
        "foreign pattern at a site",
        "site 'body': an activation of another recording; expected one of this model",
    ),
    ("foreign matmul", "matmul: a matrix of another recording; expected one of this model"),
    ("foreign sum of weights", "sum: a matrix of another recording; expected one of this model"),
    ("foreign product of weights", "multiply: a matrix of another recording; expected one of this model"),
    ("foreign constant", "gain: a vector of another recording; expected one of this model"),
    ("foreign tokens", "logits: a stream of another recording; expected one of this model"),
];

#[test]
fn each_misfit_is_an_error_of_recording_that_names_both_shapes() {
    record(&Sample::new("fits"), SEQ).unwrap();
    record(&Sample::new("carry"), SEQ).unwrap();
    let mut wrong = String::new();
    for (body, expected) in MISFITS {
        let found = match record(&Sample::new(body), SEQ) {
            Ok(_) => "recorded".to_string(),
            Err(error) => error.to_string(),
        };
        if found != *expected {
            wrong += &format!("    ({body:?}, {found:?}),\n");
        }
    }
    assert!(wrong.is_empty(), "other messages:\n{wrong}");
}
