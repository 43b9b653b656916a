/* Attention and the visual FFN rows of dehvf for other programs: raw pointers, sizes, a stream. The library
 * is libdehvf_kernels.so; examples/lift/ calls it from PyTorch.
 *
 * Every function returns 0, or another number and dehvf_error() then says in one line what was wrong. Arrays
 * are contiguous and row-major, the last size named changes fastest. They live on the device that dehvf_place
 * names, work is queued on its stream, and nothing is waited for. A pointer may be NULL where a comment says
 * so. */
#ifndef DEHVF_KERNELS_H
#define DEHVF_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { DEHVF_F32 = 0, DEHVF_BF16 = 1, DEHVF_F16 = 2 } dehvf_dtype;

typedef struct {
  int device;   /* -1: the CPU, which uses no stream; 0 and up: a GPU */
  void* stream; /* a cudaStream_t */
} dehvf_place;

/* The error of this thread's last call; valid until its next one. */
const char* dehvf_error(void);

/* Softmax attention of head h over the keys of kv head h / (heads / kv_heads), in spans of packed rows. Each
 * span is {q begin, q count, k begin, k count}; queries of two spans must not overlap, keys may. With
 * `causal` query i of a span sees its first k count - q count + i + 1 keys. Rows in no span become zero,
 * their lse minus infinity. */
typedef struct {
  int dtype; /* a dehvf_dtype: of q, k, v, out and their gradients */
  int64_t q_rows, k_rows, heads, kv_heads, dim, span_count;
  int causal;
  double scale;          /* of the scores, usually 1 / sqrt(dim) */
  const void *q, *k, *v; /* [q_rows, heads, dim], [k_rows, kv_heads, dim] twice */
  const int32_t* spans;  /* [span_count, 4] */
  void* out;             /* [q_rows, heads, dim] */
  float* lse;            /* [heads, q_rows]: log of the sum of exponentials */
} dehvf_attention_call;
int dehvf_attention(dehvf_place place, const dehvf_attention_call* call);
/* With out and lse of the forward call; a gradient that is NULL is not formed. */
int dehvf_attention_backward(dehvf_place place, const dehvf_attention_call* call, const void* dout, void* dq,
                             void* dk, void* dv);

/* The visual rows of a frozen FFN, to be added to its output. For the tokens of a sample with an image, with
 * E the image terms on the first `terms` slots (factored: image_keys basis^T + bias; without basis:
 * image_keys itself): scores = x (slot_keys + lambda E_k)^T,   output = scale silu(scores) (slot_values +
 * lambda E_v) Tokens of other samples see the slots alone. */
typedef struct {
  int dtype; /* a dehvf_dtype: of all but scores and the gradients */
  int64_t tokens, width, slots, samples;
  int64_t images, terms, rank; /* rank: of an image term; the width where they are written out */
  double lambda, scale;
  const void* x;                         /* [tokens, width] */
  const void *slot_keys, *slot_values;   /* [slots, width] */
  const void *image_keys, *image_values; /* [images, terms, rank]; NULL without images */
  const void *basis, *bias;              /* [width, rank], [width]; NULL where the terms are written out */
  const int32_t* sample_offsets; /* [samples + 1]: sample s owns the tokens [offsets[s], offsets[s + 1]) */
  const int32_t* image_of;       /* [samples]: -1 for none */
  void* output;                  /* [tokens, width] */
  float* scores;                 /* [tokens, slots]; backward reads them */
} dehvf_visual_rows_call;
int dehvf_visual_rows(dehvf_place place, const dehvf_visual_rows_call* call);
/* Gradients in f32, of the shapes above; one that is NULL is not formed. */
typedef struct {
  const void* dy; /* [tokens, width] of the call's dtype */
  float *dx, *slot_keys, *slot_values, *image_keys, *image_values, *basis, *bias;
} dehvf_visual_rows_gradients;
int dehvf_visual_rows_backward(dehvf_place place, const dehvf_visual_rows_call* call,
                               const dehvf_visual_rows_gradients* gradients);

#ifdef __cplusplus
}
#endif

#endif
