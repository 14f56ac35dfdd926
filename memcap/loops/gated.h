/* What the loops in C share: a cell with gates over whole sequences for XLA on CPUs, forward and backward, float32.

   Each unit has four products with x and h, and a step of its own: in a file for each cell, lstm.c and gru.c. Before it includes this
   one, the file defines

     CELL            the cell in words, "an LSTM"
     HAS_C           whether its carry is (c, h), not h alone
     KEPT            rows a unit that the backward loop needs of a step, beside x and the carry before: its gates, and what comes after
     BLOCKS          of columns in the caller's weights, each of one column a unit
     BLOCK(p)        that of a unit's product p, 0 ... 3
     SEES_X(p)       whether x, and the bias, are in this product; SEES_H(p): whether h is. What is not has zero weights here
     HALVES(p)       whether it is halved beforehand, which is exact: sigma(z) = tanh(z / 2) / 2 + 1 / 2

   and afterwards `unit_forward`, `unit_backward`, and what is called from outside.

   Axis letters: T steps, B sequences, F inputs, U units (of V in the caller's arrays), O outputs. The batch lies in the lanes: a row
   is L = LB * W floats, one of each of L sequences, and a block of L sequences runs all its steps before the next. A step's slot:
     x (X) | h before (U) | c before (U), if there is one | gates (4 U) | what else is kept (U a row)
   Gates lie interleaved by unit (row 4 u + p), so that the products, the activations and the carry of some units are finished in
   registers. Up to TABLE symbols are looked up in a register and have no rows (X = 0); more are one-hot.

   Nothing is static and nothing is allocated: XLA hands over the work space as a result, so that calls may run in any thread.
   Every size is checked against every buffer before the first number is read. */
#include <math.h>
#include <string.h>

#include "vectors.h"
#include "xla/ffi/api/c_api.h"

#define STATES (1 + HAS_C) /* in the carry */
/* Gradients that have a sum in each lane, at most, and where more than FEW symbols are looked up: where turning dz over took longer on
   Zen 5. The sums stay in the second cache. */
#define MOST_SUMS 2560
#define MOST_SUMS_OF_MANY 512
#define FEW 4
#define SPAN 8 /* steps that are added to the sums at once */

/* ---- What a call works on ---- */

typedef struct {
  Int T, F, V, O, B;                                 /* of the caller's arrays, of V units */
  Int steps, U;                                      /* that count; units from U on are zero, and left out */
  Int R;                                             /* rows of the outputs of a step */
  int real, hidden, keep, with_loss;                 /* inputs are numbers; outputs are hidden states; slots are kept; the loss is computed,
                                                        too, a block at a time */
  int table;                                         /* symbols are looked up */
  Int X, K, G, P, S;                                 /* rows: of x; of x and h; of gates and read-out, P of them padded; of a slot */
  const float *numbers;                              /* inputs: (T, F, B) */
  const int32_t *symbols;                            /* or (T, B) */
  const int32_t *targets;                            /* of a loss: which output is right, (T, B) */
  const uint8_t *due;                                /* whether an answer is due, (T, B) */
  const float *readout_bias;
  float *forward, *start, *out, *back, *into;        /* weights in tiles */
  float *dz, *turned, *dc, *dh, *dx;                 /* of the backward loop; turned: W columns after W columns; dc: without
                                                        a c, what of dh goes to the step before beside the products */
  float *dz_span, *factors;                          /* of the SPAN steps at hand: dz, of which dz is one step's, and its factors */
  float *dw, *db, *sums;                             /* gradients of weights and biases, and in each lane */
  float *d_block, *totals;                           /* d_outputs of a block, (T, O, L); loss, hits and answers, in each lane */
  int32_t *index;                                    /* a step's symbols, L of them */
} Job;

/* Whether the sizes are such that no product of them overflows; then the others follow. */
static int plan(Job *j) {
  const Int most = 1 << 15, longest = 1 << 24;
  if (j->F < 1 || j->F > most || j->V < 1 || j->V > most || j->O < 0 || j->O > most) return 0;
  if (j->T < 0 || j->T > longest || j->B < 0 || j->B > longest || j->T * j->B > INT32_MAX) return 0;
  j->table = !j->real && j->F <= TABLE;
  j->X = j->table ? 0 : j->F, j->K = j->X + j->U;
  j->G = 4 * j->U + j->O, j->P = (j->G + W - 1) / W * W, j->S = j->X + (STATES + KEPT) * j->U;
  return 1;
}
enum { ALL_SLOTS = 1, TWO_SLOTS, SLOTS_OF_A_BLOCK };
static Int slots(const Job *j, int which) {
  const Int blocks = which == ALL_SLOTS ? (j->B + L - 1) / L : 1;
  return (which == TWO_SLOTS ? 2 : (j->T + 1) * blocks) * j->S * L;
}

static void *part(Int *used, float *base, Int size) {
  float *at = base ? base + *used : NULL;
  *used += (size + 15) / 16 * 16;
  return at;
}
INLINE Int biases(const Job *j) { return j->table ? j->F : 1; } /* one for each symbol that is looked up */
INLINE Int num_factors(const Job *j) { return biases(j) + j->K; }

