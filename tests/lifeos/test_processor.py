"""What the processor offers decides what `auto` means."""

import os
import sys
from pathlib import Path

import pytest

from lifeos.processor import available_cores, computes_bfloat16, gpus_compute_bfloat16, on_all_cores, resolve_dtype


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


@pytest.mark.parametrize(("capabilities", "native"), [
    ([(8, 0)], True), ([(9, 0), (12, 0)], True), ([(7, 5)], False), ([(9, 0), (7, 5)], False), ([], False),
])  # fmt: skip
def test_auto_on_a_gpu_is_what_every_gpu_of_the_driver_computes(monkeypatch, capabilities, native):
    class Driver:
        NVMLError = OSError
        nvmlInit = nvmlShutdown = staticmethod(lambda: None)
        nvmlDeviceGetCount = staticmethod(lambda: len(capabilities))
        nvmlDeviceGetHandleByIndex = staticmethod(lambda index: index)
        nvmlDeviceGetCudaComputeCapability = staticmethod(lambda index: capabilities[index])

    monkeypatch.setitem(sys.modules, "pynvml", Driver)
    assert gpus_compute_bfloat16() is native
    assert resolve_dtype("auto", "cuda") == ("bfloat16" if native else "float32")
    assert resolve_dtype("float32", "cuda") == "float32"


@pytest.mark.parametrize("failing", ["nvmlInit", "nvmlDeviceGetCount"])
def test_no_driver_means_float32(monkeypatch, failing):
    def fail():
        raise OSError("NVML Shared Library Not Found")

    class Driver:
        NVMLError = OSError
        nvmlInit = nvmlShutdown = staticmethod(lambda: None)

    setattr(Driver, failing, staticmethod(fail))
    monkeypatch.setitem(sys.modules, "pynvml", Driver)
    assert not gpus_compute_bfloat16()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert not gpus_compute_bfloat16()


def test_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("said", "cores"), [
    ("1", 1), ("1,4", 1), ("999", None), ("0", None), ("", None), ("x", None), ("²", None),
])  # fmt: skip
def test_fewer_cores_are_used_where_the_caller_shares_them(monkeypatch, said, cores):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    all_of_them = available_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert available_cores() == (cores or all_of_them)


def test_answers_come_in_the_order_of_the_items_whoever_ends_first():
    import time

    def slow_at_first(number):
        time.sleep(0.02 if number % 4 == 0 else 0.0)
        return number * number

    assert list(on_all_cores(slow_at_first, range(12))) == [number * number for number in range(12)]
    assert list(on_all_cores(slow_at_first, [])) == []


def test_the_first_item_in_order_that_is_refused_speaks_and_the_rest_is_not_begun(monkeypatch):
    import threading

    monkeypatch.setattr("lifeos.processor.available_cores", lambda: 1)
    begun, gate = [], threading.Event()

    def refuse(number):
        begun.append(number)
        if number == 1:
            gate.wait(5)
            raise ValueError(f"number {number}")
        return number

    answers = on_all_cores(refuse, range(200))
    assert next(answers) == 0
    answers.close()  # an interrupt ends it like this
    gate.set()
    assert len(begun) <= 2
    with pytest.raises(ValueError, match="number 1"):
        list(on_all_cores(refuse, range(200)))


def test_a_backend_is_opened_once_by_two_threads(tmp_path):
    import time

    from lifeos.measure import Measurements

    opened = []

    def open_backend():
        time.sleep(0.02)
        opened.append(1)
        return object()

    measurements = Measurements(tmp_path, open_backend, "once")
    backends = list(on_all_cores(lambda _: measurements.backend, range(4)))
    assert len(opened) == 1
    assert len({id(backend) for backend in backends}) == 1
