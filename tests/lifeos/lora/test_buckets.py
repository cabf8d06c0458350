import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lifeos.errors import InputError
from lifeos.lora.buckets import bucket_of, shapes, sizes_of_examples, trained_scale, trained_sizes
from lifeos.lora.dataset import Example
from lifeos.lora.recipe import ResolutionSettings

SIZES = st.tuples(st.integers(16, 4000), st.integers(16, 4000))


def resolution(**values):
    return ResolutionSettings.model_validate({"sides": (512,), **values})


def test_the_bucket_nearest_in_shape():
    buckets = [(512, 512), (384, 640), (640, 384), (1024, 1024)]
    assert bucket_of(900, 1500, buckets) == (384, 640)
    assert bucket_of(2000, 2000, buckets) == (1024, 1024)
    with pytest.raises(ValueError, match="at least 1"):
        bucket_of(5, 5, [])


@settings(deadline=None)
@given(SIZES, SIZES)
def test_the_scale_is_that_of_covering_the_bucket(size, bucket):
    # ImageOps.fit crops to the shape first: what it resizes is bucket / scale, within the picture.
    scale = trained_scale(*size, bucket)
    assert bucket[0] / scale <= size[0] + 1e-6
    assert bucket[1] / scale <= size[1] + 1e-6
    assert min(abs(bucket[0] / scale - size[0]), abs(bucket[1] / scale - size[1])) < 1e-6


def test_without_buckets_every_side_is_a_square():
    assert trained_sizes(900, 300, resolution(sides=(256, 512))) == ((256, 256), (512, 512))


def test_the_shapes_are_those_that_kohyas_trainer_makes():
    # kohya-ss/sd-scripts, library/model_util.py, make_bucket_resolutions((512, 512), 256, 1024, 64).
    wide = [(512, 512), (576, 448), (640, 384), (704, 320), (768, 320), (832, 256), (896, 256), (960, 256), (1024, 256)]
    assert shapes(512, resolution(buckets=True)) == tuple(sorted({*wide, *((high, wide) for wide, high in wide)}))


@settings(deadline=None)
@given(SIZES, st.sampled_from([256, 512, 768]), st.sampled_from([64, 128]), st.booleans())
def test_a_size_keeps_within_area_sides_and_step(picture, side, step, upscale):
    asked = resolution(sides=(side,), buckets=True, bucket_step=step, upscale=upscale)
    ((width, height),) = trained_sizes(*picture, asked)
    assert width * height <= side * side
    assert width % step == height % step == 0
    if upscale:
        assert min(width, height) >= side // 2
        assert max(width, height) <= side * 2
        best = min(max(picture[0] * h, picture[1] * w) / min(picture[0] * h, picture[1] * w)
                   for w, h in shapes(side, asked))
        got = max(picture[0] * height, picture[1] * width) / min(picture[0] * height, picture[1] * width)
        assert got == best
    else:
        assert width <= picture[0]
        assert height <= picture[1]


def test_a_small_picture_is_enlarged_or_trained_at_what_it_holds(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "0001.png")
    example = Example(tmp_path / "0001.png", "zeph", "0")
    both = resolution(sides=(128, 512), bucket_step=64)
    assert sizes_of_examples([example], both, (64, 64)) == [((128, 128), (512, 512))]
    kept = resolution(sides=(128, 512), upscale=False)
    assert sizes_of_examples([example], kept, (64, 64)) == [((128, 128), (192, 192))]
    assert sizes_of_examples([example], None, (64, 64)) == [((64, 64),)]
    Image.new("RGB", (300, 60)).save(tmp_path / "0001.png")
    with pytest.raises(InputError, match="fills 64 pixels a side without being enlarged, got 300x60"):
        sizes_of_examples([example], kept, (64, 64))


def test_a_picture_that_lies_on_its_side_is_counted_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 200)).save(tmp_path / "0001.jpg", exif=exif)
    example = Example(tmp_path / "0001.jpg", "zeph", "0")
    (((width, height),),) = sizes_of_examples([example], resolution(buckets=True), (64, 64))
    assert width < height
