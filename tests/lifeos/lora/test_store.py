import errno
import functools
import io
import itertools
import json
import os

import numpy as np
import pytest
from PIL import Image

from lifeos.lora.sample import encode_png
from lifeos.lora.store import ImageStore

KEY, OTHER_KEY = "ab" * 32, "ac" * 32
FACTS = {"seed": 3, "strength": 0.8, "lora": None, "prompt": 'photo of a "zeph" person, café'}
# What the standard library's ways of writing a file end in.
OS_CALLS = ("open", "fdopen", "mkdir", "fsync", "close", "chmod", "replace", "rename", "unlink")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it, and after it the process does nothing more."""


def png(seed=0):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8))


def killed_before(monkeypatch, number, write):
    """Run ``write`` and kill it before its call number ``number`` of the system; False when it makes fewer."""
    calls = []

    def watched(real):
        def call(*arguments, **named):
            calls.append(real)
            if len(calls) >= number:
                raise KilledError
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in OS_CALLS:
            patch.setattr(os, name, watched(getattr(os, name)))
        try:
            write()
        except KilledError:
            return True
    return False


def kills(monkeypatch, prepare, write):
    """Kill ``write(prepare())`` before every call it makes; gives what ``prepare`` returned, after each kill."""
    number = 1
    while killed_before(monkeypatch, number, functools.partial(write, prepared := prepare())):
        yield prepared
        number += 1
    # mkstemp, fdopen, fsync, chmod, replace, and open, fsync and close of the folder: all were counted.
    assert number > 8


def test_an_image_comes_back_with_its_facts_and_its_pixels(tmp_path):
    store = ImageStore(tmp_path / "samples")
    assert not store.has(KEY)
    path = store.put(KEY, png(), FACTS)
    assert path == store.path_for(KEY)
    assert store.has(KEY)
    facts = store.facts(KEY)
    assert facts.items() >= FACTS.items()
    assert facts["key"] == KEY
    with Image.open(path) as image, Image.open(io.BytesIO(png())) as given:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(given))
        assert json.loads(image.text["lifeos"]) == facts
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    # Equal inputs give equal bytes: what measured an image finds its record again.
    assert ImageStore(tmp_path / "again").put(KEY, png(), FACTS).read_bytes() == path.read_bytes()


def test_an_image_on_the_disk_is_there_whatever_moment_a_kill_hits(tmp_path, monkeypatch):
    folders, seen = (tmp_path / f"samples {number}" for number in itertools.count()), set()
    for store in kills(monkeypatch, lambda: ImageStore(next(folders)), lambda store: store.put(KEY, png(), FACTS)):
        lies_there = store.path_for(KEY).exists()
        assert store.has(KEY) == lies_there
        seen.add(lies_there)
        store.put(KEY, png(), FACTS)
        assert store.has(KEY)
    assert seen == {False, True}


def test_a_kill_while_a_damaged_image_is_made_again_leaves_it_damaged_or_whole(tmp_path, monkeypatch):
    store = ImageStore(tmp_path)
    path = store.put(KEY, png(), FACTS)
    whole, seen = path.read_bytes(), set()
    for _ in kills(monkeypatch, lambda: path.write_bytes(whole[:-1]), lambda _: store.put(KEY, png(), FACTS)):
        assert path.read_bytes() in (whole, whole[:-1])
        assert store.has(KEY) == (path.read_bytes() == whole)
        seen.add(store.has(KEY))
    assert seen == {False, True}


def test_a_kill_among_several_images_leaves_each_whole_or_not_there(tmp_path, monkeypatch):
    folders, seen = (tmp_path / f"samples {number}" for number in itertools.count()), set()
    images = [(key, png(seed), FACTS) for seed, key in enumerate((KEY, OTHER_KEY, KEY[:-1] + "0"))]
    for store in kills(monkeypatch, lambda: ImageStore(next(folders)), lambda store: store.put_all(images)):
        lie_there = [store.path_for(key).exists() for key, _, _ in images]
        assert [store.has(key) for key, _, _ in images] == lie_there
        seen.add(sum(lie_there))
        store.put_all(images)
        assert all(store.has(key) for key, _, _ in images)
    assert seen == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="PNG"):
        ImageStore(tmp_path / "none").put_all([*images, (KEY, b"", {})])
    assert not (tmp_path / "none").exists()


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path, monkeypatch):
    store = ImageStore(tmp_path)
    path = store.put(KEY, png(), FACTS)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        store.put(KEY, png(1), FACTS)
    with pytest.raises(OSError, match="no space left"):
        store.put(OTHER_KEY, png(1), FACTS)
    assert store.facts(KEY).items() >= FACTS.items()
    assert not store.has(OTHER_KEY)
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [path.name]


def test_no_damage_is_overlooked(tmp_path):
    """A small image cut at every length, with every byte taken out, and with a bit of every byte turned over."""
    store = ImageStore(tmp_path)
    path = store.put(KEY, png(), {"seed": 3})
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:place] + whole[place + 1 :] for place in range(len(whole))]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :] for place in range(len(whole))
    ]
    damaged += [whole + b"\0", whole + whole, bytes(len(whole)), png()]
    for data in damaged:
        path.write_bytes(data)
        assert not store.has(KEY), data
    path.write_bytes(whole)
    assert store.has(KEY)


def test_an_image_of_another_key_does_not_count(tmp_path):
    store = ImageStore(tmp_path)
    one, other = store.put(KEY, png(), FACTS), store.put(OTHER_KEY, png(1), FACTS)
    one.write_bytes(other.read_bytes())
    assert not store.has(KEY)
    assert store.facts(KEY) is None
    assert store.has(OTHER_KEY)


@pytest.mark.parametrize("key", ["", "../" * 20, "AB" * 32, "ab" * 31])
def test_a_key_is_a_hash(tmp_path, key):
    with pytest.raises(ValueError, match="hexadecimal"):
        ImageStore(tmp_path).path_for(key)


@pytest.mark.parametrize(("given", "facts", "error"), [
    (b"png bytes", {}, "PNG"), (b"", {}, "PNG"), (png(), {"strength": float("nan")}, "JSON"),
    (png(), {"key": 1}, "key"), (png(), {"sha256": 1}, "sha256")])  # fmt: skip
def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, given, facts, error):
    with pytest.raises(ValueError, match=error):
        ImageStore(tmp_path).put(KEY, given, facts)
    assert list(tmp_path.iterdir()) == []
