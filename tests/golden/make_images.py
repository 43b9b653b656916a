"""Truth: PIL (decoding, convert("RGB"), bicubic resize) and the three image recipes built on it;
transformers confirms the CLIP one. PNGs are written by hand so that every kind occurs.
Run: python make_images.py   (writes images/)"""
import io
import struct
import zlib

import numpy as np
import torch
from PIL import Image, features
from transformers.models.clip import image_processing_pil_clip as hf

from common import HERE, versions, write_json, write_tensors

OUT = HERE / "images"
RNG = np.random.default_rng(20250826)
SIZE = 24
CLIP_MEAN, CLIP_STD = (.48145466, .4578275, .40821073), (.26862954, .26130258, .27577711)
NET_MEAN, NET_STD = (.485, .456, .406), (.229, .224, .225)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2))


def picture(width, height, channels, top=255):
    """Waves, one hard edge and a little noise, so that rounding and overshoot matter."""
    y, x = np.mgrid[0:height, 0:width]
    c = np.arange(channels)[:, None, None]
    p = 0.5 + 0.45 * np.sin(x / (2.0 + c) + c) * np.cos(y / (3.0 + c))
    p = np.where((x > width // 2) & (y > height // 3), 1 - p * p, p)
    p[:, :2, :3] = np.arange(channels)[:, None, None] % 2  # pure black and white corner
    p = np.clip(p + RNG.normal(0, 0.03, p.shape), 0, 1)
    return np.moveaxis((p * top + 0.5).astype(np.int64), 0, -1)


def filtered(rows, bpp):
    """Rows of bytes with PNG filters 0..4 in turn."""
    out, before = bytearray(), np.zeros(rows.shape[1], np.int64)
    for i, row in enumerate(rows.astype(np.int64)):
        left = np.concatenate([np.zeros(bpp, np.int64), row])[:len(row)]
        corner = np.concatenate([np.zeros(bpp, np.int64), before])[:len(row)]
        p = left + before - corner
        d = [abs(p - left), abs(p - before), abs(p - corner)]
        paeth = np.where((d[0] <= d[1]) & (d[0] <= d[2]), left,
                         np.where(d[1] <= d[2], before, corner))
        guess = (0, left, before, (left + before) // 2, paeth)[i % 5]
        out += bytes([i % 5]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        before = row
    return bytes(out)


def pack(samples, depth):
    """[h, w, c] samples -> [h, bytes]"""
    flat = samples.reshape(samples.shape[0], -1)
    if depth == 16:
        return np.stack([flat >> 8, flat & 255], -1).reshape(len(flat), -1)
    if depth == 8:
        return flat
    bits = (flat[..., None] >> np.arange(depth)[::-1]) & 1
    return np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1)


def png(samples, colour, depth=8, interlace=False, palette=None, trns=None):
    h, w, c = samples.shape
    bpp = max(1, c * depth // 8)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    data = b""
    for x, y, dx, dy in (ADAM7 if interlace else ((0, 0, 1, 1),)):
        part = samples[y::dy, x::dx]
        if part.size:
            data += filtered(pack(part, depth), bpp)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0,
                                                            interlace))
    if palette is not None:
        out += chunk(b"PLTE", bytes(palette.astype(np.uint8).ravel()))
    if trns is not None:
        out += chunk(b"tRNS", bytes(trns))
    packed = zlib.compress(data, 9)
    half = len(packed) // 2  # two IDAT chunks
    return out + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b"")


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def files():
    palette = RNG.integers(0, 256, (200, 3))
    small = RNG.integers(0, 256, (11, 3))
    index = picture(29, 17, 1, 199)
    rgb, grey = Image.fromarray(picture(41, 27, 3).astype(np.uint8)), picture(23, 31, 1)
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate 90": must not be applied
    return {
        "rgb.png": png(picture(37, 23, 3), 2),
        "rgb_interlaced.png": png(picture(19, 13, 3), 2, interlace=True),
        "rgb_16bit.png": png(picture(13, 9, 3, 65535), 2, 16),
        "rgb_trns.png": png(picture(15, 7, 3), 2, trns=struct.pack(">HHH", 0, 255, 0)),
        "rgba.png": png(picture(21, 15, 4), 6),
        "rgba_interlaced.png": png(picture(3, 5, 4), 6, interlace=True),
        "palette.png": png(index, 3, palette=palette),
        "palette_trns.png": png(index[:11], 3, palette=palette, trns=range(0, 180, 2)),
        "palette_4bit.png": png(picture(17, 9, 1, 10), 3, 4, palette=small, interlace=True),
        "grey.png": png(picture(25, 11, 1), 0),
        "grey_2bit.png": png(picture(13, 11, 1, 3), 0, 2),
        "grey_16bit.png": png(picture(13, 11, 1, 700), 0, 16),
        "grey_alpha.png": png(picture(13, 11, 2), 4),
        "one_bit.png": png(picture(21, 9, 1, 1), 0, 1),
        "one_pixel.png": png(picture(1, 1, 3), 2),
        "tall.png": png(picture(11, 61, 3), 2),
        "wide.png": png(picture(61, 20, 3), 2),
        "rgb_420.jpg": jpeg(rgb),
        "rgb_444.jpg": jpeg(rgb.crop((0, 0, 17, 13)), subsampling=0),
        "rgb_progressive.jpg": jpeg(rgb.crop((4, 2, 33, 21)), progressive=True),
        "rgb_exif.jpg": jpeg(rgb.crop((0, 0, 19, 11)), exif=exif.tobytes()),
        "grey.jpg": jpeg(Image.fromarray(grey[..., 0].astype(np.uint8))),
        "cmyk.jpg": jpeg(Image.fromarray(picture(15, 13, 4).astype(np.uint8), "CMYK")),
    }


def bicubic(image, width, height):
    """Horizontal pass first: all that PIL did before version 13, so what the published models saw.
    Version 13 turns the order round where the height shrinks much more than the width."""
    rows = image.resize((width, image.height), Image.Resampling.BICUBIC)
    return rows.resize((width, height), Image.Resampling.BICUBIC)


def shortest_edge(image, size):
    w, h = image.size
    if w <= h:
        return bicubic(image, size, int(size * h / w))
    return bicubic(image, int(size * w / h), size)


def clip_crop(image):
    image = shortest_edge(image, SIZE)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    return image.crop((left, top, left + SIZE, top + SIZE))


def llava_pad(image):
    side = max(image.size)
    square = Image.new("RGB", (side, side), tuple(int(m * 255) for m in CLIP_MEAN))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return clip_crop(square)


def memvp(image):
    return bicubic(image, SIZE, SIZE)


RECIPES = {"clip_crop": (clip_crop, CLIP_MEAN, CLIP_STD), "memvp": (memvp, NET_MEAN, NET_STD),
           "llava_pad": (llava_pad, CLIP_MEAN, CLIP_STD)}


def array(image):
    return torch.from_numpy(np.array(image))


def main():
    OUT.mkdir(exist_ok=True)
    tensors, modes, images = {}, {}, {}
    for name, data in files().items():
        (OUT / name).write_bytes(data)
        image = Image.open(io.BytesIO(data))
        modes[name] = image.mode
        images[name] = image.convert("RGB")
        tensors["rgb." + name] = array(images[name])
        image.close()

    for name, sizes in {
        "rgb.png": ((61, 45), (36, 23), (37, 11), (19, 12), (13, 22), (5, 3), (1, 9), (7, 1),
                    (37, 23)),
        "wide.png": ((20, 7), (1, 20)), "tall.png": ((5, 23), (22, 61)), "one_pixel.png": ((5, 3),),
    }.items():
        for w, h in sizes:
            tensors[f"resize.{name}.{w}x{h}"] = array(bicubic(images[name], w, h))

    processor = hf.CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=SIZE)
    for recipe, (make, mean, std) in RECIPES.items():
        for name in ("rgb.png", "wide.png", "tall.png", "rgb_420.jpg", "one_pixel.png"):
            final = make(images[name])
            if name == "rgb_420.jpg" and recipe != "clip_crop":
                continue
            tensors[f"{recipe}.u8.{name}"] = array(final)
            x = np.array(final).astype(np.float64) / 255
            x = np.moveaxis((x - mean) / std, -1, 0)
            if name == "wide.png":
                tensors[f"{recipe}.pixels.{name}"] = torch.from_numpy(x.astype(np.float32))
            if recipe == "clip_crop":
                theirs = np.array(processor(images[name])["pixel_values"][0])
                assert theirs.shape == x.shape and abs(theirs - x).max() < 1e-5, name
    write_tensors(OUT / "expected.safetensors", tensors,
                  versions=versions("pillow", "numpy", "transformers") + " libjpeg_turbo="
                  + str(features.version_feature("libjpeg_turbo")))
    write_json(OUT / "modes.json", {"pil_modes": modes, "recipe_size": SIZE,
                                    "versions": versions("pillow")})
    print(modes)


main()
