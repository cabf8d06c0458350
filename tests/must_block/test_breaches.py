"""Every hard gate that is not judged from image rows is seen to block, alone: ``breach_<gate id>`` breaches it.

Gates judged from image rows have a file of rows each (``<gate id>.json``), held by tests/evals/test_must_block.py; the
gates of phase pod are breached in test_pod_breaches.py.
"""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from evals import history
from evals.calibration import load_calibration
from evals.policy import load_policy
from evals.verdict import Outcome
from lifeos import project_checks
from lifeos.errors import InputError
from lifeos.instrument import instrument_step
from lifeos.lora import dataset_lint
from lifeos.lora.families import get_family
from lifeos.lora.weights import GATES as WEIGHTS_GATES
from lifeos.lora.weights import inspect_lora
from lifeos.manifest import default_manifest, load_manifest
from lifeos.measure import Measurements
from lifeos.persona import load_persona
from lifeos.pods.requirements import requirements_verdict
from lifeos.release import repro_verdict
from lifeos.settings import load_project
from tests.lifeos import simulated_release as simulation
from tests.lifeos.lora.conftest import base, write_lora

__all__ = ["base", "write_lora"]

pytestmark = pytest.mark.filterwarnings("ignore")  # the base is built by torch and friends


class House:
    """What a breach may use: a folder of its own, a base, a writer of LoRA files."""

    def __init__(self, folder, base_folder, write, monkeypatch):
        self.folder, self.base, self.write_lora, self.monkeypatch = folder, base_folder, write, monkeypatch

    def weights(self, path):
        return dict(inspect_lora(path, self.base, get_family("tiny_base")).verdicts)


def breach_architecture_imports(house):
    for package, source in (("evals", "import lifeos\n"), ("lifeos", "")):
        (house.folder / package).mkdir()
        (house.folder / package / "__init__.py").write_text(source, encoding="utf-8")
    (house.folder / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_packages = ["evals", "lifeos"]\n[[tool.importlinter.contracts]]\n'
        'name = "floors"\ntype = "layers"\nlayers = ["lifeos", "evals"]\n',
        encoding="utf-8",
    )
    return {"architecture_imports": project_checks.architecture_verdict(house.folder, house.folder / "artifacts")}


def breach_manifest_complete(house):
    manifest = load_manifest(default_manifest())
    written = project_checks.written_gates(default_manifest().parent, manifest.from_policy)
    hard = [row.id for row in manifest.gates if row.severity == "hard"]
    assert project_checks.manifest_verdict(manifest, written, hard).outcome is Outcome.PASSED
    return {"manifest_complete": project_checks.manifest_verdict(manifest, written, hard[1:])}


def breach_history_chain(house):
    path = house.folder / "history.jsonl"
    for number in range(2):
        history.append(path, {"id": f"row{number}", "verdict": "rejected"})
    assert project_checks.history_verdict(path).outcome is Outcome.PASSED
    path.write_bytes(path.read_bytes().replace(b"rejected", b"approved", 1))
    return {"history_chain": project_checks.history_verdict(path)}


def breach_settings_valid(house):
    (house.folder / "lifeos.toml").write_text("speed = 9\n", encoding="utf-8")
    checks = [("settings", lambda: load_project(house.folder))]
    return {"settings_valid": project_checks.readable_verdict(checks)}


def breach_tree_size(house):
    (house.folder / "big.bin").write_bytes(b"x" * 2048)
    subprocess.run(["git", "init", "-q"], cwd=house.folder, check=True)
    subprocess.run(["git", "add", "big.bin"], cwd=house.folder, check=True)
    assert project_checks.tree_size_verdict(house.folder).outcome is Outcome.PASSED
    return {"tree_size": project_checks.tree_size_verdict(house.folder, limit=2047)}


def breach_requirements_parse(house):
    path = house.folder / "requirements.txt"
    path.write_text("torch==2.13.0\ntorch==2.12.0\n", encoding="utf-8")
    return {"requirements_parse": requirements_verdict(path)}


def breach_weights_sane(house):
    verdicts = house.weights(house.write_lora(edit=lambda tensors: dict(list(tensors.items())[2:])))
    return {"weights_sane": next(verdict for verdict in verdicts.values() if verdict.blocks)}


def linted(house, change, faces=lambda path: 1):
    """Verdicts of every dataset gate on a sound persona after ``change(persona)``."""
    loaded = load_persona(simulation.make_persona(house.folder))
    persona = loaded.model_copy(update={"base": load_project().root / "models" / "tiny-base"})

    def measure(path):
        return {"faces": faces(path), "size": [simulation.SIDE, simulation.SIDE], "inter_ocular": 36.0}

    def verdicts():
        lint = dataset_lint.lint_dataset(persona, measure, house.folder / "artifacts")
        return {gate: lint.verdict(gate) for gate in dataset_lint.GATES}

    if change is not None:
        assert not [verdict.reason for verdict in verdicts().values() if verdict.blocks]
        change(persona)
    return verdicts()


