"""Predeploy: the persona's images, captions, faces and held-out references, looked at once for all gates."""

from pathlib import Path

import pytest

from lifeos.lora.dataset_lint.command import lint_persona
from lifeos.plugin import PROGRESS_FILE
from lifeos.progress import progress_writer

pytestmark = pytest.mark.predeploy


@pytest.fixture(scope="session")
def lint(inputs, persona, pytestconfig):
    folder = pytestconfig.getoption("lifeos_invocation")
    progress = progress_writer(None if folder is None else Path(folder) / PROGRESS_FILE)
    return lint_persona(persona, inputs.artifacts, recipe=inputs.recipe, progress=progress)


def test_persona_sane(gate, lint):
    gate(lint.verdict("persona_sane"))


def test_dataset_images(gate, lint):
    gate(lint.verdict("dataset_images"))


def test_dataset_captions(gate, lint):
    gate(lint.verdict("dataset_captions"))


def test_dataset_faces(gate, lint):
    gate(lint.verdict("dataset_faces"))


def test_dataset_duplicates(gate, lint):
    gate(lint.verdict("dataset_duplicates"))


def test_dataset_advice(gate, lint):
    gate(lint.verdict("dataset_advice"))
