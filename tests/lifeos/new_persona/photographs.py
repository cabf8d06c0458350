"""Photographs as cameras and programs write them, made with Pillow and pillow-heif from public-domain pictures."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def astronaut(side=256):
    """Eileen Collins, NASA, public domain, uint8 [side, side, 3]."""
    import skimage

    with Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png") as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))


def exif(orientation=None, taken=None, fraction=None, gps=False):
    made = Image.Exif()
    if orientation is not None:
        made[0x0112] = orientation
    if taken is not None:
        made[0x8769] = {0x9003: taken, **({} if fraction is None else {0x9291: fraction})}
    if gps:
        made[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
    return made.tobytes()


# What a camera that is held in a given way writes for pixels that stand upright.
HELD = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 3),
}


def encoded(pixels, kind, **options):
    buffer = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def deep_png(pixels):
    """RGB with 16 bits a channel, which Pillow cannot write."""
    import cv2

    return cv2.imencode(".png", (pixels[..., ::-1].astype(np.uint16)) * 257)[1].tobytes()


def deep_tiff(pixels):
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels.astype(np.uint16) * 257, photometric="rgb")
    return buffer.getvalue()


def bomb_png(width=60_000, height=60_000):
    """A PNG of few bytes whose header promises gigabytes."""
    import struct
    import zlib

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")
