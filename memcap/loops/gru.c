/* The GRU over whole sequences, by gated.h, as flax.nnx.GRUCell has it:

     r = sigma(W_r x + b_r + U_r h)    z = sigma(W_z x + b_z + U_z h)    n = tanh(W_n x + b_n + r U_n h)    h' = (1 - z) n + z h

   A unit's products are those of r, of z, and the two parts of n, of x and of h, as r stands between them. */
#define CELL "a GRU"
#define HAS_C 0
#define KEPT 4
#define BLOCKS 3
#define BLOCK(p) ((p) < 3 ? (p) : 2)
#define SEES_X(p) ((p) != 3)
#define SEES_H(p) ((p) != 2)
#define HALVES(p) ((p) < 2)
#include "gated.h"

INLINE void unit_forward(const Job *j, const v *products, Int u, Int l, float *slot, float *next) {
  const Int at = u * L + l;
  float *to = slot + gates_of(j) + 4 * u * L + l;
  v r = sigmoid(products[0]), z = sigmoid(products[LB]), of_h = products[3 * LB], n = tanh_(products[2 * LB] + r * of_h);
  store(to, r), store(to + L, z), store(to + 2 * L, n), store(to + 3 * L, of_h);
  store(next + j->X * L + at, (1.0f - z) * n + z * load(slot + j->X * L + at)); /* where z is 1, h to the bit */
}

INLINE void unit_backward(const Job *j, Int u, Int l, const float *slot) {
  const Int at = u * L + l;
  const float *p = slot + gates_of(j) + 4 * u * L + l;
  float *dz = j->dz + 4 * u * L + l;
  v r = load(p), z = load(p + L), n = load(p + 2 * L), of_h = load(p + 3 * L), h = load(slot + j->X * L + at), dh = load(j->dh + at);
  v dn = dh * (1.0f - z) * (1.0f - n * n);
  store(dz, dn * of_h * r * (1.0f - r));
  store(dz + L, dh * (h - n) * z * (1.0f - z));
  store(dz + 2 * L, dn);
  store(dz + 3 * L, dn * r);
  store(j->dc + at, dh * z);
}

XLA_FFI_Error *memcap_gru_forward(XLA_FFI_CallFrame *frame) { return forward(frame); }
XLA_FFI_Error *memcap_gru_backward(XLA_FFI_CallFrame *frame) { return backward(frame); }
XLA_FFI_Error *memcap_gru_loss(XLA_FFI_CallFrame *frame) { return loss(frame); }
int64_t memcap_gru_size(int which, int64_t T, int64_t F, int64_t U, int64_t O, int64_t B, int real) {
  return size_of(which, T, F, U, O, B, real);
}
