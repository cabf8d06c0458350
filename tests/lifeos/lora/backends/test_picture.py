import io

import numpy as np
import pytest
from PIL import Image

from lifeos.errors import InputError
from lifeos.lora.backends.picture import read_png
from tests.lifeos.lora.backends.sigma_sampler import as_png

PIXELS = np.arange(16 * 8 * 3, dtype=np.uint8).reshape(8, 16, 3)


def test_pixels_and_text_come_back():
    picture = read_png(as_png(PIXELS, {"parameters": "Steps: 4"}), 16, 8)
    np.testing.assert_array_equal(picture.pixels, PIXELS)
    assert picture.text == {"parameters": "Steps: 4"}


def other(mode):
    buffer = io.BytesIO()
    Image.new(mode, (16, 8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("data", "said"), [
    (b"", "accepted a PNG file"), (b"GIF89a", "accepted a PNG file"), (as_png(PIXELS)[:-40], "whole PNG"),
    (as_png(PIXELS)[:40], "whole PNG"), (as_png(PIXELS[:4]), "16x8 pixels, got 16x4"), (other("RGBA"), "got 1 of RGBA"),
    (other("L"), "got 1 of L")])  # fmt: skip
def test_anything_else_is_refused(data, said):
    with pytest.raises(InputError, match=said):
        read_png(data, 16, 8)


def test_an_enormous_size_is_refused_by_the_header():
    data = as_png(PIXELS)
    with pytest.raises(InputError, match="image: accepted"):
        read_png(data[:16] + (2**30).to_bytes(4, "big") + data[20:], 16, 8)
