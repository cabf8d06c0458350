"""From one folder to another and back; they share nothing but the archives."""

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import atomic
from evals.history import append, read, verify
from lifeos.errors import InputError
from lifeos.git import git_state
from lifeos.inputs import read_inputs
from lifeos.lora import safetensors_file
from lifeos.persona import load_persona
from lifeos.pods.carry import archive
from lifeos.pods.carry.manifest import MANIFEST_NAME, refused_name
from lifeos.pods.carry.pack import pack_project, pack_results
from lifeos.pods.carry.unpack import unpack
from lifeos.promotion import promote
from lifeos.report.release_data import gather
from lifeos.runner import run_gate
from tests.lifeos import simulated_release as simulation

TIME = "2026-11-27T08:00:00Z"


def git(root, *arguments):
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True,
                   capture_output=True)  # fmt: skip


class Laptop:
    """A committed project with a persona whose pictures git ignores."""

    def __init__(self, root, made):
        self.root, self.persona = root, root / "personas" / "one"
        self.history, self.artifacts = root / "evals" / "eval_history.jsonl", root / "artifacts"
        shutil.copytree(made, self.persona)
        ignored = "artifacts/\n*.png\n*.lock\n"
        for name, text in {"lifeos/code.py": "pass\n", "run.sh": "#!/bin/sh\n", ".gitignore": ignored}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        (root / "run.sh").chmod(0o755)
        append(self.history, {"id": "20261126T000000Z-0", "time": "2026-11-26T00:00:00Z", "phase": "cheap"})
        git(root, "init", "-q")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "Begin")

    def pack(self, target, **options):
        persona = load_persona(self.persona, self.root)
        return pack_project(self.root, persona, target, history=self.history, artifacts=self.artifacts, created=TIME,
                            **options)  # fmt: skip

    def unpack(self, target):
        return unpack(target, self.root, history=self.history, artifacts=self.artifacts, time=TIME)


def release_on(pod):
    """Judge the persona there, with the engine that trains and samples nothing."""
    options = {"persona": str(pod / "personas" / "one"), "history": str(pod / "evals" / "eval_history.jsonl"),
               "artifacts": str(pod / "artifacts")}  # fmt: skip
    return run_gate("release", options, now=lambda: datetime(2026, 11, 27, 9, tzinfo=UTC), engine=simulation.NAME)


@pytest.fixture(scope="module", autouse=True)
def _loras_of_the_simulation():
    """Its LoRA files are lines of JSON; every other file is held to the real format."""
    real = safetensors_file.read_header
    with pytest.MonkeyPatch.context() as patch:
        simulated = lambda path: None if path.read_bytes()[:1] == b"{" else real(path)  # noqa: E731 - one line says it
        patch.setattr(safetensors_file, "read_header", simulated)
        yield


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    """The whole way once: packed, laid out, judged on the pod, packed back; the laptop went on meanwhile."""
    made = simulation.make_persona(tmp_path_factory.mktemp("made"))
    laptop = Laptop(tmp_path_factory.mktemp("laptop") / "my project", made)
    away = tmp_path_factory.mktemp("pod")
    there = away / "there.tar.gz"
    laptop.pack(there)
    pod = away / "on the pod"
    unpack(there, pod, history=pod / "x", artifacts=pod / "artifacts", time=TIME)
    judged = release_on(pod)
    back = away / "back.tar.gz"
    pack_results(pod, back, history=pod / "evals" / "eval_history.jsonl", artifacts=pod / "artifacts", created=TIME)
    append(laptop.history, {"id": "20261127T010000Z-1", "time": "2026-11-27T01:00:00Z", "phase": "cheap"})
    return laptop, there, pod, back, judged


@pytest.fixture
def laptop(way, tmp_path):
    """A copy of the laptop that a test may change."""
    copy = tmp_path / "my project"
    shutil.copytree(way[0].root, copy)
    laptop = Laptop.__new__(Laptop)
    laptop.root, laptop.persona = copy, copy / "personas" / "one"
    laptop.history, laptop.artifacts = copy / "evals" / "eval_history.jsonl", copy / "artifacts"
    return laptop


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and ".git/" not in path.as_posix() and not path.name.endswith(".lock")}  # fmt: skip


