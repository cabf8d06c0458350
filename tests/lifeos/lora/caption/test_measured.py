from lifeos.lora.caption.attributes import Attributes
from lifeos.lora.caption.measured import BRIGHT_STOPS, WARM_STOPS, phrases_of_folder


def folder(count=8, **words):
    return [
        Attributes({kind: said(n) if callable(said) else said for kind, said in words.items()}) for n in range(count)
    ]


def test_what_every_picture_shows_is_not_named():
    found = phrases_of_folder(folder(shot="close-up", facing=lambda n: f"facing {'left' if n else 'right'}"))
    assert found.constant == {"shot": "close-up"}
    assert found.phrases == [["facing right"], *[["facing left"]] * 7]


def test_few_pictures_tell_nothing_of_what_varies():
    assert phrases_of_folder(folder(7, shot="close-up")).phrases == [["close-up"]] * 7


def test_what_is_absent_elsewhere_varies():
    pictures = [*folder(8, tilt="head tilted left"), Attributes()]
    assert phrases_of_folder(pictures).phrases == [["head tilted left"]] * 8 + [[]]
    # Everything else that was measured alike is constant, whether or not one picture could not be measured.
    assert phrases_of_folder([*folder(8, shot="close-up"), Attributes()]).phrases == [[]] * 9


def test_brightness_and_warmth_are_those_among_the_persons_own_pictures():
    pictures = [Attributes(brightness=-4.0, warmth=1.0)] * 7
    odd = [
        Attributes(brightness=-4.0 - BRIGHT_STOPS, warmth=1.0 + WARM_STOPS),
        Attributes(brightness=-4.0 + BRIGHT_STOPS, warmth=1.0 - WARM_STOPS),
    ]
    assert phrases_of_folder([*pictures, *odd]).phrases[-2:] == [
        ["dim light", "warm light"],
        ["bright light", "cool light"],
    ]
    assert phrases_of_folder([*pictures[:5], *odd]).phrases == [[]] * 7
    # A dark face is no dim light: only a difference is.
    assert phrases_of_folder([Attributes(brightness=-6.0, warmth=3.0)] * 9).phrases == [[]] * 9


def test_no_picture():
    assert phrases_of_folder([]).phrases == []
