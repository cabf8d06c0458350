from hypothesis import given
from hypothesis import strategies as st

from lifeos.lora.captions import shuffled
from lifeos.lora.recipe.sections import CaptionShuffleSettings

PART = st.text("abc ", min_size=1, max_size=5).map(str.strip).filter(bool)


@given(st.lists(PART, min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 2**60))
def test_no_part_is_lost_and_the_first_stay(parts, kept, seed):
    settings = CaptionShuffleSettings(keep_first=kept)
    text = shuffled(", ".join(parts), settings, seed)
    assert sorted(text.split(", ")) == sorted(parts)
    assert text.split(", ")[:kept] == parts[:kept]
    assert shuffled(", ".join(parts), settings, seed) == text


def test_every_order_comes_about_equally_often():
    orders = [shuffled("a photo of zeph, x, y, z", CaptionShuffleSettings(), seed) for seed in range(600)]
    # 6 orders of 100 each; 55 to 145 is five standard deviations.
    assert len(set(orders)) == 6
    assert all(55 < orders.count(order) < 145 for order in set(orders))


def test_the_separator_is_kept():
    assert shuffled("zeph|x", CaptionShuffleSettings(separator="|"), 0) == "zeph| x"
    assert shuffled("", CaptionShuffleSettings(), 0) == ""