/* Floats of the work space, which is laid out if it is there. */
static Int lay_out(Job *j, float *base) {
  Int n = 0;
  j->forward = part(&n, base, 4 * j->U * j->K);
  j->start = part(&n, base, 4 * j->U * W);
  j->out = part(&n, base, j->O * j->U);
  j->back = part(&n, base, j->U * j->G);
  j->into = part(&n, base, j->real ? j->F * 4 * j->U : 0);
  j->dz = j->dz_span = part(&n, base, SPAN * j->P * L);
  j->factors = part(&n, base, SPAN * num_factors(j) * L);
  j->turned = part(&n, base, j->P * L);
  j->dc = part(&n, base, j->U * L);
  j->dh = part(&n, base, j->U * L);
  j->dx = part(&n, base, j->real ? j->F * L : 0);
  j->dw = part(&n, base, j->K * j->P);
  j->db = part(&n, base, biases(j) * j->P);
  j->sums = part(&n, base, (MOST_SUMS + W) * W);
  j->d_block = part(&n, base, j->with_loss ? j->T * j->O * L : 0);
  j->totals = part(&n, base, 3 * W);
  j->index = part(&n, base, L);
  return n;
}

/* Rows between a block and the caller's (rows, B); lanes without a sequence get zeros. */
INLINE Int lanes(const Job *j, Int b) { return j->B - b < L ? j->B - b : L; }
static void get_rows(const Job *j, const float *from, Int rows, Int b, float *to) {
  for (Int r = 0, left = lanes(j, b); r < rows; r++, from += j->B, to += L)
    if (left == L) memcpy(to, from + b, sizeof(float) * L);
    else for (Int l = 0; l < L; l++) to[l] = l < left ? from[b + l] : 0;
}
static void add_rows(const Job *j, const float *from, Int rows, Int b, float *to) {
  for (Int r = 0, left = lanes(j, b); r < rows; r++, from += j->B, to += L)
    for (Int l = 0; l < left; l++) to[l] += from[b + l];
}
static void put_rows(const Job *j, const float *from, Int rows, Int b, float *to) {
  for (Int r = 0, left = lanes(j, b); r < rows; r++, from += L, to += j->B)
    if (left == L) memcpy(to + b, from, sizeof(float) * L);
    else memcpy(to + b, from, sizeof(float) * left);
}
/* Of step t of (T, B) numbers of some bytes each; 0 where there is no sequence. */
INLINE void get_step(const Job *j, const void *from, Int t, Int b, const size_t bytes, void *to) {
  const char *here = (const char *)from + (t * j->B + b) * bytes;
  if (lanes(j, b) == L) memcpy(to, here, bytes * L);
  else memset(to, 0, bytes * L), memcpy(to, here, bytes * lanes(j, b));
}
static void get_symbols(const Job *j, Int t, Int b) { get_step(j, j->symbols, t, b, sizeof *j->index, j->index); }

/* Where, in a slot, its step's gates begin. */
INLINE Int gates_of(const Job *j) { return (j->K + HAS_C * j->U) * L; }

/* A unit's step, of the W sequences from l on: its products, LB apart, and a slot -> gates and what else is kept into it, the carry into
   the next one. */
INLINE void unit_forward(const Job *j, const v *products, Int u, Int l, float *slot, float *next);

/* The same backward: j->dh, and of a c j->dc, of the carry after the step -> j->dz of the products; j->dc of the carry before. */
INLINE void unit_backward(const Job *j, Int u, Int l, const float *slot);

/* ---- Products: a matrix is stored in tiles of `most`, then 8, 4, 2, 1 rows, each column by column ---- */

INLINE Int tile(Int left, Int most) {
  Int n = most;
  while (n > left) n /= 2;
  return n;
}
/* Call with the tile's rows as a constant; those above `most` are never met, and small. */
#define FOR_TILE(n, most, call) \
  switch (n) { \
    case 8: call((most) < 8 ? 1 : 8); break; \
    case 4: call((most) < 4 ? 1 : 4); break; \
    case 2: call((most) < 2 ? 1 : 2); break; \
    default: call(1); \
  }

static Int column(Int r, Int units) { return BLOCK(r % 4) * units + r / 4; } /* of an interleaved row, in the caller's arrays */

static void pack_forward(const Job *j, const float *kernel, const float *recurrent, const float *bias, const float *readout) {
  const Int U = j->U, V = j->V, N = BLOCKS * V, K = j->K, F = j->F, O = j->O;
  for (Int u = 0, n; u < U; u += n) {
    n = tile(U - u, UNITS);
    float *to = j->forward + 4 * u * K;
    for (Int r = 0; r < 4 * n; r++) {
      Int from = column(4 * u + r, V);
      float scale = HALVES(r % 4) ? 0.5f : 1.0f, of_x = SEES_X(r % 4) ? scale : 0.0f, of_h = SEES_H(r % 4) ? scale : 0.0f;
      for (Int k = 0; k < K; k++)
        to[k * 4 * n + r] = k < j->X ? of_x * kernel[k * N + from] : of_h * recurrent[(k - j->X) * N + from];
      for (Int s = 0; s < W; s++)
        j->start[(4 * u + r) * W + s] = of_x * (bias[from] + (j->table && s < F ? kernel[s * N + from] : 0));
    }
  }
  for (Int r = 0, n; r < O; r += n) {
    n = tile(O - r, ROWS);
    for (Int k = 0; k < U; k++)
      for (Int a = 0; a < n; a++) j->out[r * U + k * n + a] = readout[k * O + r + a];
  }
}

