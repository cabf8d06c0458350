"""Faces that are not the persona: other people's pictures, and what the base draws without a LoRA.

Embeddings are slow to make again and small, so they are kept beside the persona, bound to the face models and to what
the nulls were drawn with.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evals.atomic import write_bytes
from evals.content_hash import hash_json
from evals.inference import comparisons_needed
from lifeos.errors import InputError
from lifeos.lora.dataset import image_files
from lifeos.lora.dataset_lint.finding import quoted
from lifeos.measure import Measurements
from lifeos.progress import Progress

if TYPE_CHECKING:
    from lifeos.persona import Persona, Prompt

IMPOSTORS_FILE = "impostors/embeddings.safetensors"
NULL_IMAGES = 96
# Nobody asked for hours of sampling: a false accept rate that takes more seeds than this names the number instead.
MOST_UNASKED = 400
# Null seeds lie far from the seeds that prompt sets use, so that no null shares its noise with a judged sample, and
# those of one prompt begin where they always do: more of them are added to what is drawn already.
FIRST_NULL_SEED, SEEDS_OF_A_PROMPT = 700_000, 10_000
STAGE = "sampling the base without a LoRA"
_SEEDS_KEY = "null_seeds"
_MOST_ROUNDS = 3


@dataclass(frozen=True)
class Strangers:
    """``identities`` f32[m,d], one a person; ``nulls`` f32[j,d], one a seed that shows a face, of ``null_seeds``."""

    identities: NDArray[np.float32]
    nulls: NDArray[np.float32]
    null_seeds: int


def null_hash(persona: "Persona", domain: Mapping[str, Any]) -> str:
    """Return what null faces are bound to: one way of sampling and one set of prompts."""
    return hash_json([domain, [persona.fill_without_trigger(prompt) for prompt in _null_prompts(persona)]])


def gather_strangers(
    persona: "Persona",
    artifacts: Path,
    measurements: Measurements,
    *,
    far: float,
    bound_to: Mapping[str, str],
    impostor_images: Path | None,
    null_seeds: int | None,
    progress: Progress,
) -> Strangers:
    """Read the strangers of a persona, measure what is new, sample what is lacking, and keep the embeddings.

    Args:
        persona: loaded persona folder.
        artifacts: data folder; sampled nulls are kept below it.
        measurements: embeds pictures.
        far: false accept rate that the strangers must carry, in (0, 1).
        bound_to: ``faces`` and ``nulls``: hashes that stored embeddings must carry to be used.
        impostor_images: folder of pictures, one for each of many other people; replaces the identities at hand.
        null_seeds: how many seeds to sample; None: as many as ``far`` needs beside the identities, at least 96.
        progress: called with (stage, done, total).

    Raises:
        InputError: ``far`` needs more strangers than there are or will be (said before anything is sampled), a folder
            without pictures, a stored file that cannot be read or holds identities of other face models, or a base that
            hardly ever draws a face.
    """
    path = persona.folder / IMPOSTORS_FILE
    known, facts = _read_kept(path)
    if facts.get("faces") != bound_to["faces"]:
        if "identities" in known and impostor_images is None:
            raise InputError(
                f"{path}: accepted strangers that {persona.face_backend} embedded, got those of other face models; "
                f"next: lifeos calibrate {quoted(persona.folder)} --impostors PICTURES, or move the file away"
            )
        known = {}
    if impostor_images is not None:
        known["identities"] = _measured(impostor_images, measurements, progress)
    identities = known.get("identities", _array([]))
    needed = comparisons_needed(far) - len(identities)
    wanted = _wanted(persona, far, len(identities), needed, null_seeds)
    nulls, drawn = known.get("nulls", _array([])), int(facts.get(_SEEDS_KEY, wanted))
    if "nulls" not in known or facts.get("nulls") != bound_to["nulls"] or drawn < wanted or len(nulls) < needed:
        nulls, drawn = _sample_nulls(persona, artifacts, measurements, wanted, needed, null_seeds is None, progress)
    from safetensors.numpy import save

    kept = {"nulls": nulls, **({"identities": identities} if len(identities) else {})}
    write_bytes(path, save(kept, metadata={**bound_to, _SEEDS_KEY: str(drawn)}))
    return Strangers(identities, nulls, drawn)


def nulls_to_draw(persona: "Persona") -> int:
    """Return about how many faces of the bare base a calibration of a persona draws, by the strangers it keeps.

    Raises:
        InputError: the kept file is no safetensors file.
    """
    kept = read_strangers(persona.folder / IMPOSTORS_FILE)
    needed = comparisons_needed(persona.far) - len(kept.get("identities", ()))
    return _unasked(needed)


def _unasked(needed: int) -> int:
    return needed if NULL_IMAGES < needed <= MOST_UNASKED else NULL_IMAGES


def _wanted(persona: "Persona", far: float, identities: int, needed: int, asked: int | None) -> int:
    """Return how many null seeds to sample; refuse a rate that they will not carry."""
    seeds = _unasked(needed) if asked is None else asked
    if needed > seeds:
        rate = math.ceil(3000 / (identities + seeds)) / 1000
        raise InputError(
            f"{persona.folder.name}: far {far:g}: accepted at least {comparisons_needed(far)} independent impostor "
            f"identities or null seeds, got {identities} identities and {seeds} seeds; next: lifeos calibrate "
            f"{quoted(persona.folder)} --nulls {needed}, or --far {rate:g}"
        )
    return seeds


def _sample_nulls(
    persona: "Persona", artifacts: Path, measurements: Measurements, count: int, needed: int, more: bool,
    progress: Progress,
) -> tuple[NDArray[np.float32], int]:  # fmt: skip
    """Faces of the base without a LoRA, f32[j,d], each from a noise of its own, and the number of seeds.

    An image without a face gives no row; where ``more`` is allowed, seeds are added until ``needed`` rows are there.
    """
    seeds, rows = count, _array([])
    for _ in range(_MOST_ROUNDS):
        rows, seeds = _sample(persona, artifacts, measurements, seeds, progress)
        if len(rows) >= needed or not more:
            return rows, seeds
        # A tenth more than the share of faces so far asks for: one further round is enough then.
        seeds = min(math.ceil(1.1 * needed * seeds / max(len(rows), 1)), 2 * max(count, MOST_UNASKED))
    raise InputError(
        f"{persona.folder.name}: accepted {needed} faces of the base without a LoRA, got {len(rows)} in its images; "
        f"next: write prompts into {persona.prompts.name} that show a face, or pass --far with a higher rate"
    )


def _sample(
    persona: "Persona", artifacts: Path, measurements: Measurements, count: int, progress: Progress
) -> tuple[NDArray[np.float32], int]:
    from lifeos.lora.sample_once import sample_once
    from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan

    prompts = _null_prompts(persona)
    each, rows = math.ceil(count / len(prompts)), []
    for number, prompt in enumerate(prompts):
        first = FIRST_NULL_SEED + number * SEEDS_OF_A_PROMPT
        plan = SamplePlan(
            prompts=(PlannedPrompt(prompt.id, persona.fill_without_trigger(prompt)),),
            seeds=tuple(range(first, first + each)),
            **persona.drawing(),
        )
        result = sample_once(plan, persona.base, None, artifacts, _part(progress, number * each, len(prompts) * each))
        rows += [measurements.of(image.path)["embedding"] for image in result.images]
        progress(STAGE, (number + 1) * each, len(prompts) * each)
    return _array([row for row in rows if row is not None]), len(prompts) * each


def _part(progress: Progress, before: int, total: int) -> Progress:
    def report(_: str, done: int, __: int) -> None:
        progress(STAGE, before + done, total)

    return report


def _measured(folder: Path, measurements: Measurements, progress: Progress) -> NDArray[np.float32]:
    pictures = image_files(folder)
    if not pictures:
        raise InputError(f"--impostors {folder}: accepted a folder of pictures of others, got none; next: add some")
    rows = [record["embedding"] for record in measurements.of_all(pictures, progress, "impostors")]
    return _array([row for row in rows if row is not None])


def _null_prompts(persona: "Persona") -> list["Prompt"]:
    return persona.prompts_a or persona.prompts_b


def read_strangers(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the embeddings kept beside a persona: ``identities`` f32[m,d] and ``nulls`` f32[j,d], each where it is.

    Raises:
        InputError: the file is no safetensors file.
    """
    return _read_kept(path)[0]


def _read_kept(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    if not path.exists():
        return {}, {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: accepted a safetensors file, got {error}; next: delete it and calibrate") from error


def _array(rows: Sequence[Any]) -> NDArray[np.float32]:
    return np.asarray(rows, dtype=np.float32) if len(rows) else np.zeros((0, 0), dtype=np.float32)
