"""Truth: transformers SiglipVisionModel, Dinov2Model, Dinov2WithRegistersModel in f64 on random f32 weights.
The folders have the names and configs of published ones and are opened by the library itself.
Run: OMP_NUM_THREADS=1 python make_towers.py   (writes towers/)"""
import torch
from transformers import Dinov2Model, Dinov2WithRegistersModel, SiglipVisionModel
from transformers.utils import logging

from common import HERE, Draw, versions, write_json, write_tensors

logging.disable_progress_bar()
logging.set_verbosity_error()
OUT = HERE / "towers"
VERSIONS = versions("torch", "transformers", "safetensors")
CASES = {  # name -> class, width, layers, heads, mlp, patch, stored image, registers, image
    "siglip_f32": (SiglipVisionModel, 24, 3, 2, 40, 7, 23, 0, 23),  # 2 pixels beyond 3 x 3 patches
    "siglip_joint_f32": (SiglipVisionModel, 16, 2, 2, 24, 5, 15, 0, 15),
    "dinov2_f32": (Dinov2Model, 24, 3, 3, 48, 4, 20, 0, 12),        # positions of 5 x 5 to 3 x 3
    "dinov2_wider_f32": (Dinov2Model, 16, 1, 2, 32, 4, 12, 0, 21),  # 3 x 3 to 5 x 5, one pixel beyond
    "registers_f32": (Dinov2WithRegistersModel, 24, 2, 3, 48, 4, 24, 3, 16),  # 6 x 6 to 4 x 4
}


def siglip_weights(draw, width, layers, mlp, patch, patches):
    p = {}

    def linear(name, out, inp):
        p[name + ".weight"] = draw.linear(out, inp, 1.3)
        p[name + ".bias"] = draw.normal(out, std=0.3)

    def norm(name):
        p[name + ".weight"] = draw.normal(width, std=0.2, mean=1.0)
        p[name + ".bias"] = draw.normal(width, std=0.2)

    n = "vision_model.embeddings."
    p[n + "patch_embedding.weight"] = draw.normal(width, 3, patch, patch, std=0.58 / patch)
    p[n + "patch_embedding.bias"] = draw.normal(width, std=0.3)
    p[n + "position_embedding.weight"] = draw.normal(patches, width, std=0.5)
    for i in range(layers):
        n = f"vision_model.encoder.layers.{i}."
        norm(n + "layer_norm1")
        norm(n + "layer_norm2")
        for q in ("q", "k", "v", "out"):
            linear(n + f"self_attn.{q}_proj", width, width)
        linear(n + "mlp.fc1", mlp, width)
        linear(n + "mlp.fc2", width, mlp)
    norm("vision_model.post_layernorm")
    n = "vision_model.head."  # attention pooling, which a tower reader has to skip
    p[n + "probe"] = draw.normal(1, 1, width)
    p[n + "attention.in_proj_weight"] = draw.linear(3 * width, width)
    p[n + "attention.in_proj_bias"] = draw.normal(3 * width, std=0.3)
    linear(n + "attention.out_proj", width, width)
    norm(n + "layernorm")
    linear(n + "mlp.fc1", mlp, width)
    linear(n + "mlp.fc2", width, mlp)
    return p


def dinov2_weights(draw, width, layers, mlp, patch, patches, registers):
    p = {}

    def linear(name, out, inp):
        p[name + ".weight"] = draw.linear(out, inp, 1.3)
        p[name + ".bias"] = draw.normal(out, std=0.3)

    def norm(name):
        p[name + ".weight"] = draw.normal(width, std=0.2, mean=1.0)
        p[name + ".bias"] = draw.normal(width, std=0.2)

    n = "embeddings."
    p[n + "cls_token"] = draw.normal(1, 1, width)
    p[n + "mask_token"] = draw.normal(1, width)
    if registers:
        p[n + "register_tokens"] = draw.normal(1, registers, width)
    p[n + "position_embeddings"] = draw.normal(1, patches + 1, width, std=0.5)
    p[n + "patch_embeddings.projection.weight"] = draw.normal(width, 3, patch, patch, std=0.58 / patch)
    p[n + "patch_embeddings.projection.bias"] = draw.normal(width, std=0.3)
    for i in range(layers):
        n = f"encoder.layer.{i}."
        norm(n + "norm1")
        norm(n + "norm2")
        for q in ("query", "key", "value"):
            linear(n + f"attention.attention.{q}", width, width)
        linear(n + "attention.output.dense", width, width)
        p[n + "layer_scale1.lambda1"] = draw.normal(width, std=0.5, mean=0.5)
        p[n + "layer_scale2.lambda1"] = draw.normal(width, std=0.5, mean=0.5)
        linear(n + "mlp.fc1", mlp, width)
        linear(n + "mlp.fc2", width, mlp)
    norm("layernorm")
    return p