/* Rows of the kernel or the recurrent weights, and of (rows, more) columns beside them, as the backward products want them. */
static void pack_backward(const Job *j, int kernel, const float *weights, Int rows, const float *beside, Int more, float *to) {
  for (Int r = 0, n, U = j->U, V = j->V, G = 4 * U + more; r < rows; r += n) {
    n = tile(rows - r, ROWS);
    for (Int k = 0; k < G; k++) {
      const int sees = kernel ? SEES_X(k % 4) : SEES_H(k % 4);
      for (Int a = 0; a < n; a++)
        to[r * G + k * n + a] = k >= 4 * U ? beside[(r + a) * more + k - 4 * U]
                                           : sees ? weights[(r + a) * BLOCKS * V + column(k, V)] : 0;
    }
  }
}

/* Floats that are needed next. */
typedef struct { const float *next, *end; } Ahead;

/* acc (M rows) += A (M x K) x (K rows). Meanwhile what lies ahead, if anything, comes into the second cache, two lines with each k. */
INLINE void product(const int M, const float *A, const float *x, Int K, v *acc, Ahead *ahead) {
  for (Int k = 0; k < K; k++) {
    v row[LB];
    if (ahead && ahead->next < ahead->end) {
      __builtin_prefetch(ahead->next, 0, 2), __builtin_prefetch(ahead->next + LINE, 0, 2);
      ahead->next += 2 * LINE;
    }
    UNROLL for (int l = 0; l < LB; l++) row[l] = load(x + (k * LB + l) * W);
    UNROLL for (int m = 0; m < M; m++)
      UNROLL for (int l = 0; l < LB; l++) acc[m * LB + l] += A[k * M + m] * row[l];
  }
}
INLINE void product_tile(const int M, const float *A, const float *x, Int K, float *to, Ahead *ahead) {
  v acc[ROWS * LB];
  UNROLL for (int k = 0; k < M * LB; k++) acc[k] = (v){0};
  product(M, A, x, K, acc, ahead);
  UNROLL for (int k = 0; k < M * LB; k++) store(to + k * W, acc[k]);
}
static void product_rows(const float *A, Int rows, const float *x, Int K, float *to, Ahead ahead) {
  for (Int r = 0, n; r < rows; r += n) {
    n = tile(rows - r, ROWS);
#define CALL(n) product_tile(n, A + r * K, x, K, to + r * L, &ahead)
    FOR_TILE(n, ROWS, CALL)
#undef CALL
  }
}

/* ---- Forward ---- */

INLINE void will_write(const float *rows, Int n) { for (Int k = 0; k < n * L; k += LINE) __builtin_prefetch(rows + k, 1); }

INLINE void unit_tile(const int n, const Job *j, Int u, float *slot, float *next) {
  v acc[ROWS * LB];
  const float *start = j->start + 4 * u * W;
  float *gates = slot + gates_of(j);
  UNROLL for (int r = 0; r < 4 * n; r++)
    UNROLL for (int l = 0; l < LB; l++)
      acc[r * LB + l] = TABLE && j->table ? LOOK_UP(load(start + r * W), load_index(j->index + l * W)) : all(start[r * W]);
  will_write(gates + 4 * u * L, 4 * n);
  UNROLL for (int k = 4; k < KEPT; k++) will_write(gates + (k * j->U + u) * L, n);
  UNROLL for (int k = 0; k < STATES; k++) will_write(next + (j->X + k * j->U + u) * L, n);
  product(4 * n, j->forward + 4 * u * j->K, slot, j->K, acc, NULL);
  UNROLL for (int a = 0; a < n; a++)
    UNROLL for (int l = 0; l < LB; l++) unit_forward(j, acc + 4 * a * LB + l, u + a, l * W, slot, next);
}

/* Step t of a block: from its slot to the next one. */
static void step_forward(const Job *j, Int t, Int b, float *slot, float *next) {
  if (j->real) get_rows(j, j->numbers + t * j->F * j->B, j->F, b, slot);
  else {
    get_symbols(j, t, b);
    for (Int f = 0; f < j->X; f++)
      for (Int l = 0; l < L; l++) slot[f * L + l] = j->index[l] == f;
  }
  for (Int u = 0, n; u < j->U; u += n) {
    n = tile(j->U - u, UNITS);
#define CALL(n) unit_tile(n, j, u, slot, next)
    FOR_TILE(n, UNITS, CALL)
#undef CALL
  }
}

/* Of the W sequences from l on: outputs of a step, in rows, without their bias -> gradients of the sum of cross entropies, 0 where no
   answer is due. A target that is none of the outputs counts as an output of 0. */
