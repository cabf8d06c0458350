"""Signs beside texture, on textures made here and against scikit-image and NumPy."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.metric_families import Picture, families
from evals.skin_region import find_skin
from evals.skin_signs_eval import FAMILY, grain, lattice, specular, tone_ita
from tests.evals.test_skin_realism_eval import encode, head

SEEDS = st.integers(0, 2**20)


def region(*arguments, **named):
    found = find_skin(*head(*arguments, **named))
    assert not isinstance(found, str)
    return found


def with_grain(seed, sigma, **named):
    image, points = head(seed, **named)
    noise = np.random.default_rng(seed).normal(0, 1, image.shape[:2])
    found = find_skin(np.clip(np.round(image + sigma * noise[..., None]), 0, 255).astype(np.uint8), points)
    assert not isinstance(found, str)
    return found


def measured(image, points, reason=None):
    return FAMILY.measure(Picture(image, points, reason, 23.0))


def test_the_family_is_found_and_measures_what_it_names():
    assert FAMILY in families()
    values = measured(*head(0)).values
    assert set(values) == {"specular", "tone_ita", "grain", "lattice"}
    assert all(math.isfinite(value) for value in values.values())


class TestUnscorable:
    def test_without_a_face_only_the_lattice_is_measured(self):
        found = measured(head(0)[0], None, "no face found")
        assert found.values["lattice"] is not None
        assert {found.values[name] for name in ("specular", "tone_ita", "grain")} == {None}
        assert {found.reasons[name] for name in ("specular", "tone_ita", "grain")} == {"no face found"}

    def test_a_face_too_small_is_unscorable(self):
        image, points = head(0, scale=0.4)
        found = measured(image, points)
        assert all("unscorable" in found.reasons[name] for name in ("specular", "tone_ita", "grain"))

    def test_a_small_picture_has_no_lattice(self):
        found = measured(np.zeros((65, 200, 3), np.uint8), None, "no face found")
        assert "unscorable" in found.reasons["lattice"]

    def test_a_picture_without_colours_has_no_highlight_of_its_own(self):
        image, points = head(0)
        grey = np.repeat(image[..., 1:2], 3, axis=2)
        found = measured(grey, points)
        assert found.values["specular"] is None
        assert "unscorable" in found.reasons["specular"]

    def test_flat_skin_has_no_grain_and_is_not_excused(self):
        image, points = head(0)
        found = find_skin(image, points)
        flat = dataclasses.replace(found, log_luminance=np.zeros_like(found.log_luminance))
        assert grain(flat) is None
        reasons = measured(np.full_like(image, (150, 110, 90)), points).reasons
        assert reasons["grain"] == "no two skin pixels differ"


class TestTone:
    @given(SEEDS, st.floats(0.2, 1.6))
    @settings(max_examples=20)
    def test_is_that_of_scikit_image(self, seed, exposure):
        from skimage.color import rgb2lab

        one = region(seed, exposure=exposure)
        # CIELAB of each pixel, whose median per channel of linear light is a pixel's up to rounding.
        from evals.skin_region import LINEAR

        linear = np.median(LINEAR[one.crop][one.mask], axis=0)
        coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        lightness, _, yellow = rgb2lab(coded[None, None])[0, 0]
        assert tone_ita(one) == pytest.approx(math.degrees(math.atan2(lightness - 50, yellow)), abs=0.05)

    def test_more_light_on_the_skin_raises_it(self):
        angles = [tone_ita(region(3, exposure=exposure)) for exposure in (0.25, 0.5, 1.0, 1.5)]
        assert angles == sorted(angles)


class TestSpecular:
    @given(SEEDS, st.floats(0.4, 1.0))
    @settings(max_examples=20)
    def test_exposure_leaves_it(self, seed, exposure):
        assert specular(region(seed, exposure=exposure)) == pytest.approx(specular(region(seed)), abs=0.03)

    @given(SEEDS)
    @settings(max_examples=20)
    def test_white_light_added_to_part_of_the_skin_is_what_it_returns(self, seed):
        image, points = head(seed, pores=0.0)
        found = find_skin(image, points)
        gloss = 0.1 * (np.random.default_rng(seed).random(image.shape[:2]) < 0.2)
        coded = image / 255.0
        linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
        shiny = find_skin(encode(linear + gloss[..., None]), points)
        expected = 0.1 / float(np.median(shiny.luminance[shiny.mask]))
        assert specular(found) < 0.05
        assert specular(shiny) == pytest.approx(expected, rel=0.15)

    def test_more_gloss_raises_it(self):
        image, points = head(5)
        coded = (image / 255.0) ** 2.2
        spots = (np.random.default_rng(5).random(image.shape[:2]) < 0.2)[..., None]
        values = [specular(find_skin(encode(coded + gloss * spots), points)) for gloss in (0.0, 0.05, 0.1, 0.2)]
        assert values == sorted(values)


class TestGrain:
    def test_is_a_correlation_of_neighbours(self):
        from scipy.ndimage import uniform_filter

        one = region(11)
        plane = one.log_luminance.astype(np.float64)
        detail = plane - uniform_filter(plane, 3, mode="mirror")
        pairs = [
            (detail[:, :-1][both], detail[:, 1:][both]) for both in [one.mask[:, :-1] & one.mask[:, 1:]]
        ] + [(detail[:-1][both], detail[1:][both]) for both in [one.mask[:-1] & one.mask[1:]]]  # fmt: skip
        first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
        # The means of the details are next to nothing, so Pearson's is the same.
        assert grain(one) == pytest.approx(-np.corrcoef(first, second)[0, 1], abs=2e-3)

    @given(SEEDS, st.floats(0.5, 3.0))
    @settings(max_examples=20)
    def test_white_noise_is_a_sixth_whatever_its_strength(self, seed, strength):
        one = region(0)
        noise = strength * np.random.default_rng(seed).normal(size=one.log_luminance.shape).astype(np.float32)
        everywhere = np.ones_like(one.mask)
        assert grain(dataclasses.replace(one, log_luminance=noise, mask=everywhere)) == pytest.approx(1 / 6, abs=0.04)

    @given(SEEDS)
    @settings(max_examples=20)
    def test_more_grain_over_smooth_skin_raises_it(self, seed):
        values = [grain(with_grain(seed, sigma, smoothing=1.2)) for sigma in (0.0, 2.0, 6.0)]
        assert values == sorted(values)

    @given(SEEDS, st.floats(0.3, 1.0))
    @settings(max_examples=20)
    def test_exposure_hardly_moves_it(self, seed, exposure):
        assert grain(region(seed, exposure=exposure)) == pytest.approx(grain(region(seed)), abs=0.04)

    def test_smoothing_lowers_it(self):
        assert grain(region(2, smoothing=1.0)) < grain(region(2))


class TestLattice:
    @given(SEEDS, st.sampled_from([4, 8, 16]), st.integers(0, 15), st.booleans())
    @settings(max_examples=30)
    def test_lines_of_a_period_stand_out(self, seed, period, phase, across):
        image, _ = head(seed)
        ruled = image.astype(int)
        if across:
            ruled[phase % period :: period] += 4
        else:
            ruled[:, phase % period :: period] += 4
        assert lattice(np.clip(ruled, 0, 255).astype(np.uint8)) > lattice(image)

    def test_jpeg_blocks_stand_out(self):
        from io import BytesIO

        from PIL import Image

        image, _ = head(0)
        file = BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=40)
        assert lattice(np.asarray(Image.open(file))) > lattice(image) + 1

    def test_stronger_lines_stand_out_more(self):
        image, _ = head(4)
        values = []
        for levels in (0, 2, 4, 8):
            ruled = image.astype(int)
            ruled[:, ::8] += levels
            values.append(lattice(np.clip(ruled, 0, 255).astype(np.uint8)))
        assert values == sorted(values)

    def test_a_picture_of_one_colour_has_none(self):
        assert lattice(np.full((128, 128, 3), 90, np.uint8)) == pytest.approx(0.0)
