"""Image files to records to rows, on real face models."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from PIL import Image

from evals.calibration import Calibration
from evals.faces import open_backend
from evals.images import read_image
from lifeos.lora.sample import encode_png
from lifeos.measure import ImageToMeasure, Measurements, image_rows, read_record
from lifeos.settings import project_root
from tests.lifeos import simulated_release as simulation
from tests.must_block.build_fixtures import CALIBRATION


@pytest.fixture(scope="module")
def measurements(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    return Measurements(folder, lambda: open_backend("yunet_sface", project_root() / "models/faces"), "shipped")


@pytest.fixture(scope="module")
def faces():
    """The astronaut's head and one of the demo persona, 256 pixels each."""
    astronaut = np.asarray(Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB"))
    drawn = read_image(sorted((project_root() / "personas/pistachio/references").glob("*.png"))[0])
    return [
        cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) for image in (astronaut[20:220, 120:320], drawn)
    ]


def row_of(measurements, image, centroid, folder):
    path = folder / "image.png"
    path.write_bytes(encode_png(image))
    calibration = dataclasses.replace(Calibration.from_json(CALIBRATION), centroid=tuple(map(float, centroid)))
    return image_rows([ImageToMeasure(path, "B01", 0)], [measurements.of(path)], [], calibration)[0]


def test_of_two_faces_the_largest_must_be_the_persona(measurements, faces, tmp_path):
    stranger, persona = faces
    path = tmp_path / "persona.png"
    path.write_bytes(encode_png(persona))
    centroid = measurements.of(path)["embedding"]

    def beside(large, small):
        canvas = np.zeros((256, 384, 3), np.uint8)
        canvas[:, :256] = large
        canvas[64:192, 256:] = cv2.resize(small, (128, 128), interpolation=cv2.INTER_AREA)
        return row_of(measurements, canvas, centroid, tmp_path)

    in_front, behind = beside(persona, stranger), beside(stranger, persona)
    assert in_front["metrics"]["face_count"] == behind["metrics"]["face_count"] == 2.0
    assert in_front["metrics"]["likeness"] > 0.9
    assert behind["metrics"]["likeness"] is None
    assert behind["reasons"]["likeness"].startswith("several faces")


def test_too_small_a_face_is_told_from_none(measurements, faces, tmp_path):
    canvas = np.zeros((256, 256, 3), np.uint8)
    none = row_of(measurements, canvas, np.eye(128)[0], tmp_path)
    canvas[100:136, 100:136] = cv2.resize(faces[0], (36, 36), interpolation=cv2.INTER_AREA)
    small = row_of(measurements, canvas, np.eye(128)[0], tmp_path)
    assert none["metrics"]["face_count"] == small["metrics"]["face_count"] == 0.0
    assert none["reasons"]["likeness"] == "no face found"
    assert small["reasons"]["likeness"].startswith("face too small, unscorable")


def test_a_record_holds_where_the_faces_are_and_is_read_without_opening_any_model(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(simulation.portrait(1, 3)))
    measurements = Measurements(tmp_path, simulation.Backend, "simulated")
    record = measurements.of(path)
    assert record["boxes"] == [[20.0, 20.0, 108.0, 108.0]]
    assert record["points"] == [[[float(x) for x in point] for point in simulation.POINTS]]
    backend = measurements.backend_identity()
    assert read_record(tmp_path, record["image"], backend) == record
    assert read_record(tmp_path, record["image"], {**backend, "name": "another"}) is None
    assert read_record(tmp_path, "f" * 64, backend) is None
    outside = "../" + "x" * 10
    (backend_folder,) = (found.parent for found in (tmp_path / "measured").glob("*/backend.json"))
    assert (backend_folder / outside[:2] / f"{outside}.json").resolve().parent == tmp_path  # a path, not a hash
    (tmp_path / f"{'x' * 10}.json").write_text(json.dumps(record), encoding="utf-8")
    assert read_record(tmp_path, outside, backend) is None
    assert read_record(tmp_path, record["image"], None) is None
