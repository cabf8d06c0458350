"""What people hand in: pictures that cannot be read, captions in any script, files cut off by a full disk."""

import shutil
import unicodedata

import numpy as np
import pytest

from lifeos.errors import InputError
from lifeos.lora.dataset import read_dataset
from lifeos.lora.dataset_lint.tokens import read_tokenizers
from lifeos.lora.safetensors_file import encode
from lifeos.lora.train import train_lora

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def folder(dataset, tmp_path):
    """A dataset that may be spoiled."""
    return shutil.copytree(dataset, tmp_path / "data")


def test_an_unreadable_picture_in_the_middle_is_named_and_nothing_is_half_cached(recipe, folder, dataset, tmp_path):
    recipe = recipe.model_copy(update={"dataset": folder})
    whole = (dataset / "0002.png").read_bytes()
    for content in (b"", b"no picture", whole[: len(whole) // 2]):
        (folder / "0002.png").write_bytes(content)
        with pytest.raises(InputError, match=r"0002\.png: accepted a picture, got .*; next: replace") as caught:
            train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
        assert "\n" not in str(caught.value)
        assert not [*(tmp_path / "run").rglob("latents-*"), *(tmp_path / "run").rglob("text-*")]
        assert not (tmp_path / "x.safetensors").exists()
    (folder / "0002.png").write_bytes(whole)
    recipe = recipe.model_copy(update={"steps": 1})
    mended = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    recipe = recipe.model_copy(update={"dataset": dataset})
    undamaged = train_lora(recipe, tmp_path / "y.safetensors", tmp_path / "other")
    assert mended.path.read_bytes() == undamaged.path.read_bytes()


def test_no_picture_at_all_is_told_before_the_base_is_loaded(recipe, tmp_path, monkeypatch):
    from lifeos.lora.families.tiny_base import TinyBase

    monkeypatch.setattr(TinyBase, "load", None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"accepted images \(.*\), got none; next: check dataset"):
        train_lora(recipe.model_copy(update={"dataset": tmp_path / "empty"}), tmp_path / "x.safetensors", tmp_path)


CAPTIONS = {
    "German": "ein Foto von zeph, lächelnd über größeren Häusern",
    "Japanese": "zeph の写真",
    "Arabic": "صورة zeph في الضوء",
    "Hebrew with marks of direction": "\u200fתמונה של zeph\u200f",
    "emoji": "photo of zeph 😀👩‍🚀",
    "composed": unicodedata.normalize("NFC", "photo of zeph, café"),
    "decomposed": unicodedata.normalize("NFD", "photo of zeph, café"),
}


@pytest.mark.parametrize("script", CAPTIONS)
def test_a_caption_in_any_script_is_data_and_its_tokens_are_counted(base, folder, script):
    for number in range(5):
        (folder / f"{number:04d}.txt").write_text(CAPTIONS[script], encoding="utf-8")
    examples = read_dataset(folder, "zeph")
    assert {example.caption for example in examples} == {CAPTIONS[script]}
    # The base's tokenizer, which counts what would be trained, agrees with the one that transformers loads.
    from transformers import CLIPTokenizer

    counted = read_tokenizers(base)[0].count(CAPTIONS[script])
    assert counted == len(CLIPTokenizer.from_pretrained(str(base / "tokenizer"))(CAPTIONS[script]).input_ids) > 3


def test_captions_that_differ_only_in_how_they_are_composed_are_the_same_tokens(base):
    count = read_tokenizers(base)[0].count
    assert count(CAPTIONS["composed"]) == count(CAPTIONS["decomposed"])


@pytest.mark.parametrize("written", [
    b"photo of a person", "foto de zephé".encode(), "photo de zeph, café".encode("latin-1"),
    "photo of zeph".encode("utf-16"), b"\x00zeph\xff",
])  # fmt: skip
def test_a_caption_without_the_trigger_or_of_another_encoding_names_its_file(folder, written):
    (folder / "0003.txt").write_bytes(written)
    with pytest.raises(InputError, match=r"0003\.txt: accepted .*; next: (edit|rewrite) 0003\.txt") as caught:
        read_dataset(folder, "zeph")
    assert "\n" not in str(caught.value)


def test_a_trigger_in_another_script_is_found_beside_its_signs(folder):
    for number in range(5):
        (folder / f"{number:04d}.txt").write_text("фото зефир, улыбка", encoding="utf-8")
    assert len(read_dataset(folder, "зефир")) == 5
    with pytest.raises(InputError, match="got it 0 times"):
        read_dataset(folder, "зеф")


class KilledError(Exception):
    pass


def killed(stage, done, total):
    if stage == "training" and done == 5:
        raise KilledError


@pytest.mark.parametrize("content", [b"", b"\0" * 4096])
def test_a_checkpoint_that_a_full_disk_left_empty_is_passed_over(recipe, tmp_path, content):
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "b", killed)
    newest = max((tmp_path / "b" / "checkpoints").iterdir())
    newest.write_bytes(content)
    resumed = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "b")
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (2, whole.path.read_bytes())


@pytest.mark.parametrize("what", ["latents", "text"])
@pytest.mark.parametrize("damage", ["empty", "cut", "other names"])
def test_a_kept_file_that_is_not_whole_is_computed_again(recipe, tmp_path, what, damage):
    recipe = recipe.model_copy(update={"steps": 2})
    good = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run").path.read_bytes()
    kept = next((tmp_path / "run").rglob(f"{what}-*.safetensors"))
    whole = kept.read_bytes()
    other = encode({"other": ("F32", np.zeros(1, np.float32))}, {})
    kept.write_bytes({"empty": b"", "cut": whole[:-7], "other names": other}[damage])
    for path in (tmp_path / "run").glob("*.json"):
        path.unlink()
    (tmp_path / "x.safetensors").unlink()
    again = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    assert not again.reused
    assert (again.path.read_bytes(), kept.read_bytes()) == (good, whole)
