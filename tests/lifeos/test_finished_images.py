import pytest

from lifeos.errors import InputError
from lifeos.finished_images import read_images


def put(folder, *names, table=None):
    for name in names:
        (folder / name).write_bytes(b"x")
    if table is not None:
        (folder / "images.csv").write_text("file,prompt,seed\n" + table, encoding="utf-8")
    return [(image.path.name, image.prompt, image.seed) for image in read_images(folder)]


def test_names_say_prompt_and_seed(tmp_path):
    assert put(tmp_path, "B01_seed0.png", "B01_seed12.jpg", "holiday.webp", "notes.txt") == [
        ("B01_seed0.png", "B01", 0),
        ("B01_seed12.jpg", "B01", 12),
        ("holiday.webp", "holiday.webp", 0),
    ]


def test_same_stem_twice_is_two_prompts(tmp_path):
    assert len({prompt for _, prompt, _ in put(tmp_path, "a.png", "a.jpg")}) == 2


def test_a_table_wins_over_names(tmp_path):
    assert put(tmp_path, "B01_seed0.png", table="B01_seed0.png,beach,7\n") == [("B01_seed0.png", "beach", 7)]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a.png,beach,\n", "line 2"),
        ("a.png,beach,-1\n", "line 2"),
        ("a.png,,1\n", "line 2"),
        ("b.png,beach,1\n", "not in the folder"),
        ("a.png,beach,1\na.png,beach,2\n", "twice"),
        ("", "a.png"),
    ],
)
def test_a_wrong_table_is_named(tmp_path, table, said):
    with pytest.raises(InputError, match=said):
        put(tmp_path, "a.png", table=table)


def test_no_image(tmp_path):
    with pytest.raises(InputError, match="accepted a folder with images"):
        put(tmp_path)