def breach_persona_sane(house):
    def change(persona):
        (persona.references / "0000.png").write_bytes((persona.dataset / "0001.png").read_bytes())

    return linted(house, change)


def breach_dataset_images(house):
    def change(persona):
        with Image.open(persona.dataset / "0001.png") as image:
            image.resize((96, 96)).save(persona.dataset / "0001.png")

    return linted(house, change)


def breach_dataset_captions(house):
    def change(persona):
        (persona.dataset / "0001.txt").write_text("photo of a beautiful pstch person", encoding="utf-8")

    return linted(house, change)


def breach_dataset_faces(house):
    return linted(house, None, faces=lambda path: 2 if path.parent.name == "dataset" and path.stem == "0002" else 1)


def breach_dataset_duplicates(house):
    def change(persona):
        with Image.open(persona.dataset / "0001.png") as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(persona.dataset / "0009.png")
        (persona.dataset / "0009.txt").write_text("pstch person in the park", encoding="utf-8")

    return linted(house, change)


def breach_weights_whole(house):
    path = house.write_lora()
    path.write_bytes(path.read_bytes()[:-8])
    verdicts = house.weights(path)
    # Nothing else can be said of a file that cannot be read.
    return {gate: verdict for gate, verdict in verdicts.items() if verdict.outcome is not Outcome.NOT_EVALUATED}


def breach_weights_finite(house):
    def one_nan(tensors):
        name = min(tensors)
        kind, array = tensors[name]
        array.flat[0] = np.nan
        return {**tensors, name: (kind, array)}

    verdicts = house.weights(house.write_lora(edit=one_nan))
    # The effect of a matrix with a NaN in it cannot be measured.
    return {gate: verdict for gate, verdict in verdicts.items() if verdict.outcome is not Outcome.NOT_EVALUATED}


def breach_weights_base(house):
    return house.weights(house.write_lora(metadata={"lifeos.base_hash": "0" * 64}))


def breach_weights_keys(house):
    def half(tensors):
        modules = sorted({name.split(".lora_")[0] for name in tensors})[::2]
        return {name: value for name, value in tensors.items() if name.split(".lora_")[0] in modules}

    return house.weights(house.write_lora(edit=half))


def breach_weights_effect(house):
    def nothing(tensors):
        return {name: (kind, array * (0 if "lora_B" in name else 1)) for name, (kind, array) in tensors.items()}

    return house.weights(house.write_lora(edit=nothing))


def breach_instrument(house):
    """The calibration's band of skin is so wide that nothing blurred or smoothed can leave it."""
    persona = load_persona(simulation.make_persona(house.folder))
    artifacts = house.folder / "artifacts"
    measurements = Measurements(artifacts, simulation.Backend, "simulated")
    training = measurements.of_all(sorted(persona.dataset.glob("*.png")), lambda *_: None, "training")
    calibration, policy = load_calibration(persona.calibration), load_policy()
    lora = simulation.write_lora(house.folder / "x.safetensors")

    def verdict(judged_by):
        return instrument_step(
            persona, lora, simulation, measurements, judged_by, policy, training, artifacts, lambda *_: None
        )

    assert verdict(calibration).outcome is Outcome.PASSED
    thresholds = {**calibration.thresholds, "skin_z_low": -1e6, "skin_z_high": 1e6}
    return {"instrument": verdict(replace(calibration, thresholds=thresholds))}


def breach_repro(house):
    return {"repro": repro_verdict([[0.80, 0.80], [0.80, 0.79]])}


BREACHES = {name: function for name, function in globals().items() if name.startswith("breach_")}


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_it_blocks_alone(name, tmp_path, base, write_lora, monkeypatch):
    verdicts = BREACHES[name](House(tmp_path, base, write_lora, monkeypatch))
    blocking = {gate for gate, verdict in verdicts.items() if verdict.blocks}
    assert blocking == {name.removeprefix("breach_")}, {gate: verdict.reason for gate, verdict in verdicts.items()}


def test_every_hard_gate_of_the_house_has_a_fixture():
    root = load_project().root
    hard = {row.id for row in load_manifest(root / "gates/manifest.toml").gates if row.severity == "hard"}
    assert set(project_checks.must_block_ids(root / "tests/must_block")) == hard


def test_weights_sane_stands_for_every_weights_gate():
    assert set(WEIGHTS_GATES) <= {name.removeprefix("breach_") for name in BREACHES}


def test_an_unreadable_file_is_a_finding_not_a_traceback(tmp_path):
    def broken():
        raise InputError("x: accepted y, got z; next: w")

    assert project_checks.readable_verdict([("x", broken)]).outcome is Outcome.FAILED
    assert project_checks.tree_size_verdict(tmp_path / "nowhere").outcome is Outcome.NOT_EVALUATED
