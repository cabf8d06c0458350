"""A persona whose dataset passes every gate: noise portraits, varied captions, the shipped base's tokenizer."""

import shutil

import pytest

from evals.atomic import write_bytes
from lifeos.lora.dataset_lint import lint_dataset
from lifeos.lora.sample import encode_png
from lifeos.persona import load_persona
from lifeos.settings import project_root
from tests.lifeos import simulated_release as simulation

PLACES = ("in a wood", "on a beach", "in a kitchen", "at a desk", "in the rain", "by a wall", "on a hill", "in a tram",
          "at a window", "in a hall")  # fmt: skip


def one_face(path):
    return {"faces": 1, "size": [simulation.SIDE, simulation.SIDE], "inter_ocular": 36.0}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "Persona Ä ü 人"
    for name in ("dataset", "references"):
        (folder / name).mkdir(parents=True)
    for number, place in enumerate(PLACES):
        write_bytes(folder / "dataset" / f"{number:04}.png", encode_png(simulation.portrait(1, 500 + number)))
        caption = f"photo of a pstch person, {place}"
        (folder / "dataset" / f"{number:04}.txt").write_text(caption, encoding="utf-8")
    for number in range(4):
        write_bytes(folder / "references" / f"{number:04}.png", encode_png(simulation.portrait(1, 600 + number)))
    root = project_root()
    (folder / "persona.toml").write_text(
        f'name = "one"\ntrigger = "pstch"\nclass_word = "person"\nfamily = "tiny_base"\nfar = 0.01\n'
        f'base = "{(root / "models/tiny-base").as_posix()}"\n'
        f'[sampler]\nname = "ddim"\nsteps = 2\nguidance = 1.0\nwidth = 128\nheight = 128\n[seeds]\na = [9]\nb = [0]\n'
        f'[face]\nbackend = "yunet_sface"\nfolder = "{(root / "models/faces").as_posix()}"\n',
        encoding="utf-8",
    )
    (folder / "prompts.toml").write_text('[[b]]\nid = "B01"\ntext = "a {trigger}"\n', encoding="utf-8")
    return folder


@pytest.fixture
def persona(made, tmp_path):
    shutil.copytree(made, tmp_path / made.name)
    return load_persona(tmp_path / made.name)


@pytest.fixture
def lint(persona, tmp_path):
    """Lints the persona as it is when called; another face record with ``measure``."""

    def run(measure=one_face, **options):
        return lint_dataset(persona, measure, tmp_path / "artifacts", **options)

    return run


def rules(lint):
    return sorted({finding.rule for finding in lint.findings})
