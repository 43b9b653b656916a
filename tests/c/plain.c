/* The header is C: what C++ would need is not allowed here. */
#include "cuda/c/dehvf_kernels.h"

int call_without_arrays(void) {
  dehvf_attention_call call = {DEHVF_F32, 2, 2, 1, 1, 4, 1, 0, 1.0, 0, 0, 0, 0, 0, 0};
  dehvf_place cpu = {-1, 0};
  return dehvf_attention(cpu, &call);
}