INLINE void lanes_loss(const Job *j, Int l, vi target, vi due, float *rows) {
  float *totals = j->totals;
  v top = all(-INFINITY), at = {0}, sum = {0};
  vi best = {0};
  rows += l;
  for (Int o = 0; o < j->O; o++) {
    v z = load(rows + o * L) + j->readout_bias[o];
    vi above = z > top;
    store(rows + o * L, z);
    top = pick(above, z, top), best = (above & (int32_t)o) | (~above & best), at = pick(target == (int32_t)o, z, at);
  }
  for (Int o = 0; o < j->O; o++) {
    v e = exp_(load(rows + o * L) - top);
    store(rows + o * L, e), sum += e;
  }
  const v one = all(1.0f), share = one / sum;
  for (Int o = 0; o < j->O; o++) {
    v p = load(rows + o * L) * share;
    store(rows + o * L, pick(due, pick(target == (int32_t)o, p - 1.0f, p), (v){0}));
  }
  store(totals, load(totals) + pick(due, log_(sum) + (top - at), (v){0}));
  store(totals + W, load(totals + W) + pick(due & (best == target), one, (v){0}));
  store(totals + 2 * W, load(totals + 2 * W) + pick(due, one, (v){0}));
}

/* Of a block's step t, whose hidden state is h: the totals, and d_block. */
static void step_loss(const Job *j, Int t, Int b, const float *h) {
  int32_t targets[L], due[L], any = 0;
  uint8_t flags[L];
  float *rows = j->d_block + t * j->O * L;
  get_step(j, j->due, t, b, sizeof *flags, flags);
  for (Int l = 0; l < L; l++) due[l] = -(flags[l] != 0), any |= due[l];
  if (!any) {
    memset(rows, 0, sizeof(float) * j->O * L);
    return;
  }
  get_step(j, j->targets, t, b, sizeof *targets, targets);
  product_rows(j->out, j->O, h, j->U, rows, (Ahead){0});
  for (Int l = 0; l < L; l += W) lanes_loss(j, l, load_index(targets + l), load_index(due + l), rows);
}

/* Of a cell without a c, c and c_out are not looked at; likewise in backward_block. NULL: zeros, or not wanted. */
static void forward_block(const Job *j, Int b, const float *c, const float *h, float *c_out, float *h_out, float *outputs,
                          float *kept) {
  const Int slot = j->S * L;
  float *now = kept;
  get_rows(j, h, j->U, b, now + j->X * L);
  if (HAS_C) get_rows(j, c, j->U, b, now + j->K * L);
  for (Int t = 0; t < j->steps; t++) {
    float *next = kept + (j->keep ? t + 1 : (t + 1) % 2) * slot;
    step_forward(j, t, b, now, next);
    now = next;
    if (j->hidden) put_rows(j, now + j->X * L, j->U, b, outputs + t * j->V * j->B);
    else if (j->with_loss) step_loss(j, t, b, now + j->X * L);
    else if (j->O) {
      product_rows(j->out, j->O, now + j->X * L, j->U, j->dz, (Ahead){0});
      put_rows(j, j->dz, j->O, b, outputs + t * j->O * j->B);
    }
  }
  memset(now, 0, sizeof(float) * j->X * L); /* the backward loop's first step reads out alone: it has no inputs */
  if (h_out) put_rows(j, now + j->X * L, j->U, b, h_out);
  if (HAS_C && c_out) put_rows(j, now + j->K * L, j->U, b, c_out);
}

/* ---- Backward ---- */

/* Meanwhile the slot of the next step, `ahead`, comes into the second cache, a share with each row and vector. */
INLINE void weights_tile(const int n, const int vectors, const Job *j, const float *x, Int k, Int g, const float *ahead) {
  v acc[ROWS * LB];
  float *dw = j->dw + k * j->P + g;
  const Int share = j->S * L * W / (j->K * j->P), stride = share * n * vectors / L;
  ahead += (g / W * j->K + k * vectors) * share;
  UNROLL for (int a = 0; a < n * vectors; a++) acc[a] = (v){0};
  for (int l = 0; l < L; l++) {
    v z[4];
    __builtin_prefetch(ahead + l * stride, 0, 2);
    UNROLL for (int i = 0; i < vectors; i++) z[i] = in_register(load(j->turned + (g + i * W) * L + l * W));
    UNROLL for (int a = 0; a < n; a++)
      UNROLL for (int i = 0; i < vectors; i++) acc[a * vectors + i] += x[(k + a) * L + l] * z[i];
  }
  UNROLL for (int a = 0; a < n; a++)
    UNROLL for (int i = 0; i < vectors; i++) {
      float *to = dw + a * j->P + i * W;
      store(to, load(to) + acc[a * vectors + i]);
    }
}
INLINE void weights_columns(const int vectors, const Job *j, const float *x, Int g, const float *ahead) {
  const int fit = ROWS * LB / vectors, most = fit < 8 ? fit : 8;
  for (Int k = 0, n; k < j->K; k += n) {
    n = tile(j->K - k, most);
#define CALL(n) weights_tile(n, vectors, j, x, k, g, ahead)
    FOR_TILE(n, most, CALL)
#undef CALL
  }
}

