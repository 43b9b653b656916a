"""Scores by the public scorers on generated predictions: scorers/*.json, *.txt.

pip install pycocoevalcap scipy (and a Java runtime for its tokenizer); then
python make_scorers.py VQA MMF NLVR, clones of GT-Vision-Lab/VQA, facebookresearch/mmf and lil-lab/nlvr,
whose scorers are read from there and run."""
import io
import json
import random
import re
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import pycocoevalcap
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from scipy.stats import binomtest

OUT = Path(__file__).resolve().parent / "scorers"
R = random.Random(20)

PLAIN = """a man woman dog cat two three people riding sitting on in of the with next to street skateboard
table red blue surfboard horse field and white black train standing front""".split()
ODD = """people's t-shirt ice-cream U.S. Mr. St. no. etc. vs. TV's don't isn't they're cannot gonna 'n' rock&roll
AT&T 1,000 1/2 $5 5:30 p.m. 1990's B-52 2nd 10% and/or #1 w/o boys' o'clock y'all café x-ray B. I. "hello"
'world' (left) [right] ... -- – “quoted” ’s ‘hi’ half-eaten http://a.com/b foo@bar.com www.site.com 1.jpg
one,two man.He , . ! ? ; : & + = * _ @home #tag <b> < << & &amp; c# '90s 5'10" 555-1234 12/25/2010 ½ 70° 5€
£5 ¢ :) :( ;-) <3 T.V. i.e. Co. Dr. rd. art. 5 ca. 1900 D.C. 1.5 .5 3-D \\ | / !!! ???? wanna 'tis 'twas
somethin' l'eau c'est pro- anti- z fire-hydrant. bus.The bus, 日本 É Inc. Jr. U.K. A The In He ol' 1-2 3 4
C++ &quot;x&quot; a\u00a0b em\u2014dash non\u2011break soft\u00adhyphen 1\u00bd""".split(" ")
ODD = [w for part in ODD for w in part.split("\n") if w]
REAL = """"Stop" | 'No Parking' | "I'm open," | (on the left) | [blurry] | 5'10" | 12" | 10-ft. | 5 lbs. | 1/2 | 2 1/2
1½ cups | 2,500,000 | $3.99 | 50% | #23 | No. 5 | 21st | 1950's | '50s | 10:30am | 10:30 a.m. | 5 p.m. | 7-Eleven
I-95 | B-52 | MH-60S | two-year-old | T-shirt | wi-fi | the U.S. | L.A. | Washington D.C. | Mr. Smith | Dr. Seuss
St. Patrick's Day | 5th Ave. | Main St. | Elm Rd. | Apple Inc. | Ben & Jerry's | M&M's | AT&T | black/white | and/or
men's | kids' | Wendy's | Jr. | Ph.D. | etc. | e.g. | vs. | w/o | can't | CANNOT | it's | we've | he'll | y'all | o'clock
ma'am | rock 'n' roll | jack-o'-lantern | jack-o'lantern | O'Brien | D'Angelo | hors d'oeuvres | crème brûlée | 25° F
... | -- | – | — | ; | : | !! | ?! | www.flickr.com | http://www.flickr.com/photos/12 | photo.jpg | @home | #tag | :) | 2+2
3x5 | 3-D | A's | CD's | gonna | 'em | 'til | somethin' | PB&J | s'mores | "Hello, world." | (a hat) | plane.The
18-wheeler | non-stop | USA-made | No.1 | p. 4 | est. 1995 | Sept. 11 | 12/25/2010 | 24/7 | T.V.'s | J.F.K. | George W. Bush
yes or no. | vitamin C.""".replace("\n", " | ").split(" | ")
GLUE = [" "] * 14 + ["  ", "\t", ".", ",", "'", "-", "/"]


def odd_line():
    text = ""
    for i in range(R.randint(2, 9)):
        word = R.choice(ODD if R.random() < 0.6 else PLAIN)
        text += (R.choice(GLUE) if i else "") + (word.capitalize() if R.random() < 0.1 else word)
    return text + (R.choice([".", " .", "!", "...", '"', ""]))


