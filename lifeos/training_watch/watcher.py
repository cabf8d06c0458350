"""A persona's judge looks at a LoRA in training: the very file, sampled as choosing and release would sample it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from evals.atomic import write_bytes
from evals.content_hash import hash_bytes, hash_file
from evals.copying_eval import nearest
from evals.inference import cluster_means, cluster_t_interval
from evals.training_stop import training_stop
from lifeos.candidate_judge import CandidateJudge
from lifeos.errors import InputError
from lifeos.lora.training_log import LogEntry, expected_seconds, read_log
from lifeos.lora.watching import Ending
from lifeos.measure import ImageToMeasure
from lifeos.progress import silent
from lifeos.training_watch.curve import CurvePoint, read_curve, write_curve
from lifeos.training_watch.inputs import looks_of

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.sample_plan import SamplePlan

LOOKS_FOLDER = "looks"

Sample = Callable[["SamplePlan", Path, Path], Sequence[ImageToMeasure]]
Publish = Callable[[Path, Sequence[CurvePoint], Sequence[LogEntry]], None]


class PersonaWatcher:
    """A ``lifeos.lora.watching.Watcher`` that samples the file of a step and has it judged.

    A look loads a base of its own and lets it go again, so nothing that is trained is touched; while it lasts it takes
    the memory of a second base.
    """

    def __init__(
        self, identity: str, recipe: "Recipe", plan: "SamplePlan", judge: CandidateJudge, sample: Sample,
        publish: Publish,
    ) -> None:  # fmt: skip
        """Remember how to look; nothing is opened yet.

        Args:
            identity: ``watch_identity`` of these inputs.
            recipe: of the run.
            plan: images of every look.
            judge: of the persona.
            sample: renders a plan with a base and a LoRA file; what its store holds is not drawn again.
            publish: is told (run folder, points so far, log so far) after every look.

        Raises:
            InputError: the recipe asks for no looks.
        """
        if recipe.sample_every is None:
            raise InputError("recipe: accepted sample_every with a persona that judges, got none; next: set it")
        self.identity = identity
        self._recipe, self._every, self._plan, self._judge = recipe, recipe.sample_every, plan, judge
        self._sample, self._publish = sample, publish
        self._folder, self._points = Path(), list[CurvePoint]()

    def holds(self, folder: Path, step: int) -> bool:
        """Return whether an early stop finds every look up to ``step``, with its file; True where none is asked for."""
        if self._recipe.early_stop is None:
            return True
        points = [point for point in read_curve(folder) if point.step <= step]
        if [point.step for point in points] != list(range(self._every, step + 1, self._every)):
            return False
        files = [_look_file(folder, point.step) for point in points]
        return all(file.is_file() and hash_file(file) == point.lora for file, point in zip(files, points, strict=True))

    def begin(self, folder: Path, step: int) -> None:
        """Open the curve in the run's folder up to ``step``."""
        self._folder = folder
        self._points = [point for point in read_curve(folder) if point.step <= step]
        write_curve(folder, self._points)

    def after(self, step: int, encode: Callable[[], bytes]) -> Ending | None:
        """Look every ``sample_every`` steps and after the last; an early stop asks the rules whether the run ends.

        Raises:
            InputError: nothing can be drawn, or a copy was drawn and there is no earlier look to keep.
        """
        if step % self._every and step != self._recipe.steps:
            return None
        lora = encode()
        file = _look_file(self._folder, step)
        write_bytes(file, lora)
        images = self._draw(file)
        log = [entry for entry in read_log(self._folder) if entry.step <= step]
        self._points.append(self._point(step, hash_bytes(lora), images, log))
        write_curve(self._folder, self._points)
        self._publish(self._folder, self._points, log)
        if self._recipe.early_stop is None:
            file.unlink()
            return None
        return self._ending()

    def close(self) -> None:
        """Remove the LoRA files of the looks; images and curve stay."""
        for file in (self._folder / LOOKS_FOLDER).glob("step-*.safetensors"):
            file.unlink()

    def _draw(self, file: Path) -> Sequence[ImageToMeasure]:
        import torch

        # Training seeds generators of its own; whoever comes to draw from the global one must not notice a look.
        with torch.random.fork_rng(devices=[]):
            return self._sample(self._plan, self._recipe.base, file)

    def _point(
        self, step: int, lora: str, images: Sequence[ImageToMeasure], log: Sequence[LogEntry]
    ) -> CurvePoint:
        judged = self._judge.judge(f"step {step}", images, self._plan.strength, silent)
        metrics: list[Mapping[str, Any]] = [row["metrics"] for row in judged.rows]
        values, prompts = [row["likeness"] or 0.0 for row in metrics], [image.prompt for image in images]
        interval = cluster_t_interval(values, prompts)
        assert interval is not None  # watch_plan has two prompts or more
        skin = [row["skin_z"] for row in metrics if row.get("skin_z") is not None]
        signatures = [record["signature"] for record in self._judge.training]
        distances = [nearest(record["signature"], signatures) for record in judged.records] if signatures else []
        before = self._points[-1].step if self._points else 0
        since = [entry for entry in log if entry.step > before]
        last = since[-1] if since else None
        return CurvePoint(
            step=step, lora=lora, images=len(images), likeness=judged.candidate.likeness,
            likeness_interval=(interval.low, interval.high), likeness_by_prompt=cluster_means(values, prompts),
            face_rate=fmean(row["face_count"] == 1.0 for row in metrics),
            skin_z=median(skin) if skin else None, skin_scored=len(skin),
            copy_nearest=min(distances) if distances else None,
            copies=sum(row.get("copy_image") == 1.0 for row in metrics), ruled_out=dict(judged.candidate.ruled_out),
            loss=fmean(entry.loss for entry in since) if since else None,
            gradient_norm=None if last is None else last.gradient_norm,
            weight_norm=None if last is None else last.weight_norm,
            learning_rate=None if last is None else last.learning_rate, d=None if last is None else last.d,
            seconds_per_step=median(entry.seconds for entry in since) if since else None,
            expected_seconds_per_step=expected_seconds(log),
        )  # fmt: skip

    def _ending(self) -> Ending | None:
        rule = self._recipe.early_stop
        assert rule is not None
        looks = [point.look for point in self._points]
        stop = training_stop(looks, rule.window, rule.margin, looks_of(self._recipe))
        if stop is None:
            return None
        if stop.step is None:
            raise InputError(f"training: accepted a look before the first copy, got {stop.reason}; next: lower "
                             "sample_every, the learning rate or rank, or add pictures")  # fmt: skip
        return Ending(_look_file(self._folder, stop.step).read_bytes(), stop.step, stop.reason)


def _look_file(folder: Path, step: int) -> Path:
    return folder / LOOKS_FOLDER / f"step-{step:08d}.safetensors"
