"""Truth: DEHVF, MemVP, the fuser and the visual FFN rows in plain PyTorch f64, written from the
formulas; transformers is asked only to confirm the text-only model and the bare tower.
Run: OMP_NUM_THREADS=1 python make_dehvf.py   (writes dehvf/)"""
import torch
import torch.nn.functional as F

from common import HERE, Draw, inverse_frequencies, versions, widen_llama, write_json, write_tensors

OUT = HERE / "dehvf"
VOCAB, D, LAYERS, HEADS, KV, HD, FFN, EPS = 61, 48, 4, 6, 3, 8, 80, 1e-5
TW, TL, TH, TM, PATCH, IMAGE = 40, 4, 4, 72, 4, 16
PATCHES, SLOTS, RANK, ADAPTER = 16, 20, 16, 3
T, R, FH, FB, GROUPS, POSITIONS, HIDDEN = 8, 8, 2, 2, 2, 2, 12
PER_GROUP = TL // GROUPS
LAMBDA, SCALE, ADAPTER_SCALE = 0.05, 0.1, 0.1
LENGTHS, PRESENT = [7, 5, 9], [1, 0, 1]
VERSIONS = versions("torch", "transformers", "safetensors")
draw = Draw(20250825)


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))


def norm(p, name, x):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"], 1e-5)


# ---- parameters --------------------------------------------------------------------------------
def add_linear(p, name, out, inp, gain=1.0, bias=True):
    p[name + ".weight"] = draw.linear(out, inp, gain)
    if bias:
        p[name + ".bias"] = draw.normal(out, std=0.3)


def add_norm(p, name, width):
    p[name + ".weight"] = draw.normal(width, std=0.2, mean=1.0)
    p[name + ".bias"] = draw.normal(width, std=0.2)


def make_llama():
    p = {"model.embed_tokens.weight": draw.normal(VOCAB, D, std=0.7)}
    for i in range(LAYERS):
        n = f"model.layers.{i}."
        p[n + "input_layernorm.weight"] = draw.normal(D, std=0.2, mean=1.0)
        p[n + "post_attention_layernorm.weight"] = draw.normal(D, std=0.2, mean=1.0)
        for q, out, inp in (("q", HEADS * HD, D), ("k", KV * HD, D), ("v", KV * HD, D),
                            ("o", D, HEADS * HD)):
            p[n + f"self_attn.{q}_proj.weight"] = draw.linear(out, inp)
        for q, out, inp in (("gate", FFN, D), ("up", FFN, D), ("down", D, FFN)):
            p[n + f"mlp.{q}_proj.weight"] = draw.linear(out, inp)
    p["model.norm.weight"] = draw.normal(D, std=0.2, mean=1.0)
    p["lm_head.weight"] = draw.linear(VOCAB, D)
    return p


def make_tower():
    p = {}
    n = "vision_model.embeddings."
    p[n + "class_embedding"] = draw.normal(TW)
    p[n + "patch_embedding.weight"] = draw.normal(TW, 3, PATCH, PATCH, std=48 ** -0.5)
    p[n + "position_embedding.weight"] = draw.normal(PATCHES + 1, TW, std=0.5)
    add_norm(p, "vision_model.pre_layrnorm", TW)
    for i in range(TL):
        n = f"vision_model.encoder.layers.{i}."
        add_norm(p, n + "layer_norm1", TW)
        add_norm(p, n + "layer_norm2", TW)
        for q in "qkv":
            add_linear(p, n + f"self_attn.{q}_proj", TW, TW)
        add_linear(p, n + "self_attn.out_proj", TW, TW)
        add_linear(p, n + "mlp.fc1", TM, TW)
        add_linear(p, n + "mlp.fc2", TW, TM)
    add_norm(p, "vision_model.post_layernorm", TW)
    return p


def make_shared_adapter():
    p = {"slot_keys": draw.normal(SLOTS, D, std=0.15), "slot_values": draw.normal(SLOTS, D)}
    add_linear(p, "projector.down", RANK, TW)
    add_linear(p, "projector.up", D, RANK, gain=6.0)
    p["projector.up.bias"] = draw.normal(D, std=1.5)
    for i in range(TL):
        add_linear(p, f"tower.layers.{i}.adapter.down", ADAPTER, TW, bias=False)
        add_linear(p, f"tower.layers.{i}.adapter.up", TW, ADAPTER, gain=3.0, bias=False)
    return p