/* Many gradients, of one step: rows x and h of its slot with the rows dz, turned over. */
static void add_weights(const Job *j, const float *slot, const float *ahead) {
  const Int P = j->P;
  Int g = 0;
  for (; g < P; g += W)
    UNROLL for (int l = 0; l < LB; l++) transpose(j->dz + g * L + l * W, L, j->turned + g * L + l * W * W);
  for (g = 0; g + 4 * W <= P; g += 4 * W) weights_columns(4, j, slot, g, ahead);
  for (; g + 2 * W <= P; g += 2 * W) weights_columns(2, j, slot, g, ahead);
  for (; g < P; g += W) weights_columns(1, j, slot, g, ahead);
  for (int l = 0; l < L; l++) {
    float *to = j->db + (j->table ? j->index[l] * P : 0);
    for (g = 0; g < P; g += W) store(to + g, load(to + g) + load(j->turned + g * L + l * W));
  }
}

/* Few gradients are summed up lane by lane, and the lanes at the end. The rows with which dz is multiplied, its factors: a bias, or one for
   each symbol, then x and h. Symbols cost as much as units here, and next to nothing where dz is turned over. */
INLINE int by_lane(const Job *j) { return num_factors(j) * j->G <= (biases(j) > FEW ? MOST_SUMS_OF_MANY : MOST_SUMS); }
static void get_factors(const Job *j, const float *slot, float *to) {
  for (Int r = 0; r < biases(j); r++)
    for (int l = 0; l < L; l += W, to += W)
      store(to, pick(load_index(j->index + l) == (vi){0} + (int32_t)r, all(1.0f), all(0.0f)));
  memcpy(to, slot, sizeof(float) * j->K * L);
}
INLINE void sums_tile(const int n, const int m, const Job *j, Int r, Int g, int steps) {
  const float *x = j->factors + r * L, *z = j->dz_span + g * L;
  float *sums = j->sums + (r * j->G + g) * W;
  v acc[4 * COLUMNS];
  UNROLL for (int a = 0; a < n; a++)
    UNROLL for (int i = 0; i < m; i++) acc[a * m + i] = load(sums + (a * j->G + i) * W);
  for (int s = 0; s < steps; s++, x += num_factors(j) * L, z += j->P * L)
    UNROLL for (int l = 0; l < LB; l++) {
      v columns[COLUMNS];
      UNROLL for (int i = 0; i < m; i++) columns[i] = in_register(load(z + i * L + l * W));
      UNROLL for (int a = 0; a < n; a++) {
        const v row = in_register(load(x + a * L + l * W));
        UNROLL for (int i = 0; i < m; i++) acc[a * m + i] += row * columns[i];
      }
    }
  UNROLL for (int a = 0; a < n; a++)
    UNROLL for (int i = 0; i < m; i++) store(sums + (a * j->G + i) * W, acc[a * m + i]);
}
INLINE void sums_columns(const int m, const Job *j, Int g, int steps) {
  for (Int r = 0, n; r < num_factors(j); r += n) {
    n = tile(num_factors(j) - r, 4);
#define CALL(n) sums_tile(n, m, j, r, g, steps)
    FOR_TILE(n, 4, CALL)
#undef CALL
  }
}
static void add_by_lane(const Job *j, int steps) {
  for (Int g = 0, m; g < j->G; g += m) {
    m = tile(j->G - g, COLUMNS);
#define CALL_COLUMNS(m) sums_columns(m, j, g, steps)
    FOR_TILE(m, COLUMNS, CALL_COLUMNS)
#undef CALL_COLUMNS
  }
}
static void add_lanes(const Job *j) {
  const Int first = biases(j);
  for (Int r = 0; r < num_factors(j); r++)
    for (Int g = 0; g < j->G; g += W) {
      float turned[W * W];
      v total = {0};
      transpose(j->sums + (r * j->G + g) * W, W, turned);
      for (int l = 0; l < W; l++) total += load(turned + l * W);
      store((r < first ? j->db + r * j->P : j->dw + (r - first) * j->P) + g, total);
    }
}

/* The gates' rows of dz, and j->dc. */
static void through_gates(const Job *j, const float *slot) {
  for (Int u = 0; u < j->U; u++)
    UNROLL for (int l = 0; l < LB; l++) unit_backward(j, u, l * W, slot);
}

/* The last O rows of dz are of the read-out of the step before: its hidden state is what entered this one. So that of the last step
   is read out at a step of its own, without gates. */
