"""Truth: operators inside the attention and beside the FFN (LLaMA-Adapter, LaVIN, ADEM-VL), in plain PyTorch
f64, sample by sample, between the LLaMA and the tower of dehvf/.
Run: OMP_NUM_THREADS=1 python make_adapters.py   (writes adapters/; reads dehvf/)"""
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import make_dehvf as base
from common import HERE, Draw, inverse_frequencies, versions, write_tensors
from make_dehvf import D, EPS, HD, HEADS, IMAGE, KV, LAYERS, PATCHES, TL, TW, linear, norm

OUT = HERE / "adapters"
LENGTHS, IMAGE_OF = [7, 5, 1, 9], [1, -1, 0, 1]  # two samples share an image, one is a single token
VERSIONS = versions("torch", "safetensors")
draw = Draw(20230328)


def add_linear(p, name, out, inp, gain=1.0):
    p[name + ".weight"] = draw.linear(out, inp, gain)
    p[name + ".bias"] = draw.normal(out, std=0.3)


def add_projector(p, name, inp, rank, gain=2.0):
    add_linear(p, name + ".down", rank, inp)
    add_linear(p, name + ".up", D, rank, gain)


def project(p, name, x):
    return linear(p, name + ".up", F.silu(linear(p, name + ".down", x)))


def heads(x):
    return x.unflatten(-1, (-1, HD)).transpose(0, 1)


