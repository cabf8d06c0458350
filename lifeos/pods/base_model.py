"""Whether the base model can be had and kept on a pod: a folder that travels with the checkout, or a hub repository."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.lora.families.base_location import HUB_PREFIX, hub_name, require_base
from lifeos.pods.spec import Pod

if TYPE_CHECKING:
    from lifeos.inputs import Inputs

GIB = 1024**3
ENVIRONMENT_GIB = 12.0
"""Assumed for Python packages, CUDA libraries included, on the pod's own disk."""
OUTPUTS_GIB = 5.0
"""Assumed for checkpoints, cached latents and samples, beside the base."""
# Weights that diffusers loads lie in the components' folders; what lies beside model_index.json is another format.
_LOADED = re.compile(r"(model_index\.json|[\w-]+/[\w.-]+\.(safetensors|json|txt|model))")
_VARIANT = re.compile(r"\.(fp16|bf16|non_ema|ema_only)[.-]")
_POINTER = b"version https://git-lfs"


class HubProblemError(Exception):
    """The hub said no: no such repository, or no access to a gated one."""


class HubUnreachableError(Exception):
    """The hub could not be asked."""


@dataclass(frozen=True)
class HubRepository:
    """What the hub says of a repository: whether a licence guards it, and its files with their bytes."""

    gated: bool
    files: dict[str, int]


class Hub(Protocol):
    """What is asked of a model hub; the token never leaves it."""

    def has_token(self) -> bool:
        """Return whether a token is at hand."""

    def repository(self, name: str, revision: str | None) -> HubRepository:
        """Describe a repository.

        Raises:
            HubProblemError: there is none of that name or revision.
            HubUnreachableError: no answer.
        """

    def check_access(self, name: str) -> None:
        """Ask whether the token at hand may download a gated repository.

        Raises:
            HubProblemError: it may not.
            HubUnreachableError: no answer.
        """


@dataclass(frozen=True)
class BaseFound:
    """A base that is there: how it is named, its bytes, and what the pod must be given for it."""

    name: str
    size: int
    note: str = ""


def named_bases(inputs: "Inputs") -> list[str | Path]:
    """Return the bases that a run loads: ``hub:OWNER/NAME`` as written, or a folder.

    Raises:
        InputError: persona or recipe cannot be read, or a base that the recipe names is nowhere.
    """
    from lifeos.persona import load_persona

    persona = load_persona(inputs.persona, inputs.project.root)
    bases: list[str | Path] = []
    if inputs.lora is None and inputs.images is None:
        from lifeos.lora.recipe import find_base, read_recipe

        path = inputs.recipe or persona.recipe
        named = read_recipe(path).base
        written = named.as_posix()
        bases.append(written if written.startswith(HUB_PREFIX)
                     else find_base(path, named, inputs.project.root).resolve())
    if inputs.images is None:
        written = persona.base_written
        bases.append(written if written.startswith(HUB_PREFIX) else persona.base.resolve())
    return list(dict.fromkeys(bases))


def base_verdict(bases: Callable[[], list[str | Path]], pod: Callable[[], Pod], hub: Hub) -> Verdict:
    """Passed when every base is whole or may be downloaded, and fits the pod's storage beside what else lies there.

    Failed: a folder is incomplete, the hub knows no such repository, a gated one and no token that opens it, or it does
    not fit. Not evaluated: something cannot be read, or the hub cannot be asked.
    """
    try:
        rented, named = pod(), bases()
    except InputError as error:
        return not_evaluated(str(error))
    if not named:
        return passed("finished images are judged: no base is loaded")
    found = []
    for base in named:
        try:
            found.append(_hub_base(base, hub) if isinstance(base, str) else folder_base(base))
        except HubUnreachableError as error:
            return not_evaluated(f"{base}: the hub cannot be asked ({error}); next: run again with a network")
        except (HubProblemError, InputError) as error:
            return failed(str(error))
    needed = sum(base.size for base in found) / GIB
    room, where = storage(rented)
    names = ", ".join(f"{base.name} ({base.size / GIB:.2f} GiB{base.note})" for base in found)
    reason = f"{names} on {where} of pod {rented.name}, {max(room, 0):.0f} GiB left for it"
    if needed > room:
        return failed(f"{reason}: too little; next: a larger volume_gib", value=round(needed, 3), threshold=room)
    return passed(reason, value=round(needed, 3), threshold=room, threshold_source=f"pod:{rented.name}")


