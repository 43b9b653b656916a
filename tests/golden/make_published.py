"""Truth: adapters in the files that MemVP's, LaVIN's and LLaVA's training code saves, and the logits of the
published formulas with them in plain PyTorch f64, between the LLaMA and the tower of dehvf/. The modules have
the published names and kinds (LaVIN's are convolutions over single positions); a checkpoint holds, like
theirs, also the optimizer, the scaler and the command line.
Run: OMP_NUM_THREADS=1 python make_published.py   (writes published/; reads dehvf/)"""
from argparse import Namespace

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import make_dehvf as base
from common import HERE, Draw, versions, write_json, write_tensors
from make_adapters import IMAGE_OF, LENGTHS, Hooks, llama
from make_dehvf import D, IMAGE, LAYERS, PATCHES, SLOTS, TL, TW, linear, norm

OUT = HERE / "published"
VERSIONS = versions("torch", "safetensors")
draw = Draw(20240515)


def fill(module, gain=1.0):
    """Random values that f32 holds exactly, in f64."""
    for name, p in module.named_parameters():
        p.data = draw.normal(*p.shape, std=gain / max(1, p[0].numel()) ** 0.5 if p.dim() > 1 else 0.3)
    return module


# ---- the tower, image by image, with what the published code changes in its blocks ------------------
def tower_levels(w, image, before_attention=None, beside_mlp=None):
    v = "vision_model."
    x = F.conv2d(image[None], w[v + "embeddings.patch_embedding.weight"], stride=base.PATCH)[0].flatten(1).T
    x = torch.cat([w[v + "embeddings.class_embedding"][None], x])
    x = norm(w, v + "pre_layrnorm", x + w[v + "embeddings.position_embedding.weight"])
    levels = []
    for i in range(TL):
        n = f"{v}encoder.layers.{i}."
        u = norm(w, n + "layer_norm1", x)
        if before_attention:
            u = before_attention[i](u)
        q, k, val = (linear(w, n + f"self_attn.{s}_proj", u).unflatten(-1, (base.TH, -1)).transpose(0, 1)
                     for s in "qkv")
        a = torch.softmax(q @ k.transpose(-1, -2) / (TW // base.TH) ** 0.5, -1) @ val
        x = x + linear(w, n + "self_attn.out_proj", a.transpose(0, 1).flatten(1))
        u = norm(w, n + "layer_norm2", x)
        h = linear(w, n + "mlp.fc1", u)
        x = x + linear(w, n + "mlp.fc2", h * torch.sigmoid(1.702 * h))
        if beside_mlp:
            x = x + beside_mlp[i](u)
        levels.append(x)
    return levels


# ---- MemVP ---------------------------------------------------------------------------------------
class Pair(nn.Module):
    def __init__(self, inp, hidden, out, bias):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inp, hidden, bias), nn.Linear(hidden, out, bias)


class Block(nn.Module):
    def __init__(self, name, adapter):
        super().__init__()
        self.add_module(name, adapter)


class Named(nn.Module):
    """Nests `module` under a dotted path."""
    def __init__(self, path, module):
        super().__init__()
        head, _, rest = path.partition(".")
        self.add_module(head, Named(rest, module) if rest else module)


class MemVp(nn.Module):
    scale = 0.2

    def __init__(self):
        super().__init__()
        self.adapter_emb1 = nn.Parameter(torch.empty(1, SLOTS, D))
        self.adapter_emb2 = nn.Parameter(torch.empty(1, SLOTS, D))
        self.adapter_proj = Pair(TW, 6, D, True)
        self.adapter_modality_embedding = nn.Embedding(2, D)  # without effect
        self.blocks = [Block("adapter_mlp", Pair(TW, 3, TW, False)) for _ in range(TL)]
        self.backbone = Named("visual.transformer.resblocks", nn.ModuleList(self.blocks))

    def logits(self, w, tower, text, image):
        def beside(block):
            return lambda u: 0.1 * block.adapter_mlp.fc2(F.gelu(block.adapter_mlp.fc1(u)))

        rows = torch.zeros(SLOTS, D)
        if image is not None:
            level = tower_levels(tower, image, beside_mlp=[beside(b) for b in self.blocks])[TL - 2]
            z = norm(tower, "vision_model.post_layernorm", level[1:])
            rows[:PATCHES] = 0.01 * self.adapter_proj.fc2(F.silu(self.adapter_proj.fc1(z)))

        class Of(Hooks):
            def beside_ffn(_, u, l):
                scores = u @ (rows + self.adapter_emb1[0]).T
                return self.scale * (F.silu(scores) @ (rows + self.adapter_emb2[0]))
        return llama(w, text, Of())


# ---- LaVIN ---------------------------------------------------------------------------------------
class Routed(nn.Module):
    groups, scale, temperature = 2, 0.7, 3.0

    def __init__(self, width, dim):
        super().__init__()
        self.conv_A = nn.Conv1d(width, dim, 1)
        self.conv_B = nn.Conv1d(dim, width, 1, groups=self.groups)
        self.conv_D = nn.Conv1d(dim, width, 1, groups=self.groups)
        self.expert_weights = nn.Linear(width, 2)

    def forward(self, u, decides):
        """u [rows, width]; the rows of `decides` say how the two ways up are mixed."""
        mix = torch.softmax(self.expert_weights(decides) / self.temperature, -1)
        low = self.conv_A(u.T[None])
        b, d = self.conv_B(low)[0].T, self.conv_D(low)[0].T
        return u + self.scale * (mix[..., :1] * b + mix[..., 1:] * d)


class Two(nn.Module):
    def __init__(self, inp, hidden, out):
        super().__init__()
        self.conv_A, self.conv_B = nn.Linear(inp, hidden), nn.Linear(hidden, out)


class LaVin(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Block("adapter_attn", Routed(D, 6)) for _ in range(LAYERS))
        self.adapter_proj = Two(TW, 5, D)
        self.adapter_modality_embedding = nn.Embedding(2, D)
        self.blocks = [Block("adapter_attn", Routed(TW, 4)) for _ in range(TL)]
        self.backbone = Named("visual.transformer.resblocks", nn.ModuleList(self.blocks))

    def logits(self, w, tower, text, image):
        visual = text[:0]
        if image is not None:  # the class token after every fourth block; each token decides for itself
            levels = tower_levels(tower, image, before_attention=[lambda u, b=b: b.adapter_attn(u, u)
                                                                  for b in self.blocks])
            cls = torch.stack([x[0] for x in levels[3::4]])
            visual = self.adapter_proj.conv_B(F.silu(self.adapter_proj.conv_A(cls)))

        class Of(Hooks):
            hidden_first = 1

            def before_attention(_, u, l):
                return self.layers[l].adapter_attn(u, u[0])
        front = self.adapter_modality_embedding.weight[int(image is not None)]
        out = llama(w, torch.cat([front[None], text[:1], visual, text[1:]]), Of())[1:]
        return torch.cat([out[:1], out[1 + len(visual):]])


# ---- LLaVA ---------------------------------------------------------------------------------------
class Llava(nn.Module):
    def __init__(self, projector):
        super().__init__()
        self.mm_projector = projector

    def logits(self, w, tower, text, image):
        visual = text[:0] if image is None else self.mm_projector(tower_levels(tower, image)[TL - 2][1:])
        out = llama(w, torch.cat([text[:1], visual, text[1:]]), Hooks())
        return torch.cat([out[:1], out[1 + len(visual):]])


# ---- files -----------------------------------------------------------------------------------------
def save_checkpoint(name, model, prefix, **arguments):
    """Of the model what has "adapter" in its name, as both save it."""
    trained = {prefix + n: p.data.float() for n, p in model.named_parameters() if "adapter" in n}
    first = [p for n, p in model.named_parameters() if n.startswith("adapter_proj")][:1]
    optimizer = torch.optim.AdamW(first, lr=9e-3, betas=(0.9, 0.95))
    first[0].grad = torch.ones_like(first[0])
    lr, optimizer.param_groups[0]["lr"] = 9e-3, 0.0  # a state, and no step
    optimizer.step()
    optimizer.param_groups[0]["lr"] = lr
    torch.save({"model": trained, "optimizer": optimizer.state_dict(), "epoch": 19,
                "scaler": torch.amp.GradScaler("cpu").state_dict(),
                "args": Namespace(llm_model="7B", clip_grad=None, use_caption=False, epochs=20, **arguments)},
               OUT / f"{name}.pth")


def save_llava(name, model, w):
    projector = {f"model.{n}": p.data.float() for n, p in model.named_parameters()}
    (OUT / name).mkdir(parents=True, exist_ok=True)
    write_json(OUT / name / "config.json",
               {"model_type": "llava_llama", "mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2,
                "mm_vision_select_feature": "patch", "mm_use_im_start_end": False})
    torch.save(projector, OUT / name / "mm_projector.bin")
    (OUT / f"{name}_lora").mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}_lora" / "config.json").write_text((OUT / name / "config.json").read_text())
    torch.save({"base_model.model." + n: p for n, p in projector.items()},
               OUT / f"{name}_lora" / "non_lora_trainables.bin")
    rank, alpha, lora, tuned = 2, 4, {}, dict(w)
    for l in range(LAYERS):
        for m in ("self_attn.q_proj", "mlp.down_proj"):
            path = f"model.layers.{l}.{m}"
            out, inp = w[path + ".weight"].shape
            a, b = draw.linear(rank, inp), draw.linear(out, rank)
            lora[f"base_model.model.{path}.lora_A.weight"], lora[f"base_model.model.{path}.lora_B.weight"] = a, b
            tuned[path + ".weight"] = w[path + ".weight"] + alpha / rank * b @ a
    torch.save({n: t.float() for n, t in lora.items()}, OUT / f"{name}_lora" / "adapter_model.bin")
    write_json(OUT / f"{name}_lora" / "adapter_config.json",
               {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "vicuna-7b-v1.5",
                "r": rank, "lora_alpha": alpha, "lora_dropout": 0.05, "bias": "none", "inference_mode": True,
                "target_modules": ["q_proj", "down_proj"], "fan_in_fan_out": False, "modules_to_save": None})
    return tuned


