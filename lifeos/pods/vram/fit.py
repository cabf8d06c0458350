"""Does a recipe fit a pod: the prediction against the limit, what to change, which pod would do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.lora.backends.image_server import DIFFUSERS
from lifeos.lora.recipe import Recipe
from lifeos.pods.spec import Pod
from lifeos.pods.vram.architecture import Architecture, architecture_of
from lifeos.pods.vram.changes import Change, changes_that_fit, sampling_changes_that_fit
from lifeos.pods.vram.limits import CONTEXT_BYTES, HEADROOM, limit_bytes
from lifeos.pods.vram.prediction import Prediction, Sampling, predict, predict_part, question, unmodelled
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.persona import Persona

GIB = 2**30
MEASURED = False
"""Whether any prediction of a recipe was held against a GPU."""


@dataclass(frozen=True)
class Fit:
    """What is known before a pod is rented.

    Args:
        recipe: what is asked about, on a GPU whatever it said.
        pod: where.
        prediction: of it there.
        limit: largest reserved bytes that fit, headroom and context taken off.
        missing: what the recipe asks for and no prediction holds; then nothing is claimed.
        changes: the cheapest of the recipe that make training fit; empty where it fits or where none do.
        sampling_changes: the cheapest of the persona's ``[sampler]`` that make sampling fit; empty likewise.
        smallest_pod: the pod kind with the least memory that fits the recipe as it is, or None.
    """

    recipe: Recipe
    pod: Pod
    prediction: Prediction
    limit: int
    missing: tuple[str, ...]
    changes: tuple[Change, ...]
    sampling_changes: tuple[Change, ...]
    smallest_pod: str | None

    @property
    def fits(self) -> bool | None:
        """Whether training, and sampling where the GPU draws, fit; None where that cannot be said."""
        return None if self.missing else self.prediction.reserved_bytes <= self.limit

    @property
    def exceeding(self) -> list[str]:
        """Which of training and sampling do not fit, beside the other where they run so."""
        found = self.prediction
        return [name for name, usage in found.usages.items() if usage.reserved_bytes > found.room(name, self.limit)]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        from lifeos.pods.vram.published import validation_lines

        return {
            "schema": "lifeos.vram/1", "pod": self.pod.name, "fits": self.fits,
            "peak_bytes": self.prediction.peak_bytes, "reserved_bytes": self.prediction.reserved_bytes,
            "limit_bytes": self.limit, "measured": MEASURED, "fixes": [vars(change) for change in self.changes],
            "sampling_fixes": [vars(change) for change in self.sampling_changes],
            "smallest_pod": self.smallest_pod, "context_bytes": CONTEXT_BYTES, "headroom": HEADROOM,
            "training": self.prediction.training.to_json(),
            "sampling": None if self.prediction.sampling is None else self.prediction.sampling.to_json(),
            "assumed": list(self.prediction.assumed), "unmodelled": list(self.missing),
            "validation": validation_lines(),
        }  # fmt: skip


def read_architecture(path: Path, recipe: Recipe) -> Architecture:
    """Return the configs of the base that the recipe of a file names.

    A repository of the hub that is not in its cache is known by its name.

    Raises:
        InputError: there are none, they are another family's, or one is absurd.
    """
    from lifeos.lora.families.base_location import hub_name, locate_base
    from lifeos.settings import load_project

    base = locate_base(recipe.base, path.resolve().parents, load_project().path("artifacts"))
    name = None if base.is_dir() else hub_name(recipe.base.as_posix())
    return architecture_of(base if name is None else name, recipe.family)


def fit(
    recipe: Recipe, architecture: Architecture, pod: Pod, artifacts: Path, *, pods: list[Pod],
    sampling: Sampling | None = None, progress: Progress = silent,
) -> Fit:  # fmt: skip
    """Predict a recipe on a pod and, where it does not fit, look for changes and for a pod.

    Args:
        recipe: what is trained.
        architecture: of its base.
        pod: where.
        artifacts: folder for data; predictions are kept in it.
        pods: kinds to choose from.
        sampling: how pictures are drawn.
        progress: called while something is traced.

    Raises:
        InputError: the base cannot be built, or a size is absurd.
    """
    if recipe.device == "cpu":
        # Where a pod is asked about, its GPU is meant; and what needs one may then be advised.
        recipe = recipe.model_copy(update={"device": "cuda"})
    asked = question(architecture, recipe, pod.gpu, sampling)
    prediction = predict(asked, pod.gpu, artifacts, progress)
    limit, missing = limit_bytes(pod.gpu), tuple(unmodelled(recipe))
    changes: list[Change] = []
    room = prediction.room("training", limit)
    if not missing and prediction.training.reserved_bytes > room:
        def reserved(changed: Recipe) -> int:
            return predict_part(question(architecture, changed, pod.gpu, sampling), "training", pod.gpu, artifacts,
                                progress).reserved_bytes

        changes = changes_that_fit(recipe, room, reserved)
    sampling_changes: list[Change] = []
    room = prediction.room("sampling", limit)
    if not missing and prediction.sampling is not None and prediction.sampling.reserved_bytes > room:
        def drawn(changed: Sampling) -> int:
            return predict_part(question(architecture, recipe, pod.gpu, changed), "sampling", pod.gpu, artifacts,
                                progress).reserved_bytes

        sampling_changes = sampling_changes_that_fit(asked.sampling, room, drawn)
    smallest = None if missing else _smallest(recipe, architecture, prediction, pods, artifacts, sampling, progress)
    return Fit(recipe, pod, prediction, limit, missing, tuple(changes), tuple(sampling_changes), smallest)


def fit_inputs(inputs: "Inputs", pod: Pod) -> Fit:
    """Answer for what a gate was given: its recipe or the persona's, and sampling as the persona says.

    Raises:
        InputError: recipe, persona or base cannot be read, or a size is absurd.
    """
    from lifeos.lora.recipe import read_recipe
    from lifeos.persona import load_persona
    from lifeos.pods.spec import list_pods

    persona = load_persona(inputs.persona, inputs.project.root)
    path = inputs.recipe or persona.recipe
    recipe = read_recipe(path)
    sampling = sampling_of(persona) if persona.family == recipe.family else Sampling()
    return fit(recipe, read_architecture(path, recipe), pod, inputs.artifacts, pods=list_pods(), sampling=sampling)


def sampling_of(persona: "Persona") -> Sampling:
    """Return how the images of a persona are drawn: its sampler's own batch, set B encoded with the empty prompt.

    What an image server takes of the same GPU is not known: it is predicted as if diffusers drew there.
    """
    drawn = persona.sampler
    device = drawn.device if drawn.backend == DIFFUSERS else "cuda"
    return Sampling(drawn.width, drawn.height, drawn.guidance, drawn.name, drawn.dtype, drawn.batch,
                    len(persona.prompts_b) + 1, drawn.vae_dtype, drawn.vae_tiling, drawn.vae_slicing, device)


def memory_verdict(judged: Callable[[], Fit]) -> Verdict:
    """Passed when training, and sampling where the GPU draws, are predicted to fit the pod, context and headroom too.

    Failed with the cheapest changes that make it fit, each predicted, and the smallest pod that fits as is. Not
    evaluated: recipe, base or pod cannot be read, or the recipe asks for what no prediction holds.

    Args:
        judged: answers.
    """
    try:
        found = judged()
    except InputError as error:
        return not_evaluated(str(error))
    if found.fits is None:
        return not_evaluated(f"memory on {found.pod.name}: {'; '.join(found.missing)}, which is in no prediction; "
                             "next: drop it from the recipe, or measure on the pod")
    reason = "; ".join([summary(found), *advice(found)])
    value, threshold = round(found.prediction.reserved_bytes / GIB, 3), round(found.limit / GIB, 3)
    source = f"pod:{found.pod.name}"
    return (passed if found.fits else failed)(reason, value=value, threshold=threshold, threshold_source=source)


def summary(found: Fit) -> str:
    """Return one line: what is predicted to be reserved, against which limit, measured or not."""
    training, sampling = found.prediction.training, found.prediction.sampling
    drawn = "nothing, which the processor does" if sampling is None else f"{sampling.reserved_bytes / GIB:.2f} GiB"
    beside = " beside it, for its looks," if found.prediction.beside and sampling is not None else ""
    return (f"training reserves {training.reserved_bytes / GIB:.2f} GiB and sampling {drawn}{beside} (predicted, "
            f"unmeasured) of {found.limit / GIB:.2f} GiB that {found.pod.gpu.name} leaves")


def advice(found: Fit) -> list[str]:
    """Return what to do about a recipe that does not fit, one line each; empty where it fits or nothing is claimed."""
    if found.fits is not False:
        return []
    lines = [change_line(change) for change in found.changes]
    if found.prediction.beside and found.prediction.sampling is not None:
        lines.append('looks are drawn while training holds its memory: without sample_every, or with device = "cpu" in '
                     "[sampler], one need not fit beside the other")
    if "training" in found.exceeding and not found.changes:
        lines.append("no change of the recipe that is known here makes training fit")
    if "sampling" in found.exceeding:
        lines += [f"[sampler] {change_line(change)}" for change in found.sampling_changes] or [
            "no change of the sampler that is known here makes sampling fit: draw smaller pictures"]
    pod = found.smallest_pod
    lines.append("no pod kind fits it as it is" if pod is None else f"smallest pod that fits it as it is: {pod}")
    return lines


def change_line(change: Change) -> str:
    """Return one change with its saving."""
    return f"{change.edit} (saves {change.saves_bytes / GIB:.2f} GiB)"


def out_of_memory_advice(
    recipe: Recipe, available_bytes: int, artifacts: Path, capability: tuple[int, int] = (8, 0)
) -> list[str]:
    """Return the cheapest changes with which training fits, one line each, for whoever ran out of memory.

    Args:
        recipe: what was trained, its base a folder.
        available_bytes: memory of the GPU that the process can have in all, without what others hold.
        artifacts: folder for data; predictions are kept in it.
        capability: of the GPU.

    Raises:
        InputError: the base has no configs, or nothing can be predicted of the recipe.
    """
    from lifeos.pods.spec import load_gpus

    missing = unmodelled(recipe)
    if missing:
        return [f"nothing is predicted: {'; '.join(missing)}"]
    like = next(gpu for gpu in load_gpus().values() if gpu.bf16)
    gpu = like.model_copy(update={"capability": capability, "bf16": capability >= (8, 0)})
    architecture = architecture_of(recipe.base, recipe.family)
    limit = int((available_bytes - CONTEXT_BYTES) / (1.0 + HEADROOM))

    def reserved(changed: Recipe) -> int:
        return predict_part(question(architecture, changed, gpu), "training", gpu, artifacts).reserved_bytes

    changes = changes_that_fit(recipe, limit, reserved)
    lines = [change_line(change) for change in changes] or ["no change of the recipe that is known here makes it fit"]
    return lines + (["looks that the GPU draws are not counted"] if recipe.sample_every is not None else [])


def _smallest(
    recipe: Recipe, architecture: Architecture, prediction: Prediction, pods: list[Pod], artifacts: Path,
    sampling: Sampling | None, progress: Progress,
) -> str | None:  # fmt: skip
    for pod in sorted(pods, key=lambda each: (each.gpu.memory_mib, each.price_per_hour, each.name)):
        limit = limit_bytes(pod.gpu)
        # Without bfloat16 it takes at least as much; what is too little for the one need not be traced for the other.
        if prediction.reserved_bytes > limit or (recipe.dtype == "bfloat16" and not pod.gpu.bf16):
            continue
        asked = question(architecture, recipe, pod.gpu, sampling)
        if predict(asked, pod.gpu, artifacts, progress).reserved_bytes <= limit:
            return pod.name
    return None
