"""What runs on the machines of a cluster: the look at what a machine can reach, and the actor that draws shards."""

import importlib
import os
import socket
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evals.atomic import write_text
from evals.content_hash import hash_file, hash_folder, hash_json
from lifeos.errors import InputError
from lifeos.lora.backends.image_server import DIFFUSERS
from lifeos.lora.families import base_hash
from lifeos.lora.sample import PlannedImages, SampledImage, render_images
from lifeos.lora.sample_plan import ImageRequest, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.progress import silent
from lifeos.settings import project_root

TOKEN = "token"  # noqa: S105 - a file's name
_COMPUTING = ("torch", "diffusers", "transformers")
"""Packages whose version may move a pixel."""


class Draw(Protocol):
    """Draws images of one plan into a store; one object an actor, so it may keep what it loaded."""

    def __call__(self, asked: PlannedImages, images: Sequence[SampledImage], store: ImageStore) -> None:
        """Draw every one of ``images``, which the store lacks.

        Raises:
            InputError: base, LoRA, prompt, sampler or size cannot be used, or pixels are not finite.
        """


@dataclass(frozen=True)
class DrawnTask:
    """A task as an actor gets it: paths as strings, base and LoRA with the hashes that the keys hold."""

    plan: SamplePlan
    base: str
    lora: str | None
    base_hash: str
    lora_hash: str | None

    def asked(self, requests: Sequence[tuple[str, ImageRequest]], store: ImageStore) -> PlannedImages:
        """Return some images of the task, given as (key, request), as what draws them takes them."""
        images = tuple(SampledImage(request, key, store.path_for(key)) for key, request in requests)
        lora = None if self.lora is None else Path(self.lora)
        return PlannedImages(self.plan, Path(self.base), lora, self.base_hash, self.lora_hash, images)


@dataclass(frozen=True)
class Reach:
    """What every machine must find the same.

    Args:
        folder: run folder, in the shared data folder; holds the token, and each machine leaves its answer in it.
        token: content of the token file, different in every run.
        code: hash of this checkout's ``evals`` and ``lifeos``.
        versions: of the packages that compute.
        bases, loras: base folder or LoRA file -> hash.
    """

    folder: str
    token: str
    code: str
    versions: Mapping[str, str]
    bases: Mapping[str, str]
    loras: Mapping[str, str]


def local_reach(folder: Path, token: str, tasks: Sequence[DrawnTask]) -> Reach:
    """Write the token and return what this machine finds, which the others are held against."""
    write_text(folder / TOKEN, token)
    bases = {task.base: task.base_hash for task in tasks}
    loras = {task.lora: task.lora_hash for task in tasks if task.lora is not None and task.lora_hash is not None}
    return Reach(str(folder), token, _code(), _versions(), bases, loras)


def complaint_of_node(node: str, reach: Reach) -> str | None:
    """Return in one line what this machine cannot reach or has otherwise, or None; leaves an answer in the run folder.

    Args:
        node: the machine's id in the cluster, which names the answer.
        reach: what it must find.
    """
    name, folder = socket.gethostname(), Path(reach.folder)
    try:
        found = (folder / TOKEN).read_text(encoding="utf-8")
        if found != reach.token:
            return f"{name}: {folder}: accepted the token of this run, got another; next: mount one shared folder there"
        write_text(folder / f"{node}.answer", reach.token)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return f"{name}: {folder}: accepted a folder that every node reads and writes, got {why}; next: mount it there"
    if (code := _code()) != reach.code:
        return (f"{name}: {project_root()}: accepted the checkout of the machine that asks ({reach.code[:8]}), got "
                f"another ({code[:8]}); next: bring both to one commit")
    versions = _versions()
    for package, wanted in reach.versions.items():
        if versions[package] != wanted:
            return f"{name}: accepted {package} {wanted}, got {versions[package]}; next: ./lifeos.sh settings there"
    for files, content_hash in ((reach.bases, base_hash), (reach.loras, hash_file)):
        for path, wanted in files.items():
            try:
                found = content_hash(Path(path))
            except InputError as error:
                return f"{name}: {error}"
            if found != wanted:
                return f"{name}: {path}: accepted content {wanted[:8]}, got {found[:8]}; next: share one folder"
    return None