def test_a_project_arrives_with_its_commit_and_the_pictures_that_git_ignores(way):
    laptop, _, pod, _, _ = way
    commit = git_state(laptop.root)["git_commit"]
    there = json.loads((pod / MANIFEST_NAME).read_text(encoding="utf-8"))
    assert there["commit"] == commit
    pictures = [name for name in there["files"] if name.endswith(".png")]
    assert pictures
    assert (pod / "run.sh").stat().st_mode & 0o111
    assert not (pod / ".git").exists()
    state = git_state(pod, (pod / "evals" / "eval_history.jsonl", pod / "artifacts"))
    assert state == {"git_commit": commit, "git_dirty": False, "git_changed": []}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda pod: (pod / "lifeos" / "code.py").write_text("other\n", encoding="utf-8"), ["lifeos/code.py"]),
        (lambda pod: (pod / "lifeos" / "code.py").unlink(), ["lifeos/code.py"]),
        (lambda pod: (pod / "lifeos" / "more.py").write_text("", encoding="utf-8"), ["lifeos/more.py"]),
        (lambda pod: (pod / "notes.txt").write_text("", encoding="utf-8"), []),
        (lambda pod: (pod / "evals" / "eval_history.jsonl").write_text("", encoding="utf-8"), []),
    ],
)
def test_a_laid_out_project_is_dirty_where_its_code_changed(way, tmp_path, change, named):
    pod = tmp_path / "pod"
    unpack(way[1], pod, history=pod / "x", artifacts=pod / "a", time=TIME)
    change(pod)
    state = git_state(pod)
    assert (state["git_dirty"], state["git_changed"]) == (bool(named), named)


def test_results_come_back_and_both_histories_are_joined(way, laptop):
    judged = way[4]
    done = laptop.unpack(way[3])
    assert done.joined
    assert done.manifest.rows == [judged.row]
    found = verify(laptop.history)
    assert not found.problems
    assert len(found.tips) == 1
    ids = [row.get("id") for row in read(laptop.history)]
    assert {"20261127T010000Z-1", judged.row} <= set(ids)
    [lora] = done.loras
    row = next(row for row in read(laptop.history) if row["id"] == judged.row)
    assert lora.stem == row["hashes"]["lora"]
    assert row["git"]["dirty"] is not None
    data = gather(row, read(laptop.history), laptop.artifacts)
    assert data.missing is None
    assert all(pair.candidate.data for pair in data.pairs)


def test_a_row_from_a_pod_is_refused_for_its_own_reason_alone(way, laptop):
    laptop.unpack(way[3])
    given = {"persona": str(laptop.persona), "history": str(laptop.history), "artifacts": str(laptop.artifacts)}
    refused = promote(read_inputs(given), way[4].row, time=TIME, allow_dirty=True).refusals
    assert [why for why in refused if "simulation" not in why] == []


def test_a_second_time_nothing_is_new(way, laptop):
    laptop.unpack(way[3])
    before = files(laptop.root)
    done = laptop.unpack(way[3])
    assert (done.written, done.joined) == ((), False)
    assert files(laptop.root) == before


