/* Random calls of a cell in C, -DSOURCE='"lstm.c"', sound and unsound, on heap buffers of the exact size: for -fsanitize=address,undefined.

   A sound call must return nothing wrong and write every number of its results, whose memory begins as NaN. Of an unsound one a
   buffer has another type, rank or size, a symbol lies outside, or an argument is missing: it must be refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include SOURCE

#define MOST 11
typedef struct {
  XLA_FFI_Buffer buffers[MOST];
  int64_t dims[MOST][3];
  void *pointers[MOST];
  int count;
} Buffers;

#define REALS -1
#define BOOLS -2
#define RESULT 0

static unsigned state = 1;
static Int below(Int n) { return state = state * 1664525u + 1013904223u, (Int)(state >> 8) % n; }

static Int numbers(const XLA_FFI_Buffer *b) {
  Int n = 1;
  for (Int k = 0; k < b->rank; k++) n *= b->dims[k];
  return n;
}

/* A buffer of random numbers between -1 and 1, or of symbols below `top`; of NaN where `top` is 0; of truth values where it is BOOLS. */
static void *add(Buffers *all, int top, int rank, Int first, Int second, Int third) {
  const int k = all->count++;
  XLA_FFI_Buffer *b = &all->buffers[k];
  int64_t *dims = all->dims[k];
  dims[0] = first, dims[1] = second, dims[2] = third;
  *b = (XLA_FFI_Buffer){sizeof *b, NULL, top > 0 ? XLA_FFI_DataType_S32 : XLA_FFI_DataType_F32, NULL, rank, dims};
  if (top == BOOLS) b->dtype = XLA_FFI_DataType_PRED;
  const Int n = numbers(b);
  b->data = malloc(n ? (top == BOOLS ? 1 : 4) * n : 1);
  for (Int i = 0; i < n; i++)
    if (top == BOOLS) ((uint8_t *)b->data)[i] = below(2);
    else if (top > 0) ((int32_t *)b->data)[i] = below(top);
    else ((float *)b->data)[i] = top ? below(2001) / 1000.0f - 1 : NAN;
  all->pointers[k] = b;
  return b->data;
}
static void add_weights_of(Buffers *all, int top, Int F, Int U, Int O) {
  add(all, top, 2, F, BLOCKS * U, 0), add(all, top, 2, U, BLOCKS * U, 0), add(all, top, 1, BLOCKS * U, 0, 0), add(all, top, 2, U, O, 0);
}

static XLA_FFI_Error *error_of(XLA_FFI_Error_Create_Args *arguments) { return (XLA_FFI_Error *)arguments->message; }
static const XLA_FFI_Api api = {.XLA_FFI_Error_Create = error_of};

static const char *call(XLA_FFI_Handler *handler, Buffers *in, Buffers *out) {
  XLA_FFI_CallFrame frame = {.api = &api, .args = {.size = in->count, .args = in->pointers}};
  frame.rets.size = out->count, frame.rets.rets = out->pointers;
  return (const char *)handler(&frame);
}

static void release(Buffers *all) {
  for (int k = 0; k < all->count; k++) free(all->buffers[k].data);
  all->count = 0;
}

static void fail(const char *what, const char *which, int number) {
  printf("%s: %s, case %d\n", which, what, number);
  exit(1);
}

static void sound(XLA_FFI_Handler *handler, Buffers *in, Buffers *out, int checked, const char *which, int number) {
  const char *wrong = call(handler, in, out);
  if (wrong) fail(wrong, which, number);
  for (int k = 0; k < checked; k++)
    for (Int i = 0; i < numbers(&out->buffers[k]); i++)
      if (!isfinite(((float *)out->buffers[k].data)[i])) fail("a result is not finite", which, number);
}

/* Spoil one thing, see that the call is refused, and mend it. */
static void unsound(XLA_FFI_Handler *handler, Buffers *in, Buffers *out, const char *which, int number) {
  Buffers *all = below(2) ? in : out;
  const Int n = below(6), k = below(all->count);
  XLA_FFI_Buffer *b = &all->buffers[k], kept = *b;
  int64_t dims[3];
  memcpy(dims, all->dims[k], sizeof dims);
  if (n == 0) all->count--;
  else if (n == 1) b->dtype = b->dtype == XLA_FFI_DataType_F32 ? XLA_FFI_DataType_F64 : XLA_FFI_DataType_S64;
  else if (n == 2 || b->rank == 0) b->rank = b->rank == 3 || below(2) ? b->rank - 1 : b->rank + 1;
  else {
    const Int strange[] = {-1, INT64_MAX, INT64_MIN, 1 << 16, (Int)1 << 31, dims[0] + 1};
    const Int axis = all == in && k == 0 ? 1 : below(b->rank); /* where symbols enter, only the kernel's own rows say how many */
    all->dims[k][axis] = dims[axis] ? strange[below(6)] : -1; /* nothing may mean that no outputs are wanted, and U that they are */
    if (!memcmp(dims, all->dims[k], sizeof dims)) all->dims[k][axis]++;
  }
  if (!call(handler, in, out)) fail("an unsound call was taken", which, number);
  all->count += n == 0, *b = kept;
  memcpy(all->dims[k], dims, sizeof dims);
}

