"""An image is known again by what it shows, not by its bytes."""

import numpy as np
import pytest
from PIL import Image

from evals.known_failures.entry import Captured
from evals.known_failures.incident import LATTICE, SHOWS, lattice_strength, shows_again, what_it_shows
from lifeos.settings import project_root

WELL = {"face_count": 1.0, "copy_image": 0.0, "flat": 0.0, "nearest_photo": 3.0}


def photograph():
    with Image.open(project_root() / "personas" / "pistachio" / "references" / "0001.png") as image:
        return np.asarray(image.convert("RGB"))


def with_cells(image, spread, seed=0):
    """Add to each latent cell a brightness of its own."""
    height, width = image.shape[:2]
    cells = np.random.default_rng(seed).normal(0, spread, (height // 8, width // 8, 1)).repeat(8, 0).repeat(8, 1)
    return np.clip(image + cells, 0, 255).astype(np.uint8)


def saved(folder, image):
    path = folder / "image.png"
    Image.fromarray(image).save(path)
    return path


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, []),
        ({"face_count": 0.0}, ["face_lost"]),
        ({"copy_image": 1.0}, ["copy"]),
        ({"flat": 1.0}, ["flat"]),
        ({"flat": 1.0, "level": 1.0}, ["black", "flat"]),
        ({"flat": 1.0, "level": 200.0}, ["flat"]),
        ({"lattice": LATTICE}, ["lattice"]),
    ],
)
def test_rows_say_what_was_measured(change, shown):
    assert what_it_shows({**WELL, **change}, None) == shown


def test_a_picture_is_measured_where_it_is_there(tmp_path):
    black = saved(tmp_path, np.zeros((64, 64, 3), np.uint8))
    assert what_it_shows({**WELL, "flat": 1.0}, black) == ["black", "flat"]
    assert what_it_shows(WELL, saved(tmp_path, with_cells(photograph(), 16))) == ["lattice"]


@pytest.mark.parametrize("seed", range(4))
def test_a_lattice_stands_out_from_photographs(seed):
    sound = photograph()
    assert lattice_strength(sound) < 1.3
    assert lattice_strength(with_cells(sound, 8, seed)) > LATTICE
    assert lattice_strength(with_cells(sound, 1, seed)) < LATTICE


def test_one_colour_is_no_lattice_and_blocks_are():
    assert lattice_strength(np.full((64, 64, 3), 90, np.uint8)) == 1.0
    assert lattice_strength(with_cells(np.full((64, 64, 3), 90, np.uint8), 30)) > LATTICE


def test_stripes_along_one_axis_are_no_lattice():
    image = photograph().astype(int)
    image[:, ::8] += 60
    assert lattice_strength(np.clip(image, 0, 255).astype(np.uint8)) < LATTICE


def test_a_copy_is_the_same_failure_only_of_the_same_photo():
    captured = Captured(lora="", prompt="B01", seed=1, shows="copy", photo=3)
    assert shows_again(captured, {**WELL, "copy_image": 1.0}, None)
    assert not shows_again(captured, {**WELL, "copy_image": 1.0, "nearest_photo": 4.0}, None)
    assert not shows_again(captured, WELL, None)


def test_everything_that_can_be_captured_can_be_shown():
    assert set(SHOWS) == set(Captured.model_fields["shows"].annotation.__args__)
