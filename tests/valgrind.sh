#!/usr/bin/env bash
# The tests of the kernels under valgrind's memcheck: reads and writes beyond an allocation, and decisions that depend on
# memory that nobody has written. The only `unsafe` code of the library is in `src/kernels/raw`; Miri cannot run it, since it
# needs a nightly toolchain, on which dfdx does not compile.
#
# Valgrind knows AVX2 and no AVX-512, and says so to those who ask the processor. So the levels `portable` and `avx2` are
# looked at; the tests themselves leave out a level that is not there.
#
#   tests/valgrind.sh [FILTER...]     # FILTER: names of tests, `kernels` without any
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 2; }

looked_at() {
  # what is kept for the life of a thread or of the process is no leak
  valgrind --quiet --error-exitcode=9 --leak-check=no --partial-loads-ok=no --expensive-definedness-checks=yes "$@"
}

# with the same features as `cargo test`, so that nothing is built twice
built=$(cargo test --lib --test all --no-run 2>&1 | tee /dev/stderr | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
tests=$(grep '/all-[0-9a-f]*$' <<<"$built")
units=$(grep '/ihead-[0-9a-f]*$' <<<"$built")
filters=("${@:-kernels}")
for filter in "${filters[@]}"; do
  looked_at "$tests" --test-threads=1 "$filter"
  looked_at "$units" --test-threads=1 "$filter"
done
echo "valgrind: no error"
