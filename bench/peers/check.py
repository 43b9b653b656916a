#!/usr/bin/env python3
"""Holds the operators of bench/peers against the losses and gradients of tests/golden, in f64.
usage: check.py   needs torch, transformers 5, peft, safetensors"""
import json
import sys

import torch
from safetensors.torch import load_file
from transformers import CLIPVisionModel, LlamaForCausalLM
from transformers.utils import logging

from model import ROOT, Adapter, FusedModel, Tower
from operators import Dehvf, Llava, MemVp

GOLDEN = ROOT / "tests/golden"
BOUND = 1e-9  # of the largest entry; all is f64
sys.path.insert(0, str(GOLDEN))


def golden_model(make, settings):
    from common import widen_llama  # its RMS norms and rotary angles are f64, too
    folder = GOLDEN / "dehvf"
    llama = widen_llama(LlamaForCausalLM.from_pretrained(folder / "llama", dtype=torch.float64))
    clip = CLIPVisionModel.from_pretrained(folder / "tower", dtype=torch.float64)
    sizes = clip.config
    tower = Tower(sizes.hidden_size, sizes.intermediate_size, sizes.num_hidden_layers, sizes.num_attention_heads,
                  sizes.patch_size, sizes.image_size)
    operator = make(llama.config.hidden_size, llama.config.num_hidden_layers, tower)
    adapters = [Adapter(tower.width, settings["tower_adapter_rank"], settings["adapter_scale"])
                for _ in range(max(operator.levels))]
    return FusedModel(llama, clip, operator, adapters).double().eval()


def trained(model):
    for name, parameter in model.operator.named_parameters():
        if not name.startswith("norm."):
            yield name, parameter
    for name, parameter in model.adapters.named_parameters():
        index, rest = name.split(".", 1)
        yield f"tower.layers.{index}.adapter.{rest}", parameter


def loss_of(model, expected):
    """Text by text, as the fixtures' texts are of all lengths and some have no picture."""
    lengths = expected["lengths"].tolist()
    image_of = expected["image_of"].tolist() if "image_of" in expected else [
        i if there else -1 for i, there in enumerate(expected["present"].tolist())]
    total, count = 0, 0
    for tokens, labels, image in zip(expected["token_ids"].split(lengths), expected["labels"].split(lengths), image_of):
        places = 1 + (labels[1:] != -100).nonzero()[:, 0]
        if len(places):
            pixels = expected["pixels"][image:image + 1] if image >= 0 else None
            total = total + model(tokens[None], pixels, places, labels[None, places])
            count += len(places)
    return total / count


def check(name, folder, make, settings):
    model = golden_model(make, settings)
    weights, expected = (load_file(GOLDEN / folder / f"{name}{end}.safetensors") for end in ("", "_expected"))
    parameters = dict(trained(model))
    for path, parameter in parameters.items():
        parameter.data = weights[path]
    worst = 0
    for model.recompute in (False, True):
        loss = loss_of(model, expected)
        found = torch.autograd.grad(loss, list(parameters.values()))
        wanted = [expected[f"grad.{path}"] for path in parameters]
        errors = {path: (f - w).abs().max() / max(w.abs().max(), 1e-3) for path, f, w in zip(parameters, found, wanted)}
        errors["loss"] = (loss - expected["loss"]).abs()
        worst = max(worst, max(errors.values()).item())
        for path, error in errors.items():
            if not error < BOUND:
                raise SystemExit(f"check.py: {name}: {path} is off by {error:.1e} of its largest entry, bound {BOUND}")
    left = [path for path in weights if path not in parameters and expected[f"grad.{path}"].any()]
    if left:
        raise SystemExit(f"check.py: {name}: {left} are trained by the fixture and not here")
    return {"parameters": len(parameters), "worst": worst}


def main():
    logging.disable_progress_bar()
    settings = json.loads((GOLDEN / "dehvf/settings.json").read_text())
    memory = {"slots": settings["slots"], "rank": settings["projector_rank"], "scale": settings["scale"],
              "lambda": settings["lambda"]}
    fuser = {"groups": settings["groups"], "positions": settings["positions"], "embedding": settings["embedding_width"],
             "hidden": settings["embed_hidden"], "width": settings["fuser_width"], "heads": settings["fuser_heads"],
             "blocks": settings["fuser_blocks"]}
    cases = {
        "dehvf": ("dehvf", lambda *sizes: Dehvf(*sizes, **fuser, **memory)),
        "memvp": ("dehvf", lambda *sizes: MemVp(*sizes, level=settings["memvp_level"], **memory)),
        "llava_mlp": ("tokens", Llava),
    }
    print(json.dumps({name: check(name, *case, settings) for name, case in cases.items()}))


if __name__ == "__main__":
    main()
