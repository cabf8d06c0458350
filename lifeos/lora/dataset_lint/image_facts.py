"""What one image file is, decoded once and remembered by content: one picture in memory at a time."""

import base64
import io
import json
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evals.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_READ = ("PNG", "JPEG")
# Opened only to say what they are.
_NAMED = (*_READ, "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112
_PNG_DEPTH_AT = 24
_Read = TypeVar("_Read")
_EIGHT_BITS = ("RGB", "RGBA", "L", "LA", "P", "PA", "1")


@dataclass(frozen=True)
class ImageFacts:
    """One file.

    Args:
        digest: SHA-256 of its bytes.
        problem: why it cannot be read as a picture, or None.
        format: as Pillow calls it (``PNG``), or None where even that is unknown.
        mode: channels as Pillow calls them (``RGB``), ``16 bits a channel`` where Pillow hides that.
        width, height: pixels of the upright picture; 0 where unknown.
        frames: more than 1 for an animation.
        orientation: EXIF value; 1 is upright.
        alpha: ``none``, ``opaque`` or ``transparent``.
        blank: True when nothing is depicted.
        grey: True when every pixel is.
        pixels: SHA-256 of the upright RGB pixels, None where they cannot be compared.
        signature: base64 of the float32 ``image_signature``, None where there are no pixels.
    """

    digest: str
    problem: str | None = None
    format: str | None = None
    mode: str = ""
    width: int = 0
    height: int = 0
    frames: int = 1
    orientation: int = 1
    alpha: str = "none"
    blank: bool = False
    grey: bool = False
    pixels: str | None = None
    signature: str | None = None

    @property
    def readable(self) -> bool:
        """Whether judge and trainer see the same pixels in it."""
        return self.pixels is not None

    def signature_values(self) -> "NDArray[np.float32]":
        """Return the signature, float32 ``[1200]``; raises ``ValueError`` for a picture without one."""
        import numpy as np

        if self.signature is None:
            raise ValueError("this picture has no signature")
        return np.frombuffer(base64.b64decode(self.signature), dtype="<f4")


class FactsCache:
    """Facts remembered below ``artifacts/dataset/`` by the content of the file and of the code that reads it."""

    def __init__(self, artifacts: Path) -> None:
        """Name the folder; nothing is written before the first fact is."""
        import PIL

        from evals.content_hash import hash_file, hash_folder, hash_json
        from lifeos.settings import project_root

        code = [hash_file(Path(__file__)), hash_folder(project_root() / "evals", "**/*.py"), PIL.__version__]
        self._folder = artifacts / "dataset" / hash_json(code)[:32]

    def of(self, path: Path) -> ImageFacts:
        """Return the facts of a file; one that cannot be read has a ``problem``."""
        from evals.atomic import write_json
        from evals.images import MAXIMUM_BYTES

        try:
            status = path.stat()
            # Reading a named pipe waits for a writer for ever.
            if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
                return ImageFacts("", problem="no regular file")
            size = status.st_size
            if size > MAXIMUM_BYTES:
                return ImageFacts("", problem=f"{size} bytes, more than {MAXIMUM_BYTES}")
            data = path.read_bytes()
        except OSError as error:
            return ImageFacts("", problem=error.strerror or "a file that cannot be read")
        from evals.content_hash import hash_bytes

        digest = hash_bytes(data)
        known = self._folder / digest[:2] / f"{digest}.json"
        try:
            return ImageFacts(**json.loads(known.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            pass
        facts = image_facts(data, digest)
        write_json(known, asdict(facts), durable=False)
        return facts


def image_facts(data: bytes, digest: str) -> ImageFacts:
    """Decode the bytes of a picture; whatever they are, this returns.

    A header that promises more than 64 million pixels is believed and nothing is unpacked.
    """
    from evals.images import decode_image

    if not data:
        return ImageFacts(digest, problem="an empty file")
    header, problem = _guarded(lambda: _header(data))
    if header is None:
        return ImageFacts(digest, problem=problem)
    known: dict[str, Any] = {"digest": digest, **header}
    # Refused for what it is, before the question whether it is whole.
    if header["format"] not in _READ or header["frames"] > 1 or header["mode"] not in _EIGHT_BITS:
        return ImageFacts(**known)
    alpha, problem = _guarded(lambda: _alpha(data))
    if alpha is None or problem is not None:
        return ImageFacts(**known, problem=problem)
    known["alpha"] = alpha
    if alpha == "transparent":
        return ImageFacts(**known)
    try:
        with _quiet():
            pixels = decode_image(data, "it")
    except InputError as error:
        return ImageFacts(**known, problem=str(error).split(", got ", 1)[-1].split("; next:", 1)[0])
    return ImageFacts(**known, **_of_pixels(pixels))


def _header(data: bytes) -> dict[str, Any]:
    from PIL import Image

    from evals.images import MAXIMUM_PIXELS

    with Image.open(io.BytesIO(data), formats=_NAMED) as image:
        width, height = image.size
        if width * height > MAXIMUM_PIXELS:
            raise Image.DecompressionBombError
        orientation = image.getexif().get(_ORIENTATION, 1)
        orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
        turned = orientation >= 5
        # Pillow shortens 16-bit colour to 8 bits without a word.
        deep = image.format == "PNG" and data[_PNG_DEPTH_AT : _PNG_DEPTH_AT + 1] == b"\x10"
        return {
            "format": image.format,
            "mode": "16 bits a channel" if deep else image.mode,
            "width": height if turned else width,
            "height": width if turned else height,
            "frames": int(getattr(image, "n_frames", 1)),
            "orientation": orientation,
        }


def _alpha(data: bytes) -> str:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=_READ) as image:
        if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
            return "none"
        low, _ = image.convert("RGBA").getchannel("A").getextrema()
        return "opaque" if low == 255 else "transparent"


def _of_pixels(pixels: "NDArray[np.uint8]") -> dict[str, Any]:
    from evals.content_hash import hash_bytes
    from evals.copying_eval import image_signature
    from evals.images import is_flat

    signature = image_signature(pixels).astype("<f4").tobytes()
    return {
        "blank": is_flat(pixels),
        "grey": bool((pixels.max(axis=2) - pixels.min(axis=2)).max() == 0),
        "pixels": hash_bytes(repr(pixels.shape).encode("ascii") + pixels.tobytes()),
        "signature": base64.b64encode(signature).decode("ascii"),
    }


def _guarded(read: Callable[[], _Read]) -> tuple[_Read | None, str | None]:
    from PIL import Image, UnidentifiedImageError

    from evals.images import MAXIMUM_PIXELS

    try:
        with _quiet():
            return read(), None
    except UnidentifiedImageError:
        return None, "no picture of a known kind"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None, f"more than {MAXIMUM_PIXELS} pixels, by its header"
    # What Pillow raises on hostile bytes: wide on purpose, as in evals/images.py.
    except (
        OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, EOFError, OverflowError, MemoryError,
        AttributeError, struct.error, ZeroDivisionError,
    ) as error:  # fmt: skip
        return None, str(error) or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a decoder's remarks off the terminal; a decompression bomb is an error."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
