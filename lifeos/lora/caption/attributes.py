"""What varies between pictures of one person, measured: pose, tilt, shot, background, light, as words of a caption.

No weights beyond the judge's own face models. An attribute that is not measured is absent with its reason, never
guessed. Left and right are those of the picture. The limits below were set on the demo persona's 24 references and
checked on its 62 training images; what each is worth there stands in ``docs/captions.md``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from evals.expression_reader import ExpressionReader
    from evals.faces.protocol import Points
    from evals.images import RgbImage

# In the order in which a caption names them; the first five are those that the demo persona's own captions name.
KINDS = ("expression", "facing", "hardness", "background", "side", "brightness", "warmth", "shot", "tilt")
_OF_FACE = tuple(kind for kind in KINDS if kind != "background")

# By definition: share of the picture's height that the face (brow to chin) takes. A head is about 1.3 faces high.
CLOSE_UP, HEAD_AND_SHOULDERS, MEDIUM_SHOT = 0.45, 0.28, 0.15
# Twice the largest error of the eyes' line on 86 renders of known roll (5.7 degrees; mean 2.3).
TILTED_DEGREES = 12.0
# Steps of light in stops (factors of two) from pixel to pixel of the aligned face, median over the nose and beside it,
# where a shadow has an edge. References: at most .0612 in soft light, at least .0679 in hard light. Between the two
# nothing is said.
SOFT_BELOW, HARD_FROM = 0.061, 0.068
# Right cheek over left one, in stops. Below .3 the sign was wrong on 1 of 24 references, above it on none.
SIDE_STOPS = 0.3
# Share of the border that the name of the corners' colour fits: at least .79 on the references, .67 on the training
# images, where hair reaches into it.
PLAIN_SHARE = 0.6
# By definition: no colour's name fits even half of the border.
BUSY_SHARE = 0.5

# Of the aligned face of 112 pixels, rows and columns: the nose and what lies beside it; both cheeks.
_NOSE = (slice(58, 80), slice(36, 76))
_CHEEKS = ((slice(60, 88), slice(30, 48)), (slice(60, 88), slice(64, 82)))
_BLUR_PIXELS = 2.0
_DARKEST = 0.01
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_BORDER_WIDTH, _BORDER_HEIGHT, _BORDER_CELLS = 0.05, 0.12, (24, 6)
RENDERS_ONLY = "limits are known for renders alone: --rendered"


@dataclass(frozen=True)
class Attributes:
    """What one picture shows.

    Args:
        words: caption words by kind; a kind without anything to name (an upright head) is absent.
        brightness: mean luminance of the cheeks in stops, None without a face; it takes the person's other pictures
            to say whether that is bright.
        warmth: red over blue of the cheeks in stops, None without a face; as brightness.
        missing: why a kind was not measured, by kind.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    brightness: float | None = None
    warmth: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


def measure_attributes(
    image: "RgbImage",
    points: "Points | None",
    box: Sequence[float] | None,
    reason: str | None,
    reader: "ExpressionReader | None" = None,
    *,
    rendered: bool = False,
) -> Attributes:
    """Measure one picture.

    Args:
        image: uint8 RGB ``[h, w, 3]``.
        points: float32 ``[5, 2]`` of its one face; None where there is none, or several.
        box: left, top, right, bottom of the face in pixels.
        reason: why there are no points.
        reader: of expressions; None: expressions are not read.
        rendered: the picture is a render of the kind that the limits of ``hardness`` were measured on.
    """
    words: dict[str, str] = {}
    missing: dict[str, str] = {}
    background = background_word(image)
    if background is None:
        missing["background"] = "no colour's name fits most of the border"
    else:
        words["background"] = background
    if points is None or box is None:
        missing |= dict.fromkeys(_OF_FACE, reason or "no face found")
        return Attributes(words, missing=missing)
    words["shot"] = shot_word((box[3] - box[1]) / image.shape[0])
    if (facing := facing_word(points)) is None:
        missing["facing"] = "eyes and mouth coincide"
    else:
        words["facing"] = facing
    if tilt := tilt_word(points):
        words["tilt"] = tilt
    _measure_light(image, points, words, missing, rendered=rendered)
    if reader is None:
        missing["expression"] = "no reader for such pictures" if rendered else RENDERS_ONLY
    else:
        from evals.expression_reader import face_gradients

        words["expression"] = reader.read(face_gradients(image, points))
    cheeks = _cheeks(_linear_face(image, points))
    return Attributes(words, _stops(cheeks.mean(axis=0) @ _LUMINANCE), _warmth(cheeks), missing)


def facing_word(points: "Points") -> str | None:
    """Return ``facing left``, ``facing front`` or ``facing right`` as the adherence metric understands the words.

    Args:
        points: float ``[5, 2]`` as in ``Face.points``.

    Returns:
        None where eyes and mouth coincide.
    """
    from evals.adherence_eval import is_facing
    from evals.pose_eval import yaw_degrees

    yaw = yaw_degrees(points)
    return None if yaw is None else next(f"facing {w}" for w in ("left", "front", "right") if is_facing(yaw, w))


