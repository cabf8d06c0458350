"""A persona folder: who is trained, on what base, with which prompts, and how the result is rendered."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError
from lifeos.lora.backends.image_server import ImageServer
from lifeos.lora.families.base_location import locate_base
from lifeos.lora.sample_plan import BATCH_SIZE, VaeDtype
from lifeos.processor import ComputeDtype, resolve_dtype
from lifeos.settings import Settings, load_project, project_root, read_toml, validation_line

PERSONA_FILE = "persona.toml"
NO_CHAMPION = "none"

_Text = Annotated[str, Field(min_length=1)]
_Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prompt(_Strict):
    """One prompt; ``text`` may hold ``{trigger}`` and ``{class}``."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$")]
    text: _Text

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> "Prompt":
        unknown = set(re.findall(r"{([^}]*)}", self.text)) - {"trigger", "class"}
        if unknown:
            raise ValueError(f"text knows {{trigger}} and {{class}}, but got {{{sorted(unknown)[0]}}}")
        return self


class ServerModels(_Strict):
    """What an image server calls the base, where neither its hash nor its file name leads there."""

    checkpoint: _Text | None = None


class Sampler(_Strict):
    """How an image is rendered: sampler, steps, guidance scale, size in pixels, arithmetic, factor on the LoRA.

    ``backend`` is who draws it; ``server`` says how the other backends than diffusers name the models.
    ``device``, ``vae_dtype``, ``vae_tiling``, ``vae_slicing`` and ``batch`` are those of
    ``lora.sample_plan.SamplePlan``.
    """

    name: _Text
    steps: Annotated[int, Field(ge=1, le=1000)]
    guidance: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
    width: Annotated[int, Field(ge=64, le=4096, multiple_of=8)]
    height: Annotated[int, Field(ge=64, le=4096, multiple_of=8)]
    dtype: ComputeDtype = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    strength: Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)] = 1.0
    backend: Literal["diffusers", "comfyui", "a1111"] = "diffusers"
    server: ServerModels = ServerModels()
    vae_dtype: VaeDtype = "float32"
    vae_tiling: Annotated[bool, Field(strict=True)] = False
    vae_slicing: Annotated[bool, Field(strict=True)] = False
    batch: Annotated[int, Field(ge=1, le=1024, strict=True)] = BATCH_SIZE

    @model_validator(mode="after")
    def _server_has_its_own_device(self) -> "Sampler":
        if self.backend != "diffusers" and self.device == "cuda":
            raise ValueError(f"device is for diffusers, and {self.backend} draws where it was started; drop device")
        return self


class Seeds(_Strict):
    """Seeds of prompt set A (for choosing) and B (for release)."""

    a: Annotated[list[_Seed], Field(min_length=1)]
    b: Annotated[list[_Seed], Field(min_length=1)]


class SecondFaceModels(_Strict):
    """Face models that are asked whether they agree with those that judge, and the folder that holds their weights."""

    backend: _Text
    folder: _Text


class FaceModels(_Strict):
    """Which face models judge, and the folder that holds their weights; ``second`` ones only agree or disagree."""

    backend: _Text
    folder: _Text
    second: SecondFaceModels | None = None


class LanguageModel(_Strict):
    """Folder of a CLIP model (transformers layout, safetensors) that says how well images fit their prompts."""

    folder: _Text


class _PersonaFile(_Strict):
    name: _Text
    trigger: Annotated[str, Field(pattern=r"^\S+$")]
    class_word: _Text
    base: _Text
    family: _Text
    recipe: _Text = "recipe.toml"
    prompts: _Text = "prompts.toml"
    champion: _Text = NO_CHAMPION
    far: Annotated[float, Field(gt=0, lt=1)]
    sampler: Sampler
    seeds: Seeds
    face: FaceModels
    clip: LanguageModel | None = None


class _PromptsFile(_Strict):
    a: list[Prompt] = []
    b: Annotated[list[Prompt], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "_PromptsFile":
        ids = [prompt.id for prompt in [*self.a, *self.b]]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"every prompt id stands once, but {repeated[0]} is repeated")
        return self


