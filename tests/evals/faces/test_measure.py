import numpy as np
import pytest

from evals.faces import Face, find_faces, measure_face
from evals.faces.align import TEMPLATE
from evals.faces.measure import MOST_OTHERS


class StubBackend:
    """Finds what it is told to; embeds the mean colour."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    def detect(self, image):
        self.seen.append(image)
        return self.answers.pop(0) if self.answers else []

    def align(self, image, points):
        return image

    def embed(self, aligned):
        return np.array([1.0, 0.0], dtype=np.float32)


def face(scale=1.0, x=0.0, y=0.0):
    points = (TEMPLATE * scale + [x, y]).astype(np.float32)
    return Face(box=np.array([x, y, x + 100 * scale, y + 110 * scale], np.float32), points=points, score=0.9)


IMAGE = np.full((100, 200, 3), 7, dtype=np.uint8)


def test_a_found_face_is_not_searched_again():
    stub = StubBackend([face()])
    found = measure_face(stub, IMAGE)
    assert len(stub.seen) == len(found.faces) == 1
    assert found.reason is None


def test_frame_filling_faces_are_searched_with_padding_and_come_back_in_image_pixels():
    stub = StubBackend([], [face(x=80, y=40)])
    (only,) = find_faces(stub, IMAGE)
    padded = stub.seen[1]
    assert padded.shape == (180, 360, 3)
    assert np.array_equal(padded[40:140, 80:280], IMAGE)
    assert padded[:40].max() == 0
    assert only.box.tolist() == [0, 0, 100, 110]
    assert only.points == pytest.approx(TEMPLATE, abs=1e-3)


def test_no_face_has_a_reason():
    found = measure_face(StubBackend(), IMAGE)
    assert (found.faces, found.embedding, found.reason) == ((), None, "no face found")


def test_small_faces_do_not_count_and_alone_are_unscorable():
    found = measure_face(StubBackend([face(1.0), face(0.2)]), IMAGE)
    assert len(found.faces) == 1
    alone = measure_face(StubBackend([face(0.2)]), IMAGE)
    assert alone.embedding is None
    assert alone.reason == "face too small, unscorable: 7.0 of 12.0 pixels between the eyes"


def test_the_next_biggest_faces_are_embedded_too_but_not_a_crowd():
    stub = StubBackend([face(1.0 - 0.05 * number) for number in range(8)])
    found = measure_face(stub, IMAGE)
    assert (len(found.faces), found.others.shape) == (8, (MOST_OTHERS, 2))
    assert measure_face(StubBackend([face()]), IMAGE).others.size == 0
    assert measure_face(StubBackend(), IMAGE).others.size == 0


def test_points_in_one_place_are_no_face():
    degenerate = Face(box=np.zeros(4, np.float32), points=np.zeros((5, 2), np.float32), score=0.9)
    assert measure_face(StubBackend([degenerate]), IMAGE).reason.startswith("face too small")


@pytest.mark.parametrize("side", [96, 128, 256])
def test_a_small_or_tightly_cropped_photograph_is_found_and_stays_the_same_person(backend, astronaut, side):
    import cv2

    whole = measure_face(backend, astronaut)
    head = cv2.resize(astronaut[50:190, 155:295], (side, side), interpolation=cv2.INTER_AREA)
    small = measure_face(backend, head)
    assert len(small.faces) == 1
    assert float(small.embedding @ whole.embedding) > 0.75


def test_noise_and_one_colour_have_no_face(backend):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert measure_face(backend, noise).reason == "no face found"
    assert measure_face(backend, np.zeros((128, 128, 3), np.uint8)).reason == "no face found"
