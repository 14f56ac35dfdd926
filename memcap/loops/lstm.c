/* The LSTM over whole sequences, by gated.h: what memcap/cells/lstm.py computes in XLA's loops. Its gates are in the order i, f, g, o;
   beside them a step keeps tanh of the c after it. */
#define CELL "an LSTM"
#define HAS_C 1
#define KEPT 5
#define BLOCKS 4
#define BLOCK(p) (p)
#define SEES_X(p) 1
#define SEES_H(p) 1
#define HALVES(p) ((p) != 2)
#include "gated.h"

INLINE void unit_forward(const Job *j, const v *products, Int u, Int l, float *slot, float *next) {
  const Int at = u * L + l;
  float *gates = slot + gates_of(j), *to = gates + 4 * u * L + l, *tanh_c = gates + 4 * j->U * L;
  v i = sigmoid(products[0]), f = sigmoid(products[LB]), g = tanh_(products[2 * LB]), o = sigmoid(products[3 * LB]);
  v c = f * load(slot + j->K * L + at) + i * g, t = tanh_(c);
  store(to, i), store(to + L, f), store(to + 2 * L, g), store(to + 3 * L, o);
  store(next + j->K * L + at, c), store(tanh_c + at, t), store(next + j->X * L + at, o * t);
}

INLINE void unit_backward(const Job *j, Int u, Int l, const float *slot) {
  const Int at = u * L + l;
  const float *c = slot + j->K * L, *gates = slot + gates_of(j), *p = gates + 4 * u * L + l, *tanh_c = gates + 4 * j->U * L;
  float *dz = j->dz + 4 * u * L + l;
  v i = load(p), f = load(p + L), g = load(p + 2 * L), o = load(p + 3 * L), t = load(tanh_c + at), dh = load(j->dh + at);
  v dc = load(j->dc + at) + dh * o * (1.0f - t * t);
  store(dz, dc * g * i * (1.0f - i));
  store(dz + L, dc * load(c + at) * f * (1.0f - f));
  store(dz + 2 * L, dc * i * (1.0f - g * g));
  store(dz + 3 * L, dh * t * o * (1.0f - o));
  store(j->dc + at, dc * f);
}

XLA_FFI_Error *memcap_lstm_forward(XLA_FFI_CallFrame *frame) { return forward(frame); }
XLA_FFI_Error *memcap_lstm_backward(XLA_FFI_CallFrame *frame) { return backward(frame); }
XLA_FFI_Error *memcap_lstm_loss(XLA_FFI_CallFrame *frame) { return loss(frame); }
int64_t memcap_lstm_size(int which, int64_t T, int64_t F, int64_t U, int64_t O, int64_t B, int real) {
  return size_of(which, T, F, U, O, B, real);
}