static void backward_block(Job *j, Int b, const float *dc, const float *dh, const float *d_outputs, const float *kept,
                           float *dc_out, float *dh_out, float *dx) {
  const Int U = j->U, O = j->O;
  int span = 0; /* steps that are still to be added to the sums */
  if (HAS_C && dc) get_rows(j, dc, U, b, j->dc);
  else memset(j->dc, 0, sizeof(float) * U * L);
  if (dh) get_rows(j, dh, U, b, j->dh);
  else memset(j->dh, 0, sizeof(float) * U * L);
  memset(j->index, 0, sizeof *j->index * L);
  for (Int t = O ? j->steps : j->steps - 1; t >= 0; t--) {
    const float *slot = kept + t * j->S * L;
    j->dz = j->dz_span + span * j->P * L;
    if (t < j->steps) {
      if (j->hidden) add_rows(j, d_outputs + t * j->V * j->B, U, b, j->dh);
      if (j->table) get_symbols(j, t, b);
      through_gates(j, slot);
    } else memset(j->dz, 0, sizeof(float) * 4 * U * L);
    if (j->with_loss && t) memcpy(j->dz + 4 * U * L, j->d_block + (t - 1) * O * L, sizeof(float) * O * L);
    else if (O && t) get_rows(j, d_outputs + (t - 1) * O * j->B, O, b, j->dz + 4 * U * L);
    else memset(j->dz + 4 * U * L, 0, sizeof(float) * O * L);
    const float *ahead = t ? slot - j->S * L : slot;
    if (by_lane(j)) {
      get_factors(j, slot, j->factors + span * num_factors(j) * L);
      if (++span == SPAN || !t) add_by_lane(j, span), span = 0;
    } else add_weights(j, slot, ahead);
    product_rows(j->back, U, j->dz, j->G, j->dh, by_lane(j) ? (Ahead){ahead, ahead + j->S * L} : (Ahead){0});
    for (Int k = 0; !HAS_C && k < U * L; k++) j->dh[k] += j->dc[k];
    if (t == j->steps) {
      if (dh) add_rows(j, dh, U, b, j->dh);
    } else if (dx) {
      product_rows(j->into, j->F, j->dz, 4 * U, j->dx, (Ahead){0});
      put_rows(j, j->dx, j->F, b, dx + t * j->F * j->B);
    }
  }
  if (HAS_C) put_rows(j, j->dc, U, b, dc_out);
  put_rows(j, j->dh, U, b, dh_out);
}

/* Before all blocks, and after them: from the sums to the caller's arrays. */
static void begin_gradients(const Job *j, const float *kernel, const float *recurrent, const float *readout) {
  pack_backward(j, 0, recurrent, j->U, readout, j->O, j->back);
  if (j->real) pack_backward(j, 1, kernel, j->F, NULL, 0, j->into);
  if (by_lane(j)) memset(j->sums, 0, sizeof(float) * num_factors(j) * j->G * W);
  else {
    memset(j->dz, 0, sizeof(float) * j->P * L); /* the rows that pad stay zero */
    memset(j->dw, 0, sizeof(float) * j->K * j->P);
    memset(j->db, 0, sizeof(float) * biases(j) * j->P);
  }
}
static void end_gradients(const Job *j, float *d_kernel, float *d_recurrent, float *d_bias, float *d_readout, float *d_readout_bias) {
  if (by_lane(j)) add_lanes(j);
  const Int U = j->U, V = j->V, N = BLOCKS * V, X = j->X, G = j->G;
  for (Int k = 0; k < j->K; k++)
    for (Int g = 0; g < G; g++) {
      float d = j->dw[k * j->P + g];
      if (g >= 4 * U) {
        if (k >= X) d_readout[(k - X) * j->O + g - 4 * U] = d;
      } else if (k < X ? SEES_X(g % 4) : SEES_H(g % 4))
        *(k < X ? &d_kernel[k * N + column(g, V)] : &d_recurrent[(k - X) * N + column(g, V)]) = d;
    }
  for (Int g = 0; g < G; g++) {
    const int of_gates = g < 4 * U;
    float total = 0;
    if (of_gates ? !SEES_X(g % 4) : !d_readout_bias) continue;
    for (Int s = 0; s < biases(j); s++) {
      float d = j->db[s * j->P + g];
      if (j->table && of_gates) d_kernel[s * N + column(g, V)] = d;
      total += d;
    }
    *(of_gates ? &d_bias[column(g, V)] : &d_readout_bias[g - 4 * U]) = total;
  }
}

/* ---- XLA's side ---- */

static XLA_FFI_Error *refuse(const XLA_FFI_CallFrame *frame, const char *why) {
  XLA_FFI_Error_Create_Args error = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, why, XLA_FFI_Error_Code_INVALID_ARGUMENT};
  return frame->api->XLA_FFI_Error_Create(&error);
}
static int asked_for_metadata(const XLA_FFI_CallFrame *frame) {
  XLA_FFI_Metadata_Extension *asked = (XLA_FFI_Metadata_Extension *)frame->extension_start; /* if it is one: its base comes first */
  if (!asked || asked->extension_base.type != XLA_FFI_Extension_Metadata) return 0;
  XLA_FFI_Metadata *m = asked->metadata;
  m->api_version.major_version = XLA_FFI_API_MAJOR, m->api_version.minor_version = XLA_FFI_API_MINOR, m->traits = 0;
  m->state_type_id = (XLA_FFI_TypeId){0};
  return 1;
}

