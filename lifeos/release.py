"""The way of the data: weights, plan, sample, faces, metrics, statistics, policy; each step a function of named inputs.

``obtain_release`` is what pytest asks; the walk itself runs in one child process (``python -m lifeos.release FOLDER``).
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.atomic import write_json, write_text
from evals.content_hash import canonical_json, hash_file, hash_json
from evals.early_stop import stopped_verdicts
from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.child import child_main, obtain
from lifeos.errors import InputError
from lifeos.expressions import reader_of
from lifeos.inputs import Inputs
from lifeos.instrument import instrument_step
from lifeos.judged_rows import JudgedRows
from lifeos.known_answers import instrument_key, remembered
from lifeos.measure import ImageToMeasure, Measurements, likeness_of
from lifeos.progress import Progress, progress_writer
from lifeos.release_images import champion_step, class_step, missing_images, sample_by_blocks
from lifeos.release_inputs import describe, load_engine, release_domain, release_plan, repeated_part
from lifeos.training_watch.inputs import WatchInputs

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from evals.policy import Policy
    from lifeos.persona import Persona

WEIGHTS_GATES = ("weights_whole", "weights_finite", "weights_base", "weights_keys", "weights_effect")
REPRO_TOLERANCE = 0.005


@dataclass(frozen=True)
class Release:
    """A walked release: verdicts by gate id, or why there is none; ``folder`` holds what was measured."""

    verdicts: Mapping[str, Verdict]
    missing: str
    folder: Path | None = None

    def verdict(self, gate: str) -> Verdict:
        """Return the verdict of a gate; not evaluated when the release gave none."""
        return self.verdicts.get(gate) or not_evaluated(self.missing)


def obtain_release(
    inputs: Inputs, *, attempt: str, run_id: str, progress_file: Path | None, engine: str | None
) -> Release:
    """Return the release of these inputs, walked once however many processes ask.

    Args:
        inputs: the declared inputs.
        attempt: name of this command; its processes share one failure.
        run_id: id of the scorecard row to be; kept by a resumed run.
        progress_file: JSON-lines file that the child appends progress to, in the invocation's folder; None for none.
        engine: module that trains and samples; None for the real one.
    """
    try:
        described = describe(inputs, load_engine(engine))
        if progress_file is not None:
            write_json(progress_file.with_name("release.json"), {"folder": str(described.folder)})
        request = {
            **described.request,
            "run": run_id,
            "progress": None if progress_file is None else str(progress_file.absolute()),
        }
        seconds = inputs.project.settings.release_timeout_minutes * 60.0
        result = obtain(described.folder, "lifeos.release", request, attempt, timeout_seconds=seconds)
    except InputError as error:
        return Release({}, str(error))
    verdicts = {gate: Verdict.from_json(row) for gate, row in result["verdicts"].items()}
    return Release(verdicts, "the release judged no such gate", described.folder)


def walk(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Walk the whole way in this process and return the result.

    Args:
        request: what ``describe`` gave, with ``run`` and ``progress``.
        folder: run folder; image rows are written there.

    Raises:
        InputError: recipe, base, images or face models cannot be used.
    """
    from evals.judge import statistics
    from evals.policy import load_policy
    from lifeos.lora.placement import require_device
    from lifeos.persona import load_persona

    engine, artifacts = load_engine(request["engine"]), Path(request["artifacts"])
    persona = load_persona(Path(request["persona"]), Path(request["root"]))
    clock, progress = _Clock(), progress_writer(request["progress"])
    began = _begin(folder, request, persona, engine)
    if began["lora_missing"] or began["images_missing"]:
        # Now, and not when hours of training have led to the first image.
        require_device(persona.sampler.device)
    with clock.step("train"):
        lora, trained = train_step(request, engine, progress)
    with clock.step("weights"):
        weights = weights_step(lora, persona, engine)
    result: dict[str, Any] = {
        "source": request["source"] if engine.IDENTITY == "lifeos" else "simulation",
        "run": began["run"],
        "hashes": {**request["content"], "lora": None if lora is None else hash_file(lora)},
        "lora": None if lora is None else str(lora),
        "verdicts": {gate: verdict.to_json() for gate, verdict in weights.items()},
    }
    refused = next((f"{gate}: {verdict.reason}" for gate, verdict in weights.items() if verdict.blocks), None)
    policy = load_policy(Path(request["policy"]))

    def unsampled(reason: str, gates: Sequence[str]) -> dict[str, Any]:
        """The result of a walk that ended before a picture was drawn."""
        blocked = not_evaluated(reason).to_json()
        verdicts = {**result["verdicts"], **dict.fromkeys(gates, blocked)}
        return {**result, "verdicts": verdicts, "images": 0, "metrics": {}, "backend": None,
                "made": {"trained": trained, "images": 0}, "durations": clock.seconds}  # fmt: skip

    if refused is not None:
        return unsampled(f"weights refused, nothing was sampled ({refused})", ["instrument", *policy.rules, "repro"])
    measurements = Measurements(
        artifacts,
        lambda: engine.open_faces(persona.face_backend, persona.face_folder),
        hash_json(request["content"]["faces"]),
        reader_of(persona.base),
    )
    with clock.step("instrument"):
        calibration = calibration_step(persona)
        training = measurements.of_all(training_files(request["training_images"]), progress, "training images")
        instrument = remembered(
            artifacts,
            instrument_key(request["content"], persona, lora, measurements.identity),
            lambda: instrument_step(
                persona, lora, engine, measurements, calibration, policy, training, artifacts, progress
            ),
        )
        result["verdicts"] |= {"instrument": instrument.to_json()}
    if instrument.blocks:
        # What cannot be judged need not be drawn: a pod costs money.
        reason = f"the judge did not answer its controls, nothing was sampled ({instrument.reason})"
        return unsampled(reason, [*policy.rules, "repro"])
    judged = JudgedRows.of_persona(persona, measurements, calibration, training, artifacts, engine, progress)
    base = judged.base_rows()
    with clock.step("sample"):
        images, made, stop = sample_by_blocks(request, persona, lora, engine, progress, judged, policy)
        # What is rejected already needs no other pictures: each of them would only cost.
        champion_images, made_champion = ([], 0) if stop else champion_step(request, persona, engine, progress)
        class_images, made_class = ([], 0) if stop else class_step(request, persona, lora, base, engine, progress)
    with clock.step("faces"):
        records = measurements.of_all([image.path for image in images], progress, "faces")
        champion_records = measurements.of_all([image.path for image in champion_images], progress, "champion's faces")
        class_records = measurements.of_all([image.path for image in class_images], progress, "without the trigger")
    with clock.step("metrics"):
        rows = judged.rows(images, records)
        champion_rows = judged.rows(champion_images, champion_records)
        class_rows = judged.rows(class_images, class_records, trigger=False)
        write_rows(folder / "metrics.jsonl", rows)
        write_rows(folder / "champion_metrics.jsonl", champion_rows)
        write_rows(folder / "class_metrics.jsonl", class_rows)
    with clock.step("judge"):
        bound = judged_domain(request, persona, measurements, records)
        verdicts, decision = judge_step(policy, bound, rows, champion_rows, calibration, base, class_rows)
        if stop is not None:
            verdicts = stopped_verdicts(verdicts, stop)
        else:
            verdicts |= null_step(instrument, champion_rows, rows, calibration, policy, bound)
    with clock.step("repro"):
        if lora is not None and stop is not None:
            verdicts["repro"] = not_evaluated(f"nothing was rendered again: {stop.note}")
        elif lora is not None:
            verdicts["repro"] = repro_step(persona, lora, engine, measurements, calibration, images, records, artifacts)
    result["verdicts"] |= {gate: verdict.to_json() for gate, verdict in verdicts.items()}
    return {
        **result,
        "decision": decision,
        "stopped": None if stop is None else asdict(stop),
        "images": len(rows),
        "metrics": statistics(rows),
        "backend": measurements.backend_identity(),
        "made": {
            "trained": trained or began["lora_missing"],
            "images": max(made + made_champion + made_class, _made_since(began, request, persona, engine)),
        },
        "durations": clock.seconds,
    }


