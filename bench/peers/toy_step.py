#!/usr/bin/env python3
"""The step of bench/step_bench.cpp in plain PyTorch: the same batch, weights and adapter, f32, AdamW and clipping.
usage: toy_step.py STEP.safetensors LLAMA_FOLDER TOWER_FOLDER [--threads N] [--steps N] [--layout padded|packed]
[--rows factored|materialised] [--compile]. Prints one JSON object; fails where loss or gradient norm are not those of the exported step."""
import argparse
import json
import pathlib
import time

import torch
import torch.nn.functional as F
from safetensors import safe_open

CLIP = 1.0  # as in configs/toy.yaml


def load(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


class Step(torch.nn.Module):
    """The frozen LLaMA with a DEHVF adapter, as docs/method.md says."""

    def __init__(self, llama, tower, config, tower_config, step, facts, layout, rows):
        super().__init__()
        self.layers, self.heads = config["num_hidden_layers"], config["num_attention_heads"]
        self.head_dim, self.eps = config["head_dim"], config["rms_norm_eps"]
        self.layout, self.make_rows = layout, self.factored if rows == "factored" else self.materialised
        number = lambda key: float(facts[key])
        self.groups, self.places = int(facts["groups"]), int(facts["positions"])
        self.fuser_heads, self.fuser_blocks = int(facts["heads"]), int(facts["blocks"])
        self.lam, self.scale = number("lambda"), number("scale")
        for name, tensor in {**llama, **tower}.items():
            self.register_buffer("w_" + name.replace(".", "_"), tensor.float().contiguous())
        self.adapter = torch.nn.ParameterDict(
            {name[8:].replace(".", "_"): torch.nn.Parameter(t.clone()) for name, t in step.items()
             if name.startswith("adapter.")})
        self.batch(step, config, tower_config)

    def w(self, name):
        return getattr(self, "w_" + name.replace(".", "_"))

    def a(self, name):
        return self.adapter[name.replace(".", "_")]

    def affine(self, name, x):
        return F.linear(x, self.a(name + ".weight"), self.a(name + ".bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.a(name + ".weight"), self.a(name + ".bias"), 1e-5)

    def batch(self, step, config, tower_config):
        """Everything that does not change from step to step is made here, outside the timing."""
        lengths = step["lengths"].tolist()
        count, longest = len(lengths), max(lengths)
        place = torch.arange(longest)
        valid = place[None] < step["lengths"][:, None]
        tokens, labels = torch.zeros(count, longest, dtype=torch.long), torch.full((count, longest), -100)
        tokens[valid], labels[valid] = step["tokens"].long(), step["labels"].long()
        following = F.pad(labels[:, 1:], (0, 1), value=-100)
        chosen = following != -100
        per_sample = chosen.sum(1)
        most = int(per_sample.max())
        order = torch.argsort(~chosen, dim=1, stable=True)[:, :most]  # labelled places first
        real = torch.arange(most)[None] < per_sample[:, None]
        self.tokens, self.valid, self.chosen_places, self.chosen_real = tokens, valid, order, real
        self.targets = following.gather(1, order)[real]
        self.causal_rows = place[None, None, :] <= order[:, :, None]  # what a chosen row sees
        half = self.head_dim // 2
        theta = config.get("rope_theta", 1e4)
        angle = place[:, None].double() * theta ** (-torch.arange(half).double() / half)
        self.cos, self.sin = angle.cos().float().repeat(1, 2), angle.sin().float().repeat(1, 2)
        self.image_of = step["image_of"].long()
        self.seen = self.image_of >= 0  # samples with a picture
        names = [f"levels.{i + 1}" for i in range(tower_config["num_hidden_layers"])]
        self.levels = torch.stack([step[n] for n in names], 1)  # [images, levels, 1 + patches, width]
        self.flat = valid.flatten().nonzero()[:, 0]
        self.sample_of = (torch.arange(count)[:, None].expand(-1, longest))[valid]

    def rope(self, x, cos, sin):
        a, b = x.chunk(2, -1)
        return x * cos + torch.cat([-b, a], -1) * sin

    def rms(self, x, name):
        return F.rms_norm(x, x.shape[-1:], self.w(name), self.eps)

    def fuse(self):
        """z of every layer and side: [layers, places, images, patches, rank]."""
        tower = "vision_model.post_layernorm."
        levels = F.layer_norm(self.levels, self.levels.shape[-1:], self.w(tower + "weight"), self.w(tower + "bias"),
                              1e-5)
        images, count = levels.shape[:2]
        per = count // self.groups
        pairs = torch.cat([self.a("layer_embedding").repeat_interleave(self.places, 0),
                           self.a("position_embedding").repeat(self.layers, 1)], -1)
        query = self.affine("fuser.query", self.affine("embed.out", F.relu(self.affine("embed.hidden", pairs))))
        q = query.unflatten(0, (self.groups, -1))[None].expand(images, -1, -1, -1)  # layers of a group stand together
        c = self.affine("fuser.keys", levels[:, :, 0]).unflatten(1, (self.groups, per))
        for b in range(self.fuser_blocks):
            n = f"fuser.blocks.{b}."
            split = lambda x: x.unflatten(-1, (self.fuser_heads, -1)).transpose(2, 3)
            attended = F.scaled_dot_product_attention(*(split(self.affine(n + "attention." + s, x))
                                                        for s, x in (("q", q), ("k", c), ("v", c))))
            q = self.norm(n + "attention_norm", q + self.affine(n + "attention.o", attended.transpose(2, 3).flatten(3)))
            q = self.norm(n + "mlp_norm", q + self.affine(n + "mlp.down", F.relu(self.affine(n + "mlp.up", q))))
        weights = torch.softmax(self.affine("fuser.weights", q), -1)  # [images, groups, queries, per]
        low = F.linear(levels[:, :, 1:], self.a("projector.down.weight"))
        mixed = weights @ low.unflatten(1, (self.groups, per)).flatten(3)
        z = F.silu(mixed.unflatten(-1, low.shape[2:]) + self.a("projector.down.bias"))
        return z.permute(1, 2, 0, 3, 4).reshape(self.layers, self.places, images, *low.shape[2:])

    def materialised(self, z):
        """The rows of all layers written out; then two products a layer."""
        more = F.pad(self.lam * self.affine("projector.up", z), (0, 0, 0, self.a("slot_keys").shape[0] - z.shape[3],
                                                                 0, 1))  # a text-only sample's image, -1, is zeros
        more = more[:, :, self.image_of]
        keys, values = self.a("slot_keys") + more[:, 0], self.a("slot_values") + more[:, -1]
        return lambda u, layer: self.scale * (F.silu(u @ keys[layer].transpose(1, 2)) @ values[layer])

    def factored(self, z):
        return lambda u, layer: self.factored_rows(u, z, layer)

    def factored_rows(self, u, z, layer):
        """u [samples, tokens, width] -> what the visual rows add to the FFN's output."""
        basis, bias = self.a("projector.up.weight"), self.a("projector.up.bias")
        keys, values = z[layer, 0], z[layer, -1]
        patches, seen = keys.shape[1], self.seen
        scores = F.linear(u, self.a("slot_keys"))
        shown = u[seen]
        image = (shown @ basis) @ keys.transpose(1, 2) + (shown @ bias)[..., None]
        image = scores[seen] + self.lam * F.pad(image, (0, scores.shape[-1] - patches))
        weights = F.silu(scores.index_put((seen,), image))
        out = weights @ self.a("slot_values")
        near = weights[seen][..., :patches]
        more = F.linear(near @ values, basis) + near.sum(-1, True) * bias
        return self.scale * out.index_put((seen,), out[seen] + self.lam * more)

    def pad(self, x):  # packed [tokens, ...] -> [samples, longest, ...]
        if self.layout == "padded":
            return x
        return x.new_zeros(self.tokens.numel(), *x.shape[1:]).index_copy(0, self.flat, x).unflatten(
            0, self.tokens.shape)

    def unpad(self, x):
        return x if self.layout == "padded" else x.flatten(0, 1)[self.flat]

    def losses(self):
        rows_of = self.make_rows(self.fuse())
        x = F.embedding(self.unpad(self.tokens), self.w("model.embed_tokens.weight"))
        for layer in range(self.layers):
            n, last = f"model.layers.{layer}.", layer == self.layers - 1
            u = self.rms(x, n + "input_layernorm.weight")
            take = lambda t: t.gather(1, self.chosen_places[..., None].expand(-1, -1, t.shape[-1]))
            project = lambda name, t: F.linear(t, self.w(n + f"self_attn.{name}_proj.weight"))
            split = lambda t: t.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)
            k, v = split(self.pad(project("k", u))), split(self.pad(project("v", u)))
            k = self.rope(k, self.cos, self.sin)
            if last:  # only labelled places go on, as ours do
                q = split(project("q", take(self.pad(u))))
                place = self.chosen_places[:, None]
                q = self.rope(q, self.cos[place], self.sin[place])
                a = F.scaled_dot_product_attention(q, k, v, attn_mask=self.causal_rows[:, None])
                a, x = a.transpose(1, 2).flatten(2), take(self.pad(x))
            else:
                q = self.rope(split(self.pad(project("q", u))), self.cos, self.sin)
                a = self.unpad(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
            x = x + project("o", a)
            u = self.rms(x, n + "post_attention_layernorm.weight")
            gate, up = (F.linear(u, self.w(n + f"mlp.{s}_proj.weight")) for s in ("gate", "up"))
            y = F.linear(F.silu(gate) * up, self.w(n + "mlp.down_proj.weight"))
            rows = rows_of(u, layer) if last else self.unpad(rows_of(self.pad(u), layer))
            x = x + y + rows
        hidden = self.rms(x[self.chosen_real], "model.norm.weight")
        return F.cross_entropy(F.linear(hidden, self.w("model.embed_tokens.weight")), self.targets)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("step"), parser.add_argument("llama", type=pathlib.Path)
    parser.add_argument("tower", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1), parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--layout", choices=["padded", "packed"], default="padded")
    parser.add_argument("--rows", choices=["factored", "materialised"], default="materialised")
    parser.add_argument("--compile", action="store_true")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    tensors, facts = load(o.step)
    llama, tower = load(o.llama / "model.safetensors")[0], load(o.tower / "model.safetensors")[0]
    tower = {k: v for k, v in tower.items() if k.startswith("vision_model.post_layernorm")}
    configs = [json.loads((p / "config.json").read_text()) for p in (o.llama, o.tower)]
    model = Step(llama, tower, *configs, tensors, facts, o.layout, o.rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02, fused=True)
    losses = torch.compile(model.losses) if o.compile else model.losses

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = losses()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return loss.item(), norm.item()

    started = time.perf_counter()
    loss, norm = step()
    first = time.perf_counter() - started
    wanted = float(facts["loss"]), float(facts["gradient_norm"])
    errors = abs(loss - wanted[0]), abs(norm / wanted[1] - 1)
    if max(errors) > 1e-4:
        raise SystemExit(f"toy_step.py: loss {loss}, gradient norm {norm}; the exported step has {wanted}")
    for _ in range(10):
        step()
    seconds = []
    for _ in range(o.steps):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    seconds.sort()
    at = lambda share: 1e3 * seconds[int(share * (len(seconds) - 1))]
    print(json.dumps({"threads": o.threads, "layout": o.layout, "rows": o.rows, "compiled": o.compile, "torch": torch.__version__,
                      "loss_error": errors[0], "gradient_norm_error": errors[1], "first_step_s": first,
                      "step": {"median_ms": at(0.5), "low_ms": at(0.1), "high_ms": at(0.9), "steps": len(seconds)}}))


if __name__ == "__main__":
    main()
