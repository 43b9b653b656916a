"""Truth: SentencePiece, tokenizers and tiktoken on small vocabularies trained here, over 3,000 odd
strings. `ids` never contain control tokens; `parsed` is what recognising them in the text gives.
Run: python make_tokenizers.py   (writes tokenizers/)"""
import base64
import io
import json
import random

import sentencepiece as spm
import tiktoken
import torch
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

from common import HERE, versions, write_json, write_tensors

OUT = HERE / "tokenizers"
VERSIONS = versions("sentencepiece", "tokenizers", "tiktoken")
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIALS = (["<|begin_of_text|>", "<|end_of_text|>"]
            + [f"<|reserved_special_token_{i}|>" for i in range(4)]
            + ["<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>",
               "<|eot_id|>"] + [f"<|reserved_special_token_{i}|>" for i in range(5, 251)])
WORDS = """the of and to in is it that was for on are as with his they at be this from have
or by one had not but what all were when we there can an your which their said if do will each
about how up out them then she many some
so these would other into has more her two like him see time could no
make than first been its who now people my made over did down only way find use may water long
little very after words called just where most know question context options response answer image
color colour shape count animal which following north south force magnet distance energy plant
because don't it's we'll they've I'm he'd couldn't naïve café über señor garçon Straße""".split()
FRAGMENTS = WORDS[::3] + """The The Answer is A. (A) (B) 3.14 007 12345 1,000,000 2nd x=1; a_b foo()
#1 -- ... ?! "q" 'tis 'S 'LL 'Re 'ſ O'Neil I'D </s> <s> <unk> <pad> <0x41> <0x0A> [INST] <|eot_id|>
<|begin_of_text|> <|end_of_text|> <|reserved_special_token_7|> <|x|> <image> ▁ ▁a a▁b Ġ Ċ
你好 世界 日本語 テスト 한국어 中文，标点。 ไทย हिन्दी العربية עברית Ελλάδα Привет ﬁ Ⅷ ½ ² ٣٤٥ ①②
𝔘𝔫 𠜎 e\u0301 n\u0303o a\u0300\u0301\u0302 \u1100\u1161 👍 👍🏽 👩‍👩‍👧 🏳️‍🌈 🇩🇪 🇩 ❤️ \u200d \ufeff \u200b
\u00ad \u202eabc \ufffd \U0010ffff \ue000 ǅ ß İ ı ŉ""".split() + """\
\t|\n|\r\n|\r| |  |   |      |\n\n|\n \n
| \n|\t\t|\u00a0|\u3000|\u2028|\u0085|\v|\f|\x00|\x01|\x1b[0m|\x7f| \t |.\n|.\r\n|!!!\n\n
|a | a""".split("|")


def corpus(rng):
    for _ in range(4000):
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 14))]
        line = " ".join(words)
        if rng.random() < .3:
            line = line.capitalize() + rng.choice(".?!")
        if rng.random() < .2:
            line += f" ({rng.choice('ABCDE')}) {rng.randint(0, 99999)}"
        if rng.random() < .1:
            line = "  " * rng.randint(1, 4) + line + "\n"
        if rng.random() < .05:
            line += rng.choice([" 你好", " Привет", " über", "\t", "..."])
        yield line


def hostile(rng, count=3000):
    seen = dict.fromkeys(["", *FRAGMENTS, "hello world", " hello", "hello ", "  hello  world  ",
                          "a" * 40, " " * 33, "\n" * 9, "don't DON'T", "zebra zebra", "The zebra",
                          "1234567890" * 2, "'s's'S", "\ta\tb", "a\r\n\r\nb", "x\u0301" * 5])
    while len(seen) < count:
        if rng.random() < .15:
            spans = [(0, 127), (128, 0x2fff), (0x3000, 0xd7ff), (0xe000, 0x10ffff)]
            s = "".join(chr(rng.randint(*rng.choice(spans))) for _ in range(rng.randint(1, 3)))
        else:
            s = "".join(rng.choice(FRAGMENTS) + rng.choice(["", "", " "])
                        for _ in range(rng.randint(1, 3)))
        seen[s] = None
    return list(seen)