def tilt_word(points: "Points") -> str | None:
    """Return ``head tilted left`` or ``head tilted right`` (where the crown leans) from 12 degrees on, else None."""
    across, down = np.asarray(points[1], dtype=np.float64) - np.asarray(points[0], dtype=np.float64)
    degrees = float(np.degrees(np.arctan2(down, across)))
    if abs(degrees) < TILTED_DEGREES:
        return None
    return "head tilted right" if degrees > 0 else "head tilted left"


def shot_word(face_share: float) -> str:
    """Return how near the camera is by the share of the picture's height that the face takes."""
    if face_share >= CLOSE_UP:
        return "close-up"
    if face_share >= HEAD_AND_SHOULDERS:
        return "head and shoulders"
    return "medium shot" if face_share >= MEDIUM_SHOT else "wide shot"


def background_word(image: "RgbImage") -> str | None:
    """Return ``grey background``, or ``busy background`` where the border is of many colours; None between the two.

    The colour is that of the upper corners, where the adherence metric reads it; the border is the upper eighth of
    both sides. Where hair or clothes fill them, they are what is named.

    Args:
        image: uint8 RGB ``[h, w, 3]``.
    """
    from skimage.color import rgb2lab

    from evals.adherence_eval import COLOURS, corner_colour, is_colour

    border = rgb2lab(_border(image)[None] / 255.0)[0]
    shares = {name: float(np.mean([is_colour(tuple(pixel), name) for pixel in border])) for name in COLOURS}
    corner = corner_colour(image)
    # The names of neighbouring colours overlap; what fits more of the border is said.
    named = max((name for name in COLOURS if is_colour(corner, name)), key=lambda name: shares[name], default=None)
    if named is not None and shares[named] >= PLAIN_SHARE:
        return f"{named} background"
    return "busy background" if max(shares.values()) < BUSY_SHARE else None


def light_steps(face: NDArray[np.float64]) -> float:
    """Return how steeply light changes on and beside the nose, in stops a pixel.

    Args:
        face: linear RGB ``[112, 112, 3]``, 0..1, aligned.
    """
    from skimage.filters import gaussian

    smooth = gaussian(np.log2(face @ _LUMINANCE + _DARKEST), _BLUR_PIXELS, mode="nearest")[_NOSE]
    return float(np.median(np.hypot(*np.gradient(smooth))))


def side_stops(face: NDArray[np.float64]) -> float:
    """Return by how many stops the cheek on the picture's right is brighter than the one on its left.

    Args:
        face: linear RGB ``[112, 112, 3]``, 0..1, aligned.
    """
    left, right = (float(np.median(face[place] @ _LUMINANCE)) for place in _CHEEKS)
    return _stops(right) - _stops(left)


def _measure_light(
    image: "RgbImage", points: "Points", words: dict[str, str], missing: dict[str, str], *, rendered: bool
) -> None:
    face = _linear_face(image, points)
    side = side_stops(face)
    if abs(side) >= SIDE_STOPS:
        words["side"] = f"light from the {'right' if side > 0 else 'left'}"
    if not rendered:
        missing["hardness"] = RENDERS_ONLY
        return
    steps = light_steps(face)
    if steps >= HARD_FROM:
        words["hardness"] = "hard light"
    elif steps < SOFT_BELOW:
        words["hardness"] = "soft light"
    else:
        missing["hardness"] = "between soft and hard"


def _linear_face(image: "RgbImage", points: "Points") -> NDArray[np.float64]:
    from evals.faces import align_face

    srgb = align_face(image, points) / 255.0
    # IEC 61966-2-1.
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _cheeks(face: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.median(face[place].reshape(-1, 3), axis=0) for place in _CHEEKS])


def _warmth(cheeks: NDArray[np.float64]) -> float:
    red, _, blue = cheeks.mean(axis=0)
    return _stops(float(red)) - _stops(float(blue))


def _stops(value: float) -> float:
    return float(np.log2(value + _DARKEST))


def _border(image: "RgbImage") -> NDArray[np.uint8]:
    """Return pixels of both sides as ``[n, 3]``, evenly picked: as many of a large picture as of a small one."""
    height, width = image.shape[:2]
    rows = np.linspace(0, max(0, int(_BORDER_HEIGHT * height) - 1), _BORDER_CELLS[0]).astype(int)
    columns = np.linspace(0, max(0, int(_BORDER_WIDTH * width) - 1), _BORDER_CELLS[1]).astype(int)
    both = np.concatenate([columns, width - 1 - columns])
    return np.asarray(image[np.ix_(rows, both)].reshape(-1, 3), dtype=np.uint8)
