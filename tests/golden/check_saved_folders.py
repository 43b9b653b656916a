#!/usr/bin/env python3
"""Opens model folders that dehvf wrote with transformers and holds both implementations against each other: logits
of random tokens, levels of random pixels, a greedy continuation, and what the tokenizer and image processor know.
usage: check_saved_folders.py DEHVF_BINARY LLAMA_FOLDER TOWER_FOLDER

Bound: both run in f32; transformers' own largest error against its f64 run is the measure of what rounding does in
this network, and ours may be four times as large."""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForCausalLM, AutoTokenizer, CLIPVisionModel

FACTOR = 4
PROMPT = "What is the colour of the circle?\nAnswer:"
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def model(kind, folder, dtype):
    opened, facts = kind.from_pretrained(folder, dtype=dtype, output_loading_info=True, attn_implementation="eager")
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if facts[key]:
            sys.exit(f"{folder}: {key}: {sorted(facts[key])}")
    return opened.eval()


def logits(folder, samples, dtype):
    llama = model(AutoModelForCausalLM, folder, dtype)
    return torch.cat([llama(torch.tensor([ids])).logits[0] for ids in samples])


def levels(folder, pixels, dtype):
    return model(CLIPVisionModel, folder, dtype)(pixels.to(dtype), output_hidden_states=True).hidden_states[1:]


def compare(name, ours, f32, f64):
    error, own = (float((x.double() - f64).abs().max()) for x in (ours, f32))
    return {"name": name, "largest": float(f64.abs().max()), "error": error, "transformers_error": own,
            "bound": FACTOR * own, "ok": error <= FACTOR * own and ours.shape == f64.shape}


def checks(binary, llama, tower, work):
    config = json.loads((llama / "config.json").read_text())
    side = json.loads((tower / "config.json").read_text())["image_size"]
    torch.manual_seed(7)
    samples = [torch.randint(config["vocab_size"], (n,)).tolist() for n in (1, 37, 120)]
    pixels = torch.randn(3, 3, side, side)
    save_file({"pixels": pixels}, work / "pixels.safetensors")
    (work / "tokens.json").write_text(json.dumps({"samples": [{"tokens": ids} for ids in samples]}))
    run = lambda *words: subprocess.run([binary, *words], check=True, capture_output=True, text=True).stdout
    run("dump", "--model", llama, "--tower", tower, "--tokens", work / "tokens.json", "--images",
        work / "pixels.safetensors", "--out", work / "dump.safetensors")
    ours = load_file(work / "dump.safetensors")
    f32, f64 = torch.float32, torch.float64
    with torch.no_grad():
        yield compare("logits", ours["logits"], logits(llama, samples, f32), logits(llama, samples, f64))
        for i, (a, b) in enumerate(zip(levels(tower, pixels, f32), levels(tower, pixels, f64))):
            yield compare(f"levels.{i + 1}", ours[f"levels.{i + 1}"], a, b)
        tokenizer = AutoTokenizer.from_pretrained(llama)
        found = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
        wanted = [config[key + "_token_id"] for key in ("bos", "eos", "pad")]
        yield {"name": "special tokens", "found": found, "wanted": wanted, "ok": found == wanted}
        written = json.loads(run("generate", "--model", llama, "--prompt", PROMPT, "--max-new", "12", "--temperature",
                                 "0", "--json"))["tokens"]
        ids = tokenizer(PROMPT, return_tensors="pt")
        theirs = model(AutoModelForCausalLM, llama, f32).generate(**ids, max_new_tokens=12, do_sample=False)
        theirs = [t for t in theirs[0, ids["input_ids"].shape[1]:].tolist()]
        written = [t for t in written if t != config["eos_token_id"]]
        theirs = [t for t in theirs if t != config["eos_token_id"]]
        yield {"name": "greedy continuation", "found": written, "wanted": theirs, "ok": written == theirs}
    processor = AutoImageProcessor.from_pretrained(tower)
    recipe = json.loads((tower / "preprocessor_config.json").read_text())
    found = {key: list(getattr(processor, key)) for key in ("image_mean", "image_std")}
    wanted = {key: recipe[key] for key in found}
    found["shape"] = list(processor(torch.zeros(3, 50, 40, dtype=torch.uint8), return_tensors="pt").pixel_values.shape)
    wanted["shape"] = [1, 3, side, side]
    yield {"name": "image processor", "found": found, "wanted": wanted, "ok": found == wanted}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        results = list(checks(str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]),
                              pathlib.Path(sys.argv[3]), pathlib.Path(folder)))
    for r in results:
        numbers = f"error {r['error']:.2e}, bound {r['bound']:.2e}" if "error" in r else f"{r['found']}"
        print(f"{'ok    ' if r['ok'] else 'FAILED'} {r['name']}: {numbers}")
    print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__, "checks": len(results),
                      "failed": [r["name"] for r in results if not r["ok"]]}))
    sys.exit(0 if all(r["ok"] for r in results) else 1)


if __name__ == "__main__":
    main()
