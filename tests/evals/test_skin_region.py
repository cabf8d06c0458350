import numpy as np
import pytest

from evals.faces.align import TEMPLATE
from evals.skin_region import WORKING_INTER_OCULAR, cheek_boxes, find_skin
from tests.evals.test_skin_realism_eval import SIDE, head


def test_what_is_found_fits_together():
    region = find_skin(*head(0))
    height, width = region.crop.shape[:2]
    for plane in (region.luminance, region.log_luminance, region.exposed, region.mask, region.area):
        assert plane.shape == (height, width)
    assert not (region.mask & ~region.area).any()
    assert not (region.mask & ~region.exposed).any()
    assert 0.3 < region.mask.sum() / region.distance**2 < 1.3
    assert np.allclose(region.log_luminance, np.log(region.luminance + 0.01), atol=1e-6)


def test_luminance_is_scikit_images():
    from skimage.color import rgb2xyz

    region = find_skin(*head(1))
    assert np.allclose(region.luminance, rgb2xyz(region.crop)[..., 1], atol=1e-3)


def test_eyes_lips_and_hair_are_no_skin():
    image, points = head(0)
    image[:30] = (20, 12, 8)
    region = find_skin(image, points)
    colours = region.crop[region.mask].astype(int)
    assert len(np.unique(colours, axis=0)) > 20
    # Skin is red over green over blue here; eyes and hair are dark, lips bluer than green.
    assert (colours[:, 0] > 60).all()
    assert (colours[:, 1] >= colours[:, 2]).mean() > 0.99


@pytest.mark.parametrize("scale", [1.0, 1.3, 5.7])
def test_small_faces_keep_their_size_and_large_ones_are_brought_to_one(scale):
    from evals.faces.align import inter_ocular_distance

    image, points = head(2, scale=scale, side=640 if scale > 2 else SIDE)
    region = find_skin(image, points)
    assert region.distance == pytest.approx(min(inter_ocular_distance(points), WORKING_INTER_OCULAR))
    assert 0.3 < region.mask.sum() / region.distance**2 < 1.3


def test_skin_moves_with_the_face():
    image, points = head(3)
    moved = np.roll(image, (3, -4), axis=(0, 1))
    one, other = find_skin(image, points), find_skin(moved, points + np.float32([-4, 3]))
    assert one.crop.shape == other.crop.shape
    assert (one.mask == other.mask).mean() > 0.99


def test_unscorable_says_why_and_says_unscorable():
    image, points = head(0)
    profile = points.copy()
    profile[:, 0] = points[2, 0] + 0.12 * (points[:, 0] - points[2, 0])
    for found in (
        find_skin(image, points, minimum_inter_ocular=92),
        find_skin(image, points + 400),
        find_skin(image, profile, minimum_inter_ocular=5),
        find_skin(np.zeros_like(image), points),
        find_skin(np.full_like(image, 255), points),
    ):
        assert isinstance(found, str)
        assert "unscorable" in found


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), TEMPLATE[:4]])
def test_points_that_are_none_are_refused(points):
    with pytest.raises(ValueError):
        find_skin(head(0)[0], points.astype(np.float32))


def test_cheek_boxes_lie_on_skin_inside_the_picture_the_larger_first():
    image, points = head(0)
    height, width = image.shape[:2]
    boxes = cheek_boxes(points, width, height)
    assert len(boxes) == 2
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in boxes]
    assert areas == sorted(areas, reverse=True)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        # Below the eyes, above the mouth's corners by and large.
        assert points[:2, 1].max() - 5 < (top + bottom) / 2 < points[3:, 1].max() + 5
    assert cheek_boxes(points, 3, 3) == []
