"""The operators of configs/papers that peers are timed of, as a PyTorch user would write them. Parameters are called as
ours are (layers/fusion/*.cpp), so that check.py can load what tests/golden holds."""
import torch
import torch.nn.functional as F
from torch import nn


class Operator(nn.Module):
    """levels: which outputs of the tower's blocks, 1 the first, are wanted. norm: the tower's last, frozen one; set by
    the model. in_front: tokens() gives any. projections: how often visual rows are projected up."""
    in_front, projections = False, 0

    def encode(self, levels):
        """[images, 1 + patches, width] of each level -> what the hooks below get"""

    def tokens(self, state):
        """[images, count, width] to stand behind each text's first token"""

    def beside_ffn(self, u, state, layer):
        """what is added to the FFN's output for its normed input u; state None: no pictures"""
        return 0


class VisualMemory(Operator):
    """What MemVP and DEHVF share: rows of keys and values beside every FFN, of which the first carry the patches."""

    def __init__(self, llm_width, tower, slots, rank=128, dropout=0.1, scale=0.1, **given):
        super().__init__()
        self.lam, self.scale, self.dropout = given.get("lambda", 0.01), scale, dropout
        self.slot_keys = nn.Parameter(0.02 * torch.randn(slots, llm_width))
        self.slot_values = nn.Parameter(torch.zeros(slots, llm_width))
        self.projector = nn.ModuleDict({"down": nn.Linear(tower.width, rank), "up": nn.Linear(rank, llm_width)})

    def row(self, slots, g):
        """g: z projected up, [images, patches, width]"""
        return slots.to(g.dtype) + F.pad(self.lam * g, (0, 0, 0, slots.shape[0] - g.shape[1]))

    def apply_rows(self, u, keys, values):
        weights = F.dropout(F.silu(u @ keys.mT), self.dropout, self.training)
        return self.scale * (weights @ values)


class MemVp(VisualMemory):
    def __init__(self, llm_width, layers, tower, level=None, **config):
        super().__init__(llm_width, tower, **config)
        self.levels, self.projections = [level or tower.layers - 1], 1

    def encode(self, levels):
        z = F.silu(self.projector["down"](self.norm(levels[0])[:, 1:]))
        g = self.projector["up"](z)
        return self.row(self.slot_keys, g), self.row(self.slot_values, g)  # the same for all layers

    def beside_ffn(self, u, state, layer):
        return self.apply_rows(u, *(state or (self.slot_keys, self.slot_values)))


class FuserBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in "qkvo"})
        self.mlp = nn.ModuleDict({"up": nn.Linear(width, width), "down": nn.Linear(width, width)})
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x, context):
        split = lambda name, t: self.attention[name](t).unflatten(-1, (self.heads, -1)).transpose(-3, -2)
        attended = F.scaled_dot_product_attention(split("q", x), split("k", context), split("v", context))
        x = self.attention_norm(x + self.attention["o"](attended.transpose(-3, -2).flatten(-2)))
        return self.mlp_norm(x + self.mlp["down"](F.relu(self.mlp["up"](x))))


class Fuser(nn.Module):
    def __init__(self, tower_width, per_group, embedding, width, heads, blocks):
        super().__init__()
        self.query, self.keys = nn.Linear(embedding, width), nn.Linear(tower_width, width)
        self.blocks = nn.ModuleList(FuserBlock(width, heads) for _ in range(blocks))
        self.weights = nn.Linear(width, per_group)

    def forward(self, queries, summaries):
        """queries [groups, queries, embedding], summaries [images, groups, levels, tower width]
        -> [images, groups, queries, levels]"""
        context = self.keys(summaries).flatten(0, 1)
        x = self.query(queries).expand(len(summaries), -1, -1, -1).flatten(0, 1)
        for block in self.blocks:
            x = block(x, context)
        return torch.softmax(self.weights(x), -1).unflatten(0, summaries.shape[:2])


class Dehvf(VisualMemory):
    def __init__(self, llm_width, layers, tower, groups=4, positions=2, embedding=64, hidden=128, width=64, heads=4,
                 blocks=4, **config):
        super().__init__(llm_width, tower, **config)
        self.groups, self.positions, self.per_group = groups, positions, tower.layers // groups
        self.projections = layers * positions
        self.levels = list(range(1 + tower.layers - groups * self.per_group, tower.layers + 1))
        # Layers of a group stand together, and where they do not divide evenly the last groups have empty places.
        group = [layer * groups // layers for layer in range(layers)]
        self.most = max(group.count(k) for k in group)
        self.place_of_layer = [k * self.most + layer - group.index(k) for layer, k in enumerate(group)]
        self.layer_embedding = nn.Parameter(torch.randn(layers, embedding))
        self.position_embedding = nn.Parameter(torch.randn(positions, embedding))
        self.embed = nn.ModuleDict({"hidden": nn.Linear(2 * embedding, hidden), "out": nn.Linear(hidden, embedding)})
        self.fuser = Fuser(tower.width, self.per_group, embedding, width, heads, blocks)

    def queries(self):
        """[groups, layers of a group * positions, embedding]"""
        pairs = torch.cat([self.layer_embedding.repeat_interleave(self.positions, 0),
                           self.position_embedding.repeat(len(self.layer_embedding), 1)], -1)
        found = self.embed["out"](F.relu(self.embed["hidden"](pairs))).unflatten(0, (-1, self.positions))
        if self.most * self.groups == len(found):
            return found.reshape(self.groups, -1, found.shape[-1])
        spread = found.new_zeros(self.groups * self.most, *found.shape[1:])
        return spread.index_copy(0, torch.tensor(self.place_of_layer, device=found.device), found).reshape(
            self.groups, -1, found.shape[-1])

    def encode(self, levels):
        """z of every layer and position: [images, patches, rank] each"""
        stacked = self.norm(torch.stack(levels, 1)).unflatten(1, (self.groups, self.per_group))
        weights = self.fuser(self.queries(), stacked[..., 0, :])
        down = self.projector["down"]
        low = F.linear(stacked[..., 1:, :], down.weight)  # once a level; mixing comes after it, and before the bias
        mixed = (weights @ low.flatten(3)).unflatten(-1, low.shape[-2:])
        z = F.silu(mixed + down.bias.to(mixed.dtype)).unflatten(2, (self.most, self.positions)).flatten(1, 2)
        return [z[:, place].unbind(1) for place in self.place_of_layer]

    def beside_ffn(self, u, state, layer):
        if state is None:
            return self.apply_rows(u, self.slot_keys, self.slot_values)
        g = [self.projector["up"](z) for z in state[layer]]
        return self.apply_rows(u, self.row(self.slot_keys, g[0]), self.row(self.slot_values, g[-1]))


class Llava(Operator):
    in_front = True

    def __init__(self, llm_width, layers, tower, projector="mlp", hidden=None, level=None):
        super().__init__()
        assert projector == "mlp", projector
        self.levels = [level or tower.layers - 1]
        hidden = hidden or llm_width
        self.projector = nn.ModuleDict({"hidden": nn.Linear(tower.width, hidden), "out": nn.Linear(hidden, llm_width)})

    def encode(self, levels):
        return self.projector["out"](F.gelu(self.projector["hidden"](levels[0][:, 1:])))

    def tokens(self, state):
        return state


OPERATORS = {"dehvf": Dehvf, "memvp": MemVp, "llava": Llava}
