#!/usr/bin/env python3
"""dehvf's attention and visual FFN rows called from PyTorch: ctypes on libdehvf_kernels.so, tensors by their address.

usage: python3 examples/lift/from_pytorch.py LIBRARY [--device cpu|cuda:0]
build:  scripts/build release dehvf_kernels   ->   build/release/cuda/libdehvf_kernels.so

Compares values and gradients with PyTorch's own and, on a GPU, times both.
"""
import argparse
import ctypes
import math

import torch
import torch.nn.functional as F

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}


class Place(ctypes.Structure):
    _fields_ = [("device", ctypes.c_int), ("stream", ctypes.c_void_p)]


class AttentionCall(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int)] + [(name, ctypes.c_int64) for name in (
        "q_rows", "k_rows", "heads", "kv_heads", "dim", "span_count")] + [
        ("causal", ctypes.c_int), ("scale", ctypes.c_double)] + [(name, ctypes.c_void_p) for name in (
            "q", "k", "v", "spans", "out", "lse")]


class RowsCall(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int)] + [(name, ctypes.c_int64) for name in (
        "tokens", "width", "slots", "samples", "images", "terms", "rank")] + [
        ("lambda_", ctypes.c_double), ("scale", ctypes.c_double)] + [(name, ctypes.c_void_p) for name in (
            "x", "slot_keys", "slot_values", "image_keys", "image_values", "basis", "bias", "sample_offsets",
            "image_of", "output", "scores")]


class RowsGradients(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in (
        "dy", "dx", "slot_keys", "slot_values", "image_keys", "image_values", "basis", "bias")]


