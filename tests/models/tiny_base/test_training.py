from pathlib import Path

import pytest


@pytest.fixture
def training(room):
    return room("training")


def test_the_shared_options_and_the_defaults_of_each_training(training):
    parser = training.training_parser("Train.", steps=10, batch=4, rate=0.1)
    arguments = parser.parse_args(["data", "run"])
    assert vars(arguments) == {
        "data": Path("data"), "run": Path("run"), "steps": 10, "batch": 4, "rate": 0.1, "threads": 0,
        "start_from": None, "seconds": 1e9,
    }  # fmt: skip
    given = parser.parse_args(["d", "r", "--steps", "3", "--seconds", "60", "--start-from", "base", "--threads", "2"])
    assert (given.steps, given.seconds, given.start_from, given.threads) == (3, 60, Path("base"), 2)


@pytest.mark.parametrize(("cuda", "hardware", "device", "half"), [
    (True, False, "cuda", True), (False, True, "cpu", True), (False, False, "cpu", False)])  # fmt: skip
def test_bfloat16_is_taken_where_there_is_hardware_for_it(training, monkeypatch, cuda, hardware, device, half):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: hardware)
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    assert training.choose_device(0) == (device, half)
    assert threads == []
    training.choose_device(3)
    assert threads == [3]
