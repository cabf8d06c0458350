"""The whole way: photographs, pictures, moments, split, captions, files; in a hidden folder that is renamed last."""

import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evals.atomic import sync_folder, write_json, write_text
from lifeos.errors import InputError
from lifeos.new_persona.moments import Compared, compare
from lifeos.new_persona.plan import PersonaPlan
from lifeos.new_persona.prepare import LeftOut, Looking, Prepared, list_photographs, prepare
from lifeos.new_persona.scaffold import scaffold
from lifeos.new_persona.split import Split, split_moments
from lifeos.progress import Progress, silent
from lifeos.skeleton import is_untouched

if TYPE_CHECKING:
    from evals.faces import FaceBackend

SCHEMA = "lifeos.photographs/1"
RECORD = "photographs.json"
# A face this many robust deviations less alike than the others is shown to the user: a stranger among the photographs.
_UNLIKE = 5.0
_SMALLEST_DEVIATION = 0.03
_FEWEST_TO_COMPARE = 5


class TooFewPhotographsError(InputError):
    """Too few photographs are left for both sides; ``left_out`` says what became of the others."""

    def __init__(self, message: str, left_out: Sequence[LeftOut]) -> None:
        """Keep what was left out beside the message."""
        super().__init__(message)
        self.left_out = tuple(left_out)


@dataclass(frozen=True)
class NewPersona:
    """What was made.

    Args:
        plan: names and settings.
        training: photograph -> picture below ``dataset/``.
        references: photograph -> picture below ``references/``.
        moments: how many different moments the photographs show.
        left_out: files that were not taken.
        changes: what was done to how many pictures.
        look_at: photographs that were taken, and why a person should look at them.
    """

    plan: PersonaPlan
    training: Mapping[str, str]
    references: Mapping[str, str]
    moments: int
    left_out: tuple[LeftOut, ...]
    changes: Mapping[str, int]
    look_at: tuple[LeftOut, ...]


def create_persona(plan: PersonaPlan, artifacts: Path, progress: Progress = silent) -> NewPersona:
    """Make a persona's folder of a folder of photographs, which are left as they are.

    Args:
        plan: what ``plan_persona`` decided.
        artifacts: data folder; pictures and faces are looked at once and remembered there for lint and calibration.
        progress: called with (stage, done, total).

    Raises:
        TooFewPhotographsError: not enough of them are fit, or of different moments.
        InputError: the folder of photographs or the persona's place cannot be used, or the face models not be opened.
    """
    photographs, others = list_photographs(plan.request.photographs)
    if not photographs:
        raise TooFewPhotographsError(
            f"{plan.request.photographs}: accepted photographs (JPEG, HEIC, PNG, WebP, AVIF, TIFF), got none; "
            "next: name the folder that they lie in",
            others,
        )
    try:
        with _place_to_work(plan.folder) as work:
            prepared, unfit = prepare(photographs, work, _looking(plan, artifacts), progress)
            compared = compare([picture.shot for picture in prepared], progress)
            left_out = [*others, *unfit, *_copies(prepared, compared)]
            kept = [picture for index, picture in enumerate(prepared) if index not in compared.copies]
            split = _split(plan, prepared, compared, left_out)
            left_out += _spared(kept, split)
            places = _move(work, kept, split)
            _write(plan, work, places, left_out, kept, _moment_numbers(prepared, compared))
            _name_it(work, plan.folder)
    except OSError as error:
        raise InputError(
            f"{plan.folder}: accepted a place that can be written, got {error.strerror or error}; next: --into FOLDER"
        ) from error
    taken = [picture for picture in kept if picture.shot.digest in places]
    sides = {
        side: {picture.name: place for picture in taken if (place := places[picture.shot.digest]).startswith(side)}
        for side in ("dataset", "references")
    }
    return NewPersona(
        plan, sides["dataset"], sides["references"], len(compared.moments), tuple(left_out),
        dict(sorted(Counter(change for picture in taken for change in picture.changes).items())),
        tuple(_unlike(taken)),
    )  # fmt: skip


def _looking(plan: PersonaPlan, artifacts: Path) -> Looking:
    from lifeos import engine
    from lifeos.lora.dataset_lint.image_facts import FactsCache
    from lifeos.measure import Measurements, face_models_hash

    facts = FactsCache(artifacts)
    if not plan.request.faces:
        return Looking(plan.size, facts.of, None, _no_faces)
    models = face_models_hash(plan.request.face_backend, plan.face_path)
    measurements = Measurements(
        artifacts, lambda: engine.open_faces(plan.request.face_backend, plan.face_path), models
    )
    return Looking(plan.size, facts.of, measurements.of, lambda: measurements.backend)


def _no_faces() -> "FaceBackend":
    raise AssertionError("faces are not looked at")


def _split(plan: PersonaPlan, prepared: Sequence[Prepared], compared: Compared, left_out: Sequence[LeftOut]) -> Split:
    moments = [[prepared[index].shot.digest for index in moment] for moment in compared.moments]
    try:
        return split_moments(moments, plan.request.seed, plan.request.references)
    except InputError as error:
        raise TooFewPhotographsError(str(error), left_out) from error


