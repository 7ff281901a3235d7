#!/usr/bin/env bash
# Builds programs and tests with `--features cuda` on a machine without a GPU, and the device without a GPU on which they run:
#
#   tests/cuda/build.sh [EXAMPLE...]      ihead_basic, ihead_full and variation_time without a name
#
# The toolkit is CUDA 13.0 from PyPI, some 620 MB; it stays in target/cuda/toolkit, the device in target/cuda/device.
# The tests, target/cuda/tests, run on it with `--test-threads=1`, in the folder `tests` (docs/cuda.md).
# Needs Linux on x86-64, Python with pip, g++.
set -euo pipefail
cd "$(dirname "$0")/../.."
examples=("$@")
((${#examples[@]})) || examples=(ihead_basic ihead_full variation_time)
work=$PWD/target/cuda
toolkit=$work/toolkit/nvidia/cu13
device=$work/device
mkdir -p "$device" "$work/bin"

echo "== the device"
compile() { # OUT SOURCE [FLAG...]: a library that also goes by the name without a version
  g++ -std=c++17 -O2 -fPIC -shared -Wall -Wextra -o "$device/$1" "-Wl,-soname,$1" "tests/cuda/device/$2" "${@:3}"
  ln -sf "$1" "$device/${1%.so*}.so"
}
map() { printf '%s { global: *; };\n' "$1" >"$device/$1.map"; echo "-Wl,--version-script=$device/$1.map"; }
compile libcuda.so.1 driver.cpp -ldl
compile libcublas.so.13 blas.cpp "$(map libcublas.so.13)" -O3 "-L$device" -lcuda
compile libnvrtc.so.13 nvrtc.cpp "$(map libnvrtc.so.13)" "-L$device" -lcuda
compile libcublasLt.so.13 no_calls.cpp

echo "== the toolkit"
if [[ ! -x $toolkit/bin/nvcc ]]; then
  python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$work/toolkit" \
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.0.2.14
  chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
fi
# the linker asks for names without versions, and for a driver: that of the device will do
for library in nvrtc cublas cublasLt; do ln -sf "lib$library.so.13" "$toolkit/lib/lib$library.so"; done
mkdir -p "$toolkit/lib/stubs"
cp -P "$device"/libcuda.so* "$toolkit/lib/stubs/"
ln -sfn lib "$toolkit/lib64"
# dfdx's build asks the GPU what it is
printf '#!/bin/sh\nprintf "compute_cap\\n9.0\\n"\n' >"$work/bin/nvidia-smi"
chmod +x "$work/bin/nvidia-smi"

echo "== the programs"
export CUDA_PATH=$toolkit CUDA_COMPUTE_CAP=90 PATH=$work/bin:$toolkit/bin:$PATH
export LIBRARY_PATH=$toolkit/lib:$toolkit/lib/stubs
cargo build --release --locked --features cuda --target-dir "$work/build" "${examples[@]/#/--example=}"
# the tests, as target/cuda/tests
tests=$(cargo test --no-run --locked -p ihead-tests --features cuda --test all --target-dir "$work/build" --message-format json | python3 -c '
import json, sys
print(*[built["executable"] for built in map(json.loads, sys.stdin) if built.get("executable")])')
ln -sf "$tests" "$work/tests"

echo "== the kernels of dfdx, for this machine"
dfdx=$(cargo metadata --format-version 1 --locked --features cuda | python3 -c '
import json, pathlib, sys
found = [package["manifest_path"] for package in json.load(sys.stdin)["packages"] if package["name"] == "dfdx"]
print(pathlib.Path(found[0]).parent)')
python3 tests/cuda/device/kernels.py "$dfdx" "$device/libkernels.so"