class Kernels:
    """The library, with its errors as exceptions."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.dehvf_error.restype = ctypes.c_char_p

    def call(self, name, device, *arguments):
        place = Place(-1, None) if device.type == "cpu" else Place(
            device.index or 0, torch.cuda.current_stream(device).cuda_stream)
        if getattr(self.library, name)(place, *arguments) != 0:
            raise RuntimeError(self.library.dehvf_error().decode())


def address(tensor):
    assert tensor is None or tensor.is_contiguous()
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())


class Attention(torch.autograd.Function):
    """q [rows, heads, dim], k and v [rows, kv heads, dim], spans int32 [spans, 4]."""

    @staticmethod
    def forward(ctx, kernels, q, k, v, spans, causal, scale):
        out, lse = torch.empty_like(q), torch.empty(q.shape[1], q.shape[0], device=q.device)
        call = AttentionCall(DTYPES[q.dtype], q.shape[0], k.shape[0], q.shape[1], k.shape[1], q.shape[2],
                             spans.shape[0], causal, scale, *map(address, (q, k, v, spans, out, lse)))
        kernels.call("dehvf_attention", q.device, ctypes.byref(call))
        ctx.save_for_backward(q, k, v, spans, out, lse)
        ctx.kernels, ctx.description = kernels, call
        return out

    @staticmethod
    def backward(ctx, dout):
        q, k, v, *_ = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in (q, k, v)]
        ctx.kernels.call("dehvf_attention_backward", q.device, ctypes.byref(ctx.description),
                         address(dout.contiguous()), *map(address, grads))
        return (None, *grads, None, None, None)


class VisualRows(torch.autograd.Function):
    """x [tokens, width] with factored rows, as dehvf_kernels.h describes them."""

    @staticmethod
    def forward(ctx, kernels, x, slot_keys, slot_values, image_keys, image_values, basis, bias, offsets, image_of,
                strength, scale):
        output, scores = torch.empty_like(x), torch.empty(x.shape[0], slot_keys.shape[0], device=x.device)
        tensors = (x, slot_keys, slot_values, image_keys, image_values, basis, bias)
        call = RowsCall(DTYPES[x.dtype], *x.shape, slot_keys.shape[0], image_of.shape[0], *image_keys.shape, strength,
                        scale, *map(address, (*tensors, offsets, image_of, output, scores)))
        kernels.call("dehvf_visual_rows", x.device, ctypes.byref(call))
        ctx.save_for_backward(*tensors, offsets, image_of, output, scores)
        ctx.kernels, ctx.description = kernels, call
        return output

    @staticmethod
    def backward(ctx, dy):
        tensors = ctx.saved_tensors[:7]
        grads = [torch.empty_like(tensor, dtype=torch.float32) for tensor in tensors]
        gradients = RowsGradients(address(dy.contiguous()), *map(address, grads))
        ctx.kernels.call("dehvf_visual_rows_backward", dy.device, ctypes.byref(ctx.description),
                         ctypes.byref(gradients))
        return (None, *(grad.to(tensor.dtype) for grad, tensor in zip(grads, tensors)), None, None, None, None)


def plain_rows(x, slot_keys, slot_values, image_keys, image_values, basis, bias, offsets, image_of, strength, scale):
    parts = []
    for s, image in enumerate(image_of.tolist()):
        part, keys, values = x[offsets[s]:offsets[s + 1]], slot_keys, slot_values
        if image >= 0:
            surplus = (0, 0, 0, keys.shape[0] - image_keys.shape[1])
            keys = keys + strength * F.pad(image_keys[image] @ basis.T + bias, surplus)
            values = values + strength * F.pad(image_values[image] @ basis.T + bias, surplus)
        parts.append(scale * F.silu(part @ keys.T) @ values)
    return torch.cat(parts)


def compare(what, ours, theirs, inputs):
    seed = torch.randn_like(theirs)
    pairs = [("value", ours, theirs)]
    for (name, x), a, b in zip(inputs.items(), torch.autograd.grad(ours, list(inputs.values()), seed),
                               torch.autograd.grad(theirs, list(inputs.values()), seed)):
        pairs.append(("gradient of " + name, a, b))
    for name, a, b in pairs:
        error = ((a - b).double().norm() / b.double().norm()).item()
        print(f"{what:12} {name:26} relative difference {error:.1e}")
        assert error < (1e-5 if a.dtype == torch.float32 else 2e-2), "too large"


def milliseconds(body):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for _ in range(10):
        body()
    begin.record()
    for _ in range(100):
        body()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 100


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    kernels, device = Kernels(options.library), torch.device(options.device)
    on_gpu = device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    torch.manual_seed(0)

    def draw(*shape, deviation=1.0):
        return (deviation * torch.randn(*shape, device=device)).to(dtype).requires_grad_()

    def integers(values):
        return torch.tensor(values, dtype=torch.int32, device=device)

    samples, length, heads, kv_heads, dim = (4, 512, 32, 8, 128) if on_gpu else (3, 37, 4, 2, 16)
    q, k, v = (draw(samples * length, count, dim) for count in (heads, kv_heads, kv_heads))
    spans = integers([[s * length, length, s * length, length] for s in range(samples)])

    def attend():
        return Attention.apply(kernels, q, k, v, spans, 1, 1 / math.sqrt(dim))

    def attend_plainly():
        split = [x.view(samples, length, -1, dim).transpose(1, 2) for x in (q, k, v)]
        split[1:] = [x.repeat_interleave(heads // kv_heads, 1) for x in split[1:]]
        return F.scaled_dot_product_attention(*split, is_causal=True).transpose(1, 2).reshape(q.shape)

    compare("attention", attend(), attend_plainly(), {"q": q, "k": k, "v": v})

    width, slots, terms, rank = (4096, 256, 256, 128) if on_gpu else (24, 10, 8, 4)
    named = {"x": draw(samples * length, width), "slot_keys": draw(slots, width, deviation=0.02),
             "slot_values": draw(slots, width, deviation=0.02), "image_keys": draw(2, terms, rank),
             "image_values": draw(2, terms, rank), "basis": draw(width, rank, deviation=0.02), "bias": draw(width)}
    offsets = integers([s * length for s in range(samples + 1)])
    image_of = integers([1, -1, 0, 1][:samples])
    fixed = (offsets, image_of, 0.01, 0.1)
    compare("visual rows", VisualRows.apply(kernels, *named.values(), *fixed), plain_rows(*named.values(), *fixed), named)
    if on_gpu:
        print(f"attention    {milliseconds(attend):.3f} ms, PyTorch {milliseconds(attend_plainly):.3f} ms")
        ours, theirs = (milliseconds(lambda f=f: f()) for f in (
            lambda: VisualRows.apply(kernels, *named.values(), *fixed), lambda: plain_rows(*named.values(), *fixed)))
        print(f"visual rows  {ours:.3f} ms, PyTorch {theirs:.3f} ms")


if __name__ == "__main__":
    main()
