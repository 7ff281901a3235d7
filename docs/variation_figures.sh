#!/usr/bin/env bash
# The runs behind the pictures of variations 2 and 3 in docs/figures.md, and the pictures: some 5 minutes on two cores, after the build.
# A run whose folder is there is left out. With GPU=FOLDER, the examples there, built with the feature cuda, make variation 2 at the size of
# the literature as well: some ten minutes on an H200.
#   [GPU=target/gpu/release/examples] docs/variation_figures.sh [FOLDER OF RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/variations}
cargo build --release -p ihead -p ihead-figure --example v2_attention_sinks --example v3_noise_and_rank --bin plot
bin=target/release

run() { # FOLDER EXAMPLE SETTING...
  [[ -e $runs/$1/final.safetensors ]] || "$bin/examples/$2" "${@:3}" save_dir="$runs/$1" 
}
sgd=(optim.use_sgd=true optim.learning_rate=0.1)
for seed in 1 2 3; do
  run "adamw$seed" v2_attention_sinks seed="$seed"
  run "sgd$seed" v2_attention_sinks seed="$seed" "${sgd[@]}"
  run "relu$seed" v2_attention_sinks seed="$seed" model.normaliser=mean_relu
  run "three_adamw$seed" v2_attention_sinks seed="$seed" model.layers=3
  run "three_sgd$seed" v2_attention_sinks seed="$seed" model.layers=3 "${sgd[@]}"
done
large() { # FOLDER SETTING...
  [[ -e $runs/$1/final.safetensors ]] ||
    "$GPU/v2_attention_sinks" device=cuda model.dim=256 optim.weight_decay=1e-4 seed=1 save_dir="$runs/$1" "${@:2}"
}
if [[ -n ${GPU:-} ]]; then
  large large_adamw steps=10000 optim.learning_rate=3e-4 optim.batch_size=512
  large large_relu steps=3000 optim.learning_rate=3e-4 optim.batch_size=512 model.normaliser=mean_relu
  large large_three_adamw steps=10000 optim.learning_rate=3e-4 optim.batch_size=128 model.layers=3
  large large_three_sgd steps=10000 optim.batch_size=128 model.layers=3 "${sgd[@]}"
fi
for seed in 42 1 2; do
  run "full$seed" v3_noise_and_rank seed="$seed"
  run "simplified$seed" v3_noise_and_rank seed="$seed" model=simplified
done

plot() { "$bin/plot" "$@"; }
mkdir -p docs/figures
plot "$runs"/{adamw,sgd,relu}{1,2,3} curves panels=[optim.use_sgd,model.normaliser] \
  "y=['sink_0,sink_active_0','v_bos_0,v_others_0']" out=docs/figures/v2.svg
plot "$runs"/three_{adamw,sgd}{1,2,3} curves panels=[optim.use_sgd] \
  "y=['sink_0,sink_1,sink_2','h_bos_0,h_others_0']" out=docs/figures/v2_three.svg
if [[ -e $runs/large_adamw ]]; then
  plot "$runs"/large_{adamw,relu} curves panels=[model.normaliser] \
    "y=['sink_0,sink_active_0','v_bos_0,v_others_0']" out=docs/figures/v2_large.svg
  plot "$runs"/large_three_{adamw,sgd} curves panels=[optim.use_sgd] \
    "y=['sink_0,sink_1,sink_2','h_bos_0,h_others_0']" out=docs/figures/v2_three_large.svg
fi
plot "$runs"/{full,simplified}{42,1,2} curves panels=[model] \
  "y=['right_1,right_0.2,right_0.1,right_0','margin_1,margin_0.2,margin_0.1,margin_0']" out=docs/figures/v3.svg
