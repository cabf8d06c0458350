"""A base of the hub, brought into its cache: what a family loads of it, once, and nothing that holds a pickle."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.families.base_location import HubName
from lifeos.lora.families.component_files import require_whole
from lifeos.lora.families.weight_files import NEVER_LOADED, choose_weights, holds_weights, is_weight_file

_INDEX = "model_index.json"


def files_to_fetch(index: dict[str, Any], names: list[str]) -> list[str]:
    """Return which files of a repository a family may load: of each component one format and one precision.

    Args:
        index: its ``model_index.json``.
        names: every file of the repository, with ``/``.

    Raises:
        InputError: a component has no safetensors weights.
    """
    wanted = [_INDEX]
    for component, value in sorted(index.items()):
        if not (isinstance(value, list) and value and value[0]) or component in NEVER_LOADED:
            continue
        inside = [name.removeprefix(f"{component}/") for name in names if name.startswith(f"{component}/")]
        chosen = choose_weights(inside)
        if holds_weights(component) and chosen is None:
            raise InputError(f"base: accepted a repository with safetensors weights of {component}, got none; "
                             "next: name another repository")
        kept = () if chosen is None else (*chosen.files, chosen.index)
        wanted += [f"{component}/{name}" for name in inside if "/" not in name
                   and (name in kept or (name.endswith((".json", ".txt", ".model")) and not is_weight_file(name)))]
    return wanted


def fetch_base(name: HubName, tell: Callable[[list[str]], None] = lambda _: None) -> Path:
    """Bring a repository into the hub's cache and return its folder; what lies there already is not asked for again.

    Args:
        name: repository and revision; without a revision, ``main`` as it is now.
        tell: called with the files that are about to be fetched.

    Raises:
        InputError: the hub cannot be asked or says no, or the repository is no whole base.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        info: Any = HfApi().model_info(name.repository, revision=name.revision)
        names = [sibling.rfilename for sibling in info.siblings or []]
        if _INDEX not in names:
            raise InputError(f"{name}: accepted a repository in diffusers' layout, got one without {_INDEX}; "
                             "next: name another, or lifeos base convert its single file")
        index = json.loads(Path(hf_hub_download(name.repository, _INDEX, revision=name.revision)).read_text("utf-8"))
        wanted = files_to_fetch(index, names)
        tell(wanted)
        folder = Path(snapshot_download(name.repository, revision=name.revision, allow_patterns=wanted))
    except OfflineModeIsEnabled as error:
        raise InputError(f"{name}: accepted a network, got HF_HUB_OFFLINE; next: unset it") from error
    except InputError:
        raise
    # Whatever the client's transport raises; its messages carry addresses and headers, so only the kind is passed on.
    except Exception as error:
        raise InputError(f"{name}: accepted a repository that the hub gives out, got {type(error).__name__}; next: "
                         "check name and network, and for a guarded one accept its licence and set HF_TOKEN") from error
    require_whole(folder)
    return folder