def packed(lists):
    offsets = [0]
    for ids in lists:
        offsets.append(offsets[-1] + len(ids))
    flat = [i for ids in lists for i in ids]
    return dict(ids=torch.tensor(flat, dtype=torch.int32),
                offsets=torch.tensor(offsets, dtype=torch.int32))


def all_splits(pieces, rank):
    """Every (left, right) whose join is a piece, by rank of the join: rank BPE as a merge list."""
    merges = []
    for piece in pieces:
        cuts = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        cuts = [c for c in cuts if c[0] in rank and c[1] in rank]
        merges += sorted(cuts, key=lambda c: (rank[c[0]], rank[c[1]]))
    return merges


def differing(values, strings):
    return {str(i): v for i, (v, s) in enumerate(zip(values, strings)) if v != s}


# ---- (a) SentencePiece and (d) its tokenizer.json ----------------------------------------------
def sentencepiece_model(lines):
    buffer = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=buffer, model_type="bpe", vocab_size=700,
        byte_fallback=True, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, allow_whitespace_only_pieces=True,
        character_coverage=0.9995, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1,
        minloglevel=2)
    (OUT / "sentencepiece").mkdir(parents=True, exist_ok=True)
    (OUT / "sentencepiece/tokenizer.model").write_bytes(buffer.getvalue())
    return spm.SentencePieceProcessor(model_proto=buffer.getvalue())


def make_sentencepiece(strings, lines):
    sp = sentencepiece_model(lines)
    ids = [sp.encode(s) for s in strings]
    decoded = [sp.decode(i) for i in ids]
    raw = [b"\xff", b"a\xc3", b"\xe4\xbd", b"ok \x80\x80 ok", b"\xc0\xaf", b"\xed\xa0\x80",
           b"\xf4\x90\x80\x80", b"\xf0\x9f\x91", b"caf\xe9 au lait"]
    write_tensors(OUT / "sentencepiece/ids.safetensors", packed(ids), versions=VERSIONS)
    write_json(OUT / "sentencepiece/expected.json", {
        "versions": VERSIONS, "vocab": sp.vocab_size(), "unk": sp.unk_id(), "bos": sp.bos_id(),
        "eos": sp.eos_id(), "pad": sp.pad_id(),
        "invalid_utf8": [{"hex": b.hex(), "ids": sp.encode(b)} for b in raw],
        "decoded_where_not_the_string": differing(decoded, strings),
        "decoded_ids": [{"ids": i, "text": sp.decode(i)} for i in (
            [1, 300, 301, 2], [3 + 0xe4, 3 + 0xbd, 300], [3 + 0xff], [0], [1], [259, 259, 300])],
    }, None)

    pieces = {sp.id_to_piece(i): i for i in range(sp.vocab_size())}
    normal = [p for p, i in pieces.items() if i >= 259]
    normal.sort(key=lambda p: -sp.get_score(pieces[p]))
    merges = all_splits(normal, {p: pieces[p] for p in normal})
    assert len(merges) > 300
    tok = Tokenizer(models.BPE(vocab=pieces, merges=merges, unk_token="<unk>", fuse_unk=True,
                               byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                     decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    plain = [tok.encode(s, add_special_tokens=False).ids for s in strings]
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False)
                            for t in ("<unk>", "<s>", "</s>")])
    parsed = [tok.encode(s).ids for s in strings]
    assert all(p[0] == 1 for p in parsed)
    folder = OUT / "llama2_json"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(tok.to_str(), encoding="utf-8")
    unlike = differing(plain, ids)
    write_json(folder / "expected.json", {
        "versions": VERSIONS, "note": "ids as sentencepiece/ids except those listed; with specials "
        "every list starts with bos 1 and is otherwise the same except those listed",
        "ids_where_not_sentencepiece": unlike,
        "parsed_where_not_bos_and_ids": differing([p[1:] for p in parsed], plain)}, None)
    print(f"sentencepiece: {sum(map(len, ids))} ids; tokenizer.json differs on {len(unlike)}: "
          f"{[strings[int(i)] for i in list(unlike)[:8]]}")


