#!/usr/bin/env bash
# Makes the pictures of the README and the guide again, from a run of a small size: 64 tokens, 64 sequences a batch, width 128,
# 500 iterations; 3 seconds on two cores, after the build. The settings are otherwise those of the README's first command.
#   docs/figures.sh [FOLDER OF RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-$(mktemp -d)}
profile=${PROFILE:-release}
cargo build --profile "$profile" -p ihead -p ihead-figure --example ihead_basic --bin plot
bin=target/${profile/#dev/debug}

if [[ ! -e $runs/small/final.safetensors ]]; then
  "$bin/examples/ihead_basic" max_iters=500 eval_delta=10 loss_head_only=True data_args.k=5 data_args.fixed_special_toks=True \
    data_args.seq_length=64 model_args.max_length=64 model_args.dim=128 optim_args.batch_size=64 test_batch_size=64 \
    optim_args.use_sgd=True optim_args.learning_rate=0.03 optim_args.weight_decay=1e-4 model_args.final_ffn=False \
    model_args.freeze_embeddings=True model_args.freeze_output=True num_data_workers=4 seed=1 \
    timeline='every 100: snapshot' save_dir="$runs/small"
fi
mkdir -p docs/figures
"$bin/plot" "$runs/small" curves "y=['loss_head', 'acc_end,acc_end_test', 'wo1_acc,wk1_acc,wk0_64_acc']" height=24 out=docs/figures/run.svg
"$bin/plot" "$runs/small" attention size=28 out=docs/figures/attention.svg
"$bin/plot" "$runs/small" associations snapshots=[100,200,400] size=40 dpi=100 out=docs/figures/associations.png