static void outside(XLA_FFI_Handler *handler, Buffers *in, Buffers *out, Int F, const char *which, int number) {
  const int k = 4 + STATES; /* the inputs */
  const Int steps = *(int32_t *)in->buffers[k + 1].data, B = in->dims[k][1], T = in->dims[k][0];
  if (in->buffers[k].rank != 2 || steps < 1 || B < 1 || T < 1) return;
  int32_t *symbol = (int32_t *)in->buffers[k].data + below((steps < T ? steps : T) * B), kept = *symbol;
  const Int strange[] = {F, -1, INT32_MAX, INT32_MIN};
  *symbol = strange[below(4)];
  if (!call(handler, in, out)) fail("a symbol from outside was taken", which, number);
  *symbol = kept;
}

int main(int count, char **words) {
  const int cases = count > 1 ? atoi(words[1]) : 400;
  for (int number = 0; number < cases; number++) {
    const Int T = below(9), F = 1 + below(20), U = 1 + below(below(2) ? 4 : 40), B = below(2) ? 1 + below(8) : below(70);
    const int real = below(2), every = below(2), grad = below(2);
    const Int O = every && below(2) ? 1 + below(12) : 0, rows = !every ? 0 : O ? O : U;
    const Int slots = size_of(1, T, F, U, O, B, real), work = size_of(0, T, F, U, O, B, real), G = BLOCKS * U;
    Buffers in = {.count = 0}, out = {.count = 0};
    add_weights_of(&in, REALS, F, U, O);
    for (int k = 0; k < STATES; k++) add(&in, REALS, 2, U, B, 0), add(&out, RESULT, 2, U, B, 0);
    if (real) add(&in, REALS, 3, T, F, B);
    else add(&in, F, 2, T, B, 0);
    int32_t *counts = add(&in, 1, 1, 2, 0, 0);
    counts[0] = below(T + 4) - 2, counts[1] = below(2) ? U : below(U + 4) - 2; /* also below 0, and above T and U */
    add(&out, RESULT, 3, T, rows, B);
    add(&out, RESULT, 1, grad ? slots : size_of(2, T, F, U, O, B, real), 0, 0), add(&out, RESULT, 1, work, 0, 0);
    sound(forward, &in, &out, 1 + STATES, "forward", number);

    Buffers back = {.count = 0}, slopes = {.count = 0};
    if (grad) {
      add(&back, REALS, 2, F, G, 0), add(&back, REALS, 2, U, G, 0), add(&back, REALS, 2, U, O, 0);
      for (int k = 0; k < STATES; k++) add(&back, REALS, 2, U, B, 0);
      add(&back, REALS, 3, T, rows, B);
      for (int k = 4 + STATES; k < 6 + STATES; k++) {
        const int64_t *d = in.dims[k];
        memcpy(add(&back, real && k == 4 + STATES ? REALS : 1, in.buffers[k].rank, d[0], d[1], d[2]), in.buffers[k].data,
               4 * numbers(&in.buffers[k]));
      }
      memcpy(add(&back, REALS, 1, slots, 0, 0), out.buffers[1 + STATES].data, 4 * slots);
      add_weights_of(&slopes, RESULT, F, U, O);
      for (int k = 0; k < STATES; k++) add(&slopes, RESULT, 2, U, B, 0);
      add(&slopes, RESULT, 3, real ? T : 0, F, B);
      add(&slopes, RESULT, 1, work, 0, 0);
      sound(backward, &back, &slopes, 5 + STATES, "backward", number);
      for (int k = 0; k < 4; k++) unsound(backward, &back, &slopes, "backward", number);
      outside(backward, &back, &slopes, F, "backward", number);
    }
    for (int k = 0; k < 4; k++) unsound(forward, &in, &out, "forward", number);
    outside(forward, &in, &out, F, "forward", number);
    if (O) {
      Buffers answers = {.count = 0}, results = {.count = 0};
      add_weights_of(&answers, REALS, F, U, O), add_weights_of(&results, RESULT, F, U, O), add(&results, RESULT, 1, O, 0, 0);
      for (int k = 0; k < STATES; k++) add(&answers, REALS, 2, U, B, 0), add(&results, RESULT, 2, U, B, 0);
      if (real) add(&answers, REALS, 3, T, F, B);
      else add(&answers, F, 2, T, B, 0);
      memcpy(add(&answers, 1, 1, 2, 0, 0), counts, 8);
      add(&answers, REALS, 1, O, 0, 0), add(&answers, O + 2, 2, T, B, 0), add(&answers, BOOLS, 2, T, B, 0); /* also answers that are none */
      add(&results, RESULT, 3, real ? T : 0, F, B), add(&results, RESULT, 1, 3, 0, 0);
      add(&results, RESULT, 1, size_of(3, T, F, U, O, B, real), 0, 0), add(&results, RESULT, 1, size_of(4, T, F, U, O, B, real), 0, 0);
      sound(loss, &answers, &results, 7 + STATES, "loss", number);
      for (int k = 0; k < 4; k++) unsound(loss, &answers, &results, "loss", number);
      outside(loss, &answers, &results, F, "loss", number);
      release(&answers), release(&results);
    }
    release(&in), release(&out), release(&back), release(&slopes);
  }
  printf("%d cases, vectors of %d\n", cases, W);
  return 0;
}
