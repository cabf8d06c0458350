"""What peft reads in the configuration that is written beside tensors."""

import numpy as np
import pytest

from lifeos.lora.adapter_config import adapter_config, short_number
from lifeos.lora.lora_file import LoraModule


def module(name, rank, alpha):
    return LoraModule(name, np.ones((rank, 3), np.float32), np.ones((3, rank), np.float32), alpha)


def test_peft_finds_the_rank_and_alpha_of_each_module_whose_name_is_the_end_of_anothers():
    from peft.utils.other import get_pattern_key

    single = "single_transformer_blocks"
    given = {"proj_out": (3, 9.0), f"{single}.0.proj_out": (2, 2.0), f"{single}.1.proj_out": (2, 2.0),
             f"{single}.10.proj_out": (1, 2.0)}  # fmt: skip
    modules = {f"transformer.{name}": module(f"transformer.{name}", *values) for name, values in given.items()}
    config = adapter_config({**modules, "text_encoder.x": module("text_encoder.x", 9, 9.0)}, "transformer")
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (2, 2, sorted(given))
    for name, (rank, alpha) in given.items():
        found = [config[pattern].get(get_pattern_key(config[pattern], name), config[default])
                 for pattern, default in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha"))]  # fmt: skip
        assert found == [rank, alpha], name


def test_text_encoders_are_named_without_what_transformers_dropped():
    names = [f"text_model.encoder.layers.{layer}.mlp.fc1" for layer in range(3)]
    modules = {f"text_encoder.{name}": module(name, 1 + (name == names[2]), 1.0) for name in names}
    config = adapter_config(modules, "text_encoder")
    assert config["rank_pattern"] == {"encoder.layers.2.mlp.fc1": 2}
    assert config["target_modules"] == [name.removeprefix("text_model.") for name in names]


@pytest.mark.parametrize(("value", "short"), [(float(np.float32(0.1)), 0.1), (0.30000000000000004, 0.3), (8.0, 8)])
def test_numbers_are_the_shortest_that_float32_tells_apart(value, short):
    assert short_number(value) == short
    assert type(short_number(value)) is type(short)