def config_of(name, kind, width, layers, heads, mlp, patch, image, registers):
    sizes = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                 patch_size=patch, image_size=image)
    if kind is SiglipVisionModel:
        vision = dict(model_type="siglip_vision_model", intermediate_size=mlp, **sizes)
        if "joint" not in name:
            return dict(architectures=["SiglipVisionModel"], **vision)
        text = dict(model_type="siglip_text_model", hidden_size=8, num_hidden_layers=1,
                    num_attention_heads=2, intermediate_size=16, vocab_size=11)
        return dict(architectures=["SiglipModel"], model_type="siglip", text_config=text,
                    vision_config=vision)
    config = dict(architectures=[kind.__name__], mlp_ratio=mlp // width, hidden_act="gelu",
                  layer_norm_eps=1e-6, num_channels=3, qkv_bias=True, use_swiglu_ffn=False,
                  torch_dtype="float32", **sizes)
    if registers:
        return dict(model_type="dinov2_with_registers", num_register_tokens=registers, **config)
    return dict(model_type="dinov2", **config)


def resampled(positions, grid, antialias):
    """What the library does in f32, in f64."""
    side = round((positions.shape[1] - 1) ** 0.5)
    picture = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    picture = torch.nn.functional.interpolate(picture, size=(grid, grid), mode="bicubic",
                                              align_corners=False, antialias=antialias)
    return torch.cat([positions[:, :1], picture.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def main():
    for seed, (name, (kind, width, layers, heads, mlp, patch, stored, registers, image)) in enumerate(
            CASES.items()):
        draw = Draw(700 + seed)
        patches = (stored // patch) ** 2
        siglip = kind is SiglipVisionModel
        p = (siglip_weights(draw, width, layers, mlp, patch, patches) if siglip
             else dinov2_weights(draw, width, layers, mlp, patch, patches, registers))
        p = {k: v.float() for k, v in p.items()}
        write_tensors(OUT / name / "model.safetensors", p, format="pt")
        write_json(OUT / name / "config.json",
                   config_of(name, kind, width, layers, heads, mlp, patch, stored, registers))

        model, report = kind.from_pretrained(OUT / name, output_loading_info=True,
                                             attn_implementation="sdpa")  # eager narrows softmax to f32
        assert not report["missing_keys"] and not report["unexpected_keys"], report
        model.eval().double()
        pixels = draw.normal(2, 3, image, image).requires_grad_()
        if image != stored:
            embeddings = model.embeddings
            by_library = embeddings.interpolate_pos_encoding(
                torch.zeros(1, 1 + (image // patch) ** 2, width).double(), image, image)
            positions = resampled(embeddings.position_embeddings.data, image // patch, registers > 0)
            assert torch.allclose(by_library, positions, atol=1e-5)  # it interpolates in f32
            embeddings.position_embeddings = torch.nn.Parameter(positions)
            embeddings.interpolate_pos_encoding = lambda *_: embeddings.position_embeddings
        out = model(pixels, output_hidden_states=True)
        levels = out.hidden_states[-layers:]
        eps = model.config.layer_norm_eps
        post = "vision_model.post_layernorm" if siglip else "layernorm"
        normed = torch.nn.functional.layer_norm(levels[-1], (width,), p[post + ".weight"].double(),
                                                p[post + ".bias"].double(), eps)
        assert torch.allclose(normed, out.last_hidden_state, atol=1e-12)  # levels are raw
        keep = [i for i in range(levels[-1].shape[1]) if siglip or not 1 <= i <= registers]
        levels = [x[:, keep] for x in levels]  # registers are in no level
        projection = draw.normal(*levels[-1].shape)
        (gradient,) = torch.autograd.grad((levels[-1] * projection).sum(), pixels)
        print(f"{name}: levels {tuple(levels[-1].shape)}, gradient {gradient.norm().item():.3g}")
        write_tensors(OUT / f"{name}_expected.safetensors", dict(
            pixels=pixels, normed=normed[:, keep], projection=projection,
            **{f"levels.{i + 1}": x for i, x in enumerate(levels)}, **{"grad.pixels": gradient}),
            versions=VERSIONS)


main()
