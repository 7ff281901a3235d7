//! Drawing a batch of the README's size, 512 sequences of 256. The paper's NumPy generator takes 0.85 s.

use std::sync::Arc;

use divan::Bencher;
use ihead::data::{Batch, BatchOptions, Batches, BigramData, TriggerOptions, TriggerTask};

fn main() {
    divan::main();
}

fn draw(bencher: Bencher, options: TriggerOptions) {
    let task = TriggerTask::new(Arc::new(BigramData::tiny_shakespeare()), options).expect("task");
    let options = BatchOptions { workers: 1, ..Default::default() };
    let mut batches = Batches::new(Arc::new(task), options).expect("stream");
    let mut batch = Batch::default();
    bencher
        .counter(divan::counter::ItemsCount::new(512_usize * 256))
        .bench_local(|| batches.next_into(&mut batch).expect("batch"));
}

/// The README's settings.
#[divan::bench]
fn fixed_5(bencher: Bencher) {
    draw(bencher, TriggerOptions { k: 5, fixed_special_toks: true, ..Default::default() });
}

#[divan::bench]
fn drawn_3(bencher: Bencher) {
    draw(bencher, TriggerOptions { k: 3, ..Default::default() });
}

#[divan::bench]
fn drawn_5_bigram_outs_no_repeat(bencher: Bencher) {
    let base = TriggerOptions { k: 5, no_repeat: true, bigram_outs: true, ..Default::default() };
    draw(bencher, TriggerOptions { show_latents: true, ..base });
}

#[divan::bench]
fn no_triggers(bencher: Bencher) {
    draw(bencher, TriggerOptions::default());
}

#[divan::bench]
fn tables() {
    let data = Arc::new(BigramData::tiny_shakespeare());
    divan::black_box(TriggerTask::new(data, TriggerOptions { k: 3, ..Default::default() }).expect("task"));
}
