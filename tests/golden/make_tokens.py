"""Truth: operators that put visual tokens into the sequence (LLaVA's projectors, a Q-Former), in plain
PyTorch f64, between the LLaMA and the tower of dehvf/.
Run: OMP_NUM_THREADS=1 python make_tokens.py   (writes tokens/; reads dehvf/)"""
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import make_dehvf as base
from common import HERE, Draw, versions, write_tensors
from make_dehvf import D, IMAGE, PATCHES, TL, TW, linear, norm

OUT = HERE / "tokens"
LENGTHS, IMAGE_OF = [7, 5, 1, 9], [1, -1, 0, 1]  # two samples share an image, one is a single token
QUERIES, WIDTH, HEADS, BLOCKS, FFN = 3, 8, 2, 3, 14
VERSIONS = versions("torch", "safetensors")
draw = Draw(20230417)


def add_linear(p, name, out, inp, gain=1.0):
    p[name + ".weight"] = draw.linear(out, inp, gain)
    p[name + ".bias"] = draw.normal(out, std=0.3)


def add_norm(p, name):
    p[name + ".weight"] = draw.normal(WIDTH, std=0.2, mean=1.0)
    p[name + ".bias"] = draw.normal(WIDTH, std=0.2)


# ---- operators: raw level [images, 1 + patches, width] -> tokens [images, count, llm width] ------
def make_linear():
    p = {}
    add_linear(p, "projector", D, TW)
    return p


def linear_tokens(w, p, level):
    return linear(p, "projector", level[:, 1:])


def make_mlp():
    p = {}
    add_linear(p, "projector.hidden", D, TW)
    add_linear(p, "projector.out", D, D, gain=2.0)
    return p


def mlp_tokens(w, p, level):
    return linear(p, "projector.out", F.gelu(linear(p, "projector.hidden", level[:, 1:])))


def make_qformer():
    p = {"queries": draw.normal(QUERIES, WIDTH)}
    add_norm(p, "queries_norm")
    for b in range(BLOCKS):
        for part, inp in (("self", WIDTH), ("cross", TW)):
            if part == "cross" and b % 2:
                continue
            n = f"blocks.{b}.{part}"
            for m in "qkvo":
                add_linear(p, f"{n}.{m}", WIDTH, inp if m in "kv" else WIDTH, gain=1.5)
            add_norm(p, n + ".norm")
        add_linear(p, f"blocks.{b}.mlp.up", FFN, WIDTH)
        add_linear(p, f"blocks.{b}.mlp.down", WIDTH, FFN)
        add_norm(p, f"blocks.{b}.mlp.norm")
    add_linear(p, "projector", D, WIDTH)
    return p


def bert_norm(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"], 1e-12)


def read(p, name, x, source):
    q, k, v = (linear(p, f"{name}.{m}", t).unflatten(-1, (HEADS, -1)).transpose(1, 2)
               for m, t in (("q", x), ("k", source), ("v", source)))
    a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    return bert_norm(p, name + ".norm", x + linear(p, name + ".o", a))


def qformer_tokens(w, p, level):
    patches = norm(w, "vision_model.post_layernorm", level)[:, 1:]
    x = bert_norm(p, "queries_norm", p["queries"]).expand(len(level), QUERIES, WIDTH)
    for b in range(BLOCKS):
        x = read(p, f"blocks.{b}.self", x, x)
        if b % 2 == 0:
            x = read(p, f"blocks.{b}.cross", x, patches)
        h = linear(p, f"blocks.{b}.mlp.down", F.gelu(linear(p, f"blocks.{b}.mlp.up", x)))
        x = bert_norm(p, f"blocks.{b}.mlp.norm", x + h)
    return linear(p, "projector", x)


# ---- the whole model -----------------------------------------------------------------------------
def whole(name, make, tokens_of, behind, w, tower, adapters, batch):
    """`behind`: text tokens of a sample that stand before its visual ones."""
    p = {k: v.clone().requires_grad_() for k, v in {**make(), **adapters}.items()}
    embeddings = w["model.embed_tokens.weight"][batch["token_ids"]].clone().requires_grad_()

    def run():
        level = base.tower_levels(tower, batch["pixels"], p, TL - 1)[-1]
        tokens = tokens_of(tower, p, level)
        parts, labels, lengths, kept, start = [], [], [], [], 0
        for length, image in zip(LENGTHS, IMAGE_OF):
            text, label = (t[start:start + length] for t in (embeddings, batch["labels"]))
            visual = tokens[image] if image >= 0 else tokens.new_zeros(0, D)
            at, count = min(behind, length), len(visual)
            kept += [True] * at + [False] * count + [True] * (length - at)
            parts += [text[:at], visual, text[at:]]
            labels += [label[:at], label.new_full((count,), -100), label[at:]]
            lengths.append(length + count)
            start += length
        logits, hidden = base.llama(w, torch.cat(parts), lengths)
        return base.next_token_loss(logits, torch.cat(labels), lengths), logits[torch.tensor(kept)], tokens

    loss, logits, tokens = run()
    leaves = {**p, "embeddings": embeddings}
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    grads = {n: torch.zeros_like(leaves[n]) if g is None else g for n, g in zip(leaves, grads)}
    for n, g in grads.items():  # a softmax does not see a shift of its scores
        if n.endswith(".k.bias"):
            assert g.abs().max() < 1e-15
            g.zero_()
    worst = base.check_gradients(lambda: run()[0], leaves, grads)
    print(f"{name}: loss {loss.item():.6f} worst finite difference error {worst:.1e}")
    write_tensors(OUT / f"{name}.safetensors", p, versions=VERSIONS)
    write_tensors(OUT / f"{name}_expected.safetensors",
                  dict(batch, embeddings=embeddings, visual=tokens.flatten(0, 1), logits=logits, loss=loss,
                       **{f"grad.{n}": g for n, g in grads.items()}), versions=VERSIONS)


def main():
    w = load_file(base.OUT / "llama/model.safetensors")
    tower = load_file(base.OUT / "tower/model.safetensors")
    adapters = {}
    for i in range(TL):
        adapters[f"tower.layers.{i}.adapter.down.weight"] = draw.linear(base.ADAPTER, TW)
        adapters[f"tower.layers.{i}.adapter.up.weight"] = draw.linear(TW, base.ADAPTER, 3.0)
    total = sum(LENGTHS)
    batch = dict(token_ids=draw.tokens(total, base.VOCAB), lengths=torch.tensor(LENGTHS),
                 image_of=torch.tensor(IMAGE_OF), pixels=draw.normal(2, 3, IMAGE, IMAGE))
    labels = batch["token_ids"].clone()
    labels[[0, 2, 3, 7, 8, 12, 13, 14, 18]] = -100  # of sample 0 the token behind its first is labelled
    batch["labels"] = labels
    whole("llava_linear", make_linear, linear_tokens, 1, w, tower, adapters, batch)
    whole("llava_mlp", make_mlp, mlp_tokens, 1, w, tower, adapters, batch)
    whole("qformer", make_qformer, qformer_tokens, 0, w, tower, adapters, batch)
    assert PATCHES == tower["vision_model.embeddings.position_embedding.weight"].shape[0] - 1


main()
