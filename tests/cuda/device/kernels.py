"""The kernels of dfdx as a library of the host: `kernels.py DFDX OUT` compiles the `.cu` files under DFDX/src, and the kernels that
it compiles at run time, with g++, and writes the library OUT. Nothing of them is kept in this repository.

A kernel is called as one thread of one block; where its text waits for the other threads of the block, the device runs
them as fibres. `__half`, which nothing here computes with, is `long double`: an arithmetic type that is none of the others.
"""
import pathlib, re, subprocess, sys, tempfile

PRELUDE = """
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>
#include "device.h"
using std::max; using std::min; using std::isnan; using std::signbit;
typedef long double __half;
#define __CUDA_ARCH__ 900
#define __device__ static
#define __forceinline__ inline
#define __global__
#define __shared__ static
#define __syncthreads wait_for_block
#define HALF(name, of) inline __half name(__half x) { return of(x); }
HALF(hcos, cosl) HALF(hsin, sinl) HALF(hsqrt, sqrtl) HALF(hlog, logl) HALF(hexp, expl) HALF(__habs, fabsl) HALF(hrcp, 1 / )
inline bool __hisnan(__half x) { return isnan(x); }
inline __half __hmax_nan(__half a, __half b) { return max(a, b); }
inline __half __hmin_nan(__half a, __half b) { return min(a, b); }
inline __half __hmax(__half a, __half b) { return max(a, b); }
inline __half __hmin(__half a, __half b) { return min(a, b); }
inline __half __float2half(float x) { return x; }
inline float __half2float(__half x) { return x; }
inline unsigned short __half_as_ushort(__half x) { return x; }
inline __half __ushort_as_half(unsigned short x) { return x; }
template <class To, class From> To bits(From x) { To to; memcpy(&to, &x, sizeof to); return to; }
inline int __float_as_int(float x) { return bits<int>(x); }
inline unsigned __float_as_uint(float x) { return bits<unsigned>(x); }
inline float __int_as_float(int x) { return bits<float>(x); }
inline float __uint_as_float(unsigned x) { return bits<float>(x); }
inline long long __double_as_longlong(double x) { return bits<long long>(x); }
inline double __longlong_as_double(long long x) { return bits<double>(x); }
template <class E, class F> E atomicAdd(E *at, F by) { E old = *at; *at = old + E(by); return old; }
template <class E, class F> E atomicMax(E *at, F by) { E old = *at; *at = max(old, E(by)); return old; }
template <class E, class F> E atomicMin(E *at, F by) { E old = *at; *at = min(old, E(by)); return old; }
template <class E> E atomicCAS(E *at, E if_this, E by) { E old = *at; if (old == if_this) *at = by; return old; }
void register_kernel(const char *, Kernel);
template <auto F> struct Call;
template <class... A, void (*F)(A...)> struct Call<F> {
  template <size_t... I> static void with(void **p, std::index_sequence<I...>) { F(*(std::remove_const_t<A> *)p[I]...); }
  static void call(void **p) { with(p, std::index_sequence_for<A...>()); }
};
"""

TABLE = """
#include <string>
#include <unordered_map>
#include "device.h"
static std::unordered_map<std::string, Kernel> &all() { static std::unordered_map<std::string, Kernel> all; return all; }
void register_kernel(const char *name, Kernel kernel) { all()[name] = kernel; }
extern "C" Kernel find_kernel(const char *name) {
  auto at = all().find(name);
  return at == all().end() ? Kernel{} : at->second;
}
"""

KERNEL = re.compile(r'extern "C"\s+void\s+(\w+)\s*\(')


def run(command, text):
    made = subprocess.run(command, input=text, capture_output=True, text=True)
    if made.returncode:
        sys.exit(" ".join(map(str, command)) + "\n" + made.stderr[:4000])
    return made.stdout


def sources(dfdx):
    """(name, text) of each file of kernels, and of those that are strings in the sources of dfdx."""
    for path in sorted((dfdx / "src").rglob("*.cu")):
        # the convolutions and their like are for a nightly compiler
        if path.stem not in ("conv2d", "convtrans2d", "pool2d", "upscale2d", "dropout"):
            yield path.stem, path.read_text()
    text = (dfdx / "src/tensor_ops/reshape_to/cuda_kernel.rs").read_text()
    kernels = re.findall(r'_KERNEL: &str = "\n(.*?)\n";', text, re.S)
    for kind in ("float", "double"):
        for i, kernel in enumerate(kernels):
            kernel = re.sub(r"#if __WORDSIZE.*?#endif", "", kernel, flags=re.S).replace('\\"', '"').replace("$T", kind)
            yield f"reshape_{kind}_{i}", re.sub(r"(reshape_[fb]wd)\(", rf"\1_{kind}(", kernel)


def main():
    dfdx, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    here = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "cuda_fp16.h").write_text("")
        flags = ["-std=c++17", "-O2", "-fPIC", "-w", "-ffp-contract=off", f"-I{scratch}", f"-I{here}"]
        flags.append(f"-I{dfdx}/src/tensor_ops/utilities")
        objects = [scratch / "table.o"]
        run(["g++", *flags, "-c", "-x", "c++", "-o", objects[0], "-"], TABLE)
        for name, text in sources(dfdx):
            objects.append(scratch / f"{name}.o")
            names = sorted(set(KERNEL.findall(run(["g++", *flags, "-E", "-P", "-x", "c++", "-"], PRELUDE + text))))
            # those of operations on two tensors add up what a broadcast tensor has in common
            waits = str("__syncthreads" in text or "binary_op_macros" in text or "chunk_sum" in text).lower()
            rows = "".join(f'  register_kernel("{kernel}", {{Call<{kernel}>::call, {waits}}});\n' for kernel in names)
            whole = f"{PRELUDE}\n{text}\nstatic int registered = [] {{\n{rows}  return 0;\n}}();\n"
            run(["g++", *flags, "-c", "-x", "c++", "-o", objects[-1], "-"], whole)
        # a few helpers are in every file
        run(["g++", "-shared", "-Wl,-z,muldefs", "-o", out, *objects], "")


main()