def every_head(x):
    return heads(x).repeat_interleave(HEADS // KV, 0)


# ---- one sample through the language model, an operator's hooks on the way ------------------------
class Hooks:
    hidden_first = 0  # tokens at the front that only they themselves see

    def before_attention(self, u, layer):
        return u

    def prefix(self, layer):
        """Rows [n, D] in front and gates [heads], or None."""
        return None

    def beside_ffn(self, u, layer):
        return 0.0


def llama(w, x, hooks):
    angle = torch.arange(len(x), dtype=torch.float64)[:, None] * inverse_frequencies(HD)
    hidden = torch.ones(len(x), len(x)).triu(1).bool()
    for i in range(hooks.hidden_first):
        hidden[i + 1:, i] = True
    for l in range(LAYERS):
        n = f"model.layers.{l}."
        u = hooks.before_attention(base.rms(x, w[n + "input_layernorm.weight"]), l)
        q = heads(linear(w, n + "self_attn.q_proj", u))
        k, v = (every_head(linear(w, n + f"self_attn.{c}_proj", u)) for c in "kv")
        q, k = base.rotate(q, angle), base.rotate(k, angle)
        score = (q @ k.transpose(-1, -2) / HD ** 0.5).masked_fill(hidden, -torch.inf)
        a = torch.softmax(score, -1) @ v
        if (front := hooks.prefix(l)) is not None:
            rows, gate = front
            k, v = (every_head(linear(w, n + f"self_attn.{c}_proj", rows)) for c in "kv")
            extra = torch.softmax(q @ k.transpose(-1, -2) / HD ** 0.5, -1) @ v
            a = a + gate.tanh()[:, None, None] * extra
        x = x + linear(w, n + "self_attn.o_proj", a.transpose(0, 1).flatten(1))
        u = base.rms(x, w[n + "post_attention_layernorm.weight"])
        y = F.silu(linear(w, n + "mlp.gate_proj", u)) * linear(w, n + "mlp.up_proj", u)
        x = x + linear(w, n + "mlp.down_proj", y) + hooks.beside_ffn(u, l)
    return linear(w, "lm_head", base.rms(x, w["model.norm.weight"]))


# ---- operators: parameters; levels -> for an image (or None) what stands where, and the hooks -----
class Operator:
    def levels(self, tower, p, pixels):
        return base.tower_levels(tower, pixels, p if "tower.layers.0.adapter.down.weight" in p else None)


class LlamaAdapter(Operator):
    prompts, first = 3, 2  # of each layer; the first layer that has them

    def make(self):
        p = {}
        add_projector(p, "projector", TL * TW, 5)
        for l in range(self.first, LAYERS):
            p[f"layers.{l}.prompts"] = draw.normal(self.prompts, D)
            p[f"layers.{l}.gate"] = draw.normal(HEADS)
        return p

    def see(self, tower, p, levels):
        cls = [norm(tower, "vision_model.post_layernorm", x)[:, 0] for x in levels]
        return project(p, "projector", torch.cat(cls, -1))

    def sample(self, p, seen, image):
        class Of(Hooks):
            def prefix(_, l):
                if l < self.first:
                    return None
                rows = p[f"layers.{l}.prompts"]
                return rows if image is None else rows + seen[image], p[f"layers.{l}.gate"]
        return None, Of()


class LlamaAdapter2(LlamaAdapter):
    first = 2

    def make(self):
        p = {}
        add_projector(p, "projector", TW, 5)
        for l in range(LAYERS):
            if l >= self.first:
                p[f"layers.{l}.prompts"] = draw.normal(self.prompts, D)
            if l == 0 or l >= self.first:
                p[f"layers.{l}.gate"] = draw.normal(HEADS)
        return p

    def see(self, tower, p, levels):
        return project(p, "projector", norm(tower, "vision_model.post_layernorm", levels[TL - 2]))

    def sample(self, p, seen, image):
        class Of(Hooks):
            def prefix(_, l):
                if l >= self.first:
                    return p[f"layers.{l}.prompts"], p[f"layers.{l}.gate"]
                return (seen[image], p["layers.0.gate"]) if l == 0 and image is not None else None
        return None, Of()


def routed(p, n, u, decides, groups, temperature):
    """What is added to u [rows, width]: two ways up, by the weights that the rows of `decides` ask for."""
    low = linear(p, n + "down", u)
    weights = torch.softmax(linear(p, n + "router", decides) / temperature, -1)
    up = [F.conv1d(low.T[None], p[f"{n}up.{b}.weight"][..., None], p[f"{n}up.{b}.bias"], groups=groups)[0].T
          for b in range(2)]
    return weights[..., :1] * up[0] + weights[..., 1:] * up[1]


def add_routed(p, n, width, dim, groups):
    add_linear(p, n + "down", dim, width)
    for b in range(2):
        add_linear(p, f"{n}up.{b}", width, dim // groups)
    add_linear(p, n + "router", 2, width, gain=3.0)


class Lavin(Operator):
    """As its authors have it: a token in front of each sample says whether there is an image, chooses between
    the two ways up, and is seen by no other."""
    dim, groups, temperature, factor, picked = 6, 2, 3.0, 0.7, (2, 4)
    tower_dim, tower_temperature, tower_factor = 4, 2.0, 0.6

    def make(self):
        p = {"modalities": draw.normal(2, D)}
        add_projector(p, "projector", TW, 5)
        for l in range(LAYERS):
            add_routed(p, f"layers.{l}.adapter.", D, self.dim, self.groups)
        for i in range(TL):
            add_routed(p, f"tower.layers.{i}.adapter.", TW, self.tower_dim, self.groups)
        return p

    def levels(self, tower, p, pixels):
        """Image by image: there each token's own features decide."""
        return [torch.stack(x) for x in zip(*(self.levels_of(tower, p, image) for image in pixels))]

    def levels_of(self, w, p, image):
        v = "vision_model."
        x = F.conv2d(image[None], w[v + "embeddings.patch_embedding.weight"], stride=base.PATCH)
        x = x[0].flatten(1).T
        x = torch.cat([w[v + "embeddings.class_embedding"][None], x])
        x = norm(w, v + "pre_layrnorm", x + w[v + "embeddings.position_embedding.weight"])
        levels = []
        for i in range(TL):
            n = f"{v}encoder.layers.{i}."
            u = norm(w, n + "layer_norm1", x)
            u = u + self.tower_factor * routed(p, f"tower.layers.{i}.adapter.", u, u, self.groups,
                                               self.tower_temperature)
            q, k, val = (linear(w, n + f"self_attn.{s}_proj", u).unflatten(-1, (base.TH, -1)).transpose(0, 1)
                         for s in "qkv")
            a = torch.softmax(q @ k.transpose(-1, -2) / (TW // base.TH) ** 0.5, -1) @ val
            x = x + linear(w, n + "self_attn.out_proj", a.transpose(0, 1).flatten(1))
            h = linear(w, n + "mlp.fc1", norm(w, n + "layer_norm2", x))
            x = x + linear(w, n + "mlp.fc2", h * torch.sigmoid(1.702 * h))
            levels.append(x)
        return levels

    def see(self, tower, p, levels):
        return project(p, "projector", torch.stack([levels[i - 1][:, 0] for i in self.picked], 1))

    def sample(self, p, seen, image):
        class Of(Hooks):
            hidden_first = 1

            def before_attention(_, u, l):
                return u + self.factor * routed(p, f"layers.{l}.adapter.", u, u[0], self.groups,
                                                self.temperature)
        modality = p["modalities"][int(image is not None)]
        return (modality[None], None if image is None else seen[image]), Of()


class AdemVl(Operator):
    coarse, lam, factor, dropped = 2, 0.05, 0.1, 0.15
    rows = PATCHES + coarse ** 2

    def make(self):
        p = {"slot_keys": draw.normal(self.rows, D, std=0.15), "slot_values": draw.normal(self.rows, D)}
        add_projector(p, "projector", TW, 5, gain=6.0)
        add_projector(p, "class_projector", TW, 5)
        return p

    def see(self, tower, p, levels):
        x = norm(tower, "vision_model.post_layernorm", levels[TL - 2])
        side = round(PATCHES ** 0.5)
        fine = x[:, 1:]
        coarse = F.adaptive_avg_pool2d(fine.transpose(1, 2).unflatten(-1, (side, side)), self.coarse)
        both = torch.cat([fine, coarse.flatten(2).transpose(1, 2)], 1)
        return self.lam * project(p, "projector", both), project(p, "class_projector", x[:, :1])

    def sample(self, p, seen, image):
        rows = 0.0 if image is None else seen[0][image]

        class Of(Hooks):
            def beside_ffn(_, u, l):
                a = F.silu(u) @ F.silu(rows + p["slot_keys"]).T
                bound = a.sort(-1).values[:, int(self.dropped * self.rows)]
                return self.factor * torch.where(a < bound[:, None], 0, a) @ (rows + p["slot_values"])
        return (None, None if image is None else seen[1][image]), Of()


# ---- the whole model -----------------------------------------------------------------------------
def whole(name, operator, w, tower, adapters, batch):
    p = {k: v.clone().requires_grad_() for k, v in {**operator.make(), **adapters}.items()}
    embeddings = w["model.embed_tokens.weight"][batch["token_ids"]].clone().requires_grad_()

    def run():
        levels = operator.levels(tower, p, batch["pixels"])
        seen = operator.see(tower, p, levels)
        logits, total, count, start = [], 0.0, 0, 0
        for length, image in zip(LENGTHS, IMAGE_OF):
            text, label = (t[start:start + length] for t in (embeddings, batch["labels"]))
            start += length
            put, hooks = operator.sample(p, seen, None if image < 0 else image)
            front, visual = (text[:0] if t is None else t for t in put or (None, None))
            out = llama(w, torch.cat([front, text[:1], visual, text[1:]]), hooks)[len(front):]
            kept = torch.cat([out[:1], out[1 + len(visual):]])
            # What stands behind the visual tokens is predicted by the last of them.
            ahead = torch.cat([out[len(visual):len(visual) + 1], kept[1:]])
            total = total + F.cross_entropy(ahead[:-1], label[1:], ignore_index=-100, reduction="sum")
            count += int((label[1:] != -100).sum())
            logits.append(kept)
        return total / count, torch.cat(logits)

    loss, logits = run()
    leaves = {**p, "embeddings": embeddings}
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    grads = {n: torch.zeros_like(leaves[n]) if g is None else g for n, g in zip(leaves, grads)}
    worst = base.check_gradients(lambda: run()[0], leaves, grads)
    print(f"{name}: loss {loss.item():.6f} worst finite difference error {worst:.1e}; "
          f"zero gradients: {[n for n, g in grads.items() if not g.any()]}")
    write_tensors(OUT / f"{name}.safetensors", p, versions=VERSIONS)
    write_tensors(OUT / f"{name}_expected.safetensors",
                  dict(batch, embeddings=embeddings, logits=logits, loss=loss,
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
    whole("llama_adapter", LlamaAdapter(), w, tower, {}, batch)
    whole("llama_adapter_v2", LlamaAdapter2(), w, tower, {}, batch)
    whole("lavin", Lavin(), w, tower, {}, batch)
    whole("adem_vl", AdemVl(), w, tower, adapters, batch)


if __name__ == "__main__":
    main()
