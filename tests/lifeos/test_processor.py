"""What the processor offers decides what `auto` means."""

import os
from pathlib import Path

import pytest

from lifeos.processor import available_cores, computes_bfloat16, resolve_dtype


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu sse avx512f avx512_bf16 vaes\n", True),
        ("flags : fpu amx_bf16\n", True),
        ("Features : fp asimd bf16 i8mm\n", True),
        ("flags : fpu sse avx2 fma\n", False),
        ("model name : avx512_bf16\nflags : fpu\n", False),
        ("", False),
    ],
)
def test_native_bfloat16_is_read_from_the_feature_line(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    assert computes_bfloat16(tmp_path / "cpuinfo") is expected


def test_an_unreadable_list_means_float32(tmp_path):
    assert not computes_bfloat16(tmp_path / "absent")


def test_agrees_with_torch_on_this_machine():
    torch = pytest.importorskip("torch")
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("torch is asked on Linux only: elsewhere the list cannot be read")
    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("architecture") != "x86_64":
        pytest.skip("torch names these features on x86-64 only")
    assert computes_bfloat16() is bool(capabilities["avx512_bf16"] or capabilities["amx_bf16"])


def test_auto_is_resolved_and_words_stand_for_themselves(monkeypatch):
    for native, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("lifeos.processor.computes_bfloat16", lambda native=native: native)
        assert resolve_dtype("auto") == expected
        assert resolve_dtype("float32") == "float32"
        assert resolve_dtype("bfloat16") == "bfloat16"


def test_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
