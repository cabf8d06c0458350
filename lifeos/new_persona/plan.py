"""What a new persona will be called, trained on and judged with; decided and refused before a photograph is read."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.caption.scaffold import caption_of, check_caption
from lifeos.lora.families import get_family
from lifeos.lora.families.base_location import locate_base, refuse_base
from lifeos.new_persona.naming import choose_trigger, persona_name, tokenizers_of
from lifeos.new_persona.split import LEAST_REFERENCES
from lifeos.settings import load_project
from lifeos.skeleton import is_untouched

Size = tuple[int, int]

SHIPPED_BASE, SHIPPED_FACES, DEMO = "models/tiny-base", "models/faces", "personas/pistachio"
# A base that is elsewhere is none of tiny-base's size: that one ships.
_LEAST_FALLBACK = 512


@dataclass(frozen=True)
class Request:
    """What the user asked for; None and "" where the default decides.

    Args:
        photographs: folder of photographs.
        into: folder that the persona's folder is made in; None: ``personas/`` of the checkout.
        name: default the name of the folder of photographs.
        trigger: default made from the name.
        class_word: what the person is an instance of.
        base: base model: a folder, a converted single file, a hub id, or a name that is known elsewhere.
        family: family of the base.
        size: width, height that is trained and sampled; default what the base draws.
        references: how many photographs to hold out; default a quarter.
        seed: of the split.
        faces: whether photographs must show exactly one face.
        face_backend: the persona's face models.
        face_folder: where their weights lie.
    """

    photographs: Path
    into: Path | None = None
    name: str = ""
    trigger: str = ""
    class_word: str = "person"
    base: str = SHIPPED_BASE
    family: str = "tiny_base"
    size: Size | None = None
    references: int | None = None
    seed: int = 0
    faces: bool = True
    face_backend: str = "yunet_sface"
    face_folder: str = SHIPPED_FACES


@dataclass(frozen=True)
class PersonaPlan:
    """A request with every default filled in.

    Args:
        request: what was asked.
        folder: the persona's folder to be.
        name, trigger: as they will stand in ``persona.toml``.
        base, face_folder: as they will stand there: relative to the checkout where they lie in it.
        base_path: the folder or single file that ``base`` names, None where it is a hub id or not here.
        base_folder: what is loaded of it on this machine, None where it is not here.
        face_path: the face models on this machine.
        size: width, height that is trained and sampled.
        demo: the demo persona's settings where its base is taken; empty otherwise.
        notes: what the user should know of these choices.
    """

    request: Request
    folder: Path
    name: str
    trigger: str
    base: str
    base_path: Path | None
    base_folder: Path | None
    face_folder: str
    face_path: Path
    size: Size
    demo: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """The caption that every training image starts with."""
        return caption_of(self.trigger, self.request.class_word)


def plan_persona(request: Request, root: Path) -> PersonaPlan:
    """Fill in every default of a request and refuse what cannot become a persona.

    Args:
        request: what the user asked for.
        root: the checkout.

    Raises:
        InputError: no folder of photographs or to make it in, a name that is no folder name or is taken, a trigger or
            class word that the dataset lint would block, an unknown family, a size that the sampler does not take, or a
            number of references below 5.
    """
    if not request.photographs.is_dir():
        got = "a file" if request.photographs.exists() else "none there"
        raise InputError(f"{request.photographs}: accepted a folder of photographs, got {got}; next: check the path")
    name = persona_name(request.name or request.photographs.resolve().name)
    into = root / "personas" if request.into is None else request.into
    if not into.is_dir():
        raise InputError(f"--into {into}: accepted an existing folder, got none there; next: make it")
    folder = into / name
    if (folder.exists() or folder.is_symlink()) and not is_untouched(folder):
        raise InputError(f"{folder}: accepted a free name, got a folder there; next: --name, or move it away")
    if request.references is not None and request.references < LEAST_REFERENCES:
        raise InputError(
            f"--references: accepted {LEAST_REFERENCES} or more (the band of skin compares each with four others), "
            f"got {request.references}; next: leave it out"
        )
    family = get_family(request.family)
    base, base_path, base_folder = _place_base(request.base, root)
    tokenizers, notes = tokenizers_of(base_folder)
    trigger, said = choose_trigger(request.trigger, name, tokenizers)
    check_caption(trigger, request.class_word, tokenizers)
    face_folder, face_path = _place("--face-folder", request.face_folder, root)
    is_demo_base = base_folder is not None and base_folder.resolve() == (root / SHIPPED_BASE).resolve()
    fallback = max(_LEAST_FALLBACK, family.resolution_fallback)
    own_size = family.image_size(base_folder) if base_folder else (fallback, fallback)
    size = request.size or own_size
    if any(side < 64 or side > 4096 or side % 8 for side in size):
        raise InputError(
            f"--size: accepted sides of 64 to 4096 pixels, multiples of 8, got {size[0]}x{size[1]}; "
            "next: --size 512x512"
        )
    notes += said
    if base_folder is None and request.size is None:
        notes.append(f"size {size[0]} x {size[1]} is a guess: the base is not here to be asked; --size says another")
    demo = _demo_settings(root) if is_demo_base else {}
    return PersonaPlan(
        request, folder, name, trigger, base, base_path, base_folder, face_folder, face_path or root / face_folder,
        size, demo, tuple(notes),
    )  # fmt: skip


def _place_base(given: str, root: Path) -> tuple[str, Path | None, Path | None]:
    """Return a base as the persona will name it, what that names here, and the folder that is loaded."""
    base = locate_base(Path(given), [Path.cwd(), root], load_project(root).path("artifacts"))
    if base.is_file():
        refuse_base(base, "--base")
    named, path = _place("--base", given, root, files=True)
    return named, path, base if given and base.is_dir() else None


def _place(option: str, given: str, root: Path, *, files: bool = False) -> tuple[str, Path | None]:
    """Return a folder as the persona will name it, and where it lies here; None where it does not."""
    for candidate in (Path(given).absolute(), root / given):
        if given and (candidate.is_dir() or (files and candidate.is_file())):
            inside = candidate.resolve().is_relative_to(root.resolve())
            named = candidate.resolve().relative_to(root.resolve()) if inside else candidate
            return named.as_posix(), candidate
    if not given.strip():
        raise InputError(f"{option}: accepted a folder or a name, got nothing; next: leave it out")
    return given, None


def _demo_settings(root: Path) -> dict[str, Any]:
    """Return how the shipped base is best sampled and trained, as its demo says; empty where the demo is gone."""
    try:
        persona = tomllib.loads((root / DEMO / "persona.toml").read_text(encoding="utf-8"))
        recipe = tomllib.loads((root / DEMO / "recipe.toml").read_text(encoding="utf-8"))
        prompts = (root / DEMO / "prompts.toml").read_text(encoding="utf-8")
        return {"sampler": persona["sampler"], "seeds": persona["seeds"], "recipe": recipe, "prompts": prompts}
    except (OSError, ValueError, KeyError):
        return {}