def storage(pod: Pod) -> tuple[float, str]:
    """Return the GiB that a base may take, and where: the volume, or what packages leave of the pod's own disk."""
    if pod.volume_gib > 0:
        return pod.volume_gib - OUTPUTS_GIB, "the volume"
    return pod.disk_gib - ENVIRONMENT_GIB - OUTPUTS_GIB, "the disk"


def folder_base(folder: Path) -> BaseFound:
    """Look at a diffusers folder without loading it: index, each component's folder, weights that are no stubs.

    Raises:
        InputError: it is absent or incomplete.
    """
    require_base(folder)
    index = folder / "model_index.json"
    try:
        named = json.loads(index.read_text(encoding="utf-8"))
        components = sorted(name for name, value in named.items() if isinstance(value, list) and value and value[0])
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}: accepted a base with model_index.json, got none that can be read; "
                         "next: fetch the base again") from error
    files = [index]
    for component in components:
        inside = sorted(path for path in (folder / component).glob("*") if path.is_file())
        if not inside:
            raise InputError(f"{folder}: accepted a component {component} as model_index.json names it, got none; "
                             "next: fetch the base again")
        files += inside
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights:
        raise InputError(f"{folder}: accepted safetensors weights, got none; next: fetch the base again")
    for path in weights:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise InputError(f"{path}: accepted weights, got a git-lfs pointer; next: git lfs pull")
    return BaseFound(folder.name, sum(path.stat().st_size for path in files))


def loaded_bytes(files: dict[str, int]) -> int:
    """Add up what diffusers downloads of a repository: the components' safetensors, without half-size variants."""
    return sum(size for name, size in files.items() if _LOADED.fullmatch(name) and not _VARIANT.search(name))


def _hub_base(written: str, hub: Hub) -> BaseFound:
    named = hub_name(written)
    if named is None:
        raise InputError(f"base: accepted hub:OWNER/NAME or hub:OWNER/NAME@REVISION, got {written!r}; "
                         "next: correct base")
    name = named.repository
    repository = hub.repository(name, named.revision)
    if repository.gated:
        if not hub.has_token():
            raise InputError(f"{name}: accepted a token, since a licence guards this repository, got none; "
                             "next: accept the licence on its page and set HF_TOKEN")
        hub.check_access(name)
    size = loaded_bytes(repository.files)
    if size == 0 or "model_index.json" not in repository.files:
        raise InputError(f"{name}: accepted a diffusers repository with safetensors weights, got none; "
                         "next: name another base")
    return BaseFound(name, size, "; gated: set HF_TOKEN on the pod too" if repository.gated else "")


class HuggingFaceHub:
    """The real hub, through its own client; imported on the first question."""

    seconds = 10.0

    def has_token(self) -> bool:
        """See ``Hub.has_token``: the variable HF_TOKEN or the client's own file."""
        from huggingface_hub import get_token

        return get_token() is not None

    def repository(self, name: str, revision: str | None) -> HubRepository:
        """See ``Hub.repository``."""
        from huggingface_hub import HfApi

        info: Any = self._ask(lambda: HfApi().model_info(name, revision=revision, files_metadata=True,
                                                         timeout=self.seconds), name)
        files = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
        return HubRepository(bool(info.gated), files)

    def check_access(self, name: str) -> None:
        """See ``Hub.check_access``."""
        from huggingface_hub import HfApi

        self._ask(lambda: HfApi().auth_check(name), name)

    def _ask(self, question: Callable[[], Any], name: str) -> Any:
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        # The client's own messages carry addresses and headers; only the kind of error is passed on.
        try:
            return question()
        except GatedRepoError as error:
            raise HubProblemError(f"{name}: accepted a token whose owner accepted the licence, got another; "
                                  "next: accept the licence on the repository's page") from error
        except RepositoryNotFoundError as error:
            raise HubProblemError(f"{name}: accepted a repository of the hub, got a name it does not know or does "
                                  "not show without a token; next: check the name, set HF_TOKEN") from error
        except RevisionNotFoundError as error:
            raise HubProblemError(f"{name}: accepted a revision that exists, got another; next: check it") from error
        except Exception as error:
            raise HubUnreachableError(type(error).__name__) from error