/* Whether buffers are float32 arrays of these shapes: a word each, with a letter for each axis. */
static int fit(const Job *j, void *const *buffers, const char *shapes) {
  const char *axes = "TFUOBGRX"; /* G: all blocks; R: rows of the outputs; X: steps of inputs that have a gradient */
  const Int sizes[] = {j->T, j->F, j->V, j->O, j->B, BLOCKS * j->V, j->R, j->real ? j->T : 0};
  for (; *shapes; buffers++, shapes += *shapes == ' ') {
    const XLA_FFI_Buffer *b = *buffers;
    Int rank = 0;
    for (; *shapes && *shapes != ' '; shapes++, rank++)
      if (rank >= b->rank || b->dims[rank] != sizes[strchr(axes, *shapes) - axes]) return 0;
    if (b->rank != rank || b->dtype != XLA_FFI_DataType_F32) return 0;
  }
  return 1;
}
static int is_row(const XLA_FFI_Buffer *b, Int n) { return b->dtype == XLA_FFI_DataType_F32 && b->rank == 1 && *b->dims == n; }
static int of_steps(const Job *j, const XLA_FFI_Buffer *b, XLA_FFI_DataType type) {
  return b->dtype == type && b->rank == 2 && b->dims[0] == j->T && b->dims[1] == j->B;
}
static void clear(const XLA_FFI_Buffer *b) {
  Int bytes = sizeof(float);
  for (Int k = 0; k < b->rank; k++) bytes *= b->dims[k];
  if (bytes) memset(b->data, 0, bytes);
}
/* Whether all of n symbols are in 0 ... F - 1. */
static int all_below(const int32_t *symbols, Int n, Int F) {
  const vi most = (vi){0} + (int32_t)(F - 1);
  vi good = (vi){0} - 1;
  Int k = 0;
  for (; k + W <= n; k += W) {
    const vi x = load_index(symbols + k);
    good &= (x >= 0) & (x <= most);
  }
  for (; k < n; k++) good &= (symbols[k] >= 0 && symbols[k] < F) ? -1 : 0;
  int all_good = 1;
  for (int l = 0; l < W; l++) all_good &= good[l] != 0;
  return all_good;
}
static Int within(Int n, Int least, Int most) { return n < least ? least : n > most ? most : n; }
static Int size(const XLA_FFI_Buffer *b, int axis) { return axis < b->rank ? b->dims[axis] : -1; }

/* What all calls begin with: the sizes, to which all buffers are then held; the inputs; slots, of one kind or the other; the work
   space, which is the last result. Returns what is wrong, or NULL. */
static const char *begin(Job *j, const XLA_FFI_CallFrame *frame, const XLA_FFI_Buffer *readout, const XLA_FFI_Buffer *outputs,
                         const XLA_FFI_Buffer *kept, int which, int or_which, const char *taken, const char *given) {
  void *const *in = frame->args.args, *const *out = frame->rets.rets;
  const XLA_FFI_Buffer *inputs = in[4 + STATES], *counts = in[5 + STATES], *work = out[frame->rets.size - 1];
  j->real = inputs->rank == 3, j->T = size(inputs, 0), j->B = size(inputs, j->real ? 2 : 1);
  j->F = size(in[0], 0), j->U = j->V = size(in[1], 0), j->O = size(readout, 1);
  if (!plan(j)) return "memcap: the sizes of " CELL " are out of range";
  j->hidden = j->O == 0 && size(outputs, 1) > 0, j->R = j->hidden ? j->V : j->O;
  int fits = j->real ? fit(j, in + 4 + STATES, "TFB") : inputs->rank == 2 && inputs->dtype == XLA_FFI_DataType_S32;
  fits = fits && counts->rank == 1 && *counts->dims == 2 && counts->dtype == XLA_FFI_DataType_S32;
  fits = fits && fit(j, in, taken) && fit(j, out, given) && is_row(work, lay_out(j, NULL));
  j->keep = is_row(kept, slots(j, which));
  if (!fits || !(j->keep || is_row(kept, slots(j, or_which)))) return "memcap: the buffers of " CELL " do not fit together";
  const int32_t *n = counts->data;
  j->steps = within(n[0], 0, j->T), j->U = within(n[1], 1, j->V);
  plan(j), lay_out(j, work->data); /* smaller, if anything */
  j->numbers = inputs->data, j->symbols = inputs->data;
  if (j->real || all_below(j->symbols, j->steps * j->B, j->F)) return NULL;
  return "memcap: " CELL "'s symbols must be at least 0 and below the number of its inputs";
}
#define IN(k) (((XLA_FFI_Buffer *)in[k])->data)
#define OUT(k) (((XLA_FFI_Buffer *)out[k])->data)

#if HAS_C
#define CARRY "UB UB"
#else
#define CARRY "UB"
#endif

/* kernel (F, G), recurrent (V, G), bias (G), of G = BLOCKS * V; readout (V, O), c, h (V, B), inputs (T, B) or (T, F, B), counts: steps,
   units -> c, h, outputs (T, V or O or 0, B), kept: all slots, or two where no gradient is wanted; work. A cell without a c gets none,
   and gives none. */
static XLA_FFI_Error *forward(XLA_FFI_CallFrame *frame) {
  if (asked_for_metadata(frame)) return NULL;
  if (frame->args.size != 6 + STATES || frame->rets.size != 3 + STATES)
    return refuse(frame, "memcap: " CELL " forward takes and gives another number of buffers");
  void *const *in = frame->args.args, *const *out = frame->rets.rets;
  Job j = {0};
  const char *wrong = begin(&j, frame, in[3], out[STATES], out[1 + STATES], ALL_SLOTS, TWO_SLOTS, "FG UG G UO " CARRY, CARRY " TRB");
  if (wrong) return refuse(frame, wrong);
  for (int k = 0; k < 1 + STATES; k++) clear(out[k]); /* what does not count */
  pack_forward(&j, IN(0), IN(1), IN(2), IN(3));
  for (Int b = 0; b < j.B; b += L)
    forward_block(&j, b, IN(4), IN(4 + HAS_C), OUT(0), OUT(HAS_C), OUT(STATES),
                  (float *)OUT(1 + STATES) + (j.keep ? b / L * (j.T + 1) * j.S * L : 0));
  return NULL;
}