def train_step(request: Mapping[str, Any], engine: ModuleType, progress: Progress) -> tuple[Path | None, bool]:
    """Recipe -> LoRA file, and whether it was trained just now; a LoRA that was handed in is itself."""
    if request["recipe"] is None:
        return (None if request["lora"] is None else Path(request["lora"])), False
    trained = engine.train(Path(request["recipe"]), Path(request["artifacts"]), progress, _watch(request))
    return trained.path, bool(trained.made)


def weights_step(lora: Path | None, persona: "Persona", engine: ModuleType) -> dict[str, Verdict]:
    """LoRA file -> verdicts of the weights gates; none for finished images."""
    return {} if lora is None else dict(engine.inspect(lora, persona.base, persona.family))


def calibration_step(persona: "Persona") -> "Calibration | None":
    """Return the persona's calibration, or None where it has none."""
    from evals.calibration import load_calibration

    return load_calibration(persona.calibration) if persona.calibration.exists() else None


def judge_step(
    policy: "Policy",
    bound: Mapping[str, Any],
    rows: Sequence[dict[str, Any]],
    champion_rows: Sequence[dict[str, Any]],
    calibration: "Calibration | None",
    base: Sequence[dict[str, Any]] | None = None,
    class_rows: Sequence[dict[str, Any]] = (),
) -> tuple[dict[str, Verdict], dict[str, Any] | None]:
    """Image rows -> verdicts by the policy, and the decision against the champion as JSON (None where there is none).

    ``bound`` is what ``judged_domain`` found: the domain of the images is what they really are.
    """
    from evals.judge import judgement

    verdicts, decision = judgement(
        rows, calibration, policy, champion_rows or None, **bound, base_rows=base, class_rows=class_rows or None
    )
    return verdicts, None if decision is None else decision.to_json()


