"""Helpers shared by the make_*.py scripts: seeds, versions, writing files, and a transformers LLaMA
that really computes in f64 (the library narrows norms and rotary angles to f32 by itself)."""
import json
import math
import os
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
torch.set_num_threads(1)


def versions(*packages):
    return " ".join(f"{p}={version(p)}" for p in packages)


def write_json(path, value, indent=1):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def write_tensors(path, tensors, **metadata):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().contiguous().clone() for k, v in tensors.items()}
    save_file(tensors, path, metadata={k: str(v) for k, v in metadata.items()})
    os.chmod(path, 0o644)


class Draw:
    """Random f64 tensors whose values are exactly representable in f32."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, std=1.0, mean=0.0):
        x = torch.randn(*shape, generator=self.generator, dtype=torch.float64)
        return (mean + std * x).float().double()

    def linear(self, out, inp, gain=1.0):
        return self.normal(out, inp, std=gain / math.sqrt(inp))

    def tokens(self, count, vocab):
        return torch.randint(3, vocab, (count,), generator=self.generator)


def inverse_frequencies(head_dim, theta=10000.0, scaling=None):
    """Rotary inverse frequencies in f64: default, linear and llama3."""
    f = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    kind = (scaling or {}).get("rope_type", (scaling or {}).get("type", "default"))
    if kind == "linear":
        return f / scaling["factor"]
    if kind == "llama3":
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        old = scaling["original_max_position_embeddings"]
        wave = 2 * math.pi / f
        t = (old / wave - low) / (high - low)
        mixed = f * ((1 - t) / scaling["factor"] + t)
        f_out = torch.where(wave > old / low, f / scaling["factor"], mixed)
        return torch.where(wave < old / high, f, f_out)
    return f


def widen_llama(model, theta=10000.0, scaling=None):
    """model.double() with RMS norms and rotary tables in f64 too. Returns the same model."""
    model.double()
    inner = model.model
    head_dim = inner.layers[0].self_attn.head_dim
    exact = inverse_frequencies(head_dim, theta, scaling)
    stored = inner.rotary_emb.inv_freq.double()
    assert torch.allclose(exact, stored, rtol=2e-6), (exact, stored)

    def rotary(x, position_ids):
        angle = position_ids[..., None].double() * exact
        angle = torch.cat([angle, angle], -1)
        return angle.cos(), angle.sin()

    inner.rotary_emb.forward = rotary
    for module in model.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            def norm(x, m=module):
                return m.weight * (x * (x.square().mean(-1, True) + m.variance_epsilon).rsqrt())
            module.forward = norm
    return model