/* kernel, recurrent, readout, dc, dh (V, B), d_outputs, inputs, counts, kept: all slots
   -> d_kernel, d_recurrent, d_bias, d_readout, dc, dh, dx (T, F, B), or (0, F, B) for symbols; work */
static XLA_FFI_Error *backward(XLA_FFI_CallFrame *frame) {
  if (asked_for_metadata(frame)) return NULL;
  if (frame->args.size != 7 + STATES || frame->rets.size != 6 + STATES)
    return refuse(frame, "memcap: " CELL " backward takes and gives another number of buffers");
  void *const *in = frame->args.args, *const *out = frame->rets.rets;
  Job j = {0};
  const char *wrong = begin(&j, frame, in[2], in[3 + STATES], in[6 + STATES], ALL_SLOTS, ALL_SLOTS, "FG UG UO " CARRY " TRB", "FG UG G UO " CARRY " XFB");
  if (wrong) return refuse(frame, wrong);
  for (int k = 0; k < 5 + STATES; k++) clear(out[k]);
  begin_gradients(&j, IN(0), IN(1), IN(2));
  for (Int b = 0; b < j.B; b += L)
    backward_block(&j, b, IN(3), IN(3 + HAS_C), IN(3 + STATES), (const float *)IN(6 + STATES) + b / L * (j.T + 1) * j.S * L, OUT(4),
                   OUT(4 + HAS_C), j.real ? OUT(4 + STATES) : NULL);
  end_gradients(&j, OUT(0), OUT(1), OUT(2), OUT(3), NULL);
  return NULL;
}

/* Forward, the loss of every step, and backward: kernel, recurrent, bias, readout, c, h, inputs, counts as
   forward; bias of the outputs (O), targets (T, B), whether an answer is due (T, B)
   -> of the sum of cross entropies d_kernel, d_recurrent, d_bias, d_readout, that of the outputs' bias, dc, dh, dx; that sum, hits, and how
   many were due; kept: slots of a block; work */
static XLA_FFI_Error *loss(XLA_FFI_CallFrame *frame) {
  if (asked_for_metadata(frame)) return NULL;
  if (frame->args.size != 9 + STATES || frame->rets.size != 9 + STATES)
    return refuse(frame, "memcap: " CELL " loss takes and gives another number of buffers");
  void *const *in = frame->args.args, *const *out = frame->rets.rets;
  Job j = {.with_loss = 1};
  const char *wrong = begin(&j, frame, in[3], in[3], out[7 + STATES], SLOTS_OF_A_BLOCK, SLOTS_OF_A_BLOCK, "FG UG G UO " CARRY,
                            "FG UG G UO O " CARRY " XFB");
  if (wrong) return refuse(frame, wrong);
  if (j.O < 1 || !is_row(in[6 + STATES], j.O) || !is_row(out[6 + STATES], 3) || !of_steps(&j, in[7 + STATES], XLA_FFI_DataType_S32) ||
      !of_steps(&j, in[8 + STATES], XLA_FFI_DataType_PRED))
    return refuse(frame, "memcap: the answers of " CELL " do not fit");
  j.readout_bias = IN(6 + STATES), j.targets = IN(7 + STATES), j.due = IN(8 + STATES);
  for (int k = 0; k < 7 + STATES; k++) clear(out[k]);
  memset(j.totals, 0, sizeof(float) * 3 * W);
  pack_forward(&j, IN(0), IN(1), IN(2), IN(3));
  begin_gradients(&j, IN(0), IN(1), IN(3));
  for (Int b = 0; b < j.B; b += L) {
    forward_block(&j, b, IN(4), IN(4 + HAS_C), NULL, NULL, NULL, OUT(7 + STATES));
    backward_block(&j, b, NULL, NULL, NULL, OUT(7 + STATES), OUT(5), OUT(5 + HAS_C), j.real ? OUT(5 + STATES) : NULL);
  }
  end_gradients(&j, OUT(0), OUT(1), OUT(2), OUT(3), OUT(4));
  for (int k = 0; k < 3 * W; k++) ((float *)OUT(6 + STATES))[k / W] += j.totals[k];
  return NULL;
}

/* Floats that the caller must ask for: of work, of all slots, of two slots, of a block's slots, of work with a loss; -1 where
   the sizes are out of range. */
static int64_t size_of(int which, int64_t T, int64_t F, int64_t U, int64_t O, int64_t B, int real) {
  Job j = {.T = T, .F = F, .V = U, .U = U, .O = O, .B = B, .real = real, .with_loss = which == 4};
  return !plan(&j) ? -1 : which % 4 == 0 ? lay_out(&j, NULL) : slots(&j, which);
}
