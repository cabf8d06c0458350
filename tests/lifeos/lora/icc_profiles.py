"""Colour profiles made from numbers, because none ships with the packages: matrix and one gamma, ICC version 2."""

import struct

import numpy as np

# Display P3 (SMPTE EG 432-1 primaries) and sRGB (IEC 61966-2-1), both adapted to D50 as ICC profiles carry them.
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
D50 = (0.9642, 1.0, 0.8249)
GAMMA = 2.2


def matrix_profile(matrix=DISPLAY_P3, description="wide gamut"):
    """Return the bytes of an RGB display profile with this matrix (RGB to XYZ at D50) and gamma 2.2."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    text = description.encode("ascii") + b"\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256))
    tags = [(b"desc", desc), (b"cprt", b"text\0\0\0\0CC0\0"), (b"wtpt", xyz(D50))]
    tags += [(f"{name}XYZ".encode("ascii"), xyz(column)) for name, column in zip("rgb", matrix.T, strict=True)]
    tags += [(f"{name}TRC".encode("ascii"), curve) for name in "rgb"]
    table, body = struct.pack(">I", len(tags)), b""
    for signature, value in tags:
        data = value + bytes(-len(value) % 4)
        table += signature + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + b"".join(struct.pack(">i", round(v * 65536)) for v in D50)
    return header.ljust(128, b"\0") + table + body


def to_srgb(pixels, matrix=DISPLAY_P3):
    """Return uint8 pixels of such a profile as float sRGB levels 0..255, by the formulas."""
    linear = (pixels / 255.0) ** GAMMA @ matrix.T @ np.linalg.inv(SRGB).T
    clipped = np.clip(linear, 0.0, 1.0)
    encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return 255.0 * encoded