def caption():
    words = [R.choice(PLAIN) for _ in range(R.randint(4, 13))]
    if R.random() < 0.3:
        words.insert(R.randrange(len(words)), R.choice(ODD))
    return " ".join(words).capitalize() + R.choice([".", "", " .", "!"])


def realistic_caption(r):
    words = [r.choice(PLAIN) for _ in range(r.randint(4, 12))]
    for _ in range(r.choice([1, 1, 2])):
        words.insert(r.randint(0, len(words)), r.choice(REAL))
    text = " ".join(words)
    text = r.choice([text[0].upper() + text[1:]] * 5 + [text, text.upper()])
    return text + r.choice(["", ".", ".", " .", " ", "!", '."', "..."])


def ptb(lines):
    jar = Path(pycocoevalcap.__path__[0]) / "tokenizer" / "stanford-corenlp-3.4.1.jar"
    command = ["java", "-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    run = subprocess.run(command, input="\n".join(lines).encode(), capture_output=True, check=True)
    return run.stdout.decode().split("\n")[:len(lines)]


def make_ptb():
    lines = [odd_line() for _ in range(700)]
    realistic = random.Random(21)
    lines += [realistic_caption(realistic) for _ in range(400)]
    (OUT / "ptb_lines.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (OUT / "ptb_tokens.txt").write_text("\n".join(ptb(lines)) + "\n", encoding="utf-8")


def write(name, value):
    (OUT / name).write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


def make_captions():
    images = list(range(100, 140))
    references = {i: [caption() for _ in range(R.randint(4, 6))] for i in images}
    results = {}
    for i in images:
        words = R.choice(references[i]).split()
        keep = [w for w in words if R.random() < 0.8] + [R.choice(PLAIN) for _ in range(R.randint(0, 3))]
        results[i] = R.choice([" ".join(keep), caption()])
    results[100] = "dog"
    results[101] = ""
    results[102] = references[102][0] + " " + references[102][1]
    write("coco_references.json", {"annotations": [{"image_id": i, "id": 10 * i + k, "caption": text}
                                                   for i in images for k, text in enumerate(references[i])]})
    shuffled = images[:]
    R.shuffle(shuffled)
    write("coco_results.json", [{"image_id": i, "caption": results[i]} for i in shuffled])
    tokenizer = PTBTokenizer()
    truth = tokenizer.tokenize({i: [{"caption": c} for c in references[i]] for i in images})
    given = tokenizer.tokenize({i: [{"caption": results[i]}] for i in images})
    with redirect_stdout(io.StringIO()):
        bleu, bleus = Bleu(4).compute_score(truth, given)
    cider, ciders = Cider().compute_score(truth, given)
    write("coco_scores.json", {"made_by": f"pycocoevalcap {version('pycocoevalcap')}", "bleu": bleu,
                               "cider": float(cider), "ciders": [float(c) for c in ciders],
                               "bleu4s": bleus[3], "tokens": [given[i][0] for i in images]})


def official(folder):
    text = (folder / "PythonEvaluationTools/vqaEvaluation/vqaEval.py").read_text(encoding="utf-8")
    names = {}
    exec(re.sub(r"print (\".*\")", r"print(\1)", text), names)  # written for Python 2
    return names["VQAEval"]


def evalai(folder):
    text = (folder / "mmf/datasets/processors/processors.py").read_text(encoding="utf-8")
    body = re.search(r"class EvalAIAnswerProcessor.*?(?=\n\n\n@|\n\n\nclass )", text, re.S).group(0)
    names = {"re": re, "BaseProcessor": object}
    exec(body, names)
    return names["EvalAIAnswerProcessor"]()


def evalai_accuracy(processor, answer, people):
    people = list(enumerate(processor(text) for text in people))
    own = processor(answer)
    shares = [min(1, sum(o[1] == own for o in people if o != p) / 3) for p in people]
    return sum(shares) / len(shares)


class Set:
    def __init__(self, entries):
        self.qa = entries

    def getQuesIds(self):
        return list(self.qa)


def make_vqa(vqa, mmf):
    scorer, processor = official(vqa), evalai(mmf)
    probe = scorer(Set({}), Set({}))
    special = list(probe.contractions) + list(probe.manualMap) + list(probe.contractions.values())
    pieces = special + """yes no a an the red Two 1,000 2.5 3. .5 U.S. it's dog's left-hand black&white "x" (no)
    and/or 10% $5 1/2 what? stop! a.m. 5:30 café TEN None x=y [z] {w} un_der a\\b <c> @d `e` 7,8 9, ,9 I'm dogs'
    """.split()
    def answer():
        text = "".join(R.choice(["", " ", " ", " "]) + R.choice(pieces) for _ in range(R.choice([1, 1, 1, 2, 3])))
        return R.choice(["", "", "", " ", "\n"]) + text + R.choice(["", "", "", ".", "\t", "?", "..", ". " * 40])
    answers = [answer() for _ in range(900)] + special
    make = scorer(Set({}), Set({}))
    def plain(text):
        text = text.replace("\n", " ").replace("\t", " ").strip()
        return make.processDigitArticle(make.processPunctuation(text))
    write("vqa_answers.json", [[a, plain(a), processor(a)] for a in answers])
    truth, given, annotations = {}, {}, []
    for i in range(120):
        pool = [answer() for _ in range(R.choice([1, 1, 2, 3, 5]))]
        people = [R.choice(pool) for _ in range(10)]
        question = {"question_id": 1000 + i, "image_id": i, "question_type": R.choice(["what", "is the", "how many"]),
                    "answer_type": R.choice(["yes/no", "number", "other"]),
                    "answers": [{"answer": a, "answer_id": k + 1} for k, a in enumerate(people)]}
        annotations.append(question)
        own = R.choice(pool)
        given[1000 + i] = R.choice([own, own, own.strip().upper(), plain(own), answer()])
    write("vqa_annotations.json", {"annotations": annotations})
    write("vqa_results.json", [{"question_id": i, "answer": a} for i, a in reversed(given.items())])
    truth = {q["question_id"]: json.loads(json.dumps(q)) for q in annotations}
    run = scorer(Set(truth), Set({i: {"answer": a} for i, a in given.items()}), n=10)
    with redirect_stdout(io.StringIO()):
        run.evaluate()
    write("vqa_scores.json", {
        "official": {"accuracy": run.accuracy["overall"], "answers": run.accuracy["perAnswerType"],
                     "questions": run.accuracy["perQuestionType"], "samples": list(run.evalQA.values())},
        "evalai": [evalai_accuracy(processor, given[q["question_id"]], [a["answer"] for a in q["answers"]])
                   for q in annotations]})


def make_nlvr2(folder):
    lines, judged = [], []
    for sentence in range(30):
        for pair in range(R.randint(1, 4)):
            label = R.choice(["True", "False"])
            identifier = f"dev-{R.randint(1, 3)}-{pair}-{sentence % 7}"
            if any(identifier == line["identifier"] for line in lines):
                continue
            lines.append({"identifier": identifier, "sentence": f"s{sentence}", "label": label})
            guess = label if R.random() < 0.8 else {"True": "False", "False": "True"}[label]
            judged.append(f"{identifier},{R.choice([guess, guess.lower()])}")
    R.shuffle(judged)
    (OUT / "nlvr2_references.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (OUT / "nlvr2_predictions.csv").write_text("\n".join(judged + ["dev-9-0-0,true"]) + "\n")
    run = subprocess.run([sys.executable, folder / "nlvr2/eval/metrics.py", OUT / "nlvr2_predictions.csv",
                          OUT / "nlvr2_references.json"], capture_output=True, text=True, check=True)
    write("nlvr2_scores.json", {k: float(v) for k, v in (line.split("=") for line in run.stdout.split())})


def make_mcnemar():
    pairs = [(0, 0), (0, 1), (3, 9), (9, 3), (5, 5), (40, 61), (500, 612), (20000, 20300)]
    write("mcnemar.json", [[a, b, binomtest(a, a + b, 0.5).pvalue if a + b else 1.0] for a, b in pairs])


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    vqa, mmf, nlvr = map(Path, sys.argv[1:])
    make_ptb()
    make_captions()
    make_vqa(vqa, mmf)
    make_nlvr2(nlvr)
    make_mcnemar()
