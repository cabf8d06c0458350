"""Names that a finished file gives to what made it."""

from typing import get_args

from lifeos.lora.lora_metadata import OPTIMIZERS
from lifeos.lora.recipe.sections import OptimizerSettings


def test_every_optimizer_of_a_recipe_is_named_by_module_and_class():
    from prodigyopt import Prodigy

    assert set(OPTIMIZERS) == set(get_args(OptimizerSettings.model_fields["name"].annotation))
    assert OPTIMIZERS["prodigy"] == f"{Prodigy.__module__}.{Prodigy.__qualname__}"
    assert len(set(OPTIMIZERS.values())) == len(OPTIMIZERS)
