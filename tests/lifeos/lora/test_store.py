import pytest

from lifeos.lora.store import ImageStore

KEY = "ab" * 32


def test_an_image_counts_only_when_it_is_whole(tmp_path):
    store = ImageStore(tmp_path / "samples")
    assert not store.has(KEY)
    path = store.put(KEY, b"png bytes", {"seed": 3})
    assert path == store.path_for(KEY)
    assert store.has(KEY)
    assert store.facts(KEY)["seed"] == 3
    path.write_bytes(b"png byte")
    assert not store.has(KEY)
    store.put(KEY, b"png bytes", {})
    path.with_suffix(".json").write_text("{", encoding="utf-8")
    assert not store.has(KEY)


@pytest.mark.parametrize("key", ["", "../" * 20, "AB" * 32, "ab" * 31])
def test_a_key_is_a_hash(tmp_path, key):
    with pytest.raises(ValueError, match="hexadecimal"):
        ImageStore(tmp_path).path_for(key)
