"""Predeploy: the persona's images, captions, faces and held-out references, looked at once for all gates."""

import pytest

pytestmark = pytest.mark.predeploy


@pytest.fixture(scope="session")
def lint(given):
    return given.lint


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
