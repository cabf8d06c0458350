"""What a checkpoint holds comes back as it was."""

import pytest

from lifeos.lora.checkpoint import Checkpoint, load_newest_checkpoint, save_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")


def checkpoint(step=4, **changes):
    import torch

    generator = torch.Generator().manual_seed(step)
    state = {
        0: {"step": torch.tensor(4.0), "exp_avg": torch.randn(3, 2, generator=generator), "k": 7},
        # As bitsandbytes 0.50.2 gives it: what is quantised lies one level down.
        2: {"step": 4, "__bnb_optimizer_quant_state__": {
            "state1": torch.randint(256, (2, 5), generator=generator).to(torch.uint8), "absmax1": torch.ones(1)}},
    }  # fmt: skip
    groups = [{"lr": 0.1, "betas": (0.9, 0.99), "d": float("inf"), "t_alpha": None, "params": [0, 1, 2]}]
    return Checkpoint(**{
        "key": "k", "step": step, "parameters": {"a.b": torch.randn(3, 2, generator=generator).half(),
                                                 "a.c": torch.randn(2, generator=generator)},
        "optimizer": {"state": state, "param_groups": groups}, "average": {"a.b": torch.ones(3, 2)},
        "loss_scale": {"factor": 32768.0, "steps": 12.0}, **changes,
    })  # fmt: skip


def same(left, right):
    import torch

    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    return type(left) is type(right) and left == right


def test_every_type_comes_back_as_it_was(tmp_path):
    kept = checkpoint()
    save_checkpoint(tmp_path, kept)
    read = load_newest_checkpoint(tmp_path, "k")
    for name in ("parameters", "optimizer", "average", "loss_scale"):
        assert same(dict(getattr(kept, name)), dict(getattr(read, name))), name
    assert load_newest_checkpoint(tmp_path, "another") is None


def test_another_type_is_refused_rather_than_converted(tmp_path):
    import torch

    with pytest.raises(ValueError, match=r"float32, float16 or uint8, but got torch\.float64"):
        save_checkpoint(tmp_path, checkpoint(parameters={"a": torch.ones(2, dtype=torch.float64)}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damaged", [b"", b"\x00" * 9, None])
def test_an_empty_or_torn_file_is_passed_over_for_the_one_before(tmp_path, damaged):
    save_checkpoint(tmp_path, checkpoint(2))
    newest = save_checkpoint(tmp_path, checkpoint(4))
    newest.write_bytes(newest.read_bytes()[:-1] if damaged is None else damaged)
    assert load_newest_checkpoint(tmp_path, "k").step == 2
    (tmp_path / "checkpoint-00000002.safetensors").write_bytes(b"")
    assert load_newest_checkpoint(tmp_path, "k") is None
