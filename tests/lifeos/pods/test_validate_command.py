"""``lifeos validate-pod-deps`` as a user meets it: exit status, last line, JSON, the lock, odd files."""

import json

import pytest

from lifeos import cli
from lifeos.pods import metadata_origins
from lifeos.settings import load_project, project_root


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def run(artifacts, tmp_path, monkeypatch, capsys):
    """Run the command without a network over a file of this text; exit status, lines of stdout and stderr."""
    loaded = load_project()
    project = type(loaded)(loaded.root, loaded.settings.model_copy(update={"artifacts": artifacts}), loaded.written)
    monkeypatch.setattr("lifeos.settings.load_project", lambda root=None: project)
    monkeypatch.setattr(metadata_origins, "pip_settings", dict)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    path = tmp_path / "ein Órdner" / "sét of requirements.txt"
    path.parent.mkdir()

    def start(text, *arguments, pod="a40"):
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        before = sorted(path.parent.iterdir())
        status = cli.main(["validate-pod-deps", "--requirements", str(path), "--pod", pod, "--offline", *arguments])
        shown = capsys.readouterr()
        if status == 2:
            assert sorted(path.parent.iterdir()) == before
        return status, shown.out.splitlines(), shown.err.splitlines()

    start.path = path
    return start


def test_a_set_that_works(run):
    status, out, err = run("numpy==2.4.6\nscipy==1.17.1\n")
    assert (status, err) == (0, [])
    assert len(out) == 1
    assert out[0].startswith("PASSED on a40: 2 packages as they stand")


def test_the_last_line_is_the_command_and_its_pins_pass(run):
    status, out, err = run("torch==2.13.0\n")
    assert (status, err) == (1, [])
    assert out[0].startswith("FAILED on a40: torch==2.13.0: CUDA 13.0 needs driver")
    assert "  driver-too-old-for-wheel: torch==2.13.0" in out
    assert "smallest change that passes:" in out
    command = out[-1]
    assert command.startswith("uv pip install --no-deps ")
    pins = command.split()[4:]
    assert any(pin.startswith("torch==2.10") for pin in pins)
    assert run("".join(f"{pin}\n" for pin in pins))[0] == 0


def test_fix_writes_the_lock_that_the_last_line_installs_and_not_the_file(run):
    text = "torch==2.13.0\n"
    status, out, _ = run(text, "--fix")
    lock = run.path.with_name("sét of requirements.a40.lock")
    assert status == 1
    assert out[-1] == f"uv pip install --no-deps -r '{lock}'"
    assert run.path.read_text(encoding="utf-8") == text
    assert sorted(run.path.parent.iterdir()) == sorted([run.path, lock])
    assert run(lock.read_text(encoding="utf-8"))[0] == 0


def test_nothing_is_written_for_a_set_that_works(run):
    assert run("numpy==2.4.6\n", "--fix")[0] == 0
    assert list(run.path.parent.iterdir()) == [run.path]


def test_json(run):
    status, out, _ = run("torch==2.13.0\n", "--json")
    assert status == 1
    body = json.loads(out[0])
    assert list(body) == ["schema", "pod", "verdict", "findings", "fix"]
    assert (body["schema"], body["pod"], body["verdict"]) == ("lifeos.validate_pod_deps/1", "a40", "failed")
    assert list(body["findings"][0]) == ["id", "packages", "reason", "source"]
    assert body["fix"]["command"].startswith("uv pip install")
    assert body["fix"]["lock"] is None
    _, out, _ = run("torch==2.13.0\n", "--json", "--fix")
    assert json.loads(out[0])["fix"]["lock"].endswith(".a40.lock")
    status, out, _ = run("numpy==2.4.6\n", "--json")
    assert (status, json.loads(out[0])["fix"]) == (0, None)


def test_without_an_answer(run):
    status, out, _ = run("nosuchpackage==1\n")
    assert status == 2
    assert len(out) == 1
    assert out[0].startswith("NOT EVALUATED on a40: ")
    assert "next: " in out[0]


def test_open_versions_are_pinned_and_not_evaluated(run):
    status, out, _ = run("numpy>=2\n")
    assert status == 2
    assert "not pinned: numpy" in out[0]
    assert out[-2] == "the same versions, pinned:"
    assert out[-1].startswith("uv pip install --no-deps numpy==2.")


def test_another_file_under_a_known_name_is_no_matter_of_versions(run):
    status, out, _ = run(f"numpy==2.4.6 --hash=sha256:{0:064x}\n")
    assert status == 1
    assert "find out where the other file comes from" in out[-1]


def test_a_disk_that_is_too_small(run, tmp_path):
    text = (project_root() / "pods/a40.toml").read_text(encoding="utf-8").replace("disk_gib = 50", "disk_gib = 0.01")
    (tmp_path / "small.toml").write_text(text, encoding="utf-8")
    status, out, _ = run("numpy==2.4.6\n", pod=str(tmp_path / "small.toml"))
    assert status == 1
    assert out[-1].endswith("next: a pod with more disk_gib")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file"),
        ("", "at least one requirement"),
        (b"\xff\xfe\x00t", "not UTF-8"),
        ("torch @ https://a.example/torch-2-py3-none-any.whl\n", "a URL or a local path"),
        ("https://a.example/torch-2-py3-none-any.whl\n", "a URL or a local path"),
        ("./torch.whl\n", "a URL or a local path"),
        ("-e .\n", "one file holds everything"),
        ("-r other.txt\n", "one file holds everything"),
        ("torch==2 --hash=md5:00\n", "a hash that is none of sha256"),
        ("torch==2 --hash=sha512:00\n", "SHA-256"),
        ('torch==2 ; flavour == "x"\n', "line 1"),
        ('torch==2 ; sys_platform == "win32"\n', "none for Python 3.11"),
        ("torch[==2\n", "line 1"),
        ("torch===x.y\n", "versions that can be compared"),
        ("torch=2\n", "line 1"),
    ],
)
@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_odd_files_are_one_line_and_exit_2(run, text, says, as_json):
    status, out, err = run(text, *as_json)
    assert status == 2
    assert len(err) == 1
    assert says in err[0]
    assert "; next: " in err[0]
    assert [list(json.loads(line)) for line in out] == [["schema", "error"]] * len(as_json)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('gpu = "A40\n', "accepted TOML"),
        ('gpu = "RTX 9999"\n', "got 'RTX 9999'"),
        ('gpu = "A40"\nspeed = 1\n', "driver: Field required"),
    ],
)
def test_odd_pods_are_one_line_and_exit_2(run, tmp_path, text, says):
    pod = tmp_path / "ein Órdner" / "mine.toml"
    pod.write_text(text, encoding="utf-8")
    status, out, err = run("numpy==2.4.6\n", pod=str(pod))
    assert (status, out, len(err)) == (2, [], 1)
    assert says in err[0]
    status, _, err = run("numpy==2.4.6\n", pod="nosuch")
    assert status == 2
    assert "a40" in err[0]


def test_no_pod_is_asked_for(run, capsys):
    assert cli.main(["validate-pod-deps"]) == 2
    assert "--pod" in capsys.readouterr().err


def test_markers_extras_and_hashes_that_can_be_read(run):
    lines = ['numpy==2.4.6 ; python_version >= "3.11"', 'numpy==1.26.4 ; python_version < "3.11"']
    assert run("\n".join(lines))[0] == 0
    assert run("onnxruntime-gpu[cuda,cudnn]==1.26.0\n")[0] == 0
    assert run("onnxruntime-gpu==1.26.0\n")[0] == 1
