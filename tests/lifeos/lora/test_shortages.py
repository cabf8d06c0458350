"""Memory and disk that run out: one line, nothing that was written is lost, the same command goes on."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from evals import atomic
from lifeos.errors import InputError
from lifeos.lora import train
from lifeos.lora.families.tiny_base import TinyBase
from lifeos.lora.sample import named_images, render_images
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.shortages import is_out_of_memory
from lifeos.lora.store import ImageStore
from lifeos.lora.train import FINISHED_NAME, train_lora
from lifeos.lora.training_log import read_log

pytestmark = pytest.mark.filterwarnings("ignore")


def exhausted():
    """What PyTorch's allocator really says when it is asked for more than there is."""
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    return caught.value


def failing_at(step, error, monkeypatch):
    batch_loss = train._batch_loss

    def loss(run, number):
        if number == step - 1:
            raise error
        return batch_loss(run, number)

    monkeypatch.setattr(train, "_batch_loss", loss)


def test_what_counts_as_exhausted_memory():
    import torch

    assert is_out_of_memory(exhausted())
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
                  RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
                  RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")):  # fmt: skip
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_memory_that_runs_out_names_step_and_changes_and_the_checkpoint_stays(recipe, tmp_path, monkeypatch):
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with monkeypatch.context() as patch:
        failing_at(4, exhausted(), patch)
        with pytest.raises(InputError) as caught:
            train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "b")
    said = str(caught.value)
    assert "\n" not in said
    assert "memory of this machine, got [enforce fail" in said
    assert "at step 4 of 6 (the checkpoint of step 2 is whole); next: gradient_checkpointing = true, then " in said
    assert "then batch_size = 1 and gradient_accumulation = 2, then" in said
    assert not (tmp_path / "x.safetensors").exists()
    resumed = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "b")
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (2, whole.path.read_bytes())


def test_another_error_of_a_step_is_not_called_memory(recipe, tmp_path, monkeypatch):
    failing_at(2, RuntimeError("shape mismatch"), monkeypatch)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")


def test_memory_that_runs_out_while_the_dataset_is_encoded(recipe, tmp_path, monkeypatch):
    error = exhausted()

    def encode_images(*_):
        raise error

    monkeypatch.setattr(TinyBase, "encode_images", encode_images)
    with pytest.raises(InputError, match=r"the dataset encoded \(no checkpoint yet\); next: .*more memory") as caught:
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert "gradient_checkpointing" not in str(caught.value)


def no_room(monkeypatch, part, how):
    """Let no file whose name holds ``part`` be written: the disk is full when it is synced, or from the first byte."""
    make, sync = tempfile.mkstemp, os.fsync
    descriptors = set()

    def mkstemp(prefix, **named):
        descriptor, path = make(prefix=prefix, **named)
        if part in prefix and how == "a device that is full":
            os.close(descriptor)
            return os.open("/dev/full", os.O_WRONLY), path
        if part in prefix:
            descriptors.add(descriptor)
        return descriptor, path

    def fsync(descriptor):
        if descriptor in descriptors:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(atomic.tempfile, "mkstemp", mkstemp)
    monkeypatch.setattr(atomic.os, "fsync", fsync)


FULL = [
    "a sync that fails",
    pytest.param("a device that is full", marks=pytest.mark.skipif(
        not Path("/dev/full").exists(), reason="only Linux has a device that is always full")),
]  # fmt: skip


def test_a_finished_lora_that_has_no_room_where_it_was_wanted_is_not_lost(recipe, tmp_path, monkeypatch):
    recipe = recipe.model_copy(update={"steps": 2})
    with monkeypatch.context() as patch:
        no_room(patch, ".x.safetensors", "a sync that fails")
        with pytest.raises(InputError, match=rf"the finished LoRA is whole at .*{FINISHED_NAME}\); next: free some"):
            train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert not (tmp_path / "x.safetensors").exists()
    assert train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run").reused


@pytest.mark.parametrize("how", FULL)
@pytest.mark.parametrize(("part", "kept"), [
    ("checkpoint-00000004", "the checkpoint of step 2 is whole"), ("checkpoint-00000002", "no checkpoint yet"),
    (f".{FINISHED_NAME}", "the checkpoint of step 4 is whole"), ("latents-", "no checkpoint yet"),
])  # fmt: skip
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(recipe, tmp_path, monkeypatch, part, kept, how):
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with monkeypatch.context() as patch:
        no_room(patch, part, how)
        with pytest.raises(InputError) as caught:
            train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "b")
    said = str(caught.value)
    assert "\n" not in said
    assert f"accepted room for what training writes, got {os.strerror(errno.ENOSPC)} with " in said
    assert f"({kept}); next: free some and run the same command again" in said
    assert not list((tmp_path / "b").rglob("*.tmp"))
    resumed = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "b")
    assert resumed.resumed_from == {"2": 2, "4": 4}.get(kept.split()[-3], 0)
    assert resumed.path.read_bytes() == whole.path.read_bytes()
    assert [each.step for each in read_log(tmp_path / "b")] == [1, 2, 3, 4, 5, 6]


def test_another_error_of_the_disk_is_not_called_a_full_one(recipe, tmp_path):
    (tmp_path / "run").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(FileExistsError):
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")


def test_what_a_kill_left_half_written_goes_with_the_next_checkpoint(recipe, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / ".checkpoint-00000002.safetensors.abc.tmp").write_bytes(b"half")
    (folder / "notes.tmp").write_bytes(b"of somebody")
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert [path.name for path in folder.iterdir()] == ["notes.tmp"]


@pytest.mark.parametrize(("changes", "advice"), [
    ({}, "vae_slicing = true, then batch = 6, then smaller pictures"), ({"batch": 1}, "smaller pictures"),
    ({"vae_slicing": True, "device": "cuda"}, "batch = 6, then smaller pictures"),
])  # fmt: skip
def test_sampling_that_runs_out_of_memory_says_what_to_change(tmp_path, changes, advice):
    plan = SamplePlan((PlannedPrompt("B1", "a"),), (0,), "ddim", 1, 1.0, 32, 32, **changes)
    asked = named_images(plan, tmp_path, None, store := ImageStore(tmp_path / "samples"), "b" * 64, None)

    def failing(*_):
        raise exhausted()

    with pytest.raises(InputError, match=f"next: {advice} in ") as caught:
        render_images(asked, asked.images, store, denoiser_of=failing)
    assert ("the GPU" if plan.device == "cuda" else "this machine") in str(caught.value)
    assert "\n" not in str(caught.value)
