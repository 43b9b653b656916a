"""Times `dehvf compare` and train_step.py in turns on one device, for scripts/gpu_check. Needs no torch itself."""
import json
import pathlib
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PRESETS = HERE.parent.parent / "configs/papers"
METHODS = ["dehvf", "memvp", "llava-lora", "llava-lora:recompute"]
SAMPLES, SUPERVISED, STEPS, ROUNDS, THREADS = 4, 8, 10, 4, 2
UNEXPLAINED = 2e-3  # of the FLOPs: the tower's class tokens in our projector


class PeerError(Exception):
    pass


def words_of(sizes):
    return [word for key, value in sizes.items() for word in (f"--{key}", str(value))]


class Theirs:
    """Makes its models once; then one round for every line it gets."""

    def __init__(self, python, sizes, log):
        self.log = log
        command = [python, str(HERE / "train_step.py"), "--turns", "--methods", ",".join(METHODS),
                   "--steps", str(STEPS), "--threads", str(THREADS), *words_of(sizes)]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            stderr=open(log, "w"))
        except OSError as error:
            raise PeerError(f"{python}: {error.strerror}; wanted a Python with torch, transformers 5 and peft") from None

    def round(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said before it ended is told below
        line = self.process.stdout.readline()
        if not line:
            said = self.log.read_text(errors="replace").strip().splitlines()
            raise PeerError(f"PyTorch's side ended: {said[-1] if said else 'it said nothing'} (all of it: {self.log})")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def ours(program, environment, sizes, rows):
    """{(method, recompute, length): its part of the comparison}"""
    found = {}
    for recompute in (False, True):
        methods = {row["preset"]: row["method"] for row in rows if row["recompute"] == recompute}
        command = [str(program), "--threads", str(THREADS), "compare", *(str(PRESETS / preset) for preset in methods),
                   "--rounds", str(STEPS), "--json", *(["--recompute"] if recompute else []), *words_of(sizes)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise PeerError(f"dehvf compare failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        for row, method in zip(json.loads(done.stdout)["rows"], methods.values()):
            if problem := row.get("failed", row.get("skipped")):
                raise PeerError(f"dehvf compare, {row['name']}: {problem}")
            for at in row["lengths"]:
                found[method, recompute, at["length"]] = {**at["train"], "trained": row["trained"]}
    return found


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def check(key, mine, row):
    """Both train as many parameters and do the same products, but for those that flops.py tells apart."""
    if mine["trained"] != row["trained"]:
        raise PeerError(f"{key}: {row['trained']} parameters are trained by PyTorch's side, {mine['trained']} by ours")
    left = (row["flops"] - sum(row["flops_beyond"].values())) / mine["flops"] - 1
    if abs(left) > UNEXPLAINED:
        raise PeerError(f"{key}: {left:.2%} of the FLOPs are not accounted for; at most {UNEXPLAINED:.1%} may be")


def collected(turns):
    """turns: (ours, theirs) of every round -> rows, one a method and length."""
    rows = []
    for row in turns[0][1]["rows"]:
        key = row["method"], row["recompute"], row["length"]
        same = [[other for other in theirs["rows"] if (other["method"], other["recompute"], other["length"]) == key and
                 other["form"] == row["form"]][0] for _, theirs in turns]
        mine = [found[key] for found, _ in turns]
        check(key, mine[0], row)
        if not rows or rows[-1]["key"] != key:
            same_of_both = {name: row[name] for name in ("method", "recompute", "length", "preset", "trained")}
            rows.append({"key": key, **same_of_both,
                         "flops": {"ours": mine[0]["flops"], "theirs": row["flops"], "beyond": row["flops_beyond"]},
                         "ours": {"seconds": spread([m["measured_s"]["median"] for m in mine]),
                                  "peak_bytes_planned": mine[0]["peak_bytes"]}})
        if "failed" in row:
            rows[-1][row["form"]] = {"failed": row["failed"]}
            continue
        rows[-1][row["form"]] = {
            "seconds": spread([other["seconds"]["median"] for other in same]), "peak_bytes": row["peak_bytes"],
            "ratio": spread([other["seconds"]["median"] / m["measured_s"]["median"] for other, m in zip(same, mine)])}
    return [{name: value for name, value in row.items() if name != "key"} for row in rows]


def in_turns(program, environment, python, device, shape, lengths, log, say):
    """What peers.json holds of one shape. Rounds alternate in who is first."""
    sizes = {"device": device, "shape": shape, "lengths": ",".join(map(str, lengths)), "samples": SAMPLES,
             "supervised": SUPERVISED}
    theirs, turns = Theirs(python, sizes, log), []
    try:
        for turn in range(ROUNDS):
            say(f"peers, {shape}, round {turn + 1} of {ROUNDS}")
            if turn % 2 == 0:
                other = theirs.round()
                mine = ours(program, environment, sizes, other["rows"])
            else:
                mine = ours(program, environment, sizes, turns[0][1]["rows"])
                other = theirs.round()
            turns.append((mine, other))
    finally:
        theirs.end()
    about = {key: value for key, value in turns[0][1].items() if key != "rows"}
    return {**about, "rounds": ROUNDS, "steps": STEPS, "rows": collected(turns)}
