"""Recipes from other trainers: arguments of kohya's scripts and of diffusers' examples, read and never executed."""

from lifeos.lora.recipe_import.importer import import_recipe, parse_said
from lifeos.lora.recipe_import.report import Mapped, NotMapped, Report
from lifeos.lora.recipe_import.tables import SOURCES

__all__ = ["SOURCES", "Mapped", "NotMapped", "Report", "import_recipe", "parse_said"]
