"""Photographs of real faces: the two that packages of this environment ship, and those of a folder.

Two pictures say nothing of rates: each is only held against itself.

- scikit-image's ``astronaut``: Eileen Collins, NASA, no known copyright restrictions, released into the public domain.
- Matplotlib's sample ``grace_hopper.jpg``: Grace Hopper in the United States Navy; public domain (matplotlib pull
  request 1599).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.skin_battery.degrade import DEGRADATIONS
from benchmarks.skin_battery.measure import KEPT, backend, measure_picture
from benchmarks.skin_battery.statistics import Bands
from evals.images import RgbImage, read_image
from evals.skin_realism_eval import skin_z

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def photographs(folder: Path | None) -> Iterator[tuple[str, RgbImage]]:
    """Yield name and picture u8 ``[h, w, 3]``: the shipped ones, then those of a folder by name."""
    import matplotlib
    import skimage.data

    yield "astronaut", skimage.data.astronaut()
    yield "grace_hopper", read_image(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    for path in sorted(folder.iterdir()) if folder else ():
        if path.suffix.lower() in _ENDINGS:
            yield path.stem, read_image(path)


def shifts(folder: Path | None, bands: Bands) -> dict[str, Any]:
    """How far each change moves ``skin_z`` from the photograph's own, in deviations of the renders.

    The band is as wide as the renders' and its middle is the unchanged photograph: what a photograph's own references
    would scatter, one picture cannot tell.

    Returns:
        ``distance``: pixels between the eyes by photograph; ``unscorable``: reason by photograph; ``shift``: by change,
        a number by photograph, None where the changed picture cannot be scored.
    """
    from evals.faces import find_faces
    from evals.faces.align import inter_ocular_distance

    found: dict[str, Any] = {"distance": {}, "unscorable": {}, "shift": {name: {} for name in DEGRADATIONS}}
    for name, picture in photographs(folder):
        own, reason = measure_picture(picture, False)
        lacking = [key for key in KEPT if own.get(key) is None]
        if reason or lacking:
            found["unscorable"][name] = reason or f"no {', '.join(lacking)}"
            continue
        distance = inter_ocular_distance(find_faces(backend(), picture)[0].points)
        found["distance"][name] = round(distance, 1)
        centred = {key: {"median": own[key], "mad": bands[key]["mad"]} for key in KEPT}
        for change, degradation in DEGRADATIONS.items():
            values, _ = measure_picture(degradation.apply(picture, distance, 0), False)
            given = skin_z({key: values.get(key) for key in KEPT}, centred)
            found["shift"][change][name] = None if given is None else round(given, 2)
    return found
