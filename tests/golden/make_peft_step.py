"""Truth: the gradients of one training step, f64: PEFT's rank-stabilised LoRA on all seven maps of
llama/gqa_f32, trained norms, and after every map a new bias and scale (LLaMA-Adapter V2: y = scale (Wx + bias)).
Run: OMP_NUM_THREADS=1 python make_peft_step.py   (after make_llama.py; writes peft/step)"""
import json
import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaForCausalLM
from transformers.utils import logging

from common import HERE, Draw, versions, widen_llama, write_json, write_tensors

logging.disable_progress_bar()
OUT = HERE / "peft"
MAPS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LABELLED = 4  # tokens at the end of each prompt


def main():
    draw = Draw(740)
    model = LlamaForCausalLM.from_pretrained(HERE / "llama/gqa_f32", dtype=torch.float32)
    model = get_peft_model(widen_llama(model.eval(), theta=500.0), LoraConfig(
        task_type="CAUSAL_LM", r=3, lora_alpha=5, use_rslora=True, target_modules=MAPS))
    model.double().eval()
    for n, p in model.named_parameters():
        if "lora_" in n:
            p.data = draw.normal(*p.shape, std=0.3)
    folder = OUT / "step"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "llama/gqa_f32"
    config["target_modules"].sort()
    write_json(folder / "adapter_config.json", config)
    tensors = load_file(folder / "adapter_model.safetensors")
    write_tensors(folder / "adapter_model.safetensors",
                  {n: t.float() for n, t in tensors.items()}, format="pt")

    trained = {}  # by our names: those of the base model, and beside a map lora_A.weight, ..., bias, scale
    for n, p in model.named_parameters():
        name = "llama." + n.removeprefix("base_model.model.").replace(".default.", ".")
        if "lora_" in n:
            trained[name] = p
        elif n.endswith("norm.weight"):
            p.data = draw.normal(*p.shape, std=0.2, mean=1.0)
            p.requires_grad_(True)
            trained[name] = p
    for n, m in model.named_modules():
        if n.split(".")[-1] in MAPS:
            out = m.base_layer.weight.shape[0]
            bias = draw.normal(out, std=0.3).requires_grad_(True)
            scale = draw.normal(out, std=0.2, mean=1.0).requires_grad_(True)
            m.register_forward_hook(lambda _, __, y, b=bias, s=scale: s * (y + b))
            name = "llama." + n.removeprefix("base_model.model.")
            trained |= {name + ".bias": bias, name + ".scale": scale}

    stored = load_file(HERE / "llama/gqa_f32_expected.safetensors")
    out, total = {}, 0
    for i in range(2):
        ids = stored[f"token_ids.{i}"]
        logits = model(ids[None]).logits[0]
        out |= {f"token_ids.{i}": ids, f"logits.{i}": logits}
        total = total + torch.nn.functional.cross_entropy(
            logits[:-1][-LABELLED:], ids[1:][-LABELLED:], reduction="sum")
    loss = total / (2 * LABELLED)
    loss.backward()
    out["loss"] = loss
    for name, p in trained.items():
        out["grad." + name] = p.grad
        if "lora_" not in name:  # those stand in the folder
            out["value." + name] = p
    assert all(p.grad.abs().max() > 1e-6 for p in trained.values())
    write_tensors(OUT / "step_expected.safetensors", out,
                  versions=versions("torch", "transformers", "peft", "safetensors"))
    print(f"{len(trained)} tensors trained, loss {loss.item():.4f}")


main()
