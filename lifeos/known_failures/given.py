"""What a run handed in, each thing opened once, by whichever detector asks for it first."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import InputError
from lifeos.inputs import Inputs
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from packaging.version import Version

    from lifeos.finished_images import FinishedImage
    from lifeos.known_failures.samples import Samples
    from lifeos.lora.dataset_lint.lint import DatasetLint
    from lifeos.lora.families import Shape
    from lifeos.lora.lora_file import LoraFile
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.training_text import TrainingText
    from lifeos.lora.weights import WeightsReport
    from lifeos.persona import Persona
    from lifeos.pods.asked_set import AskedSet
    from lifeos.pods.dependencies import DependencyReport
    from lifeos.pods.probe.gates import PodMachine
    from lifeos.pods.spec import Pod
    from lifeos.release import Release
    from lifeos.settings import Settings


@dataclass(frozen=True)
class Given:
    """The inputs of one run as detectors see them: a detector's parameters are names of what stands here.

    Every property raises ``InputError`` where its thing cannot be read.

    Args:
        inputs: the declared inputs.
        offline: ask no package index.
        release: gives the walked release; None measures the finished images that were handed in.
        recorded_rows: image rows that were written down, instead of images.
        on: the machine of phase pod; default: this one.
        progress: called with (stage, done, total) while images are looked at.
    """

    inputs: Inputs
    offline: bool = False
    release: "Callable[[], Release] | None" = None
    recorded_rows: Path | None = None
    on: "PodMachine | None" = None
    progress: Progress = field(default=silent)

    @cached_property
    def pod(self) -> "Pod":
        """The kind of pod that was named."""
        from lifeos.pods.spec import load_pod

        if not self.inputs.pod:
            raise InputError("--pod: accepted a kind of pod, got none; next: lifeos pods")
        return load_pod(self.inputs.pod, self.inputs.project.root)

    @property
    def declared_pod(self) -> "Pod | None":
        """The kind of pod that was named; None where none was."""
        return self.pod if self.inputs.pod else None

    @property
    def settings(self) -> "Settings":
        """What ``lifeos.toml`` says."""
        return self.inputs.project.settings

    @cached_property
    def requirements(self) -> "DependencyReport":
        """What the pod would install, judged for that pod."""
        from lifeos.pods.dependencies import judge_dependencies, judged_file

        path = judged_file(self.inputs.requirements, self.pod.name)
        cache = self.inputs.artifacts / "pods"
        return judge_dependencies(path, self.pod, cache=cache, offline=self.offline, search=False)

    @cached_property
    def asked(self) -> "AskedSet":
        """The lines of the requirements file, for the pod's Python; without a pod for this one."""
        from lifeos.pods.asked_set import read_asked

        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        return read_asked(self.inputs.requirements, self.pod.python if self.inputs.pod else own)

    @cached_property
    def persona(self) -> "Persona":
        """The persona."""
        from lifeos.persona import load_persona

        return load_persona(self.inputs.persona, self.inputs.project.root)

    @cached_property
    def recipe_file(self) -> Path:
        """The recipe that was named, or the persona's own."""
        return self.inputs.recipe or self.persona.recipe

    @cached_property
    def recipe(self) -> "Recipe":
        """The recipe; folders as it writes them."""
        from lifeos.lora.recipe import read_recipe

        return read_recipe(self.recipe_file)

    @cached_property
    def lint(self) -> "DatasetLint":
        """The persona's pictures and captions, looked at by ``lifeos lint-dataset``."""
        from lifeos.lora.dataset_lint.command import lint_persona

        return lint_persona(self.persona, self.inputs.artifacts, recipe=self.inputs.recipe, progress=self.progress)

    @cached_property
    def weights(self) -> "WeightsReport":
        """The LoRA file, held against the persona's base."""
        from lifeos.lora.families import get_family
        from lifeos.lora.weights import inspect_lora

        return inspect_lora(self._lora_file, self.persona.base, get_family(self.persona.family))

    @cached_property
    def lora(self) -> "LoraFile":
        """The LoRA file, every tensor read."""
        from lifeos.lora.families import get_family
        from lifeos.lora.lora_file import read_lora

        family = get_family(self.persona.family)
        return read_lora(self._lora_file, family, self.base_modules)

    @cached_property
    def base_modules(self) -> "Mapping[str, Shape]":
        """``component.module`` of the persona's base to the shape of its weight."""
        from lifeos.lora.families import get_family

        return get_family(self.persona.family).modules(self.persona.base)

    @property
    def pod_version(self) -> "Callable[[str], Version | None]":
        """Gives the version of a package on the pod, as pinned, else as it resolves; None where no pod was named."""

        def version(package: str) -> "Version | None":
            if not self.inputs.pod:
                return None
            pinned = next((one.pinned for one in self.asked.asked if one.name == package), None)
            if pinned is None and not self.requirements.packages:
                raise InputError(self.requirements.verdict.reason)
            found = self.requirements.packages.get(package) if pinned is None else None
            return pinned if found is None else found.version

        return version

    @cached_property
    def finished_images(self) -> "Sequence[FinishedImage]":
        """The finished images that were handed in, not opened; none where a LoRA is judged."""
        from lifeos.finished_images import read_images

        return [] if self.inputs.images is None else read_images(self.inputs.images)

    @cached_property
    def log(self) -> "TrainingText":
        """The training log that was named, whichever trainer wrote it."""
        from lifeos.lora.training_text import read_training_text

        if self.inputs.training_log is None:
            raise InputError("--training-log: accepted a training log, got none; next: name the file")
        return read_training_text(self.inputs.training_log)

    @cached_property
    def samples(self) -> "Samples":
        """The images of the release, or those that were handed in, measured and judged."""
        from lifeos.known_failures.samples import measured_samples, recorded_samples, released_samples

        if self.recorded_rows is not None:
            return recorded_samples(self.recorded_rows)
        return measured_samples(self.inputs) if self.release is None else released_samples(self.release(), self.inputs)

    @cached_property
    def machine(self) -> "PodMachine":
        """The machine of phase pod."""
        from lifeos.pods.probe.gates import PodMachine

        return self.on or PodMachine()

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """Environment variables of the machine."""
        return self.machine.variables

    @cached_property
    def installed(self) -> Mapping[str, str]:
        """Canonical name to version of what is installed on the machine."""
        return self.machine.installed()

    @property
    def _lora_file(self) -> Path:
        if self.inputs.lora is None:
            raise InputError("--lora: accepted a LoRA file, got none; next: name the file")
        return self.inputs.lora
