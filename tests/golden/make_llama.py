"""Truth: transformers LlamaForCausalLM on random weights, with the narrow places of the library
(norms, rotary tables) widened for the f64 run; the f32 and bf16 runs are the library's own.
Run: OMP_NUM_THREADS=1 python make_llama.py   (writes llama/; meta_* is Meta's layout)"""
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from common import HERE, Draw, versions, widen_llama, write_json, write_tensors

logging.disable_progress_bar()
logging.set_verbosity_error()
OUT = HERE / "llama"
VERSIONS = versions("torch", "transformers", "safetensors")
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}


def shape(heads, kv, head_dim, ffn, eps, vocab=67, hidden=48, layers=2, tied=False):
    return dict(hidden=hidden, layers=layers, heads=heads, kv=kv, head_dim=head_dim, ffn=ffn,
                eps=eps, tied=tied, vocab=vocab)


# name -> shape, config.json as written, prompt lengths, theta, scaling
CASES = {
    # defaults left out: rope, act, kv heads, head_dim, eps 1e-6, tie, positions
    "mha_f32": (shape(6, 6, 8, 16, 1e-6, vocab=68), dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=68, hidden_size=48,
        intermediate_size=16, num_hidden_layers=2, num_attention_heads=6, torch_dtype="float32"),
        (19, 7), 10000.0, None),
    # new spelling: rope_parameters, dtype; head_dim not hidden / heads
    "gqa_f32": (shape(4, 2, 16, 20, 1e-5), dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=67, hidden_size=48,
        intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, hidden_act="silu", rms_norm_eps=1e-5, max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0}, attention_bias=False,
        mlp_bias=False, tie_word_embeddings=False, dtype="float32"),
        (21, 5), 500.0, None),
    "tied_f32": (shape(4, 4, 12, 20, 1e-5, tied=True), dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=67, hidden_size=48,
        intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=None,
        rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=None, tie_word_embeddings=True,
        max_position_embeddings=64, torch_dtype="float32"), (17, 9), 10000.0, None),
    "llama3_rope_f32": (shape(3, 1, 16, 20, 1e-5), dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=67, hidden_size=48,
        intermediate_size=20, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
        rms_norm_eps=1e-5, rope_theta=100.0, rope_scaling={"rope_type": "llama3", **LLAMA3},
        eos_token_id=[2, 65, 66], max_position_embeddings=160, torch_dtype="float32"),
        (37, 5), 100.0, {"rope_type": "llama3", **LLAMA3}),
    # oldest spelling: rope_scaling with "type", and keys to be ignored
    "linear_rope_f32": (shape(6, 3, 8, 20, 1e-6), dict(
        architectures=["LLaMAForCausalLM"], model_type="llama", vocab_size=67, hidden_size=48,
        intermediate_size=20, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=3, bos_token_id=0,
        eos_token_id=1, pad_token_id=-1, max_sequence_length=64, pretraining_tp=1,
        rope_theta=10000.0, rope_scaling={"type": "linear", "factor": 2.5}, torch_dtype="float32"),
        (37, 3), 10000.0, {"rope_type": "linear", "factor": 2.5}),
    "bf16": (shape(4, 2, 12, 24, 1e-5, layers=3), dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=67, hidden_size=48,
        intermediate_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=64, torch_dtype="bfloat16"),
        (27, 5), 10000.0, None),
}


def weights(draw, hidden, layers, heads, kv, head_dim, ffn, tied, vocab, **_):
    p = {"model.embed_tokens.weight": draw.normal(vocab, hidden, std=0.6)}
    for i in range(layers):
        n = f"model.layers.{i}."
        p[n + "input_layernorm.weight"] = draw.normal(hidden, std=0.2, mean=1.0)
        p[n + "post_attention_layernorm.weight"] = draw.normal(hidden, std=0.2, mean=1.0)
        for q, out, inp in (("q", heads * head_dim, hidden), ("k", kv * head_dim, hidden),
                            ("v", kv * head_dim, hidden), ("o", hidden, heads * head_dim)):
            p[n + f"self_attn.{q}_proj.weight"] = draw.linear(out, inp, 1.3)
        for q, out, inp in (("gate", ffn, hidden), ("up", ffn, hidden), ("down", hidden, ffn)):
            p[n + f"mlp.{q}_proj.weight"] = draw.linear(out, inp, 1.3)
    p["model.norm.weight"] = draw.normal(hidden, std=0.2, mean=1.0)
    if not tied:
        p["lm_head.weight"] = draw.linear(vocab, hidden)
    return p


def exact_model(p, s, theta, scaling):
    rope = dict(scaling or {"rope_type": "default"}, rope_theta=theta)
    config = LlamaConfig(
        vocab_size=s["vocab"], hidden_size=s["hidden"], intermediate_size=s["ffn"],
        head_dim=s["head_dim"],
        num_hidden_layers=s["layers"], num_attention_heads=s["heads"], num_key_value_heads=s["kv"],
        rms_norm_eps=s["eps"], rope_parameters=rope, tie_word_embeddings=s["tied"],
        max_position_embeddings=160)
    model = LlamaForCausalLM(config).eval()
    missing = model.load_state_dict({k: v.float() for k, v in p.items()}, strict=False).missing_keys
    assert missing == (["lm_head.weight"] if s["tied"] else []), missing
    model.tie_weights()
    return widen_llama(model, theta, scaling)


