import contextlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from lifeos.errors import InputError
from lifeos.pods.asked_set import read_asked
from lifeos.pods.corrections import Asked


def ask(folder, text, python="3.11"):
    path = folder / "sét of requirements.txt"
    path.write_text(text, encoding="utf-8")
    return read_asked(path, python)


def test_names_extras_conditions_and_hashes(tmp_path):
    found = ask(tmp_path, "Torch_Vision[b,a]>=1,<2\nnumpy==2.4.6 \\\n  --hash=sha256:aa \\\n  --hash=sha256:bb\n")
    assert found.asked == (
        Asked("torch-vision", frozenset({"a", "b"}), "<2,>=1"),
        Asked("numpy", frozenset(), "==2.4.6", ("sha256:aa", "sha256:bb")),
    )
    assert [one.pinned for one in found.asked] == [None, Version("2.4.6")]


def test_markers_are_decided_for_the_pod_not_for_this_machine(tmp_path):
    text = 'a==1 ; sys_platform == "win32"\nb==1 ; python_version < "3.12"\nc==1 ; platform_machine == "x86_64"\n'
    assert [one.name for one in ask(tmp_path, text).asked] == ["b", "c"]
    assert [one.name for one in ask(tmp_path, text, "3.12").asked] == ["c"]


def test_lines_of_one_package_are_joined(tmp_path):
    assert ask(tmp_path, "a[x]>=1\nA[y]<2\n").asked == (Asked("a", frozenset({"x", "y"}), ">=1,<2"),)


def test_an_index_of_the_file_goes_to_uv_and_into_the_command(tmp_path):
    found = ask(tmp_path, "--extra-index-url https://a.example/cu128\n--pre\n--trusted-host x\ntorch==2.7.1+cu128\n")
    assert found.options == ("--extra-index-url https://a.example/cu128", "--pre")
    assert found.uv_options == ("--extra-index-url", "https://a.example/cu128", "--prerelease", "allow")
    assert found.options_as_arguments == ("--extra-index-url", "https://a.example/cu128", "--pre")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one requirement"),
        ('a==1 ; sys_platform == "win32"\n', "at least one requirement"),
        ("torch @ https://a.example/torch-2-py3-none-any.whl\n", "a URL or a local path on line 1: torch"),
        ("./wheels/torch.whl\n", "line 1"),
        ("/srv/wheels/torch.whl\n", "line 1"),
        ("-e .\n", "line 1"),
        ("a==1\n-r other.txt\n", "line 2"),
        ("a==1\n-c other.txt\n", "-c on line 2"),
        ("a==1\n--no-binary :all:\n", "--no-binary on line 2"),
        ("--find-links /srv/wheels\na==1\n", "a folder of this machine on line 1"),
        ("torch=2\n", "line 1"),
        ("https://user:secret@a.example/a-1-py3-none-any.whl\n", "line 1: a URL or a local path"),
        ("git+https://a.example/a\n", "line 1: a URL or a local path"),
        ("a-1-py3-none-any.whl\n", "line 1: a URL or a local path"),
        ("a===one-of-these\n", "===one-of-these on line 1"),
        ("a==1 --hash=md5:00\n", "a hash that is none of sha256"),
        ("a==1 --hash=sha512:00\n", "sha512 on line 1"),
    ],
)
def test_what_metadata_cannot_answer_is_one_line(tmp_path, text, says):
    with pytest.raises(InputError) as error:
        ask(tmp_path, text)
    assert says in str(error.value)
    assert "next: " in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_asked(tmp_path / "nowhere.txt", "3.11")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00t")
    with pytest.raises(InputError, match="not UTF-8"):
        read_asked(tmp_path / "bytes.txt", "3.11")


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=string.printable, max_size=120))
def test_no_text_ends_in_a_traceback(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("set") / "requirements.txt"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(InputError):
        assert read_asked(path, "3.11").asked