class Persona(_Strict):
    """A loaded persona; every path is resolved.

    ``base`` and the folders of face models and CLIP are relative to the root of the checkout (several personas share
    them); recipe, prompts and champion are relative to the persona's folder. ``base`` is the folder that is loaded,
    also of a hub id or a single file, and ``base_written`` what the file says; one that is not here is refused when
    it is read. ``image_server`` is where the settings say that the sampler's backend is reached; None for diffusers.
    """

    folder: Path
    name: str
    trigger: str
    class_word: str
    base: Path
    base_written: str
    family: str
    recipe: Path
    prompts: Path
    champion: str
    far: float
    sampler: Sampler
    seeds: Seeds
    face_backend: str
    face_folder: Path
    second_backend: str | None = None
    second_folder: Path | None = None
    clip_folder: Path | None = None
    prompts_a: list[Prompt]
    prompts_b: list[Prompt]
    image_server: ImageServer | None = None

    @property
    def dataset(self) -> Path:
        """Folder of the captioned training images."""
        return self.folder / "dataset"

    @property
    def references(self) -> Path:
        """Folder of the held-out images that the judge measures against."""
        return self.folder / "references"

    @property
    def calibration(self) -> Path:
        """File with floor, ceiling and bands."""
        return self.folder / "calibration.json"

    @property
    def champion_file(self) -> Path | None:
        """The promoted LoRA, or None for a first release."""
        return None if self.champion == NO_CHAMPION else self.folder / self.champion

    def drawing(self) -> dict[str, Any]:
        """Return what the persona decides of a ``SamplePlan``: all but prompts, seeds and strength."""
        drawn = self.sampler
        return {
            "sampler": drawn.name, "steps": drawn.steps, "guidance": drawn.guidance, "width": drawn.width,
            "height": drawn.height, "dtype": resolve_dtype(drawn.dtype, drawn.device), "family": self.family,
            "device": drawn.device, "backend": drawn.backend, "server": self.image_server,
            "vae_dtype": drawn.vae_dtype, "vae_tiling": drawn.vae_tiling, "vae_slicing": drawn.vae_slicing,
            "batch": drawn.batch,
        }  # fmt: skip

    def fill(self, prompt: Prompt) -> str:
        """Return the prompt's text with trigger and class word in place."""
        return prompt.text.replace("{trigger}", self.trigger).replace("{class}", self.class_word)

    def fill_without_trigger(self, prompt: Prompt) -> str:
        """Return the prompt's text with the class word alone: what the base is asked for without a LoRA."""
        return " ".join(prompt.text.replace("{trigger}", "").replace("{class}", self.class_word).split())


def load_persona(folder: Path, root: Path | None = None) -> Persona:
    """Read ``persona.toml`` and the prompts it names.

    Args:
        folder: the persona's folder.
        root: what ``base`` and the face models' folder are relative to; default the checkout.

    Raises:
        InputError: folder or file missing, no TOML, an unknown key, a value out of range, a repeated prompt id, or the
            settings below ``root`` cannot be read.
    """
    folder, root = Path(folder), project_root() if root is None else Path(root)
    if not folder.is_dir():
        raise InputError(f"{folder}: accepted a persona folder, got none there; next: lifeos settings")
    path = folder / PERSONA_FILE
    values = _validated(_PersonaFile, path)
    prompts = _validated(_PromptsFile, folder / values.prompts)
    second = values.face.second
    project = load_project(root)
    return Persona(
        folder=folder,
        base=locate_base(Path(values.base), [root], project.path("artifacts")),
        base_written=values.base,
        recipe=folder / values.recipe,
        prompts=folder / values.prompts,
        face_backend=values.face.backend,
        face_folder=root / values.face.folder,
        second_backend=None if second is None else second.backend,
        second_folder=None if second is None else root / second.folder,
        clip_folder=None if values.clip is None else root / values.clip.folder,
        prompts_a=prompts.a,
        prompts_b=prompts.b,
        **values.model_dump(exclude={"base", "recipe", "prompts", "face", "clip", "sampler", "seeds"}),
        sampler=values.sampler,
        seeds=values.seeds,
        image_server=_image_server(values.sampler, project.settings),
    )


def _image_server(sampler: Sampler, settings: Settings) -> ImageServer | None:
    if sampler.backend == "diffusers":
        return None
    return ImageServer(
        settings.sampling_server, sampler.server.checkpoint,
        timeout_seconds=settings.sampling_server_timeout_seconds,
        known_answer=settings.sampling_known_answer == "always",
    )  # fmt: skip


def _validated(model: type[_Model], path: Path) -> _Model:
    raw: dict[str, Any] = read_toml(path)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error
