import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evals.copying_eval import image_signature, nearest
from lifeos.lora.dataset_lint.rules import rule_book
from lifeos.new_persona.moments import SHOT_DISTANCE, SHOT_SECONDS, Shot, compare
from tests.lifeos.new_persona import photographs as made

ASTRONAUT = made.astronaut(256)


def scene(seed):
    """Another picture each: colours in large smooth patches."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC))


def shot(pixels, name=None, **known):
    signature = image_signature(pixels).astype(np.float16)
    return Shot(name or str(abs(hash(pixels.tobytes()))), pixels.tobytes()[:4000].hex(), signature, **known)


def moved(pixels, across, down):
    side = int(0.8 * len(pixels))
    left, top = int((0.1 + across) * len(pixels)), int((0.1 + down) * len(pixels))
    return pixels[top : top + side, left : left + side]


def turned(pixels, degrees):
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))


def grouped(shots):
    return [sorted(shots[index].digest for index in moment) for moment in compare(shots).moments]


def test_shots_of_a_burst_are_one_moment_and_other_pictures_are_not():
    burst = [moved(ASTRONAUT, *by) for by in ((0, 0), (0.045, 0), (0, 0.045), (0, -0.045))]
    shots = [shot(pixels, f"burst{number}") for number, pixels in enumerate(burst)]
    shots += [shot(scene(number), f"other{number}") for number in range(6)]
    found = compare(shots)
    assert sorted(len(moment) for moment in found.moments) == [1] * 6 + [4]
    assert found.copies == {}


def test_a_chain_of_shots_is_one_moment_though_its_ends_are_apart():
    chain = [shot(moved(ASTRONAUT, 0.035 * step - 0.07, 0), f"step{step}") for step in range(5)]
    assert len(grouped(chain)) == 1
    assert len(grouped([chain[0], chain[4]])) == 2


def test_mirrored_shots_are_one_moment():
    assert len(grouped([shot(moved(ASTRONAUT, 0, 0), "a"), shot(moved(ASTRONAUT, 0.03, 0)[:, ::-1], "b")])) == 1


def test_copies_are_those_that_the_dataset_lint_would_block():
    large, small = ASTRONAUT, np.asarray(Image.fromarray(ASTRONAUT).resize((100, 100)))
    limit = rule_book().limits.near_duplicate_distance
    assert nearest(image_signature(large), [image_signature(small)]) < limit
    shots = [shot(small, "small", area=1), shot(large, "large", area=9), shot(scene(1), "other")]
    found = compare(shots)
    assert list(found.copies) == [0]
    assert found.copies[0][0] == 1
    assert 0 < found.copies[0][1] < limit
    assert grouped(shots) == [["large"], ["other"]]


def test_equal_pixels_are_kept_once_the_larger_first():
    shots = [shot(ASTRONAUT, "b", area=5), shot(ASTRONAUT, "a", area=5), shot(ASTRONAUT, "c", area=7)]
    assert compare(shots).copies == {0: (2, 0.0), 1: (2, 0.0)}


def test_a_face_that_is_the_same_joins_a_shot_with_its_close_crop():
    face = np.eye(1, 8, dtype=np.float32)[0]
    nearly = np.array([0.96, 0.28, 0, 0, 0, 0, 0, 0], dtype=np.float32)
    other = np.array([0.9, 0.436, 0, 0, 0, 0, 0, 0], dtype=np.float32)
    crop = ASTRONAUT[20:120, 60:160]
    shots = [shot(ASTRONAUT, "whole", embedding=face), shot(crop, "crop", embedding=nearly), shot(scene(1), "other"),
             shot(scene(2), "alike", embedding=-other)]  # fmt: skip
    assert grouped(shots) == [["alike"], ["crop", "whole"], ["other"]]


def test_shots_within_ten_seconds_are_one_moment_however_different_they_look():
    times = [0.0, SHOT_SECONDS, 2 * SHOT_SECONDS, 3 * SHOT_SECONDS + 0.5, None]
    shots = [shot(scene(number), f"s{number}", taken=taken) for number, taken in enumerate(times)]
    assert grouped(shots) == [["s0", "s1", "s2"], ["s3"], ["s4"]]


def test_a_copy_still_joins_the_moments_it_lies_between():
    shots = [shot(ASTRONAUT, "a", area=9, taken=0.0), shot(turned(ASTRONAUT, 1), "b", area=1, taken=100.0),
             shot(scene(1), "c", taken=105.0)]  # fmt: skip
    found = compare(shots)
    assert list(found.copies) == [1]
    assert grouped(shots) == [["a", "c"]]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.randoms(), st.booleans())
def test_the_order_of_files_changes_nothing(kinds, random, timed):
    shots = []
    for number, kind in enumerate(kinds):
        pixels = moved(scene(kind), 0.02 * number / 12, 0)
        shots.append(shot(pixels, f"{number:02}", area=number % 3, taken=7.0 * kind if timed else None))
    shuffled = random.sample(shots, len(shots))

    def named(some):
        found = compare(some)
        copies = {some[one].digest: (some[kept].digest, distance) for one, (kept, distance) in found.copies.items()}
        return grouped(some), {one: (kept, pytest.approx(distance)) for one, (kept, distance) in copies.items()}

    assert named(shots) == named(shuffled)
    groups, copies = named(shots)
    assert sorted([digest for group in groups for digest in group] + list(copies)) == [s.digest for s in shots]


def test_photographs_that_stand_apart_stay_apart_on_both_sides_of_a_block():
    shots = [shot(moved(scene(number), 0, 0), f"{number:03}") for number in range(300)]
    shots[299] = shot(moved(scene(5), 0.045, 0.03), "299")
    progress = []
    found = compare(shots, lambda *event: progress.append(event))
    assert [moment for moment in found.moments if len(moment) > 1] == [[5, 299]]
    assert len(found.moments) == 299
    assert progress[-1][1:] == (300, 300)
    assert rule_book().limits.near_duplicate_distance < SHOT_DISTANCE


def test_nothing_to_compare():
    assert compare([]).moments == []
