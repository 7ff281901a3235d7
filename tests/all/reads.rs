//! What an observer sees of a pattern that is computed at some positions only.
use std::sync::Mutex;

use ihead::config::Config;
use ihead::data::Batch;
use ihead::engine::CpuEngine;
use ihead::engine::{Engine, Request, RowLists, RowSet};
use ihead::graph::record;
use ihead::model::{Simplified, SimplifiedArgs};
use ihead::nn::Params;

/// The buffer of the second sequence has held the first one's longer row.
#[test]
fn a_pattern_at_some_positions_has_nothing_of_the_sequence_before() {
    let seq = 64;
    let sizes = SimplifiedArgs { max_length: seq, dim: 8, ..SimplifiedArgs::defaults() };
    let model = Simplified::new(5, &sizes).unwrap().init(1);
    let (graph, params) = (record(&model, seq).unwrap(), Params::of(&model));
    for layer in [0, 1] {
        let node = graph.site(&format!("layers.{layer}.attention.pattern")).unwrap();
        let request = Request::reads(vec![(node, RowSet::Set(0))]);
        let mut engine = CpuEngine::<f32>::new(&graph, &request, &|_| false, 1).unwrap();
        let x: Vec<u32> = (0..2 * seq as u32).map(|t| t * t % 5).collect();
        let batch = Batch { y: x.clone(), x, marks: vec![0; 2 * seq], batch: 2, seq };
        let rows = [RowLists::choose(&batch, |i, t| [60, 3][i] == t)];
        let seen = Mutex::new(Vec::new());
        let observe = |i: usize, reads: &[ihead::engine::Read<'_, f32>]| {
            seen.lock().unwrap().push((i, reads[0].head_row(0, 0).to_vec()));
        };
        engine.run(&params, &batch, &rows, &observe).unwrap();
        for (i, row) in seen.into_inner().unwrap() {
            let known = [61, 4][i];
            assert_eq!(row.len(), seq);
            assert!((row[..known].iter().sum::<f32>() - 1.0).abs() < 1e-5, "layer {layer}, sequence {i}");
            assert!(row[known..].iter().all(|w| *w == 0.0), "layer {layer}, sequence {i}: {row:?}");
        }
    }
}
