import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.dataset_lint.tokens import read_tokenizers
from lifeos.settings import project_root

BASE = project_root() / "models" / "tiny-base"
(SHIPPED,) = read_tokenizers(BASE)


@pytest.fixture(scope="module")
def old_base(tmp_path_factory):
    """The shipped tokenizer as older bases carry it: without tokenizer.json."""
    folder = tmp_path_factory.mktemp("old") / "base"
    shutil.copytree(BASE / "tokenizer", folder / "tokenizer", ignore=shutil.ignore_patterns("tokenizer.json"))
    shutil.copy(BASE / "model_index.json", folder)
    return folder


@pytest.fixture
def base(tmp_path):
    shutil.copytree(BASE / "tokenizer", tmp_path / "tokenizer")
    shutil.copy(BASE / "model_index.json", tmp_path)
    return tmp_path


def test_the_shipped_base():
    assert (SHIPPED.name, SHIPPED.limit) == ("tokenizer", 32)
    # Start, end and no word.
    assert SHIPPED.count("") == 2
    assert SHIPPED.count("photo of a pstch person, neutral, facing front, hard light, yellow background") <= 32


def test_a_long_text_is_counted_whole():
    assert SHIPPED.count("background " * 500) > 500


@settings(deadline=None)
@given(st.text(max_size=60))
def test_vocabulary_and_merges_count_as_tokenizer_json_does(old_base, text):
    (old,) = read_tokenizers(old_base)
    assert old.count(text) == SHIPPED.count(text)
    assert old.limit == SHIPPED.limit


def test_the_text_encoder_may_be_shorter_than_its_tokenizer(base):
    (base / "text_encoder").mkdir()
    (base / "text_encoder" / "config.json").write_text('{"max_position_embeddings": 20}', encoding="utf-8")
    assert read_tokenizers(base)[0].limit == 20


def test_every_tokenizer_of_a_base_counts(base):
    shutil.copytree(base / "tokenizer", base / "tokenizer_2")
    index = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
    index |= {"tokenizer_2": ["transformers", "CLIPTokenizer"], "tokenizer_3": [None, None]}
    (base / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    assert [tokenizer.name for tokenizer in read_tokenizers(base)] == ["tokenizer", "tokenizer_2"]


def damage(base, what):
    if what == "index":
        (base / "model_index.json").write_text("[1]", encoding="utf-8")
    elif what == "none named":
        (base / "model_index.json").write_text('{"unet": ["diffusers", "x"]}', encoding="utf-8")
    elif what == "broken":
        (base / "tokenizer" / "tokenizer.json").write_text('{"model": 3}', encoding="utf-8")
    elif what == "no limit":
        (base / "tokenizer" / "tokenizer_config.json").write_text(
            json.dumps({"model_max_length": int(1e30)}), encoding="utf-8"
        )
    elif what == "no files":
        for name in ("tokenizer.json", "merges.txt"):
            (base / "tokenizer" / name).unlink()
    else:
        shutil.rmtree(base / "tokenizer")


@pytest.mark.parametrize("what", ["index", "none named", "broken", "no limit", "no files", "no folder"])
def test_a_base_without_a_tokenizer_is_said_to_have_none(base, what):
    damage(base, what)
    with pytest.raises(InputError, match=r"accepted .*got .*next: "):
        read_tokenizers(base)
