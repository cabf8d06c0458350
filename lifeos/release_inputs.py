"""What a release depends on, hashed before anything heavy is imported: equal content gives an equal run folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from evals.content_hash import hash_file, hash_folder, hash_json
from lifeos.errors import InputError
from lifeos.inputs import Inputs, champion_file
from lifeos.persona import Persona, load_persona
from lifeos.settings import project_root

# Packages whose version may move a pixel or a number.
_PACKAGES = (
    "torch", "diffusers", "transformers", "peft", "safetensors", "numpy", "scipy", "scikit-image", "pillow",
    "onnxruntime", "opencv-python-headless", "insightface", "prodigyopt",
)  # fmt: skip


@dataclass(frozen=True)
class ReleaseInputs:
    """One release, described.

    Args:
        source: ``recipe``, ``lora`` or ``images``: where what is judged comes from.
        request: JSON for the child: paths.
        content: hashes of everything the result depends on.
    """

    source: str
    request: dict[str, Any]
    content: dict[str, Any]

    @property
    def key(self) -> str:
        """SHA-256 over ``content``: names the run folder."""
        return hash_json(self.content)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.request["artifacts"]) / "runs" / f"release-{self.key[:32]}"


def describe(inputs: Inputs, engine: ModuleType) -> ReleaseInputs:
    """Read and hash what a release of these inputs depends on.

    Args:
        inputs: the declared inputs.
        engine: the module that trains, inspects and samples.

    Raises:
        InputError: persona, recipe, base, policy, face models or images cannot be read. A missing calibration is none:
            the gates that need it will not be evaluated.
    """
    from evals.clip_score_eval import clip_hash
    from lifeos.expressions import reader_of
    from lifeos.lora.families import base_hash
    from lifeos.second_faces import second_hash
    from lifeos.training_watch.inputs import WatchInputs

    persona = load_persona(inputs.persona, inputs.project.root)
    champion = champion_file(inputs)
    recipe = None if inputs.lora or inputs.images else inputs.recipe or persona.recipe
    source = "lora" if inputs.lora else "images" if inputs.images else "recipe"
    training_images = [persona.dataset]
    watch = WatchInputs(inputs.persona, inputs.project.root, inputs.policy)
    if recipe is not None and engine.training_images(recipe).resolve() != persona.dataset.resolve():
        training_images.append(engine.training_images(recipe))
    content: dict[str, Any] = {
        "source": source,
        "engine": engine.IDENTITY,
        "lora": None if inputs.lora is None else hash_file(inputs.lora),
        "training": None if recipe is None else engine.training_hash(recipe, watch),
        "images": None if inputs.images is None else hash_folder(inputs.images, "*"),
        "base": base_hash(persona.base),
        "plan": release_plan(persona).content_hash,
        "references": hash_folder(persona.references, "*"),
        "training_images": [hash_folder(folder) for folder in training_images],
        "policy": hash_file(inputs.policy),
        "calibration": hash_file(persona.calibration) if persona.calibration.exists() else None,
        "faces": [persona.face_backend, hash_folder(persona.face_folder, "**/*.onnx")],
        "second_faces": second_hash(persona),
        "clip": None if persona.clip_folder is None else clip_hash(persona.clip_folder),
        "expressions": None if (reader := reader_of(persona.base)) is None else reader.sha256,
        "champion": None if champion is None else hash_file(champion),
        "code": source_hash(project_root()),
        "packages": package_versions(),
    }
    request = {
        "source": source,
        "engine": engine.__name__,
        "root": str(inputs.project.root),
        "persona": str(inputs.persona),
        "lora": None if inputs.lora is None else str(inputs.lora),
        "recipe": None if recipe is None else str(Path(recipe).absolute()),
        "images": None if inputs.images is None else str(inputs.images),
        "training_images": [str(folder.absolute()) for folder in training_images],
        "policy": str(inputs.policy),
        "champion": None if champion is None else str(champion),
        "artifacts": str(inputs.artifacts),
        "content": content,
    }
    return ReleaseInputs(source, request, content)


def release_plan(
    persona: Persona,
    prompts: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    strength: float | None = None,
) -> Any:
    """Return the ``SamplePlan`` of prompt set B, or of some of its prompts (by id) and seeds.

    ``strength`` is the factor on the LoRA; None is the persona's own.
    """
    from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan

    chosen = [prompt for prompt in persona.prompts_b if prompts is None or prompt.id in prompts]
    return SamplePlan(
        prompts=tuple(PlannedPrompt(prompt.id, persona.fill(prompt)) for prompt in chosen),
        seeds=tuple(persona.seeds.b if seeds is None else seeds),
        strength=persona.sampler.strength if strength is None else strength,
        **persona.drawing(),
    )


def release_domain(persona: Persona, base: str, size: Sequence[int]) -> dict[str, Any]:
    """Return what images come from, as a calibration is bound to it.

    Args:
        persona: sampler settings are its own.
        base: content hash of the base (``lifeos.lora.families.base_hash``).
        size: (width, height) of the images in pixels.
    """
    drawn = persona.sampler
    # Left out where they are as usual: a calibration made before there was a choice holds on.
    unusual: dict[str, Any] = {} if drawn.vae_dtype == "float32" else {"vae_dtype": drawn.vae_dtype}
    unusual |= {"vae_tiling": True} if drawn.vae_tiling else {}
    unusual |= {} if drawn.device == "cpu" else {"device": drawn.device}
    return {
        "base": base,
        "width": int(size[0]),
        "height": int(size[1]),
        "sampler": persona.sampler.name,
        "steps": persona.sampler.steps,
        "guidance": persona.sampler.guidance,
        "dtype": persona.sampler.dtype,
        # Calibrations from before there were others say nothing of who drew.
        **({} if persona.sampler.backend == "diffusers" else {"backend": persona.sampler.backend}),
        **unusual,
    }


def repeated_part(prompts: Sequence[str], seeds: Sequence[int], share: float = 0.02) -> tuple[list[str], list[int]]:
    """Choose what is rendered twice: at least two images and at least ``share`` of all, spread over the prompts.

    Returns:
        Prompt ids and seeds; their product is what is repeated.
    """
    wanted = max(2, math.ceil(share * len(prompts) * len(seeds)))
    some_seeds = list(seeds)[: min(len(seeds), wanted)]
    count = math.ceil(wanted / len(some_seeds))
    step = max(1, len(prompts) // count)
    return [prompts[index] for index in range(0, len(prompts), step)][:count], some_seeds


def source_hash(root: Path) -> str:
    """Return one SHA-256 over the source of both packages: another judge is another judgement."""
    return hash_json([hash_folder(root / package, "**/*.py") for package in ("evals", "lifeos")])


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that may move a result; ``absent`` where one is not installed."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return versions


def load_engine(name: str | None) -> ModuleType:
    """Return the engine module; None is the real one.

    Raises:
        InputError: there is no such module.
    """
    from importlib import import_module

    try:
        return import_module(name or "lifeos.engine")
    except ImportError as error:
        raise InputError(f"--release-engine: accepted a module, got {name!r} ({error}); next: drop it") from error