def test_equal_projects_give_equal_bytes(way, tmp_path, laptop):
    laptop.pack(tmp_path / "one.tar.gz")
    laptop.pack(tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    assert not list(tmp_path.glob(".*.part"))


def test_uncommitted_changes_are_refused_or_named(laptop, tmp_path):
    (laptop.root / "lifeos" / "code.py").write_text("mine\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"changes \(lifeos/code\.py\)"):
        laptop.pack(tmp_path / "p.tar.gz")
    assert not (tmp_path / "p.tar.gz").exists()
    assert laptop.pack(tmp_path / "p.tar.gz", allow_dirty=True).changed == ["lifeos/code.py"]
    pod = tmp_path / "pod"
    unpack(tmp_path / "p.tar.gz", pod, history=pod / "x", artifacts=pod / "a", time=TIME)
    assert git_state(pod)["git_changed"] == ["lifeos/code.py"]


def test_a_folder_with_something_else_in_it_is_left_alone(way, tmp_path):
    pod = tmp_path / "pod"
    pod.mkdir()
    (pod / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match=r"accepted an empty folder, got mine\.txt"):
        unpack(way[1], pod, history=pod / "x", artifacts=pod / "a", time=TIME)
    assert [path.name for path in pod.iterdir()] == ["mine.txt"]


def test_a_file_with_other_bytes_is_never_overwritten(way, laptop):
    name = next(name for name in unpacked_names(way[3]) if name.startswith("artifacts/samples/"))
    mine = laptop.root / name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    before = files(laptop.root)
    with pytest.raises(InputError, match="got other bytes"):
        laptop.unpack(way[3])
    assert files(laptop.root) == before


def unpacked_names(path):
    return sorted(archive.verify_archive(path, lambda done, total: None).files)


def test_another_projects_history_is_refused_before_anything_is_written(way, laptop):
    laptop.history.unlink()
    append(laptop.history, {"id": "other", "time": "2026-01-01T00:00:00Z", "phase": "cheap"})
    before = files(laptop.root)
    with pytest.raises(InputError, match="another project's"):
        laptop.unpack(way[3])
    assert files(laptop.root) == before


def test_a_kill_at_every_write_is_finished_by_the_same_command(way, laptop, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    shutil.copytree(laptop.root, whole)
    start = tmp_path / "start"
    shutil.copytree(laptop.root, start)
    laptop.unpack(way[3])
    expected = files(laptop.root)
    real, points = atomic._replace, 0
    for at in range(0, 10_000, 7):
        shutil.rmtree(laptop.root)
        shutil.copytree(start, laptop.root)
        count = iter(range(10_000))

        def replace(source, target, count=count, at=at):
            if next(count) == at:
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(atomic, "_replace", replace)
        try:
            laptop.unpack(way[3])
        except KeyboardInterrupt:
            points += 1
        else:
            break
        finally:
            monkeypatch.setattr(atomic, "_replace", real)
        laptop.unpack(way[3])
        assert files(laptop.root) == expected
    assert points > 5


def rewritten(path, out, change):
    """Copy an archive with its members changed: (name, data, TarInfo) to another triple or None."""
    with tarfile.open(path) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for info, data in members:
            for made in change(info, data):
                tar.addfile(made[0], io.BytesIO(made[1]) if made[1] is not None else None)
    out.write_bytes(gzip.compress(raw.getvalue(), 1))
    return out


def plain(name, data, **changes):
    info = tarfile.TarInfo(f"{archive.TOP}/{name}")
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


def manifest_with(**changes):
    def change(info, data):
        if not info.name.endswith(MANIFEST_NAME):
            return [(info, data)]
        head = json.loads(data)
        head.update({key: value(head[key]) if callable(value) else value for key, value in changes.items()})
        return [plain(MANIFEST_NAME, json.dumps(head).encode())]

    return change


def lora_named(name, data):
    return {name: {"sha256": __import__("hashlib").sha256(data).hexdigest(), "size": len(data), "runs": False}}


def one_more(name, data=b"x", listed=True, **changes):
    """Add a member, and say so in the manifest or not."""

    def change(info, old):
        if not info.name.endswith(MANIFEST_NAME):
            return [(info, old)]
        head = json.loads(old)
        if listed:
            head["files"] |= lora_named(name, data)
        return [plain(MANIFEST_NAME, json.dumps(head).encode()), plain(name, data, **changes)]

    return change


BREAKS = {
    "above": one_more("../outside.txt"),
    "absolute": one_more("/etc/outside.txt"),
    "a drive": one_more("C:/outside.txt"),
    "a backslash": one_more("artifacts\\outside.txt"),
    "a device's name": one_more("artifacts/runs/x/con.json"),
    "git's own folder": one_more(".git/hooks/pre-commit"),
    "a pickle": one_more("artifacts/loras/model.pt"),
    "code": one_more("lifeos/backdoor.py"),
    "a control file": one_more("CLAUDE.md"),
    "a LoRA of another name": one_more("artifacts/loras/" + "0" * 64 + ".safetensors"),
    "not in the manifest": one_more("artifacts/runs/x/more.json", listed=False),
    "a link": one_more("artifacts/runs/x/link.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": one_more("artifacts/runs/x/link.json", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": one_more("artifacts/runs/x/device.json", b"", type=tarfile.CHRTYPE),
    "another schema": manifest_with(schema="lifeos.pack/2"),
    "another kind": manifest_with(kind="to_pod"),
    "an unknown key": manifest_with(persona=lambda name: {"name": name}),
    "no files": manifest_with(files={}),
    "the same name in other letters": manifest_with(files=lambda files: files | {
        name.upper(): files[name] for name in list(files)[:1]}),
    "a file that is a folder": manifest_with(files=lambda files: files | {
        "evals": {"sha256": "0" * 64, "size": 1, "runs": False}}),
    "one is missing": lambda info, data: [] if info.name.endswith("result.json") else [(info, data)],
    "one twice": lambda info, data: [(info, data)] * (2 if info.name.endswith("result.json") else 1),
    "the manifest last": lambda info, data: [] if info.name.endswith(MANIFEST_NAME) else [(info, data)],
    "other bytes": lambda info, data: [plain(info.name.split("/", 1)[1], data[:-1] + b"!")]
    if info.name.endswith("result.json") else [(info, data)],
    "another size": lambda info, data: [plain(info.name.split("/", 1)[1], data + b"!")]
    if info.name.endswith("result.json") else [(info, data)],
    "another top": lambda info, data: [(tarfile.TarInfo("x"), b"")]
    if info.name.endswith("result.json") else [(info, data)],
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_an_archive_that_holds_anything_else_is_refused_and_nothing_is_written(way, laptop, tmp_path, name):
    broken = rewritten(way[3], tmp_path / "broken.tar.gz", BREAKS[name])
    before = files(laptop.root)
    with pytest.raises(InputError) as caught:
        laptop.unpack(broken)
    assert "\n" not in str(caught.value)
    assert files(laptop.root) == before
    assert not (tmp_path / "outside.txt").exists()


def test_a_lora_that_is_no_safetensors_is_refused(way, laptop, tmp_path):
    import hashlib

    data = b"\x80\x04pickled"
    name = f"artifacts/loras/{hashlib.sha256(data).hexdigest()}.safetensors"
    broken = rewritten(way[3], tmp_path / "broken.tar.gz", one_more(name, data))
    before = files(laptop.root)
    with pytest.raises(InputError, match="safetensors"):
        laptop.unpack(broken)
    assert files(laptop.root) == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_an_archive_is_more_than_refused(way, tmp_path, data):
    good = way[3].read_bytes()
    kind = data.draw(st.sampled_from(["cut", "flip", "noise", "insert"]))
    place = data.draw(st.integers(0, len(good) - 1))
    broken = {
        "cut": lambda: good[:place],
        "flip": lambda: good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :],
        "noise": lambda: data.draw(st.binary(max_size=300)),
        "insert": lambda: good[:place] + data.draw(st.binary(min_size=1, max_size=20)) + good[place:],
    }[kind]()
    path = tmp_path / "broken.tar.gz"
    path.write_bytes(broken)
    try:
        found = archive.verify_archive(path, lambda done, total: None)
    except InputError:
        return
    # Gzip has bytes that mean nothing, such as its own time: then the content is the good one.
    assert found == archive.verify_archive(way[3], lambda done, total: None)


def test_a_missing_archive_is_one_line(laptop, tmp_path):
    with pytest.raises(InputError, match="accepted an archive, got"):
        laptop.unpack(tmp_path / "gone.tar.gz")


def test_no_release_and_a_missing_run_folder_are_said(way, tmp_path):
    pod = tmp_path / "pod"
    shutil.copytree(way[2], pod)
    history, out = pod / "evals" / "eval_history.jsonl", tmp_path / "b.tar.gz"
    shutil.rmtree(pod / "artifacts" / "runs")
    with pytest.raises(InputError, match="a run with its result"):
        pack_results(pod, out, history=history, artifacts=pod / "artifacts", created=TIME)
    with pytest.raises(InputError, match="accepted a release with a run"):
        pack_results(pod, out, history=history, artifacts=pod / "artifacts", created=TIME, rows=["20261126T0"])
    unpack(way[1], tmp_path / "fresh", history=pod / "x", artifacts=pod / "a", time=TIME)
    fresh = tmp_path / "fresh"
    with pytest.raises(InputError, match="accepted a release since"):
        pack_results(fresh, out, history=fresh / "evals" / "eval_history.jsonl", artifacts=fresh / "a", created=TIME)
    assert not out.exists()


@pytest.mark.parametrize("name", ["a", "a/b.png", "näm/ü.txt", "a.b/c-d_e", "COM/x", "x/.hidden"])
def test_plain_names_pass(name):
    assert refused_name(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "./a", "a/../b", "a\\b", "a:b", "nul", "a/aux.txt", "a.", "a ", "a/ b", "x" * 241,
     "a\u202eb", "a\nb", ".GIT/x", ".venv/x", "lifeos-pack.json", "m.ckpt", "M.PT", "a?b"],
)  # fmt: skip
def test_names_that_some_system_does_not_take_are_refused(name):
    assert refused_name(name)


def test_without_git_or_with_a_persona_elsewhere_nothing_is_packed(way, laptop, tmp_path):
    elsewhere = load_persona(Path(shutil.copytree(laptop.persona, tmp_path / "elsewhere")), laptop.root)
    with pytest.raises(InputError, match="accepted a persona below"):
        pack_project(laptop.root, elsewhere, tmp_path / "p.tar.gz", history=laptop.history, artifacts=laptop.artifacts,
                     created=TIME)  # fmt: skip
    shutil.rmtree(laptop.root / ".git")
    with pytest.raises(InputError, match="accepted a git checkout"):
        laptop.pack(tmp_path / "p.tar.gz")
