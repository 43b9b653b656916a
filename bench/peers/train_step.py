#!/usr/bin/env python3
"""The training step of `dehvf compare` in PyTorch, transformers and PEFT, with random weights of the same shapes: as
many samples, each with a picture, tokens and labels, bf16 (f32 on the CPU) with trained parameters in f32, AdamW,
clipping. Prints one JSON object: of every method, length and form the median, lowest and highest seconds of its steps,
the peak of the device's memory, what is trained, and FLOPs by torch.utils.flop_counter with what of them ours has not.

usage: train_step.py [--shape toy|7b|13b] [--layers N] [--lengths 64,256] [--methods dehvf,llava-lora:recompute]
                     [--forms eager,compile] [--device cuda:0|cpu] [--turns]
A method is a preset of configs/papers; with :recompute its blocks run again for the backward pass. compile is
torch.compile, on a GPU with cuDNN's attention. --turns measures one round for every line of its input, so that others
may run between."""
import argparse
import contextlib
import json
import pathlib
import platform
import statistics
import sys
import time

try:
    import peft
    import torch
    import transformers
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from flops import beyond
    from model import preset_of, random_llama, random_model
except ImportError as error:
    sys.exit(f"train_step.py: {error}; wanted torch, transformers 5, peft and PyYAML in {sys.executable}")

BACKENDS = {"eager": None, "compile": [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION,
                                       SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]}  # the first that can
METHODS = ["dehvf", "memvp", "llava-lora"]
WARM = 3


class Step:
    """One method's step on texts of any length."""

    def __init__(self, name, llama, options):
        self.name, self.options = name, options
        self.method, _, self.how = name.partition(":")
        self.device = torch.device(options.device)
        self.preset = preset_of(self.method, options.shape)
        self.model = random_model(self.method, options.shape, llama).to(self.device)
        self.model.recompute = self.how == "recompute"
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4, fused=True)
        self.compiled = torch.compile(self.model, dynamic=False)
        image = self.model.tower.config.image_size
        self.pixels = torch.randn(options.samples, 3, image, image)

    def batch(self, length):
        tokens = torch.randint(self.model.llama.config.vocab_size, (self.options.samples, length))
        places = torch.arange(length - self.options.supervised, length)
        return tokens, self.pixels, places, tokens[:, places]

    def __call__(self, form, length):
        batch = [tensor.to(self.device) for tensor in self.inputs[length]]
        cuda = self.device.type == "cuda"
        attention = sdpa_kernel(BACKENDS[form], set_priority=True) if cuda and BACKENDS[form] else (
            contextlib.nullcontext())
        self.optimizer.zero_grad(set_to_none=True)
        with attention:
            with torch.autocast("cuda", torch.bfloat16, enabled=cuda):
                loss = (self.compiled if form == "compile" else self.model)(*batch) / batch[3].numel()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        return loss.item()  # waits for the device as a log of losses does

    def prepare(self):
        self.inputs = {length: self.batch(length) for length in self.options.lengths}
        self.flops, self.failed = {}, {}
        for length in self.options.lengths:
            with FlopCounterMode(display=False) as counter:
                self("eager", length)
            self.flops[length] = counter.get_total_flops()
            for form in self.options.forms:
                try:
                    for _ in range(WARM):
                        self(form, length)
                except Exception as error:  # what torch.compile cannot do does not take the other form along
                    self.failed[form] = (str(error).strip().splitlines() or [type(error).__name__])[0]

    def held(self):
        """Bytes that stay between steps."""
        state = [value for values in self.optimizer.state.values() for value in values.values()]
        return sum(t.numel() * t.element_size() for t in {*self.model.parameters(), *state} if torch.is_tensor(t))

    def measure(self, form, length):
        row = {"method": self.method, "recompute": self.model.recompute, "length": length, "form": form,
               "preset": self.preset.name, "trained": sum(p.numel() for p in self.trained), "flops": self.flops[length],
               "flops_beyond": beyond(self.model, self.options.samples, length, self.options.supervised)}
        if form in self.failed:
            return {**row, "failed": self.failed[form]}
        cuda, seconds, peak = self.device.type == "cuda", [], None
        self.optimizer.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        for _ in range(self.options.steps):
            begin = time.perf_counter()
            loss = self(form, length)
            if cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
            if not loss < float("inf"):
                sys.exit(f"train_step.py: {self.name}, {form}: the loss is {loss}")
        if cuda:
            peak = torch.cuda.max_memory_allocated() - before + self.held()
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()  # others may run before the next turn
        return {**row, "seconds": {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds)},
                "steps": len(seconds), "peak_bytes": peak}


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: text.split(",")
    numbers = lambda text: [positive(word) for word in words(text)]
    numbers.__name__ = "numbers"

    def positive(text):
        if int(text) < 1:
            raise ValueError(text)
        return int(text)
    parser.add_argument("--shape", choices=["toy", "7b", "13b"], default="toy")
    parser.add_argument("--layers", type=positive, help="only so many of the language model's blocks")
    parser.add_argument("--lengths", type=numbers, default=[64, 256])
    parser.add_argument("--methods", type=words, default=METHODS)
    parser.add_argument("--forms", type=words, default=list(BACKENDS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=positive, default=2, help="of the CPU")
    parser.add_argument("--samples", type=positive, default=4)
    parser.add_argument("--supervised", type=positive, default=8)
    parser.add_argument("--steps", type=positive, default=10, help="timed in a round")
    parser.add_argument("--turns", action="store_true")
    options = parser.parse_args()
    for name in options.methods:
        method, _, how = name.partition(":")
        if method not in METHODS or how not in ("", "recompute"):
            parser.error(f"--methods: wanted {', '.join(METHODS)}, each alone or with :recompute, found {name}")
    if not set(options.forms) <= set(BACKENDS):
        parser.error(f"--forms: wanted of {','.join(BACKENDS)}, found {','.join(options.forms)}")
    if min(options.lengths) <= options.supervised:
        parser.error(f"--lengths: a text of {min(options.lengths)} tokens cannot have {options.supervised} labelled")
    if options.device != "cpu" and not options.device.startswith("cuda"):
        parser.error(f"--device: wanted cpu or cuda:N, found {options.device}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device: torch finds no GPU")
    return options


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main():
    options = read_options()
    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    torch._dynamo.config.recompile_limit = 64  # a method and length is a graph; what is beyond would run uncompiled
    with torch.device(options.device):
        dtype = torch.float32 if options.device == "cpu" else torch.bfloat16
        llama = random_llama(options.shape, options.layers, dtype)
    steps = [Step(name, llama, options) for name in options.methods]
    for step in steps:
        print(f"train_step.py: {step.name}", file=sys.stderr, flush=True)
        step.prepare()
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else processor()
    about = {"shape": options.shape, "layers": options.layers, "samples": options.samples,
             "supervised": options.supervised, "device": device, "threads": options.threads,
             "versions": {module.__name__: module.__version__ for module in (torch, transformers, peft)}}
    for turn, _ in enumerate(sys.stdin if options.turns else [""]):
        order = [(step, length, form) for step in steps for length in options.lengths for form in options.forms]
        rows = [step.measure(form, length) for step, length, form in (order[::-1] if turn % 2 else order)]
        print(json.dumps({**about, "rows": rows}), flush=True)


if __name__ == "__main__":
    main()
