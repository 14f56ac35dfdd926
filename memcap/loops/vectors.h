/* Vectors of the processor at hand, what C loops compute with them, tanh as XLA has it, e^x and log x; float32. */
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define W 16 /* floats in a vector */
#define ROWS 8 /* of a tile; ROWS * LB accumulators fit in registers beside the rest */
#define TABLE 16
#define LOOK_UP(table, index) ((v)_mm512_permutexvar_ps((__m512i)(index), (__m512)(table)))
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#define ROUNDS 4
#elif defined(__AVX2__)
#include <immintrin.h>
#define W 8
#define ROWS 4
#define TABLE 8
#define LOOK_UP(table, index) ((v)_mm256_permutevar8x32_ps((__m256)(table), (__m256i)(index)))
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#define ROUNDS 3
#else /* NEON and whatever else there is */
#define W 4
#if defined(__aarch64__)
#define ROWS 8
#else
#define ROWS 4
#endif
#define TABLE 0
#define LOOK_UP(table, index) (table)
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#define ROUNDS 2
#endif
#define LB 2 /* vectors in a row */
#define L (LB * W)
#define LINE 16 /* floats in a line of the caches */
#define UNITS (ROWS / 4) /* of a tile */
#define COLUMNS (ROWS / 2) /* 4 * COLUMNS accumulators fit, too */
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

typedef int64_t Int;
typedef float v __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
/* As they lie in memory, unaligned. Not for values: GCC on ARM breaks. */
typedef float v_there __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int32_t vi_there __attribute__((vector_size(4 * W), aligned(4), may_alias));

INLINE v load(const float *p) { return *(const v_there *)p; }
INLINE vi load_index(const int32_t *p) { return *(const vi_there *)p; }
INLINE void store(float *p, v x) { *(v_there *)p = x; }
INLINE v all(float x) { return x - (v){0}; }
INLINE v pick(vi mask, v yes, v no) { return (v)((mask & (vi)yes) | (~mask & (vi)no)); }

/* As it is. GCC would load it anew wherever it is used, and wait for the loads. */
INLINE v in_register(v x) {
#if defined(__x86_64__)
  __asm__("" : "+v"(x));
#elif defined(__aarch64__)
  __asm__("" : "+w"(x));
#endif
  return x;
}

INLINE v quotient(v p, v q) { /* q between .004 and 1, or NaN */
#if defined(__AVX512F__)
  v r = (v)_mm512_rcp14_ps((__m512)q); /* a division would hold its port for 16 cycles */
  return p * (r * (2.0f - q * r));
#else
  return p / q;
#endif
}

/* The rational function that Eigen and XLA use, within 6 ulp. It is exactly 1 from where XLA's is: a gate that is shut beyond lets
   nothing through. NaN stays. */
INLINE v tanh_(v given) {
  v x = (v)((vi)given & 0x7FFFFFFF), y = x * x;
  vi sign = (vi)given ^ (vi)x, full = x >= 7.99881172180175781f;
  v p = y * -2.76076847742355e-16f + 2.00018790482477e-13f;
  p = p * y + -8.60467152213735e-11f;
  p = p * y + 5.12229709037114e-08f;
  p = p * y + 1.48572235717979e-05f;
  p = p * y + 6.37261928875436e-04f;
  p = p * y + 4.89352455891786e-03f;
  v q = y * 1.19825839466702e-06f + 1.18534705686654e-04f;
  q = q * y + 2.26843463243900e-03f;
  q = q * y + 4.89352518554385e-03f;
  return (v)((vi)pick(full, all(1.0f), quotient(p * x, q)) | sign);
}
INLINE v sigmoid(v half) { return tanh_(half) * 0.5f + 0.5f; }

/* e^x of x <= 0, within 2 ulp, by Cephes' polynomial; at least 1e-38. NaN stays. */
INLINE v exp_(v x) {
  x = pick(x < -87.0f, all(-87.0f), x);
  v shifted = x * 1.44269504088896341f + 12582912.0f, n = shifted - 12582912.0f; /* the next whole number */
  x = n * 2.12194440e-4f + (x - n * 0.693359375f);
  v p = x * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * x + 8.3334519073e-3f;
  p = p * x + 4.1665795894e-2f;
  p = p * x + 1.6666665459e-1f;
  p = p * x + 5.0000001201e-1f;
  return (p * (x * x) + x + 1.0f) * (v)(((vi)shifted - 0x4B400000 + 127) << 23);
}
/* log x of x >= 1, within an ulp, by Cephes' polynomial. NaN stays, and infinity is NaN. */
INLINE v log_(v x) {
  vi bits = (vi)x - 0x3F3504F3, exponent = bits >> 23; /* of x over the root of a half */
  v n = (v)(exponent + 0x4B400000) - 12582912.0f, f = (v)((vi)x - (exponent << 23)) - 1.0f;
  v p = f * 7.0376836292e-2f + -1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f + -1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f + -1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f + -2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  return (p * (f * f * f) + n * -2.12194440e-4f - f * f * 0.5f + f) + (n * 0.693359375f + (x - x));
}

/* W x W floats turned over, in log2 W perfect shuffles. */
INLINE void transpose(const float *in, Int ld, float *out) {
  v r[W], s[W];
  UNROLL for (int k = 0; k < W; k++) r[k] = load(in + k * ld);
  UNROLL for (int n = 0; n < ROUNDS; n++) {
    UNROLL for (int k = 0; k < W / 2; k++) {
      s[2 * k] = SHUFFLE(r[k], r[k + W / 2], LOW);
      s[2 * k + 1] = SHUFFLE(r[k], r[k + W / 2], HIGH);
    }
    UNROLL for (int k = 0; k < W; k++) r[k] = s[k];
  }
  UNROLL for (int k = 0; k < W; k++) store(out + k * W, r[k]);
}
