//! Values of activations, by plain loops over one sequence.
use std::sync::Mutex;

use ihead::engine::{Read, Request, RowSet};
use ihead::graph::{Edit, Edits, Normaliser, record_with};
use ihead::nn::Param;

use crate::common::fd::Values;
use crate::common::maths::softmax_beside;

use super::models::{BODIES, Body, DIM, SEQ, Tiny, batch};

type Rows = Vec<Vec<f64>>;

/// A parameter by rows.
fn rows(param: &Param<(usize, usize)>) -> Rows {
    let cols = param.dims()[1];
    param.values().chunks(cols).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `W x[t]`.
fn linear(x: &Rows, weight: &Rows) -> Rows {
    x.iter().map(|x| weight.iter().map(|w| dot(w, x)).collect()).collect()
}

/// The embeddings of sequence 2 of the batch.
fn embedded(tiny: &Tiny) -> Rows {
    let (tok, pos, batch) = (rows(&tiny.tok), rows(&tiny.pos), batch());
    let tokens = batch.sequence(2).0.iter().enumerate();
    tokens.map(|(t, &x)| tok[x as usize].iter().zip(&pos[t]).map(|(a, b)| a + b).collect()).collect()
}

/// The engine's value at a site for sequence 2, `[heads][t]`.
fn site(tiny: &Tiny, name: &str, edits: &[(&str, Edit)]) -> Vec<Rows> {
    site_with(
        tiny,
        name,
        &edits.iter().fold(Edits::default(), |all, (site, edit)| all.with(*site, edit.clone())),
    )
}

fn site_with(tiny: &Tiny, name: &str, edits: &Edits) -> Vec<Rows> {
    let graph = record_with(tiny, SEQ, edits).unwrap();
    let request = Request::reads(vec![(graph.site(name).unwrap(), RowSet::All)]);
    let mut engine = ihead_reference::double(&graph, &request, &|_| false, 4);
    let found = Mutex::new(Vec::new());
    let observe = |i: usize, reads: &[Read<'_, f64>]| {
        let read = reads[0];
        if i == 2 {
            let heads = read.data.len().checked_div(read.head_stride).unwrap_or(1);
            let head = |h: usize| (0..SEQ).map(|t| read.head_row(h, t).to_vec()).collect();
            *found.lock().unwrap() = (0..heads).map(head).collect();
        }
    };
    engine.run(&Values::of(tiny), &batch(), &[], &observe).unwrap();
    found.into_inner().unwrap()
}

fn assert_close(found: &Rows, expected: &Rows) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        let close = found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12);
        assert!(close, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn normalise_has_the_biased_variance() {
    let tiny = Tiny::new(Body::Normalise);
    let expected = embedded(&tiny).into_iter().map(|row| {
        let mean = row.iter().sum::<f64>() / DIM as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / DIM as f64;
        row.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect()
    });
    assert_close(&site(&tiny, "body", &[])[0], &expected.collect());
}

#[test]
fn rotate_turns_each_pair_of_a_head() {
    let tiny = Tiny::new(Body::Rotate); // two heads of one pair each: the angle is the position
    let expected = linear(&embedded(&tiny), &rows(&tiny.a)).into_iter().enumerate().map(|(t, row)| {
        let (sin, cos) = (t as f64).sin_cos();
        row.chunks(2).flat_map(|p| [p[0] * cos - p[1] * sin, p[0] * sin + p[1] * cos]).collect()
    });
    assert_close(&site(&tiny, "body", &[])[0], &expected.collect());
}

#[test]
fn patterns_are_normalised_scores_of_the_keys_so_far() {
    for body in BODIES {
        let (Body::Attention(heads, normaliser) | Body::Relative(heads, normaliser)) = body else { continue };
        let tiny = Tiny::new(body);
        let relative = tiny.relative.as_ref().map(rows);
        let h = embedded(&tiny);
        let (q, k) = (linear(&h, &rows(&tiny.a)), linear(&h, &rows(&tiny.b)));
        let (found, mixed) = (site(&tiny, "pattern", &[]), site(&tiny, "mixed", &[]));
        assert_eq!(found.len(), heads);
        let width = DIM / heads;
        for (head, found) in found.iter().enumerate() {
            let columns = head * width..(head + 1) * width;
            let weight = |t: usize, j: usize| {
                let score = |j: usize| {
                    let bias = relative.as_ref().map_or(0.0, |bias| bias[head][t - j]);
                    0.6 * dot(&q[t][columns.clone()], &k[j][columns.clone()]) + bias
                };
                let keys = (t + 1) as f64;
                let softmax = |sink: f64| softmax_beside(sink, &(0..=t).map(score).collect::<Vec<f64>>())[j];
                match normaliser {
                    _ if j > t => 0.0,
                    Normaliser::Softmax => softmax(0.0),
                    Normaliser::SoftmaxOffByOne => softmax(1.0),
                    Normaliser::Relu => score(j).max(0.0),
                    Normaliser::MeanRelu => score(j).max(0.0) / keys,
                    Normaliser::Sigmoid => 1.0 / (1.0 + keys * (-score(j)).exp()),
                    Normaliser::Linear => score(j),
                    Normaliser::MeanLinear => score(j) / keys,
                    other => panic!("no reference for {other:?}"),
                }
            };
            let pattern: Rows = (0..SEQ).map(|t| (0..SEQ).map(|j| weight(t, j)).collect()).collect();
            assert_close(found, &pattern);
            let of_head = |x: &Rows| -> Rows { x.iter().map(|row| row[columns.clone()].to_vec()).collect() };
            let value = of_head(&h);
            let sum = |t: usize, c: usize| (0..SEQ).map(|j| pattern[t][j] * value[j][c]).sum();
            let expected = (0..SEQ).map(|t| (0..width).map(|c| sum(t, c)).collect()).collect();
            assert_close(&of_head(&mixed[0]), &expected);
        }
    }
}

/// Whether each position looks at one other, and which.
fn sources(pattern: &Rows) -> Vec<usize> {
    let at = |row: &Vec<f64>| {
        assert!(row.iter().all(|w| *w == 0.0 || *w == 1.0) && row.iter().sum::<f64>() == 1.0);
        row.iter().position(|w| *w == 1.0).unwrap()
    };
    pattern.iter().map(at).collect()
}

#[test]
fn edited_patterns_look_where_they_should() {
    let tiny = Tiny::new(Body::Attention(2, Normaliser::Softmax));
    let pattern = |edit: Edit| site(&tiny, "pattern", &[("pattern", edit)]);
    let cases = [
        (Edit::PreviousToken, [0, 0, 1, 2, 3, 4]),
        (Edit::FirstToken, [0; SEQ]),
        (Edit::CurrentToken, [0, 1, 2, 3, 4, 5]),
        (Edit::Parents(vec![0, 0, 2, 1, 1, 3]), [0, 0, 2, 1, 1, 3]),
    ];
    for (edit, expected) in cases {
        pattern(edit).iter().for_each(|head| assert_eq!(sources(head), expected));
    }
    for (t, row) in pattern(Edit::Uniform)[1].iter().enumerate() {
        let expected = |j: usize| if j <= t { 1.0 / (t + 1) as f64 } else { 0.0 };
        assert!(row.iter().enumerate().all(|(j, w)| *w == expected(j)), "{row:?}");
    }
    assert!(pattern(Edit::Ablate).iter().flatten().flatten().all(|w| *w == 0.0));
}

#[test]
fn a_pattern_of_induction_looks_behind_the_last_occurrence() {
    let tiny = Tiny::new(Body::Attention(2, Normaliser::Softmax));
    let batch = batch();
    let tokens = batch.sequence(2).0;
    let mut behind_an_occurrence = 0;
    for head in site(&tiny, "pattern", &[("pattern", Edit::Induction)]) {
        for (t, source) in sources(&head).into_iter().enumerate() {
            if source == 0 {
                assert!(!tokens[..t].contains(&tokens[t]));
            } else {
                behind_an_occurrence += 1;
                assert_eq!(tokens[source - 1], tokens[t]);
                assert!(source <= t && !tokens[source..t].contains(&tokens[t]));
            }
        }
    }
    assert!(behind_an_occurrence > 0, "the batch has recurring tokens");
}

#[test]
fn edited_streams_are_what_the_edit_says() {
    let tiny = Tiny::new(Body::Linear);
    let body = |edit: Edit| site(&tiny, "body", &[("body", edit)]).remove(0);
    let plain = site(&tiny, "body", &[]).remove(0);
    assert!(body(Edit::Ablate).iter().flatten().all(|x| *x == 0.0));
    let halved: Rows = plain.iter().map(|row| row.iter().map(|x| 0.5 * x).collect()).collect();
    assert_close(&body(Edit::Scale(0.5)), &halved);
    let rows: Rows = (0..SEQ + 1).map(|t| (0..DIM).map(|c| (t + 10 * c) as f64).collect()).collect();
    let more: Rows =
        plain.iter().map(|row| row.iter().zip(&rows[3]).map(|(x, more)| x + more).collect()).collect();
    assert_close(&body(Edit::Add(rows[3].clone())), &more);
    assert_eq!(body(Edit::Row(rows[3].clone())), vec![rows[3].clone(); SEQ]);
    assert_eq!(body(Edit::Rows(rows.clone())), rows[..SEQ]);
}

#[test]
fn edits_of_one_head_leave_the_others() {
    let tiny = Tiny::new(Body::Attention(2, Normaliser::Softmax));
    let edits =
        Edits::default().on_heads("pattern", [1], Edit::FirstToken).on_heads("mixed", [0], Edit::Ablate);
    let (plain, found) = (site(&tiny, "pattern", &[]), site_with(&tiny, "pattern", &edits));
    assert_eq!(found[0], plain[0]);
    assert_eq!(sources(&found[1]), [0; SEQ]);
    let first = embedded(&tiny)[0].clone();
    for row in &site_with(&tiny, "mixed", &edits)[0] {
        assert_eq!(row[..DIM / 2], [0.0; DIM / 2]);
        assert_eq!(row[DIM / 2..], first[DIM / 2..]);
    }
}