def judged_domain(
    request: Mapping[str, Any], persona: "Persona", measurements: Measurements, records: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the face models and the domain of the images, which a calibration must be bound to; images of several
    sizes have no domain.
    """
    sizes = {tuple(record["size"]) for record in records}
    domain = release_domain(persona, request["content"]["base"], next(iter(sizes))) if len(sizes) == 1 else None
    return {"backend": measurements.backend_identity(), "domain": domain}


def null_step(
    instrument: Verdict,
    champion_rows: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    calibration: "Calibration | None",
    policy: "Policy",
    bound: Mapping[str, Any],
) -> dict[str, Verdict]:
    """One LoRA's images against each other -> the verdict of ``instrument``, and of ``champion`` where that refuses.

    They are the champion's; in a first release the candidate's own, and then the rate is only told.
    """
    from evals.null_decisions import with_null_decisions

    joined = with_null_decisions(
        instrument, champion_rows or rows, calibration, policy, **bound, decides=bool(champion_rows)
    )
    refused = not_evaluated(f"the judge cannot tell one LoRA from itself ({joined.reason})")
    return {"instrument": joined} | ({"champion": refused} if joined.blocks else {})


def repro_step(
    persona: "Persona",
    lora: Path,
    engine: ModuleType,
    measurements: Measurements,
    calibration: "Calibration | None",
    images: Sequence[ImageToMeasure],
    records: Sequence[Mapping[str, Any]],
    artifacts: Path,
) -> Verdict:
    """Render a few images again outside the store: the same seed must give the same face, to ``REPRO_TOLERANCE``.

    Done once for equal images and measuring; a face on one side only is a failure.
    """
    if calibration is None:
        return not_evaluated("there is no calibration to measure likeness with")
    identity = hash_json([measurements.identity, [record["image"] for record in records]])
    known = artifacts / "repro" / f"{identity}.json"
    if not known.exists():
        first = {(image.prompt, image.seed): record for image, record in zip(images, records, strict=True)}
        part = repeated_part([prompt.id for prompt in persona.prompts_b], persona.seeds.b)
        plan = release_plan(persona, *part)
        # A store of this repetition alone: a killed run finds here what it drew, and nothing that another one drew.
        store = artifacts / "repro" / identity[:32]
        again = engine.sample(plan, persona.base, lora, store, lambda *_: None).images
        pairs = [(first[(image.prompt, image.seed)], measurements.of(image.path)) for image in again]
        centroid = calibration.centroid
        write_json(known, {"pairs": [[likeness_of(one, centroid), likeness_of(two, centroid)] for one, two in pairs]})
        _remove_store(store)
    pairs = json.loads(known.read_text(encoding="utf-8"))["pairs"]
    return repro_verdict(pairs)


def repro_verdict(pairs: Sequence[Sequence[float | None]]) -> Verdict:
    """Judge pairs of likeness (first rendering, second): less than ``REPRO_TOLERANCE`` apart, at least one scored."""
    source = {"threshold": REPRO_TOLERANCE, "threshold_source": "design"}
    one_sided = sum((one is None) != (two is None) for one, two in pairs)
    if one_sided:
        return failed(f"{one_sided} of {len(pairs)} images show a face in one rendering only")
    scored = [(one, two) for one, two in pairs if one is not None and two is not None]
    if not scored:
        return not_evaluated("no image that was rendered twice shows a face")
    largest = max(abs(one - two) for one, two in scored)
    reason = f"{len(scored)} images rendered again differ by up to {largest:.2g} in likeness"
    return (passed if largest < REPRO_TOLERANCE else failed)(reason, value=largest, **source)  # type: ignore[arg-type]


def training_files(folders: Sequence[str]) -> list[Path]:
    """Return every training image, folder by folder."""
    from lifeos.lora.dataset import pictures_below

    return [path for folder in folders for path in pictures_below(Path(folder))]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write image rows as JSON lines, whole or not at all."""
    write_text(path, "".join(canonical_json(row) + "\n" for row in rows))


def _begin(folder: Path, request: Mapping[str, Any], persona: "Persona", engine: ModuleType) -> dict[str, Any]:
    """Note what was missing when this run first started: a killed run that goes on has still made it."""
    path = folder / "began.json"
    try:
        began = json.loads(path.read_text(encoding="utf-8"))
        if began["run"] == request["run"]:
            return dict(began)
    except (OSError, ValueError, KeyError):
        pass
    began = {"run": request["run"], "lora_missing": False, "images_missing": 0}
    if request["lora"] is not None:
        began["images_missing"] = missing_images(request, persona, Path(request["lora"]), engine)
    elif request["recipe"] is not None:
        recipe, artifacts = Path(request["recipe"]), Path(request["artifacts"])
        began["lora_missing"] = not engine.is_trained(recipe, artifacts, _watch(request))
    write_json(path, began)
    return began


def _watch(request: Mapping[str, Any]) -> WatchInputs:
    return WatchInputs(Path(request["persona"]), Path(request["root"]), Path(request["policy"]))


def _made_since(began: Mapping[str, Any], request: Mapping[str, Any], persona: "Persona", engine: ModuleType) -> int:
    """How many images of the plan were missing when this run first started and are there now."""
    if not began["images_missing"]:
        return 0
    return int(began["images_missing"]) - missing_images(request, persona, Path(request["lora"]), engine)


def _remove_store(store: Path) -> None:
    import shutil

    shutil.rmtree(store, ignore_errors=True)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Any:
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], walk))
