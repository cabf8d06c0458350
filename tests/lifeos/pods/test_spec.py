import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.pods.spec import list_pods, load_architectures, load_gpus, load_pod
from lifeos.settings import project_root

WHOLE = (project_root() / "pods" / "a40.toml").read_text(encoding="utf-8")


def test_the_shipped_pods_are_whole():
    pods = {pod.name: pod for pod in list_pods()}
    assert {"a40", "a100-80", "h100", "h200", "l40s", "rtx4090", "rtx5090", "t4", "b200"} <= set(pods)
    assert pods["rtx5090"].gpu.capability == (12, 0)
    assert pods["b200"].gpu.capability == (10, 0)
    assert not pods["t4"].gpu.bf16
    assert pods["a40"].gpu.bf16
    assert not pods["a40"].gpu.fp8
    assert pods["l40s"].gpu.fp8
    for pod in pods.values():
        assert pod.price.kind == "estimate"
        assert pod.price_per_hour > 0
        assert pod.currency == "USD"
        assert pod.driver_version[0] >= 525
        assert pod.cuda_version == (12, 8)


def test_the_gpu_table_spans_t4_to_b200_and_every_rtx_generation():
    gpus = load_gpus()
    generations = {gpu.capability for gpu in gpus.values() if gpu.name.startswith("RTX")}
    assert generations >= {(7, 5), (8, 6), (8, 9), (12, 0)}
    assert {"T4", "B200"} <= set(gpus)
    assert all(gpu.source for gpu in gpus.values())
    assert 44 < gpus["A40"].memory_gib < 48
    assert {gpu.capability for gpu in gpus.values()} == set(load_architectures())
    names = [name for gpu in gpus.values() for name in gpu.driver_names]
    assert len(names) == len(set(names))


def test_a_pod_of_ones_own_may_lie_anywhere(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE.replace('gpu = "A40"', 'gpu = "RTX 3090"'), encoding="utf-8")
    pod = load_pod(path)
    assert (pod.name, pod.gpu.name) == ("mine", "RTX 3090")


def test_an_unknown_pod_names_the_known_ones():
    with pytest.raises(InputError, match=r"a100-80, a40.*got 'a4'; next: lifeos pods"):
        load_pod("a4")


@pytest.mark.parametrize("name", ["", "../pods/a40", "a40/../a40", "/etc/passwd", "A40 ", "*"])
def test_a_name_is_a_file_stem(name):
    with pytest.raises(InputError, match="accepted one of"):
        load_pod(name)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('gpu = "A40"', 'gpu = "A41"', "gpu: accepted one of T4"),
        ('gpu = "A40"', "gpu = 40", "gpu: accepted one of T4"),
        ('gpu = "A40"', "", "gpu: Field required"),
        ("count = 1", "count = 0", "count"),
        ("count = 1", "count = 1\nspot = true", "spot"),
        ("count = 1", 'count = 1\nname = "b"', "name"),
        ('driver = "570.124.06"', 'driver = "newest"', "driver"),
        ('cuda = "12.8"', "cuda = 12.8", "cuda"),
        ('python = "3.11"', 'python = "2.7"', "python"),
        ('platform = "x86_64-manylinux_2_28"', 'platform = "windows"', "platform"),
        ("disk_gib = 50", "disk_gib = nan", "disk_gib"),
        ("volume_gib = 100", "volume_gib = -1", "volume_gib"),
        ("per_hour = 0.44", "per_hour = inf", "price.per_hour"),
        ("per_hour = 0.44", "per_hour = -0.1", "price.per_hour"),
        ("per_hour = 0.44", 'per_hour = "0.44"', "price.per_hour"),
        ('currency = "USD"', 'currency = "dollars"', "price.currency"),
        ("[price]", "[price", "accepted TOML"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, old, new, says):
    assert old in WHOLE
    path = tmp_path / "bad.toml"
    path.write_text(WHOLE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_pod(path)
    assert says in str(caught.value)
    assert "; next: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\x00", b""])
def test_bytes_that_are_no_pod(tmp_path, raw):
    path = tmp_path / "bad.toml"
    path.write_bytes(raw)
    with pytest.raises(InputError):
        load_pod(path)
    with pytest.raises(InputError):
        load_pod(tmp_path / "absent.toml")
    with pytest.raises(InputError):
        load_gpus(path)


@settings(max_examples=60)
@given(text=st.text(max_size=200))
def test_no_text_ends_in_anything_but_a_pod_or_an_input_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("pod") / "x.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        load_pod(path)


GPU = """[[gpu]]
name = "X"
driver_names = ["X"]
memory_mib = 1024
memory_kind = "driver"
capability = "8.6"
bf16 = true
fp8 = false
tensor_tflops = 1.0
float32_tflops = 1.0
source = "here"
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bf16 = true", "bf16 = false"),
        ("fp8 = false", "fp8 = true"),
        ('capability = "8.6"', "capability = 8.6"),
        ("tensor_tflops = 1.0", "tensor_tflops = 0"),
        ('source = "here"', 'source = ""'),
        ('source = "here"', ""),
        ('source = "here"', 'source = "here"\n' + GPU),
    ],
)
def test_a_gpu_row_that_contradicts_itself_is_refused(tmp_path, old, new):
    path = tmp_path / "gpus.toml"
    path.write_text(GPU, encoding="utf-8")
    assert load_gpus(path)["X"].memory_gib == 1.0
    path.write_text(GPU.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=r"gpus\.toml"):
        load_gpus(path)
