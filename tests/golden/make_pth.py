"""Truth: torch.save (zip + pickle) of small dictionaries, values read back by torch.load.
Run: python make_pth.py   (writes pth/; disallowed.pth names os.system: never run it)"""
import argparse
import os
import zipfile
from collections import OrderedDict

import torch

from common import HERE, Draw, versions, write_json, write_tensors

OUT = HERE / "pth"


class Calls:
    def __reduce__(self):
        return os.system, ("true",)


def main():
    OUT.mkdir(exist_ok=True)
    draw = Draw(7)
    base, shared = draw.normal(6, 10).float(), draw.normal(24).float()
    files = {
        "dtypes.pth": OrderedDict(
            f64=draw.normal(3), f32=draw.normal(3, 5).float(), f16=draw.normal(4, 3).half(),
            bf16=draw.normal(7).bfloat16(), i64=torch.tensor([[-1, 2**40], [0, 7]]),
            i32=torch.tensor([-5, 6], dtype=torch.int32), u8=torch.arange(5, dtype=torch.uint8),
            bool=torch.tensor([True, False, True]), scalar=torch.tensor(2.5),
            empty=torch.empty(0, 4)),
        "views.pth": {"transposed": base.t(), "sliced": base[2:5, 3:9:2], "whole": base,
                      "expanded": base[:1].expand(3, 10), "row": base[4]},
        "shared.pth": {"a.weight": shared.view(4, 6), "b.weight": shared.view(4, 6),
                       "tail": shared[12:]},
        "parameters.pth": OrderedDict(w=torch.nn.Parameter(draw.normal(3, 4).float()), frozen=(
            torch.nn.Parameter(draw.normal(5).half(), requires_grad=False))),
        "checkpoint.pth": {"model": OrderedDict(
            [("module.adapter.weight", draw.normal(2, 3).float())]), "epoch": 19,
            "args": argparse.Namespace(lr=9e-3, betas=(0.9, 0.95), name="memvp", seed=None,
                                       flag=True, items=[1, 2])},
    }
    expected = {}
    for name, value in files.items():
        torch.save(value, OUT / name)
        back = torch.load(OUT / name, weights_only=False)
        for k, v in back.get("model", back).items():
            expected[f"{name}.{k}"] = v.detach()
    torch.save({"w": torch.ones(2), "x": Calls()}, OUT / "disallowed.pth")
    module = torch.nn.Linear(2, 2)  # a pickled module: also a global to refuse, by its name
    torch.save(module, OUT / "module.pth")
    old = {"w": torch.arange(4.0)}
    torch.save(old, OUT / "legacy.pth", _use_new_zipfile_serialization=False)
    (OUT / "truncated.pth").write_bytes((OUT / "dtypes.pth").read_bytes()[:700])
    with zipfile.ZipFile(OUT / "out_of_storage.pth", "w") as z:  # size larger than its storage
        with zipfile.ZipFile(OUT / "views.pth") as source:
            for item in source.namelist():
                data = source.read(item)
                if "/data/" in item:
                    data = data[:100]
                z.writestr(zipfile.ZipInfo(item), data)
    write_tensors(OUT / "expected.safetensors", expected,
                  versions=versions("torch", "safetensors"))
    write_json(OUT / "refuse.json", {
        "disallowed.pth": "global posix.system",
        "module.pth": "global torch.nn.modules.linear.Linear",
        "legacy.pth": "not a zip archive", "truncated.pth": "no central directory",
        "out_of_storage.pth": "storage shorter than the tensors that use it",
        "versions": versions("torch")})
    with zipfile.ZipFile(OUT / "disallowed.pth") as z:
        assert b"system" in z.read("disallowed/data.pkl")


main()