def make_fuser():
    p = {"layer_embedding": draw.normal(LAYERS, T, std=2.0),
         "position_embedding": draw.normal(POSITIONS, T, std=2.0)}
    add_linear(p, "embed.hidden", HIDDEN, 2 * T, gain=1.5)
    add_linear(p, "embed.out", T, HIDDEN)
    add_linear(p, "fuser.query", R, T, gain=2.0)
    add_linear(p, "fuser.keys", R, TW, gain=2.0)
    for b in range(FB):
        n = f"fuser.blocks.{b}."
        for q in "qkvo":
            add_linear(p, n + f"attention.{q}", R, R, gain=1.7)
        add_norm(p, n + "attention_norm", R)
        add_linear(p, n + "mlp.up", R, R)
        add_linear(p, n + "mlp.down", R, R)
        add_norm(p, n + "mlp_norm", R)
    add_linear(p, "fuser.weights", PER_GROUP, R, gain=2.0)
    return p


# ---- tower -------------------------------------------------------------------------------------
def tower_levels(w, pixels, adapter=None, blocks=TL):
    """Raw outputs after block 1..blocks, each [images, 1 + patches, width]."""
    v = "vision_model."
    x = F.conv2d(pixels, w[v + "embeddings.patch_embedding.weight"], stride=PATCH)
    x = x.flatten(2).transpose(1, 2)
    cls = w[v + "embeddings.class_embedding"].expand(len(pixels), 1, TW)
    x = torch.cat([cls, x], 1) + w[v + "embeddings.position_embedding.weight"]
    x = norm(w, v + "pre_layrnorm", x)
    levels = []
    for i in range(blocks):
        n = f"{v}encoder.layers.{i}."
        u = norm(w, n + "layer_norm1", x)
        q, k, val = (linear(w, n + f"self_attn.{s}_proj", u).unflatten(-1, (TH, -1)).transpose(1, 2)
                     for s in "qkv")
        a = torch.softmax(q @ k.transpose(-1, -2) / (TW // TH) ** 0.5, -1) @ val
        x = x + linear(w, n + "self_attn.out_proj", a.transpose(1, 2).flatten(2))
        u = norm(w, n + "layer_norm2", x)
        h = linear(w, n + "mlp.fc1", u)
        y = linear(w, n + "mlp.fc2", h * torch.sigmoid(1.702 * h))
        if adapter is not None:
            a = f"tower.layers.{i}.adapter."
            low = F.gelu(linear(adapter, a + "down", u))
            y = y + ADAPTER_SCALE * linear(adapter, a + "up", low)
        x = x + y
        levels.append(x)
    return levels


# ---- fuser -------------------------------------------------------------------------------------
def fuser(p, cls):
    """cls [images, levels, width] -> weights [images, layers, positions, levels of the group]."""
    lay = p["layer_embedding"][:, None].expand(LAYERS, POSITIONS, T)
    pos = p["position_embedding"][None].expand(LAYERS, POSITIONS, T)
    h = linear(p, "embed.out", F.relu(linear(p, "embed.hidden", torch.cat([lay, pos], -1))))
    query = linear(p, "fuser.query", h)
    keys = linear(p, "fuser.keys", cls)
    result = []
    for l in range(LAYERS):
        k = l * GROUPS // LAYERS
        c = keys[:, k * PER_GROUP:(k + 1) * PER_GROUP]
        for s in range(POSITIONS):
            q = query[l, s].expand(len(cls), 1, R)
            for b in range(FB):
                n = f"fuser.blocks.{b}."
                heads = [linear(p, n + f"attention.{m}", t).unflatten(-1, (FH, -1)).transpose(1, 2)
                         for m, t in (("q", q), ("k", c), ("v", c))]
                a = torch.softmax(heads[0] @ heads[1].transpose(-1, -2) / (R // FH) ** 0.5, -1)
                a = (a @ heads[2]).transpose(1, 2).flatten(2)
                q = norm(p, n + "attention_norm", q + linear(p, n + "attention.o", a))
                m = linear(p, n + "mlp.down", F.relu(linear(p, n + "mlp.up", q)))
                q = norm(p, n + "mlp_norm", q + m)
            result.append(torch.softmax(linear(p, "fuser.weights", q[:, 0]), -1))
    return torch.stack(result, 1).unflatten(1, (LAYERS, POSITIONS))


# ---- image features: z [layers][2] of [images, N, rank] ----------------------------------------
def dehvf_features(w, p, pixels):
    raw = tower_levels(w, pixels, p)
    levels = torch.stack([norm(w, "vision_model.post_layernorm", x) for x in raw], 1)
    weights = fuser(p, levels[:, :, 0])
    low = linear(p, "projector.down", levels[:, :, 1:])
    z = []
    for l in range(LAYERS):
        g = slice(l * GROUPS // LAYERS * PER_GROUP, (l * GROUPS // LAYERS + 1) * PER_GROUP)
        z.append([F.silu(torch.einsum("bi,binr->bnr", weights[:, l, s], low[:, g]))
                  for s in range(POSITIONS)])
    return z, raw, weights


def memvp_features(w, p, pixels):
    raw = tower_levels(w, pixels, p, TL - 1)
    patches = norm(w, "vision_model.post_layernorm", raw[-1])[:, 1:]
    z = F.silu(linear(p, "projector.down", patches))
    return [[z, z]] * LAYERS, raw, None


# ---- visual rows, contracts section 4 in its naive form: keys and values written out -----------
def visual_rows(u, present, slot_keys, slot_values, image_keys, image_values, lam, scale, mask=1.0):
    """One sample. image_keys, image_values: projected features [N, width], lambda not applied."""
    pad = (0, 0, 0, slot_keys.shape[0] - image_keys.shape[0])
    k = slot_keys + F.pad(present * lam * image_keys, pad)
    v = slot_values + F.pad(present * lam * image_values, pad)
    return scale * (F.silu(u @ k.T) * mask) @ v


# ---- LLaMA -------------------------------------------------------------------------------------
def rms(x, weight):
    return weight * x * (x.square().mean(-1, True) + EPS).rsqrt()


def rotate(x, angle):
    a, b = x.chunk(2, -1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


def llama(w, embeddings, lengths, rows=None):
    """Packed samples; rows(u, sample, layer) is added to the FFN output. -> logits, states"""
    x, hidden = embeddings, []
    freq = inverse_frequencies(HD)
    for l in range(LAYERS):
        n, out, start = f"model.layers.{l}.", [], 0
        for b, length in enumerate(lengths):
            s = x[start:start + length]
            start += length
            u = rms(s, w[n + "input_layernorm.weight"])
            q, k, v = (linear(w, n + f"self_attn.{c}_proj", u) for c in "qkv")
            q, k, v = (t.unflatten(-1, (-1, HD)).transpose(0, 1) for t in (q, k, v))
            angle = torch.arange(length, dtype=torch.float64)[:, None] * freq
            q, k = rotate(q, angle), rotate(k, angle)
            k, v = (t.repeat_interleave(HEADS // KV, 0) for t in (k, v))
            score = q @ k.transpose(-1, -2) / HD ** 0.5
            score = score.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
            a = (torch.softmax(score, -1) @ v).transpose(0, 1).flatten(1)
            s = s + linear(w, n + "self_attn.o_proj", a)
            u = rms(s, w[n + "post_attention_layernorm.weight"])
            y = F.silu(linear(w, n + "mlp.gate_proj", u)) * linear(w, n + "mlp.up_proj", u)
            y = linear(w, n + "mlp.down_proj", y)
            if rows is not None:
                y = y + rows(u, b, l)
            out.append(s + y)
        x = torch.cat(out)
        hidden.append(x)
    return linear(w, "lm_head", rms(x, w["model.norm.weight"])), hidden


def next_token_loss(logits, labels, lengths):
    total, count, start = 0.0, 0, 0
    for length in lengths:
        lg, lb = logits[start:start + length - 1], labels[start + 1:start + length]
        total = total + F.cross_entropy(lg, lb, ignore_index=-100, reduction="sum")
        count += int((lb != -100).sum())
        start += length
    return total / count


def forward(features, w, tower, p, pixels, embeddings, labels, present=PRESENT):
    z, raw, weights = features(tower, p, pixels)

    def rows(u, b, l):
        g = [linear(p, "projector.up", z[l][s][b]) for s in range(2)]
        return visual_rows(u, present[b], p["slot_keys"], p["slot_values"], *g, LAMBDA, SCALE)

    logits, hidden = llama(w, embeddings, LENGTHS, rows)
    return next_token_loss(logits, labels, LENGTHS), logits, hidden, raw, weights, z


# ---- fixtures ----------------------------------------------------------------------------------
def check_gradients(run, tensors, grads, step=1e-5):
    """Central differences on the largest entry and one more per tensor; worst relative error."""
    worst = 0.0
    for name, t in tensors.items():
        flat, g = t.data.view(-1), grads[name].reshape(-1)
        for i in {int(g.abs().argmax()), (7 * flat.numel()) // 11}:
            old = flat[i].item()
            value = []
            for sign in (1, -1):
                flat[i] = old + sign * step
                with torch.no_grad():
                    value.append(run().item())
            flat[i] = old
            numeric = (value[0] - value[1]) / (2 * step)
            worst = max(worst, abs(numeric - g[i].item()) / (abs(numeric) + 1e-6))
    return worst


def whole(kind, features, w, tower, p, batch):
    p = {k: v.clone().requires_grad_() for k, v in p.items()}
    embeddings = w["model.embed_tokens.weight"][batch["token_ids"]].clone().requires_grad_()

    def run(pixels=batch["pixels"]):
        return forward(features, w, tower, p, pixels, embeddings, batch["labels"])

    loss, logits, hidden, raw, weights, z = run()
    names = list(p) + ["embeddings"]
    grads = torch.autograd.grad(loss, list(p.values()) + [embeddings], allow_unused=True)
    grads = {n: torch.zeros_like({**p, "embeddings": embeddings}[n]) if g is None else g
             for n, g in zip(names, grads)}
    for n, g in grads.items():  # a softmax does not see a shift of its scores
        if n.endswith("attention.k.bias"):
            assert g.abs().max() < 1e-15
            g.zero_()
    unused = [n for n, g in grads.items() if not g.any()]

    worst = check_gradients(lambda: run()[0], {**p, "embeddings": embeddings}, grads)
    other = batch["pixels"].clone()
    other[1] = 0  # the picture of the sample without an image must have no influence
    assert torch.equal(run(other)[1], logits)
    text = llama(w, embeddings, LENGTHS)[0]
    print(f"{kind}: loss {loss.item():.6f} worst finite difference error {worst:.1e}; "
          f"operator moves logits by {(logits - text).abs().max():.3f}; zero gradients: {unused}")
    if weights is not None:
        print("  fuser weights from", weights.min().item(), "to", weights.max().item())

    write_tensors(OUT / f"{kind}.safetensors", p, versions=VERSIONS)
    expected = dict(batch, embeddings=embeddings, logits=logits, loss=loss,
                    **{f"hidden.{i}": h for i, h in enumerate(hidden)},
                    **{f"grad.{n}": g for n, g in grads.items()})
    if weights is not None:
        expected.update({f"levels.{i + 1}": x for i, x in enumerate(raw)})
        expected["fuser_weights"] = weights
        expected.update({f"z.{l}": torch.stack(z[l]) for l in (0, LAYERS - 1)})
    else:
        expected[f"levels.{len(raw)}"] = raw[-1]
        expected["z"] = z[0][0]
    write_tensors(OUT / f"{kind}_expected.safetensors", expected, versions=VERSIONS)


def fuser_alone(p):
    p = {k: v.clone().requires_grad_() for k, v in p.items()}
    cls = draw.normal(3, TL, TW).requires_grad_()
    weights = fuser(p, cls)
    upstream = draw.normal(*weights.shape)
    grads = torch.autograd.grad((weights * upstream).sum(), list(p.values()) + [cls])
    grads = dict(zip([*p, "cls"], grads))
    for n, g in grads.items():
        if n.endswith("attention.k.bias"):
            assert g.abs().max() < 1e-14
            g.zero_()
    worst = check_gradients(lambda: (fuser(p, cls) * upstream).sum(), {**p, "cls": cls}, grads)
    print(f"fuser: worst finite difference error {worst:.1e}")
    write_tensors(OUT / "fuser.safetensors",
                  dict(p, cls=cls, fuser_weights=weights, upstream=upstream,
                       **{f"grad.{n}": g for n, g in grads.items()}), versions=VERSIONS)


def rows_alone():
    """Bare visual rows; tokens of 4 samples, m mixed, N < n, dropout mask given."""
    lengths, present, n, N, rank, width = [3, 4, 1, 5], [1, 0, 1, 0], 7, 5, 6, 16
    lam, scale, drop = 0.05, 0.1, 0.3
    x = dict(x=draw.normal(sum(lengths), width), slot_keys=draw.normal(n, width, std=0.3),
             slot_values=draw.normal(n, width), image_keys=draw.normal(4, N, rank),
             image_values=draw.normal(4, N, rank), basis=draw.normal(rank, width),
             bias=draw.normal(width))
    x = {k: v.requires_grad_() for k, v in x.items()}
    keep = torch.rand(sum(lengths), n, generator=draw.generator) >= drop
    mask = keep.double() / (1 - drop)
    dO = draw.normal(sum(lengths), width)

    def dense(side):
        return x[f"image_{side}"] @ x["basis"] + x["bias"]

    def run(ek, ev):
        out, start = [], 0
        for b, length in enumerate(lengths):
            t = slice(start, start + length)
            start += length
            out.append(visual_rows(x["x"][t], present[b], x["slot_keys"], x["slot_values"], ek[b],
                                   ev[b], lam, scale, mask[t]))
        return torch.cat(out)

    ek, ev = dense("keys"), dense("values")
    O = run(ek, ev)
    grads = torch.autograd.grad((O * dO).sum(), [*x.values(), ek, ev])
    grads = dict(zip([*x, "dense_keys", "dense_values"], grads))

    # the factored form and its backward, line by line as in the contract
    m = torch.tensor(sum(([float(p)] * k for p, k in zip(present, lengths)), [])).double()[:, None]
    owner = torch.tensor(sum(([b] * k for b, k in enumerate(lengths)), []))
    X, sk, sv, zk, zv, W, b = (v.detach() for v in x.values())
    XW, dW_ = X @ W.T, dO @ W.T
    S = X @ sk.T
    S[:, :N] += lam * m * (torch.einsum("tr,tjr->tj", XW, zk[owner]) + (X @ b)[:, None])
    A = S * torch.sigmoid(S) * mask
    AN = A[:, :N]
    O2 = scale * (A @ sv + lam * m * (torch.einsum("tj,tjr->tr", AN, zv[owner]) @ W
                                      + AN.sum(1, True) * b))
    dA = dO @ sv.T
    dA[:, :N] += lam * m * (torch.einsum("tr,tjr->tj", dW_, zv[owner]) + (dO @ b)[:, None])
    sig = torch.sigmoid(S)
    dS = scale * dA * mask * (sig * (1 + S * (1 - sig)))
    dSN = dS[:, :N]
    hand = dict(slot_keys=dS.T @ X, slot_values=scale * A.T @ dO)
    hand["image_keys"] = torch.zeros_like(zk)
    hand["image_values"] = torch.zeros_like(zv)
    hand["image_keys"].index_add_(0, owner, lam * m[..., None] * dSN[..., None] * XW[:, None])
    hand["image_values"].index_add_(0, owner, lam * scale * m[..., None] * AN[..., None]
                                    * dW_[:, None])
    sz = torch.einsum("tj,tjr->tr", dSN, zk[owner])
    az = torch.einsum("tj,tjr->tr", AN, zv[owner])
    hand["basis"] = lam * ((m * sz).T @ X + scale * (m * az).T @ dO)
    hand["bias"] = lam * ((m * dSN).sum(1) @ X + scale * (m * AN).sum(1) @ dO)
    hand["x"] = dS @ sk + lam * m * (sz @ W + dSN.sum(1, True) * b)
    errors = [(O - O2).abs().max()] + [(grads[k] - v).abs().max() for k, v in hand.items()]
    assert max(errors) < 1e-12, errors
    print(f"rows: naive form against the contract's factored form {max(errors):.1e}")

    f64 = dict(dtype=torch.float64)
    write_tensors(OUT / "visual_rows.safetensors", dict(
        x, lengths=torch.tensor(lengths), present=torch.tensor(present), dropout_mask=mask,
        dense_keys=ek, dense_values=ev, O=O, dO=dO, **{"lambda": torch.tensor(lam, **f64)},
        scale=torch.tensor(scale, **f64), **{f"grad.{k}": g for k, g in grads.items()}),
        versions=VERSIONS)


def check_with_transformers(w, tower, batch, text_only, levels):
    from transformers import CLIPVisionModel, LlamaForCausalLM
    model = LlamaForCausalLM.from_pretrained(OUT / "llama", dtype=torch.float64)
    model = widen_llama(model.eval())
    start, worst = 0, 0.0
    for length in LENGTHS:
        ids = batch["token_ids"][None, start:start + length]
        got = model(ids).logits[0]
        worst = max(worst, (got - text_only[start:start + length]).abs().max().item())
        start += length
    clip = CLIPVisionModel.from_pretrained(OUT / "tower", dtype=torch.float64).eval()
    states = clip(batch["pixels"], output_hidden_states=True).hidden_states[1:]
    clip_worst = max((a - b).abs().max().item() for a, b in zip(states, levels))
    print(f"transformers: text-only logits {worst:.1e}, bare tower levels {clip_worst:.1e}")
    assert worst < 1e-11 and clip_worst < 1e-11


def main():
    w, tower = make_llama(), make_tower()
    write_tensors(OUT / "llama/model.safetensors", w, format="pt")
    write_json(OUT / "llama/config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB,
        "hidden_size": D, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV, "hidden_act": "silu",
        "max_position_embeddings": 64, "rms_norm_eps": EPS, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "torch_dtype": "float64"})
    write_tensors(OUT / "tower/model.safetensors", tower, format="pt")
    write_json(OUT / "tower/config.json", {
        "architectures": ["CLIPVisionModel"], "model_type": "clip_vision_model", "hidden_size": TW,
        "intermediate_size": TM, "num_hidden_layers": TL, "num_attention_heads": TH,
        "num_channels": 3, "patch_size": PATCH, "image_size": IMAGE, "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5, "projection_dim": 32, "torch_dtype": "float64"})
    write_json(OUT / "settings.json", {
        "lambda": LAMBDA, "scale": SCALE, "adapter_scale": ADAPTER_SCALE, "slots": SLOTS,
        "projector_rank": RANK, "tower_adapter_rank": ADAPTER, "groups": GROUPS,
        "positions": POSITIONS, "embedding_width": T, "embed_hidden": HIDDEN, "fuser_width": R,
        "fuser_heads": FH, "fuser_blocks": FB, "fuser_norm_eps": 1e-5, "dropout": 0.0,
        "memvp_level": TL - 1, "versions": VERSIONS})

    batch = dict(token_ids=draw.tokens(sum(LENGTHS), VOCAB), lengths=torch.tensor(LENGTHS),
                 present=torch.tensor(PRESENT), pixels=draw.normal(3, 3, IMAGE, IMAGE))
    ignore = [0, 1, 2, 3, 7, 8, 12, 13, 14, 15, 16, 18]  # prompts, and one hole inside an answer
    labels = batch["token_ids"].clone()
    labels[ignore] = -100
    batch["labels"] = labels

    shared = make_shared_adapter()
    draw.generator.manual_seed(220)  # weights differ clearly by image, layer and position
    fuse = make_fuser()
    whole("dehvf", dehvf_features, w, tower, {**shared, **fuse}, batch)
    whole("memvp", memvp_features, w, tower, shared, batch)
    fuser_alone(fuse)
    rows_alone()

    embeddings = w["model.embed_tokens.weight"][batch["token_ids"]]
    text_only, hidden = llama(w, embeddings, LENGTHS)
    bare = tower_levels(tower, batch["pixels"])
    write_tensors(OUT / "text_only_expected.safetensors", dict(
        batch, text_only_logits=text_only, loss=next_token_loss(text_only, labels, LENGTHS),
        **{"hidden.3": hidden[-1],
           "bare_levels.4": bare[-1]}), versions=VERSIONS)
    check_with_transformers(w, tower, batch, text_only, bare)


if __name__ == "__main__":
    main()