def logits_of(model, w, tower, batch):
    text, parts, start = w["model.embed_tokens.weight"][batch["token_ids"]], [], 0
    with torch.no_grad():
        for length, image in zip(LENGTHS, IMAGE_OF):
            parts.append(model.logits(w, tower, text[start:start + length],
                                      None if image < 0 else batch["pixels"][image]))
            start += length
    return torch.cat(parts)


def main():
    torch.set_default_dtype(torch.float64)
    OUT.mkdir(exist_ok=True)
    w = load_file(base.OUT / "llama/model.safetensors")
    tower = load_file(base.OUT / "tower/model.safetensors")
    batch = dict(token_ids=draw.tokens(sum(LENGTHS), base.VOCAB), lengths=torch.tensor(LENGTHS),
                 image_of=torch.tensor(IMAGE_OF), pixels=draw.normal(2, 3, IMAGE, IMAGE))
    memvp, lavin = fill(MemVp(), 2.0), fill(LaVin(), 2.0)
    memvp.adapter_emb2.data = draw.normal(1, SLOTS, D)
    llava = fill(Llava(nn.Sequential(nn.Linear(TW, 7), nn.GELU(), nn.Linear(7, D))))
    plain = fill(Llava(nn.Linear(TW, D)))
    save_checkpoint("memvp", memvp, "", adapter_scale=MemVp.scale, prompt_format="QCM-A", adapter_dim=3, emb=SLOTS)
    save_checkpoint("lavin", lavin, "module.", adapter_scale=Routed.scale, temperature=Routed.temperature,
                    prompt_format="QCM-ALE", adapter_type="attn", visual_adapter_type="router")
    tuned = save_llava("llava", llava, w)
    torch.save({f"model.{n}": p.data.half() for n, p in plain.named_parameters()}, OUT / "llava_linear.bin")
    for p in plain.parameters():
        p.data = p.data.half().double()
    expected = {"memvp": logits_of(memvp, w, tower, batch), "lavin": logits_of(lavin, w, tower, batch),
                "llava": logits_of(llava, w, tower, batch), "llava_lora": logits_of(llava, tuned, tower, batch),
                "llava_linear": logits_of(plain, w, tower, batch)}
    none = torch.cat([llama(w, t, Hooks()) for t in
                      w["model.embed_tokens.weight"][batch["token_ids"]].split(LENGTHS)])
    for name, logits in expected.items():
        print(name, "moves the logits by", f"{((logits - none).norm() / none.norm()).item():.2f}")
    write_tensors(OUT / "expected.safetensors", {**batch, **{f"logits.{n}": t for n, t in expected.items()}},
                  versions=VERSIONS)


if __name__ == "__main__":
    main()
