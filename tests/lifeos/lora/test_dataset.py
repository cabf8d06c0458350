import unicodedata

import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora.dataset import dataset_hash, pictures_below, read_dataset, read_examples, read_pixels, read_prior
from lifeos.lora.recipe import Recipe


def write(folder, name, caption, value=0, suffix=".png"):
    Image.fromarray(np.full((8, 6, 3), value, np.uint8)).save(folder / f"{name}{suffix}")
    if caption is not None:
        write_text(folder / f"{name}.txt", caption)


def test_examples_come_in_the_order_of_their_names(tmp_path):
    write(tmp_path, "0002", "zeph\n smiles ", 2)
    write(tmp_path, "0001", "photo of zeph, left", 1, ".jpg")
    examples = read_dataset(tmp_path, "zeph")
    assert [example.caption for example in examples] == ["photo of zeph, left", "zeph smiles"]
    before = dataset_hash(examples)
    write_text(tmp_path / "0002.txt", "zeph smiles")
    assert dataset_hash(read_dataset(tmp_path, "zeph")) == before
    write(tmp_path, "0002", "zeph smiles", 3)
    assert dataset_hash(read_dataset(tmp_path, "zeph")) != before


@pytest.mark.parametrize(("caption", "named"), [
    (None, "got none; next: write 0001.txt"), ("  \n", "an empty file"), ("photo of a person", "0 times"),
    ("zeph and zeph", "2 times"), ("zephyr", "0 times")])
def test_a_caption_without_the_trigger_once_is_refused(tmp_path, caption, named):
    write(tmp_path, "0001", caption)
    with pytest.raises(InputError, match=named):
        read_dataset(tmp_path, "zeph")


def test_folders_that_are_no_dataset(tmp_path):
    with pytest.raises(InputError, match="got none there"):
        read_dataset(tmp_path / "absent", "zeph")
    with pytest.raises(InputError, match="accepted images"):
        read_dataset(tmp_path, "zeph")
    write(tmp_path, "0001", "zeph")
    write(tmp_path, "0001", "zeph", suffix=".jpg")
    with pytest.raises(InputError, match="two named 0001"):
        read_dataset(tmp_path, "zeph")


def test_pictures_are_cut_to_the_size_asked_for(tmp_path):
    write(tmp_path, "0001", "zeph", 9)
    assert read_pixels(tmp_path / "0001.png", 6, 8).shape == (8, 6, 3)
    assert read_pixels(tmp_path / "0001.png", 4, 4).shape == (4, 4, 3)
    (tmp_path / "0001.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="accepted a picture"):
        read_pixels(tmp_path / "0001.png", 4, 4)


def test_a_table_of_repeats_reads_the_subfolders_it_names_and_no_other(tmp_path):
    for name, value in (("close", 1), ("far", 2)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "0001", f"zeph {name}", value)
    examples = read_dataset(tmp_path, "zeph", {"far": 1, "close": 3})
    assert [(example.caption, example.repeats) for example in examples] == [("zeph close", 3), ("zeph far", 1)]
    assert dataset_hash(examples) != dataset_hash(read_dataset(tmp_path, "zeph", {"far": 1, "close": 2}))
    with pytest.raises(InputError, match=r"subfolders of repeats \(far\), got 1 beside them, first close"):
        read_dataset(tmp_path, "zeph", {"far": 1})
    with pytest.raises(InputError, match="check repeats, which names near"):
        read_dataset(tmp_path, "zeph", {"far": 1, "close": 3, "near": 1})
    write(tmp_path, "0003", "zeph", 3)
    with pytest.raises(InputError, match=r"first 0003\.png"):
        read_dataset(tmp_path, "zeph", {"far": 1, "close": 3})
    assert [example.repeats for example in read_dataset(tmp_path, "zeph", 4)] == [4]


def test_the_class_is_read_without_the_trigger(tmp_path):
    own, others = tmp_path / "own", tmp_path / "others"
    own.mkdir()
    others.mkdir()
    write(own, "0001", "zeph", 1)
    write(others, "0001", "a person", 2)
    (other,) = read_prior(others, None, "zeph")
    assert (other.prior, other.caption) == (True, "a person")
    write_text(others / "0001.txt", "a zeph person")
    with pytest.raises(InputError, match="accepted a caption without the trigger 'zeph'"):
        read_prior(others, None, "zeph")
    assert read_prior(others, "somebody", "zeph")[0].caption == "somebody"
    with pytest.raises(InputError, match=r"next: check prior\.folder"):
        read_prior(tmp_path, None, "zeph")


def recipe_of(tmp_path, **values):
    return Recipe.model_validate({"base": tmp_path, "dataset": tmp_path / "own", "trigger": "zeph", "steps": 1,
                                  **values})  # fmt: skip


def test_what_the_loss_is_weighed_by_enters_the_hash(tmp_path):
    for name in ("own", "others", "masks"):
        (tmp_path / name).mkdir()
    write(tmp_path / "own", "0001", "zeph", 1)
    write(tmp_path / "others", "0001", "a person", 2)
    plain = read_examples(recipe_of(tmp_path))
    with_class = read_examples(recipe_of(tmp_path, prior={"folder": tmp_path / "others"}))
    assert [example.prior for example in with_class] == [False, True]
    masked = recipe_of(tmp_path, mask={"folder": tmp_path / "masks"})
    with pytest.raises(InputError, match=r"0001\.png: accepted a mask for 0001\.png, got none"):
        read_examples(masked)
    Image.new("L", (6, 8)).save(tmp_path / "masks" / "0001.png")
    hashes = [dataset_hash(examples) for examples in (plain, with_class, read_examples(masked))]
    Image.new("L", (6, 8), 255).save(tmp_path / "masks" / "0001.png")
    assert len({*hashes, dataset_hash(read_examples(masked))}) == 4
    write(tmp_path / "others", "0002", "a person", 1)
    with pytest.raises(InputError, match=r"somebody else of the class, got the training image 0001\.png"):
        read_examples(recipe_of(tmp_path, prior={"folder": tmp_path / "others"}))


def test_a_picture_that_breaks_off_is_refused_by_name(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0001.png")
    whole = (tmp_path / "0001.png").read_bytes()
    for length in (10, 40, len(whole) // 2, len(whole) - 600):
        (tmp_path / "0001.png").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"0001\.png: accepted a picture"):
            read_pixels(tmp_path / "0001.png", 64, 64)


def test_pictures_of_subfolders_count_as_training_images(tmp_path):
    (tmp_path / "inner").mkdir()
    write(tmp_path, "0002", None)
    write(tmp_path / "inner", "0001", None)
    assert [path.name for path in pictures_below(tmp_path)] == ["0002.png", "0001.png"]
    assert pictures_below(tmp_path / "absent") == []


def test_an_accent_is_the_same_letter_however_it_is_written(tmp_path):
    write(tmp_path, "0001", unicodedata.normalize("NFD", "photo of zéph, smiling"))
    assert len(read_dataset(tmp_path, unicodedata.normalize("NFC", "zéph"))) == 1
