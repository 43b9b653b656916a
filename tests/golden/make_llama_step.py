"""Truth: the loss and its gradient at the embeddings of transformers' LlamaForCausalLM, in f64 (widened) and in the
library's own bf16 and f16 runs, on the weights and the first prompt of llama/bf16.
Run: OMP_NUM_THREADS=1 python make_llama_step.py   (reads llama/bf16*, writes llama/step_expected.safetensors)"""
import torch
from safetensors.torch import load_file
from transformers import LlamaForCausalLM
from transformers.utils import logging

from common import HERE, versions, widen_llama, write_tensors

logging.disable_progress_bar()
logging.set_verbosity_error()
FOLDER = HERE / "llama/bf16"


def step(model, ids):
    """Next-token losses [tokens - 1] and the gradient of their mean at the embeddings [tokens, hidden]."""
    x = model.get_input_embeddings()(ids[None]).detach().requires_grad_()
    logits = model(inputs_embeds=x).logits[0, :-1]
    wide = logits if logits.dtype == torch.float64 else logits.float()  # as the library's own loss does
    losses = torch.nn.functional.cross_entropy(wide, ids[1:], reduction="none")
    return losses, torch.autograd.grad(losses.mean(), x)[0][0]


def main():
    ids = load_file(HERE / "llama/bf16_expected.safetensors")["token_ids.0"]
    exact = widen_llama(LlamaForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval())
    out = {"token_ids": ids}
    out["losses"], out["grad"] = step(exact, ids)
    for short, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16)):
        model = LlamaForCausalLM.from_pretrained(FOLDER, dtype=dtype).eval()
        out[f"losses_{short}"], out[f"grad_{short}"] = step(model, ids)
        gradient = (out[f"grad_{short}"] - out["grad"]).norm() / out["grad"].norm()
        losses = (out[f"losses_{short}"] - out["losses"]).abs().max()
        print(f"{short}: gradient off by {gradient:.1e}, losses by {losses:.1e}")
    write_tensors(HERE / "llama/step_expected.safetensors", out,
                  versions=versions("torch", "transformers", "safetensors"))


main()
