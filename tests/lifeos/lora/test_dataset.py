import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora.dataset import dataset_hash, read_dataset, read_pixels


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
