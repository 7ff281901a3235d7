#!/usr/bin/env bash
# The runs behind docs/figures.md, the paper's figures 2, 3 and 4, and the pictures made of them. Finished runs are left out and
# unfinished ones taken up, so this can be stopped and called again.
#   SEEDS='1 2 3' JOBS=2 docs/paper_figures.sh [FOLDER OF RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/paper}
jobs=${JOBS:-2}
[[ -n ${BIN:-} ]] || cargo build --release -p ihead -p ihead-figure --examples --bins
bin=${BIN:-target/release}

basic=(eval_delta=10 max_iters=500 data_args.k=5 model_args.dim=128 model_args.freeze_embeddings=True model_args.freeze_output=True test_batch_size=256
  num_data_workers=1)
wo2=layers.1.attention.wo.weight wk1=layers.0.attention.wk.weight wk2=layers.1.attention.wk.weight

for seed in ${SEEDS:-1 2 3}; do
  # figure 3: what is frozen until step 300; the paper's sizes (batch 512, 256 tokens, width 128), SGD with its default rate 0.2
  "$bin/examples/ihead_basic" "${basic[@]}" save_dir="$runs/figure3" data_args.fixed_special_toks=True \
    --sweep seed="$seed" "freeze_until='','300:$wo2','300:$wk1','300:$wk2','300:$wk1,300:$wk2'" --jobs "$jobs"
  if [[ $seed == 1 ]]; then
    # figure 2: the full model, its default sizes (batch 64, 256 tokens, width 128), one head a layer
    "$bin/examples/ihead_full" max_iters=1500 eval_delta=25 data_args.k=5 optim_args.learning_rate=1e-3 model_args.n_heads=1 \
      test_batch_size=128 num_data_workers=1 seed="$seed" save_dir="$runs/figure2" \
      --sweep data_args.fixed_special_toks=True,False model_args.n_layers=2 \
      --sweep data_args.fixed_special_toks=True model_args.n_layers=1 --jobs "$jobs"
  fi
  # figure 4: all tokens count, and the feed-forward layer trains
  "$bin/examples/ihead_basic" "${basic[@]}" loss_head_only=False model_args.final_ffn=True \
    save_dir="$runs/figure4" --sweep seed="$seed" data_args.fixed_special_toks=True,False \
    'zip(bigram_outs_train=False,True; bigram_outs_test=True,False)' --jobs "$jobs"
done

plot() { "$bin/plot" "$@"; }
mkdir -p docs/figures
for triggers in fixed=true random=false; do
  plot "$runs/figure2/fixed_special_toks=${triggers#*=},n_layers=2" attention size=40 dpi=110 out="docs/figures/paper2_${triggers%=*}.png"
done
plot "$runs/figure3" paper panels=[freeze_until] out=docs/figures/paper3.svg
plot "$runs/figure4" curves panels=[data_args.fixed_special_toks,bigram_outs_train,bigram_outs_test] \
  "y=['loss_bigram,loss_head','acc_end,acc_end_test','wo1_acc','ff1_loss']" out=docs/figures/paper4.svg
