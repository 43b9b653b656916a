"""transformers' LLaMA and CLIP with an operator between them, frozen but for the operator, adapters in the tower and
PEFT's LoRA; and the shapes of configs/papers."""
import pathlib
from typing import NamedTuple

import torch
import torch.nn.functional as F
import yaml
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from operators import OPERATORS

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# width, ffn, layers, heads
LLAMA = {"7b": (4096, 11008, 32, 32), "13b": (5120, 13824, 40, 40), "toy": (256, 688, 4, 4)}


class Tower(NamedTuple):
    width: int = 1024
    mlp: int = 4096
    layers: int = 24
    heads: int = 16
    patch: int = 14
    image: int = 224


def preset_of(method, shape):
    """configs/papers has a file for the size, or one that is read for every size."""
    files = [ROOT / "configs/papers" / f"{method}-{size}.yaml" for size in (shape, "7b")]
    return next(file for file in files if file.exists())


def read_preset(path, shape):
    """(its keys, tower), the toy's as bench/compare.cpp makes them."""
    keys, tower = yaml.safe_load(path.read_text()), Tower()
    if shape == "toy":
        toy, fusion = Tower(64, 256, 8, 4, 8, tower.image // 56 * 16), keys["fusion"]
        if "level" in fusion:
            fusion["level"] = max(1, toy.layers - (tower.layers - fusion["level"]))
        for key, divisor in {"hidden": 16, "rank": 16, "slots": 4, "queries": 4}.items():
            if key in fusion:
                fusion[key] = max(1, fusion[key] // divisor)
        tower = toy
    return keys, tower


class Adapter(nn.Module):
    """Beside the MLP of a block of the tower."""

    def __init__(self, width, rank=12, scale=0.1, dropout=0.1):
        super().__init__()
        self.scale, self.dropout = scale, dropout
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, u):
        return self.scale * self.up(F.dropout(F.gelu(self.down(u)), self.dropout, self.training))


def random_llama(shape, layers, dtype):
    width, ffn, depth, heads = LLAMA[shape]
    config = LlamaConfig(vocab_size=512 if shape == "toy" else 32000, hidden_size=width, intermediate_size=ffn,
                         num_hidden_layers=min(depth, layers or depth), num_attention_heads=heads,
                         max_position_embeddings=2048)
    return LlamaForCausalLM._from_config(config, dtype=dtype, attn_implementation="sdpa")


def twin_of(llama):
    """Another of the same weights, which are there once."""
    with torch.device("meta"):
        twin = LlamaForCausalLM._from_config(llama.config, dtype=llama.dtype, attn_implementation="sdpa")
    twin.load_state_dict(llama.state_dict(), assign=True)
    twin.model.rotary_emb = llama.model.rotary_emb
    return twin


def random_tower(tower, deepest, dtype):
    config = CLIPVisionConfig(hidden_size=tower.width, intermediate_size=tower.mlp, num_hidden_layers=deepest,
                              num_attention_heads=tower.heads, patch_size=tower.patch, image_size=tower.image)
    return CLIPVisionModel._from_config(config, dtype=dtype, attn_implementation="sdpa")


class FusedModel(nn.Module):
    def __init__(self, llama, tower, operator, adapters=()):
        super().__init__()
        self.llama, self.tower, self.operator = llama, tower, operator
        self.adapters = nn.ModuleList(adapters)
        self.recompute = False
        for frozen in (llama, tower):
            frozen.requires_grad_(False)
        operator.norm = tower.post_layernorm

    def levels(self, pixels):
        x = self.tower.pre_layrnorm(self.tower.embeddings(pixels))
        found = {}
        for i, layer in enumerate(self.tower.encoder.layers[:max(self.operator.levels)]):
            x = x + layer.self_attn(layer.layer_norm1(x), attention_mask=None)[0]
            u = layer.layer_norm2(x)
            x = x + layer.mlp(u)
            if self.adapters:
                x = x + self.adapters[i](u)
            found[i + 1] = x
        return [found[level] for level in self.operator.levels]

    def block(self, layer, x, angles, state):
        block = self.llama.model.layers[layer]
        x = x + block.self_attn(block.input_layernorm(x), position_embeddings=angles)[0]
        u = block.post_attention_layernorm(x)
        return x + block.mlp(u) + self.operator.beside_ffn(u, state, layer)

    def forward(self, tokens, pixels, places, targets):
        """Sum of the losses [..] of `targets` [samples, labelled], each the token at a place of `places` [labelled]
        of its text; pixels may be None."""
        state = self.operator.encode(self.levels(pixels)) if pixels is not None else None
        x = self.llama.model.embed_tokens(tokens)
        visual = self.operator.tokens(state)
        if visual is not None:
            x = torch.cat([x[:, :1], visual.to(x.dtype), x[:, 1:]], 1)
            places = places + visual.shape[1]
        angles = self.llama.model.rotary_emb(x, torch.arange(x.shape[1], device=x.device)[None])
        for layer in range(len(self.llama.model.layers)):
            x = checkpoint(self.block, layer, x, angles, state, use_reentrant=False) if self.recompute else self.block(
                layer, x, angles, state)
        logits = self.llama.lm_head(self.llama.model.norm(x[:, places - 1]))  # of labelled places alone
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def random_model(method, shape, llama):
    """The model of a preset with random weights around a LLaMA, which stays as it is."""
    keys, sizes = read_preset(preset_of(method, shape), shape)
    fusion, adapted, lora = dict(keys["fusion"]), dict(keys.get("tower_adapters", {})), keys.get("lora")
    llama = twin_of(llama) if lora else llama
    config = llama.config
    operator = OPERATORS[fusion.pop("name")](config.hidden_size, config.num_hidden_layers, sizes, **fusion)
    tower = random_tower(sizes, max(operator.levels), llama.dtype)
    enabled = adapted.pop("enabled", False)
    adapters = [Adapter(sizes.width, **adapted) for _ in range(max(operator.levels))] if enabled else []
    model = FusedModel(llama, tower, operator, adapters)
    if lora:
        targets = [f"{name}_proj" for name in lora["targets"].split(",")]
        inject_adapter_in_model(LoraConfig(r=lora["rank"], lora_alpha=lora["alpha"], target_modules=targets,
                                           lora_dropout=lora.get("dropout", 0)), llama)
        for module in llama.modules():  # masters in f32; autocast gives products their type, so that x stays as it is
            if hasattr(module, "cast_input_dtype_enabled"):
                module.cast_input_dtype_enabled = False
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model.train()
