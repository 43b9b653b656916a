"""Truth: PEFT LoRA and rsLoRA folders (and a DoRA one to be refused) on llama/mha_f32, f64 logits.
Run: OMP_NUM_THREADS=1 python make_peft.py   (after make_llama.py; writes peft/)"""
import json
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaForCausalLM
from transformers.utils import logging

from common import HERE, Draw, versions, widen_llama, write_json, write_tensors

logging.disable_progress_bar()
OUT = HERE / "peft"
VERSIONS = versions("torch", "transformers", "peft", "safetensors")


def base():
    model = LlamaForCausalLM.from_pretrained(HERE / "llama/mha_f32", dtype=torch.float32)
    return widen_llama(model.eval())


def main():
    ids = load_file(HERE / "llama/mha_f32_expected.safetensors")["token_ids.0"][None]
    plain = base()(ids).logits[0]
    for seed, (name, options) in enumerate({
            "lora": dict(target_modules=["q_proj", "v_proj"], r=4, lora_alpha=8),
            "rslora": dict(target_modules=r".*\.(q_proj|v_proj)", r=4, lora_alpha=8,
                           use_rslora=True),
            "dora": dict(target_modules=["q_proj", "v_proj"], r=4, lora_alpha=8, use_dora=True),
    }.items()):
        draw = Draw(700 + seed)
        lora = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.05, **options)
        model = get_peft_model(base(), lora)
        for n, p in model.named_parameters():
            if "lora_" in n:
                p.data = draw.normal(*p.shape, std=0.3).float()
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "llama/mha_f32"
        if isinstance(config["target_modules"], list):
            config["target_modules"].sort()
        write_json(folder / "adapter_config.json", config)
        tensors = load_file(folder / "adapter_model.safetensors")
        if name == "dora":
            (folder / "adapter_model.safetensors").unlink()
            continue
        write_tensors(folder / "adapter_model.safetensors", tensors, format="pt")
        again = PeftModel.from_pretrained(base(), folder).double().eval()
        logits = again(ids).logits[0]

        # the rule by hand: W + s B A, s = alpha / r or alpha / sqrt(r)
        merged, s = base(), 8 / (4 ** .5 if name == "rslora" else 4)
        for n, a in tensors.items():
            if "lora_A" in n:
                b = tensors[n.replace("lora_A", "lora_B")]
                target = n.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                merged.get_submodule(target).weight.data += s * b.double() @ a.double()
        error = (merged(ids).logits[0] - logits).abs().max().item()
        print(f"{name}: moves logits by {(logits - plain).abs().max():.2f}, by hand {error:.1e}, "
              f"{len(tensors)} tensors such as {next(iter(tensors))}")
        assert error < 1e-12
        write_tensors(OUT / f"{name}_expected.safetensors",
                      dict(token_ids=ids[0], logits=logits), versions=VERSIONS)


main()
