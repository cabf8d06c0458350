"""What is trained, on what, and how: one TOML file, every key checked, hashed without its paths (docs/recipe.md)."""

from lifeos.lora.recipe.contradictions import Contradiction, contradictions
from lifeos.lora.recipe.reading import find_base, find_folder, load_recipe, parse_recipe, read_recipe, recipe_keys
from lifeos.lora.recipe.schema import Recipe, TargetPreset
from lifeos.lora.recipe.sections import (
    CaptionShuffleSettings,
    EarlyStopSettings,
    EmaSettings,
    MaskSettings,
    OptimizerSettings,
    PriorSettings,
    ResolutionSettings,
)
from lifeos.lora.recipe.writing import recipe_toml

__all__ = [
    "CaptionShuffleSettings",
    "Contradiction",
    "EarlyStopSettings",
    "EmaSettings",
    "MaskSettings",
    "OptimizerSettings",
    "PriorSettings",
    "Recipe",
    "ResolutionSettings",
    "TargetPreset",
    "contradictions",
    "find_base",
    "find_folder",
    "load_recipe",
    "parse_recipe",
    "read_recipe",
    "recipe_keys",
    "recipe_toml",
]
