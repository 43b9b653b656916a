#!/usr/bin/env python3
"""Makes data/pictures/<class>.png from the clip art that data/pictures/NOTICE lists.

    apt-get download openclipart-png && dpkg-deb -x openclipart-png_*.deb /tmp/clipart
    scripts/make_pictures.py /tmp/clipart/usr/share/openclipart/png

Each file is a column of 48 x 48 pictures with alpha, in the order of the list. Needs python3-pil.
"""
import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "data" / "pictures"
EDGE = 48
VISIBLE = 8  # alpha above this counts when the margin is cut off


def listed():
    """class -> source files, from the indented lines below "<class>:" in NOTICE."""
    classes, names = {}, None
    for line in (FOLDER / "NOTICE").read_text(encoding="utf-8").splitlines():
        if line.endswith(".png") and line.startswith("  "):
            names.append(line.strip())
        elif line.endswith(":") and " " not in line:
            names = classes.setdefault(line[:-1], [])
    return classes


def sprite(path):
    """The picture without its margin, its longer side EDGE pixels, centred on nothing."""
    image = Image.open(path).convert("RGBA")
    image = image.crop(image.getchannel("A").point(lambda a: 255 * (a > VISIBLE)).getbbox())
    scale = EDGE / max(image.size)
    image = image.resize([max(1, round(v * scale)) for v in image.size], Image.Resampling.LANCZOS)
    result = Image.new("RGBA", (EDGE, EDGE))
    result.paste(image, ((EDGE - image.width) // 2, (EDGE - image.height) // 2))
    return result


def main(source):
    for name, files in listed().items():
        strip = Image.new("RGBA", (EDGE, EDGE * len(files)))
        for i, file in enumerate(files):
            strip.paste(sprite(source / file), (0, EDGE * i))
        strip = strip.quantize(256, method=Image.Quantize.FASTOCTREE)
        strip.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