class ShardActor:
    """Draws shards, one after another; lives in a process of its own, with one GPU or some CPUs of its machine."""

    def __init__(self, tasks: Sequence[DrawnTask], samples: str, draw: str, threads: int, log: str) -> None:
        """Keep what is given; nothing heavy is imported before the first image.

        Args:
            tasks: of the run; a shard names its task by position.
            samples: folder of the image store.
            draw: ``module:function``; called with ``threads``, returns a ``Draw``.
            threads: CPU threads.
            log: file for the traceback of an unforeseen error.
        """
        self._tasks, self._store, self._log = tasks, StoreOnce(Path(samples)), Path(log)
        self._draw_path, self._threads = draw, threads
        self._draw: Draw | None = None

    def ready(self) -> bool:
        """True; answered when the process stands."""
        return True

    def draw(self, task: int, requests: Sequence[tuple[str, ImageRequest]]) -> dict[str, Any]:
        """Draw what the store lacks of some images of one task.

        Returns:
            ``made``: how many this call drew; ``error``: None, or in one line why the run cannot go on.
        """
        self._store.keys_put.clear()
        try:
            if self._draw is None:
                from lifeos.child import OFFLINE

                os.environ.update(OFFLINE)
                self._draw = resolved(self._draw_path)(self._threads)
            asked = self._tasks[task].asked(requests, self._store)
            if lacking := asked.lacking(self._store):
                self._draw(asked, lacking, self._store)
        except InputError as error:
            return self._answer(requests, str(error))
        except Exception as error:
            write_text(self._log, traceback.format_exc())
            line = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            return self._answer(requests, f"{line}; next: read {self._log}")
        return self._answer(requests, None)

    def _answer(self, requests: Sequence[tuple[str, ImageRequest]], error: str | None) -> dict[str, Any]:
        # Images that were drawn to see whether a server tells the truth were not asked for.
        return {"made": len(self._store.keys_put.intersection(key for key, _ in requests)), "error": error}


class StoreOnce(ImageStore):
    """An image store that leaves an image as it is when another machine was quicker; ``keys_put`` are its own."""

    def __init__(self, folder: Path) -> None:
        """As ``ImageStore``; nothing is put yet."""
        super().__init__(folder)
        self.keys_put: set[str] = set()

    def put_all(self, images: Sequence[tuple[str, bytes, Mapping[str, Any]]]) -> None:
        """As ``ImageStore.put_all``, but nothing is written where an image is there and whole."""
        lacking = [image for image in images if not self.has(image[0])]
        super().put_all(lacking)
        self.keys_put.update(key for key, _, _ in lacking)


def draw_with_lora(threads: int) -> Draw:
    """Return what draws images for real; it keeps the base, and the LoRA last used, or what a server showed of them."""
    from lifeos.lora.backends.drawing import HeldServer, draw_on_server
    from lifeos.lora.held_base import HeldBase

    held, server = HeldBase(), HeldServer(threads)

    def draw(asked: PlannedImages, images: Sequence[SampledImage], store: ImageStore) -> None:
        if asked.plan.backend != DIFFUSERS:
            draw_on_server(asked, images, store, silent, server)
            return
        # A shard may be larger than what the persona lets a GPU hold at once.
        at_once = len(images) if asked.plan.device == "cpu" else asked.plan.batch
        render_images(asked, images, store, batch_size=at_once, threads=threads, denoiser_of=held.denoiser)

    return draw


def resolved(path: str) -> Callable[..., Any]:
    """Return what ``module:name`` names.

    Raises:
        InputError: there is none.
    """
    module, _, name = path.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"draw {path!r}: accepted MODULE:FUNCTION, got {error}; next: correct it") from error
    return found


def _code() -> str:
    return hash_json([hash_folder(project_root() / package, "**/*.py") for package in ("evals", "lifeos")])


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in _COMPUTING:
        try:
            # A label after the plus sign says for which CUDA it was built, which machines may differ in.
            found[package] = version(package).partition("+")[0]
        except PackageNotFoundError:
            found[package] = "none"
    return found
