"""What a PyTorch step computes beyond ours, by its reason, in closed form: with it both counts are equal (to 0.1%)."""


def beyond(model, samples, length, supervised):
    """FLOPs of a training step, forward and backward; empty for visual rows in blocks that run again, which are not
    written down. torch.utils.flop_counter takes a causal attention for a full one, and its backward pass for five
    products, as ours does."""
    config, operator = model.llama.config, model.operator
    if operator.projections and model.recompute:
        return {}
    width, ffn, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    patches = (model.tower.config.image_size // model.tower.config.patch_size) ** 2
    in_front = operator.in_front  # so that block 0 passes a gradient on, too
    run = 2 if model.recompute else 1
    tokens = length + (patches if in_front else 0)
    back = [layer > 0 or in_front for layer in range(layers)]

    rank = sum(p.shape[0] for name, p in model.llama.model.layers[-1].named_parameters() if "q_proj.lora_A" in name)
    last = 2 * (2 * width * width + 3 * width * ffn) * (run + back[-1]) + 2 * rank * 2 * width * (run + 2)
    pairs = [tokens * (tokens + 1) / 2] * (layers - 1)
    pairs.append(supervised * (tokens - supervised) + supervised * (supervised - 1) / 2)
    found = {
        "the last block's q, o and FFN of tokens without a label": samples * (tokens - supervised) * last,
        "attention to tokens that a mask hides": sum(
            samples * width * (tokens ** 2 - seen) * (4 * run + 10 * returns) for seen, returns in zip(pairs, back)),
        "logits that ours computes again for their gradient": -2 * samples * supervised * width * config.vocab_size}
    if model.recompute and in_front:
        found["the down product of a block run again, which torch leaves out"] = (
            -layers * 2 * samples * tokens * width * ffn)
    if operator.projections:
        found["visual rows written out, ours are factored"] = rows_beyond(operator, samples, length, supervised, width,
                                                                         patches, back)
    return found


def rows_beyond(operator, samples, length, supervised, width, patches, back):
    slots, rank = operator.slot_keys.shape[0], operator.projector["up"].in_features
    total = operator.projections * 3 * 2 * samples * patches * rank * width  # up, forward and backward
    for layer, returns in enumerate(back):
        seen = samples * (supervised if layer == len(back) - 1 else length)
        term, within = 2 * width * (rank + 1), 2 * patches * rank
        total += 2 * samples * length * width * slots * (5 + returns)
        total -= seen * ((2 * width * slots + term) * (5 + returns) + 6 * within)
    return total
