#!/usr/bin/env bash
# Everything that is known of the GPU build without a GPU, on a real one:
#
#   tests/gpu.sh [TORCH_STEP]
#
# builds the programs and the tests, runs those tests in which the dfdx engine computes, compares the golden cases and three variations
# with the CPU, runs in double precision, and times a step of both of the paper's models; TORCH_STEP is a program that times the same
# steps in PyTorch (`--model basic|full --batch B --seq T --dim D --arm eager|best --device cuda`), and is left out where it is not there.
# Needs nvcc and a driver, Python; no network if the crates are there (`cargo fetch`, or `cargo vendor`). PROGRAMS=FOLDER takes programs
# that are built already, and the tests as FOLDER/all.
set -euo pipefail
torch=${1:-}
[[ -z $torch ]] || torch=$(realpath "$torch")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }

step "the machine"
nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv
command -v nvcc >/dev/null && nvcc --version | tail -n 2

programs=${PROGRAMS:-$PWD/target/gpu/release/examples}
if [[ -z ${PROGRAMS:-} ]]; then
  step "build"
  cargo build --release --locked --features cuda --target-dir target/gpu \
    --example ihead_basic --example ihead_full --example variation_time
  cargo test --no-run --locked -p ihead-tests --features cuda --test all --target-dir target/gpu
fi
programs=$(realpath "$programs")

step "a machine whose GPU cannot be seen"
status=0
said=$(CUDA_VISIBLE_DEVICES='' "$programs/ihead_basic" device=cuda max_iters=1 2>&1) || status=$?
echo "$said (exit status $status)"
failed=0
[[ $status == 2 && $(wc -l <<<"$said") == 1 ]] || failed=1

step "tests"
# derivatives by finite differences run a tiny model thousands of times, which is slow on a GPU
subjects=(gpu:: random:: eager:: operations:: blocks:: probe_predictions:: large:: stress:: --skip finite_differences)
if [[ -x $programs/all ]]; then
  (cd tests && "$programs/all" "${subjects[@]}") || failed=1
else
  cargo test --locked -p ihead-tests --features cuda --test all --target-dir target/gpu -- "${subjects[@]}" || failed=1
fi

step "golden cases and variations: the device against the CPU"
python3 tests/cuda/compare.py --real "$programs" || failed=1

step "double precision"
small=(data_args.k=5 data_args.seq_length=32 optim_args.batch_size=8 test_batch_size=8 max_iters=4)
"$programs/ihead_full" "${small[@]}" model_args.dim=32 precision=double device=cuda || failed=1

step "one run twice, and once stopped and resumed"
bits() { # FOLDER SETTING...
  "$programs/ihead_full" data_args.k=5 data_args.seq_length=64 model_args.dim=64 optim_args.batch_size=16 test_batch_size=8 eval_delta=10 \
    device=cuda precision=single save_dir="$scratch/$1" "${@:2}" >/dev/null
}
bits whole max_iters=40
bits again max_iters=40
bits halves max_iters=20
bits halves max_iters=40 resume=auto
for other in again halves; do
  cmp "$scratch/whole/final.safetensors" "$scratch/$other/final.safetensors" && echo "$other: the same bits"
done || true # sums whose order is not fixed may differ; this is told, and is no fault

# seconds PROGRAM SETTING...: a step, of 20 steps behind 10 that load the kernels
seconds() {
  for iterations in 10 30; do
    "$programs/$1" "${@:2}" device=cuda precision=single data_args.k=5 eval_delta=1000 test_batch_size=8 \
      max_iters=$iterations save_dir="$scratch/$1-$iterations" overwrite=true >/dev/null
  done
  python3 - "$scratch/$1-10/run.json" "$scratch/$1-30/run.json" <<'PYTHON'
import json, sys
few, more = (json.load(open(path)) for path in sys.argv[1:])
total = lambda run: run["seconds_a_step"] * run["iterations"]
print(f'{(total(more) - total(few)) / 20:.5f}')
PYTHON
}

time_both() { # MODEL BATCH DIM SETTING...
  local model=$1 batch=$2 dim=$3
  echo "$model ihead batch=$batch seq=256 dim=$dim seconds=$(seconds "ihead_$model" \
    optim_args.batch_size="$batch" data_args.seq_length=256 model_args.max_length=256 model_args.dim="$dim" "${@:4}")"
  if [[ -n $torch && -f $torch ]]; then
    python3 "$torch" --model "$model" --batch "$batch" --seq 256 --dim "$dim" --arm eager --device cuda --steps 20
  else
    echo "$model torch: left out, no program that times PyTorch was given"
  fi
}

step "one step of training"
frozen=(loss_head_only=true optim_args.use_sgd=true model_args.freeze_embeddings=true model_args.freeze_output=true
  model_args.final_ffn=false)
time_both basic 512 256 "${frozen[@]}"
time_both full 64 128
time_both full 512 128

step "done"
exit $failed
