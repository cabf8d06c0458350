import hashlib
import json

import numpy as np
import pytest

from lifeos.errors import InputError
from lifeos.lora.backends import Served
from lifeos.lora.backends.provenance import Evidence, SingleFile, compare_hashes, lora_hashes, single_files
from tests.lifeos.lora.backends.conftest import SHA256

PIXELS = np.zeros((8, 8, 3), np.uint8)


def test_a_converted_base_knows_its_file_and_any_other_folder_none(converted, unrecorded):
    assert single_files(converted) == (SingleFile("tiny.safetensors", SHA256),)
    assert single_files(unrecorded) == ()


def test_records_that_say_nothing_of_it_are_passed_over(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "abc").mkdir()
    for name, values in enumerate(("{", json.dumps({"folder": "abc", "path": "x"}), json.dumps({"folder": "b"}), "[]")):
        (tmp_path / "files" / f"{name}.json").write_text(values, encoding="utf-8")
    assert single_files(tmp_path / "abc") == ()


def test_a_conversion_records_the_hash_of_its_file(converted, tmp_path):
    from lifeos.lora.families.single_file import convert_single_file
    from tests.lifeos.lora.families.original_layout import write_original

    file = write_original("tiny_base", converted, tmp_path / "mine.safetensors")
    done = convert_single_file(file, converted, tmp_path / "artifacts")
    assert single_files(done.folder) == (
        SingleFile("mine.safetensors", hashlib.sha256(file.read_bytes()).hexdigest()),)  # fmt: skip


def test_a_lora_is_known_by_the_whole_file_and_by_what_lies_behind_the_header(lora):
    data = lora.read_bytes()
    body = data[8 + int.from_bytes(data[:8], "little"):]
    assert lora_hashes(lora) == {hashlib.sha256(data).hexdigest(), hashlib.sha256(body).hexdigest()}


def test_what_is_not_said_is_not_shown(lora):
    known = (SingleFile("tiny.safetensors", SHA256),)
    hashes = lora_hashes(lora)
    right = max(hashes)[:12]
    assert compare_hashes(Served(PIXELS, SHA256, right), known, lora, hashes, "URL") == Evidence(True, True)
    assert compare_hashes(Served(PIXELS, None, right), known, lora, hashes, "URL") == Evidence(False, True)
    assert compare_hashes(Served(PIXELS, SHA256, None), known, lora, hashes, "URL") == Evidence(True, False)
    assert compare_hashes(Served(PIXELS, SHA256, None), (), None, frozenset(), "URL") == Evidence(False, True)
    with pytest.raises(InputError, match="accepted a checkpoint with SHA-256 c0ffee"):
        compare_hashes(Served(PIXELS, "d" * 64, right), known, lora, hashes, "URL")
    with pytest.raises(InputError, match="accepted a LoRA with the hash"):
        compare_hashes(Served(PIXELS, SHA256, "d" * 12), known, lora, hashes, "URL")