# ---- (b) byte-level BPE tokenizer.json and (c) rank file ---------------------------------------
def make_byte_level(strings, lines):
    def fresh(model):
        tok = Tokenizer(model)
        tok.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])
        tok.decoder = decoders.ByteLevel()
        return tok

    tok = fresh(models.BPE())
    tok.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=880, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    vocab = [t for t, _ in sorted(tok.get_vocab().items(), key=lambda x: x[1])]
    vocab += ["Ġzebra", "quokka", "ĠXyz"]  # words that only ignore_merges can reach
    rank = {t: i for i, t in enumerate(vocab)}
    merges = all_splits(vocab, rank)
    assert not any(m[0] + m[1] in vocab[-3:] for m in merges)
    base = len(vocab)

    tok = fresh(models.BPE(vocab=rank, merges=merges, ignore_merges=True))
    ids = [tok.encode(s, add_special_tokens=False).ids for s in strings]
    decoded = [tok.decode(i) for i in ids]
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS[:16]])
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
            special_tokens=[("<|begin_of_text|>", base)])])
    parsed = [tok.encode(s).ids for s in strings]
    assert all(p[0] == base for p in parsed)

    written = json.loads(tok.to_str())
    for name, join in (("arrays", list), ("strings", " ".join)):
        written["model"]["merges"] = [join(m) for m in merges]
        folder = OUT / f"llama3_merges_as_{name}"
        write_json(folder / "tokenizer.json", written, None)
        again = Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert [again.encode(s).ids for s in strings] == parsed
    write_tensors(OUT / "llama3_ids.safetensors", packed(ids), versions=VERSIONS)

    # rank text file, as Meta ships it under the name tokenizer.model
    shown = {c: b for b, c in byte_characters().items()}
    raw = [bytes(shown[c] for c in t) for t in vocab]
    folder = OUT / "llama3_ranks"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.model").write_bytes(
        b"".join(base64.b64encode(t) + b" %d\n" % i for i, t in enumerate(raw)))
    ranked = tiktoken.Encoding(
        "golden", pat_str=SPLIT, mergeable_ranks={t: i for i, t in enumerate(raw)},
        special_tokens={t: base + i for i, t in enumerate(SPECIALS)})
    rank_ids = [ranked.encode_ordinary(s) for s in strings]
    rank_parsed = [ranked.encode(s, allowed_special="all") for s in strings]
    write_json(OUT / "llama3_expected.json", {
        "versions": VERSIONS, "base_vocabulary": base, "bos": base, "split": SPLIT,
        "specials_after_the_rank_file": SPECIALS, "specials_in_tokenizer_json": SPECIALS[:16],
        "parsed_where_not_bos_and_ids": differing([p[1:] for p in parsed], ids),
        "rank_ids_where_not_ids": differing(rank_ids, ids),
        "rank_parsed_where_not_rank_ids": differing(rank_parsed, rank_ids),
        "decoded_where_not_the_string": differing(decoded, strings)}, None)
    print(f"byte level: {base} tokens, {len(merges)} merges, {sum(map(len, ids))} ids; tiktoken "
          f"differs on {[strings[int(i)] for i in differing(rank_ids, ids)]}; not round trip: "
          f"{len(differing(decoded, strings))}")


def byte_characters():
    """The printable stand-in of every byte in byte-level vocabularies."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in own]
    return {**{b: chr(b) for b in own}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def main():
    rng = random.Random(20250827)
    lines, strings = list(corpus(rng)), hostile(rng)
    assert len(set(strings)) == len(strings) == 3000
    write_json(OUT / "strings.json", strings, None)
    make_sentencepiece(strings, lines)
    make_byte_level(strings, lines)


main()