def states(model, ids):
    """logits, and [layers, tokens, hidden]: after each block, before the last norm."""
    kept = []
    hooks = [layer.register_forward_hook(
        lambda m, a, out: kept.append(out[0] if isinstance(out, tuple) else out))
        for layer in model.model.layers]
    logits = model(ids).logits
    for hook in hooks:
        hook.remove()
    return logits[0], torch.stack([k.reshape(ids.shape[1], -1) for k in kept])


def expected(name, p, s, lengths, theta, scaling, draw):
    native = torch.bfloat16 if name == "bf16" else torch.float32
    short = "bf16" if name == "bf16" else "f32"
    out, worst = {}, 0.0
    exact = exact_model(p, s, theta, scaling)
    # the library's own run; built from the folder, so the folder is known to say the same model
    plain = LlamaForCausalLM.from_pretrained(OUT / name, dtype=native).eval()
    for i, length in enumerate(lengths):
        ids = draw.tokens(length, s["vocab"])[None]
        with torch.no_grad():
            logits, hidden = states(exact, ids)
            low, low_hidden = states(plain, ids)
        worst = max(worst, (logits - low).abs().max().item())
        assert worst < (0.3 if name == "bf16" else 1e-4)
        out[f"token_ids.{i}"] = ids[0]
        out[f"logits.{i}"], out[f"hidden.{i}"] = logits, hidden
        out[f"logits_{short}.{i}"] = low
        if name == "bf16":
            out[f"hidden_bf16.{i}"] = low_hidden
    print(f"{name}: logits up to {logits.abs().max():.2f}, error of the {short} run {worst:.1e}")
    if name == "mha_f32":
        ids = out["token_ids.0"][None]
        x = exact.model.embed_tokens(ids).detach().requires_grad_()
        logits = exact(inputs_embeds=x).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
        names = ["model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.gate_proj.weight"]
        wanted = dict(exact.named_parameters())
        grads = torch.autograd.grad(loss, [x] + [wanted[n] for n in names])
        out["loss.0"], out["grad.embeddings.0"] = loss, grads[0][0]
        for n, g in zip(names, grads[1:]):
            out["grad." + n] = g
    write_tensors(OUT / f"{name}_expected.safetensors", out, versions=VERSIONS)


def write_sharded(p, config):
    """Two shards; the second file holds what comes first in the model."""
    names = list(p)
    parts = [names[len(names) // 2:], names[:len(names) // 2]]
    index = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05d}-of-00002.safetensors"
        write_tensors(OUT / "sharded_f32" / file, {n: p[n] for n in part}, format="pt")
        index.update({n: file for n in part})
    size = sum(t.numel() * t.element_size() for t in p.values())
    write_json(OUT / "sharded_f32/model.safetensors.index.json",
               {"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))})
    write_json(OUT / "sharded_f32/config.json", config)


def to_meta(w, heads):
    """HF row h*hd + s*hd/2 + i  ->  Meta row h*hd + 2i + s."""
    half = w.shape[0] // heads // 2
    return w.view(heads, 2, half, -1).transpose(1, 2).reshape(w.shape)


def write_meta(p, s, shards):
    kinds = {"self_attn.q_proj": ("attention.wq", 0), "self_attn.k_proj": ("attention.wk", 0),
             "self_attn.v_proj": ("attention.wv", 0), "self_attn.o_proj": ("attention.wo", 1),
             "mlp.gate_proj": ("feed_forward.w1", 0), "mlp.up_proj": ("feed_forward.w3", 0),
             "mlp.down_proj": ("feed_forward.w2", 1), "input_layernorm": ("attention_norm", None),
             "post_attention_layernorm": ("ffn_norm", None)}
    meta = {"tok_embeddings.weight": (p["model.embed_tokens.weight"], 1),
            "norm.weight": (p["model.norm.weight"], None),
            "output.weight": (p["lm_head.weight"], 0)}
    for i in range(s["layers"]):
        for hf, (short, dim) in kinds.items():
            w = p[f"model.layers.{i}.{hf}.weight"]
            if hf[-6:] in ("q_proj", "k_proj"):
                w = to_meta(w, s["heads"])
            meta[f"layers.{i}.{short}.weight"] = (w, dim)
    freq = 10000.0 ** (-torch.arange(0, s["head_dim"], 2).float() / s["head_dim"])
    folder = OUT / f"meta_{shards}"
    folder.mkdir(parents=True, exist_ok=True)
    for r in range(shards):
        part = {}
        for n, (w, dim) in meta.items():
            if dim is not None:
                w = w.chunk(shards, dim)[r]
            part[n] = w.clone().contiguous()
        part["rope.freqs"] = freq  # present in Meta's files, to be ignored
        torch.save(part, folder / f"consolidated.{r:02d}.pth")
    # floor(0.1 * floor(8 * 48 / 3)) = 12, up to a multiple of 8 -> 16
    write_json(folder / "params.json", {
        "dim": s["hidden"], "n_layers": s["layers"], "n_heads": s["heads"], "multiple_of": 8,
        "ffn_dim_multiplier": 0.1, "norm_eps": s["eps"], "vocab_size": -1})


def main():
    for seed, (name, (s, config, lengths, theta, scaling)) in enumerate(CASES.items()):
        draw = Draw(100 + seed)
        p = weights(draw, **s)
        p = {k: v.to(torch.bfloat16 if name == "bf16" else torch.float32) for k, v in p.items()}
        write_tensors(OUT / name / "model.safetensors", p, format="pt")
        write_json(OUT / name / "config.json", config)
        expected(name, p, s, lengths, theta, scaling, draw)
        if name == "mha_f32":
            write_sharded(p, config)
            write_meta(p, s, 1)
            write_meta(p, s, 2)


main()
