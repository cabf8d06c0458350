"""Predeploy: what can be seen before money is spent."""

import pytest

from evals.content_hash import hash_folder, hash_json
from evals.verdict import passed
from lifeos import engine
from lifeos.measure import Measurements
from lifeos.persona_checks import persona_verdict
from lifeos.pods.requirements import requirements_verdict

pytestmark = pytest.mark.predeploy


def test_requirements_parse(gate, inputs):
    gate(requirements_verdict(inputs.requirements))


def test_weights_sane(gate, inputs, persona):
    verdicts = engine.inspect(inputs.lora, persona.base, persona.family)
    blocking = next((verdict for verdict in verdicts.values() if verdict.blocks), None)
    gate(blocking or passed(f"{len(verdicts)} weights checks passed"))


def test_persona_sane(gate, inputs, persona):
    models = hash_json([persona.face_backend, hash_folder(persona.face_folder, "**/*.onnx")])
    faces = Measurements(inputs.artifacts, lambda: engine.open_faces(persona.face_backend, persona.face_folder), models)
    gate(persona_verdict(persona, lambda path: faces.of(path)["faces"]))
