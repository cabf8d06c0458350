import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.dataset import read_dataset, trigger_count
from lifeos.lora.dataset_lint.captions import Caption, caption_findings, length_findings, read_captions
from lifeos.lora.dataset_lint.folder import read_folder
from lifeos.lora.dataset_lint.tokens import CaptionTokenizer
from lifeos.lora.dataset_lint.words import WordCheck, word_book

WORDS = WordCheck(word_book(), "person", "pstch")
TEXTS = st.text(max_size=40) | st.lists(
    st.sampled_from(["pstch", "Pstch", "a", "pstchs", "-pstch", ",", " ", "\n", "\t", "_pstch", "é"]), max_size=8
).map("".join)


def rules(text):
    return [finding.rule for finding in caption_findings(Caption(Path("d/a.txt"), text), "pstch", WORDS)]


@pytest.mark.parametrize(("text", "expected"), [
    ("photo of a pstch person", []),
    ("photo of pstch, smiling", []),
    ("photo of a person", ["trigger_count"]),
    ("pstch and pstch", ["trigger_count"]),
    ("pstch and PSTCH", ["trigger_count"]),
    ("Pstch", ["trigger_count"]),
    ("pstchs", ["trigger_count"]),
    ("a beautiful pstch person", ["banned_word"]),
])  # fmt: skip
def test_words_of_one_caption(text, expected):
    assert rules(text) == expected


def write(folder, name, data):
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "a b é.png", b"x")
    return tmp_path


@pytest.mark.parametrize(("data", "rule"), [
    ("photo of pstch", None),
    ("", "caption_empty"),
    (" \n\t ", "caption_empty"),
    (b"\xff\xfep\0", "caption_encoding"),
    (b"\xef\xbb\xbfpstch", "caption_encoding"),
    (b"pstch " * 20_000, "caption_encoding"),
])  # fmt: skip
def test_the_file_of_a_caption(folder, data, rule):
    write(folder, "a b é.txt", data)
    captions, found = read_captions(read_folder(folder))
    assert [finding.rule for finding in found] == ([] if rule is None else [rule])
    assert len(captions) == (rule is None)


def test_images_and_captions_belong_together(folder):
    write(folder, "b.png", b"x")
    write(folder, "b.jpg", b"x")
    write(folder, "b.txt", "pstch")
    write(folder, "notes.txt", "pstch")
    _, found = read_captions(read_folder(folder))
    assert [(finding.rule, finding.file.name) for finding in found] == [
        ("caption_missing", "a b é.png"), ("caption_shared", "b.txt"), ("caption_orphan", "notes.txt"),
    ]  # fmt: skip


def test_a_caption_that_is_a_folder(folder):
    (folder / "a b é.txt").mkdir()
    _, found = read_captions(read_folder(folder))
    assert [finding.rule for finding in found] == ["caption_encoding"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_a_caption_that_is_a_named_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "a b é.txt")
    _, found = read_captions(read_folder(folder))
    assert [finding.rule for finding in found] == ["caption_encoding"]


@settings(deadline=None)
@given(text=TEXTS)
def test_what_passes_here_is_read_by_training(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("set")
    write(folder, "a.png", b"x")
    (folder / "a.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    captions, found = read_captions(read_folder(folder))
    found += [finding for caption in captions.values() for finding in caption_findings(caption, "pstch", WORDS)]
    refused = {"caption_empty", "caption_encoding", "trigger_count"} & {finding.rule for finding in found}
    try:
        (example,) = read_dataset(folder, "pstch")
    except InputError:
        assert refused
        return
    # Other case and byte order marks are findings here and no error there.
    if not refused:
        assert [caption.text for caption in captions.values()] == [example.caption]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["pstch", "photo", "smiling", "x-pstch", "pstch-like"]), max_size=6))
def test_the_trigger_is_counted_as_a_word(words):
    text = " ".join(words)
    assert trigger_count(text, "pstch") == sum("pstch" in word for word in words)


def test_a_trigger_of_signs_is_no_pattern():
    assert trigger_count("a p.s+ b", "p.s+") == 1
    assert trigger_count("a pxsss b", "p.s+") == 0


def test_length_names_the_tightest_tokenizer():
    caption = Caption(Path("d/a.txt"), "one two three four")
    tokenizers = [CaptionTokenizer("tokenizer", 3, lambda text: len(text.split())),
                  CaptionTokenizer("tokenizer_2", 2, lambda text: len(text.split()))]  # fmt: skip
    (finding,) = length_findings(caption, tokenizers)
    assert finding.got == "4 tokens"
    assert "tokenizer_2: 2" in finding.accepted
    assert "by 2 tokens" in finding.fix
    assert length_findings(Caption(Path("a.txt"), "one two"), tokenizers) == []
