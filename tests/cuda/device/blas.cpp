// libcublas.so.13 without a GPU: products of matrices in column-major order, counted, and computed where the device computes.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "device.h"

namespace {

typedef long long Stride;
const int UNSUPPORTED = 15;

struct Sizes {
  int m, n, k;
};

template <class E>
struct Matrix {
  const E *at;
  int ld;
  bool transposed;

  E get(int r, int c) const { return transposed ? at[c + (size_t)r * ld] : at[r + (size_t)c * ld]; }
};

// c = alpha a b + beta c, each entry summed in double precision and rounded once
template <class E>
void product(Sizes s, E alpha, Matrix<E> a, Matrix<E> b, E beta, E *c, int ldc) {
  std::vector<double> left((size_t)s.m * s.k), column(s.m);
  for (int p = 0; p < s.k; p++)
    for (int i = 0; i < s.m; i++) left[i + (size_t)p * s.m] = a.get(i, p);
  for (int j = 0; j < s.n; j++) {
    std::fill(column.begin(), column.end(), 0.0);
    for (int p = 0; p < s.k; p++) {
      double x = b.get(p, j);
      const double *from = &left[(size_t)p * s.m];
      for (int i = 0; i < s.m; i++) column[i] += x * from[i];
    }
    for (int i = 0; i < s.m; i++) {
      E &to = c[i + (size_t)j * ldc];
      to = (E)(alpha * column[i] + (beta == 0 ? 0.0 : (double)beta * to));
    }
  }
}

template <class E>
int products(int ta, int tb, Sizes s, const E *alpha, const E *a, int lda, Stride sa, const E *b, int ldb, Stride sb,
             const E *beta, E *c, int ldc, Stride sc, int count) {
  char name[96];
  snprintf(name, sizeof name, "product %d x %d x %d, %d of them", s.m, s.n, s.k, count);
  count_call(name, 2.0 * s.m * s.n * s.k * count);
  for (int i = 0; computes() && i < count; i++)
    product<E>(s, *alpha, {a + i * sa, lda, ta != 0}, {b + i * sb, ldb, tb != 0}, *beta, c + i * sc, ldc);
  return 0;
}

}  // namespace

extern "C" {

int cublasCreate_v2(void **handle) { return *handle = (void *)1, 0; }
int cublasDestroy_v2(void *) { return 0; }
int cublasSetStream_v2(void *, void *) { return 0; }

#define PRODUCTS(E, one, many)                                                                                       \
  int one(void *, int ta, int tb, int m, int n, int k, const E *alpha, const E *a, int lda, const E *b, int ldb,     \
          const E *beta, E *c, int ldc) {                                                                            \
    return products<E>(ta, tb, {m, n, k}, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1);                          \
  }                                                                                                                  \
  int many(void *, int ta, int tb, int m, int n, int k, const E *alpha, const E *a, int lda, Stride sa, const E *b,  \
           int ldb, Stride sb, const E *beta, E *c, int ldc, Stride sc, int count) {                                 \
    return products<E>(ta, tb, {m, n, k}, alpha, a, lda, sa, b, ldb, sb, beta, c, ldc, sc, count);                   \
  }
PRODUCTS(float, cublasSgemm_v2, cublasSgemmStridedBatched)
PRODUCTS(double, cublasDgemm_v2, cublasDgemmStridedBatched)

// what cudarc links and nothing here calls
#define UNUSED(name) \
  int name() { return UNSUPPORTED; }
UNUSED(cublasGemmEx)
UNUSED(cublasGemmStridedBatchedEx)
UNUSED(cublasHgemm)
UNUSED(cublasHgemmStridedBatched)
UNUSED(cublasSgemv_v2)
UNUSED(cublasDgemv_v2)
}
