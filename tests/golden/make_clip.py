"""Truth: transformers CLIPVisionModel in f64 on random f32 weights.
Run: OMP_NUM_THREADS=1 python make_clip.py   (writes clip/)"""
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel
from transformers.utils import logging

from common import HERE, Draw, versions, write_json, write_tensors

logging.disable_progress_bar()
logging.set_verbosity_error()
OUT = HERE / "clip"
VERSIONS = versions("torch", "transformers", "safetensors")
CASES = {  # name -> width, layers, heads, mlp, patch, image
    "vision_f32": (32, 3, 4, 40, 8, 32),  # 4 x 4 patches, vision-only config
    "joint_f32": (24, 2, 2, 36, 7, 21),   # 3 x 3 patches, full CLIP config and text tensors
}


def weights(draw, width, layers, heads, mlp, patch, image):
    p = {}

    def linear(name, out, inp):
        p[name + ".weight"] = draw.linear(out, inp, 1.3)
        p[name + ".bias"] = draw.normal(out, std=0.3)

    def norm(name):
        p[name + ".weight"] = draw.normal(width, std=0.2, mean=1.0)
        p[name + ".bias"] = draw.normal(width, std=0.2)

    n = "vision_model.embeddings."
    p[n + "class_embedding"] = draw.normal(width)
    p[n + "patch_embedding.weight"] = draw.normal(width, 3, patch, patch, std=0.58 / patch)
    p[n + "position_embedding.weight"] = draw.normal((image // patch) ** 2 + 1, width, std=0.5)
    norm("vision_model.pre_layrnorm")
    for i in range(layers):
        n = f"vision_model.encoder.layers.{i}."
        norm(n + "layer_norm1")
        norm(n + "layer_norm2")
        for q in ("q", "k", "v", "out"):
            linear(n + f"self_attn.{q}_proj", width, width)
        linear(n + "mlp.fc1", mlp, width)
        linear(n + "mlp.fc2", width, mlp)
    norm("vision_model.post_layernorm")
    return {k: v.float() for k, v in p.items()}


def main():
    for seed, (name, s) in enumerate(CASES.items()):
        width, layers, heads, mlp, patch, image = s
        draw = Draw(300 + seed)
        p = weights(draw, *s)
        vision = dict(hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers,
                      num_attention_heads=heads, patch_size=patch, image_size=image)
        if name == "vision_f32":
            config = dict(architectures=["CLIPVisionModel"], model_type="clip_vision_model",
                          hidden_act="quick_gelu", layer_norm_eps=1e-5, num_channels=3,
                          projection_dim=16, torch_dtype="float32", **vision)
            stored = dict(p)
        else:  # defaults left out; tensors that a tower reader has to skip
            config = dict(architectures=["CLIPModel"], model_type="clip", projection_dim=16,
                          logit_scale_init_value=2.6592, torch_dtype="float32",
                          text_config=dict(model_type="clip_text_model", hidden_size=8,
                                           num_hidden_layers=1, num_attention_heads=2,
                                           intermediate_size=16, vocab_size=11),
                          vision_config=dict(model_type="clip_vision_model", **vision))
            stored = dict(p)
            stored["logit_scale"] = torch.tensor(2.6592)
            stored["text_projection.weight"] = draw.linear(16, 8).float()
            stored["visual_projection.weight"] = draw.linear(16, width).float()
            stored["text_model.embeddings.token_embedding.weight"] = draw.normal(11, 8).float()
            stored["text_model.final_layer_norm.weight"] = draw.normal(8).float()
            positions = (image // patch) ** 2 + 1  # old files hold these int64 ids
            stored["vision_model.embeddings.position_ids"] = torch.arange(positions)[None]
        write_tensors(OUT / name / "model.safetensors", stored, format="pt")
        write_json(OUT / name / "config.json", config)

        settings = dict(vision, hidden_act="quick_gelu", layer_norm_eps=1e-5)
        model = CLIPVisionModel(CLIPVisionConfig(**settings)).eval()
        try:  # the class keeps or drops the prefix depending on the library's version
            model.load_state_dict(p)
        except RuntimeError:
            model.load_state_dict({k.removeprefix("vision_model."): v for k, v in p.items()})
        model.double()
        pixels = draw.normal(seed + 1, 3, image, image).requires_grad_()
        out = model(pixels, output_hidden_states=True)
        levels = out.hidden_states[1:]
        assert len(levels) == layers and pixels.dtype == levels[-1].dtype == torch.float64
        again = torch.nn.functional.layer_norm(
            levels[-1][:, 0], (width,), p["vision_model.post_layernorm.weight"].double(),
            p["vision_model.post_layernorm.bias"].double(), 1e-5)
        assert torch.allclose(again, out.pooler_output, atol=1e-13)  # levels are raw, cls pooled
        projection = draw.normal(*levels[-1].shape)
        (gradient,) = torch.autograd.grad((levels[-1] * projection).sum(), pixels)
        with torch.no_grad():  # one directional derivative
            d, h = draw.normal(*pixels.shape), 1e-5
            f = [(model(pixels + s * h * d, output_hidden_states=True).hidden_states[-1]
                  * projection).sum() for s in (1, -1)]
            error = ((f[0] - f[1]) / (2 * h) - (gradient * d).sum()).abs() / f[0].abs()
        print(f"{name}: directional derivative error {error.item():.1e}")
        write_tensors(OUT / f"{name}_expected.safetensors", dict(
            pixels=pixels, pooled=out.pooler_output, projection=projection,
            **{f"levels.{i + 1}": x for i, x in enumerate(levels)}, **{"grad.pixels": gradient}),
            versions=VERSIONS)


main()
