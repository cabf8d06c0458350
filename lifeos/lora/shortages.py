"""Memory and disk that run out while a LoRA trains, each told in one line; what was written before stays whole."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from lifeos.errors import InputError
from lifeos.lora.checkpoint import newest_step
from lifeos.lora.memory_advice import Stage, memory_advice
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample_plan import SamplePlan

# torch.OutOfMemoryError is for GPUs alone; these are what CPU allocators (Linux, Windows) and CUDA's libraries say.
_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_ADVISED = 6
MEMORY_COMPLAINT = "accepted a recipe that fits into the memory of"
"""Stands in every message of exhausted memory: it comes from a child process, where only text crosses."""

DISK_COMPLAINT = "accepted room for what training writes"
"""Stands in every message of a full disk."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that the processor's or the GPU's memory ran out."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _MEMORY_SIGNS)


@contextlib.contextmanager
def memory_told(recipe: Recipe, run_folder: Path, where: str, stage: Stage) -> Iterator[None]:
    """Turn exhausted memory into one line that says what to change, in which order.

    Args:
        recipe: of the run.
        run_folder: where its checkpoints lie.
        where: what was being done, for the message (``at step 3 of 300``).
        stage: what can be changed depends on it.

    Raises:
        InputError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        complaint = _complaint(error, recipe.device)
        if complaint is None:
            raise
        edits = [edit.text for edit in memory_advice(recipe, stage)[:_ADVISED]]
        advice = f"{', then '.join(edits)} in the recipe" if edits else "a machine with more memory (lifeos pods)"
        raise InputError(f"training: {complaint} {where} ({_kept(run_folder)}); next: {advice}") from error


@contextlib.contextmanager
def sampling_memory_told(plan: SamplePlan) -> Iterator[None]:
    """Turn memory that a plan exhausts into one line that says what to change of ``[sampler]``.

    Raises:
        InputError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        complaint = _complaint(error, plan.device)
        if complaint is None:
            raise
        edits = [] if plan.vae_slicing or plan.batch == 1 else ["vae_slicing = true"]
        edits += [] if plan.batch == 1 else [f"batch = {plan.batch // 2}"]
        advice = f"{', then '.join([*edits, 'smaller pictures'])} in [sampler] of persona.toml"
        raise InputError(f"sampling: {complaint}; next: {advice}") from error


@contextlib.contextmanager
def disk_told(folder: Path, run_folder: Path, kept: str | None = None) -> Iterator[None]:
    """Turn a full disk into one line that says how to go on.

    Args:
        folder: what is written to.
        run_folder: where checkpoints lie.
        kept: what is not lost, for the message; the newest checkpoint when None.

    Raises:
        InputError: there was no room for what training writes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        free = f"{shutil.disk_usage(there).free / 2**20:.0f} MiB free"
        raise InputError(f"{folder}: {DISK_COMPLAINT}, got {error.strerror or error} with {free} "
                         f"({kept or _kept(run_folder)}); next: free some and run the same command again, it goes on "
                         "from where it was") from error


def _complaint(error: Exception, device: str) -> str | None:
    """Return whose memory ran out and what was said of it; None where the error is another one."""
    if not is_out_of_memory(error):
        return None
    said = " ".join(str(error).split())[:160] or type(error).__name__
    return f"{MEMORY_COMPLAINT} {'the GPU' if device == 'cuda' else 'this machine'}, got {said}"


def _kept(run_folder: Path) -> str:
    step = newest_step(run_folder / "checkpoints")
    return "no checkpoint yet" if step is None else f"the checkpoint of step {step} is whole"