def _copies(prepared: Sequence[Prepared], compared: Compared) -> list[LeftOut]:
    found = []
    for index, (kept, distance) in sorted(compared.copies.items()):
        how = "the same picture as" if distance == 0.0 else f"nearly the same picture (distance {distance:.2g}) as"
        found.append(LeftOut(prepared[index].name, f"{how} {prepared[kept].name}"))
    return found


def _spared(prepared: Sequence[Prepared], split: Split) -> list[LeftOut]:
    names = {picture.shot.digest: picture.name for picture in prepared}
    return [
        LeftOut(picture.name, f"of the same moment as the reference {names[split.spared[picture.shot.digest]]}")
        for picture in prepared
        if picture.shot.digest in split.spared
    ]


def _moment_numbers(prepared: Sequence[Prepared], compared: Compared) -> dict[str, int]:
    numbered = enumerate(compared.moments, 1)
    return {prepared[index].shot.digest: number for number, moment in numbered for index in moment}


def _move(work: Path, kept: Sequence[Prepared], split: Split) -> dict[str, str]:
    """Move pictures to their sides, numbered in the order of the photographs' names; delete the others."""
    places: dict[str, str] = {}
    for side, digests in (("dataset", set(split.training)), ("references", set(split.references))):
        (work / side).mkdir()
        for number, picture in enumerate((picture for picture in kept if picture.shot.digest in digests), 1):
            places[picture.shot.digest] = f"{side}/{number:04}.png"
            os.replace(picture.path, work / side / f"{number:04}.png")
    for left in work.glob("*.png"):
        left.unlink()
    return places


def _write(
    plan: PersonaPlan, work: Path, places: Mapping[str, str], left_out: Sequence[LeftOut], kept: Sequence[Prepared],
    moments: Mapping[str, int],
) -> None:  # fmt: skip
    """Write captions, settings and the record of what became of each photograph."""
    from lifeos.lora.recipe import read_recipe
    from lifeos.persona import load_persona

    training = [place for place in places.values() if place.startswith("dataset/")]
    for place in training:
        write_text((work / place).with_suffix(".txt"), plan.caption + "\n", durable=False)
    for name, text in scaffold(plan, len(training)).items():
        write_text(work / name, text)
    rows = [
        {"file": picture.name, "sha256": picture.shot.digest, "picture": places[picture.shot.digest],
         "moment": moments[picture.shot.digest], "changes": sorted(picture.changes)}
        for picture in kept if picture.shot.digest in places
    ]  # fmt: skip
    passed_over = [{"file": row.name, "reason": row.reason} for row in left_out]
    record = {"schema": SCHEMA, "seed": plan.request.seed, "photographs": rows, "left_out": passed_over}
    write_json(work / RECORD, record)
    # What was written must be what the other commands read.
    load_persona(work)
    read_recipe(work / "recipe.toml")


def _name_it(work: Path, folder: Path) -> None:
    aside = work.with_name(f"{work.name}.skeleton")
    try:
        # Laid out by `lifeos init`, and nobody edited it; a moment without a folder is one that a second try mends.
        if is_untouched(folder):
            os.rename(folder, aside)
        os.rename(work, folder)
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        if aside.exists() and not folder.exists():
            os.rename(aside, folder)
        raise InputError(
            f"{folder}: accepted a free name, got {error.strerror}; next: --name, or move it away"
        ) from error
    sync_folder(folder.parent)


def _unlike(taken: Sequence[Prepared]) -> list[LeftOut]:
    """Return the photographs whose face is far less like the others' than those are like each other."""
    import numpy as np

    from evals.face_similarity_eval import leave_one_out

    known = [(picture.name, picture.shot.embedding) for picture in taken if picture.shot.embedding is not None]
    if len(known) < _FEWEST_TO_COMPARE:
        return []
    alike = leave_one_out(np.stack([embedding for _, embedding in known]))
    middle = float(np.median(alike))
    deviation = max(1.4826 * float(np.median(np.abs(alike - middle))), _SMALLEST_DEVIATION)
    return [
        LeftOut(name, f"a face unlike the others (similarity {value:.2f}, the others' median {middle:.2f}): look at it")
        for (name, _), value in zip(known, alike, strict=True)
        if value < middle - _UNLIKE * deviation
    ]


@contextmanager
def _place_to_work(folder: Path) -> Iterator[Path]:
    """Give a hidden folder beside the persona's place, and leave nothing of it behind but what was renamed."""
    prefix = f".{folder.name}.new-"
    _remove_leftovers(folder.parent, prefix)
    work = folder.parent / f"{prefix}{os.getpid()}"
    work.mkdir()
    try:
        with _terminated_as_interrupted():
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove what a killed run of the same name left: photographs of a person should not lie about."""
    import psutil

    for path in list(parent.iterdir()):
        number = path.name.removeprefix(prefix)
        if not (path.name.startswith(prefix) and number.isascii() and number.isdecimal()):
            continue
        if int(number) == os.getpid() or not psutil.pid_exists(int(number)):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take a polite request to end (SIGTERM) like Ctrl-C, so that it cleans up; only the main thread may."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
