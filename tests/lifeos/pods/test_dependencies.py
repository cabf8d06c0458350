import hashlib

import pytest
from packaging.version import Version

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.pods import dependencies, metadata_origins
from lifeos.pods.dependencies import dependencies_verdict, judge_dependencies, write_lock
from lifeos.pods.snapshot import load_snapshot
from lifeos.pods.spec import load_pod
from lifeos.pods.uv_resolver import Conflict, Pinned, Resolver, Solved, Unavailable
from tests.lifeos.pods.toy_snapshot import toy_snapshot

H100 = load_pod("h100")


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Judge a text over a toy snapshot; the index is a closed port of this machine, uv's cache is empty."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv cache"))
    monkeypatch.setattr(metadata_origins, "pip_settings", dict)

    def run(text, *releases, offline=True, pod=H100, committed=False, **more):
        path = tmp_path / "sét of requirements.txt"
        path.write_text(text, encoding="utf-8")
        toy = toy_snapshot(tmp_path, *(releases or ("a==1: b>=1", "b==1", "b==2")))
        snapshot = load_snapshot() if committed else toy
        return judge_dependencies(path, pod, cache=tmp_path / "cache", offline=offline, snapshot=snapshot, **more)

    return run


def ids(report):
    return [finding.id for finding in report.findings]


def pins(report):
    return {part for part in report.fix.command.split() if "==" in part}


def test_a_whole_lock_passes_as_it_stands(judge):
    report = judge("a==1\nb==1\n")
    assert report.verdict.outcome is Outcome.PASSED
    assert "2 packages as they stand, installed with --no-deps, by the snapshot of 2026-01-01" in report.verdict.reason
    assert report.fix is None
    assert {str(one) for one in report.packages.values()} == {"a==1", "b==1"}


def test_a_whole_lock_needs_no_network(judge, monkeypatch):
    asked = []
    answer = Resolver.resolve
    monkeypatch.setattr(
        Resolver, "resolve", lambda self, question: asked.append(self.options) or answer(self, question)
    )
    assert judge("a==1\nb==1\n", offline=False).verdict.outcome is Outcome.PASSED
    assert len(asked) == 1
    assert "--no-index" in asked[0]


def test_pins_that_leave_the_rest_to_the_resolver_pass_too(judge):
    report = judge("a==1\n")
    assert report.verdict.outcome is Outcome.PASSED
    assert "2 packages as uv resolves them" in report.verdict.reason


def test_a_package_that_another_replaces_may_be_missing_from_a_lock_and_from_nothing_else(judge):
    releases = (
        "insightface==2.1: onnxruntime",
        "onnxruntime==1.20.0",
        "onnxruntime-gpu==1.20.0: numpy",
        "numpy==2.0.0",
    )
    lock = judge("insightface==2.1\nonnxruntime-gpu==1.20.0\nnumpy==2.0.0\n", *releases)
    assert lock.verdict.outcome is Outcome.PASSED
    assert "onnxruntime" not in lock.packages
    set_of_three = judge("insightface==2.1\nonnxruntime-gpu==1.20.0\n", *releases)
    assert set_of_three.verdict.outcome is Outcome.FAILED
    assert ids(set_of_three) == ["ort-cpu-gpu-clobber"]
    assert pins(set_of_three) == {"insightface==2.1", "onnxruntime-gpu==1.20.0", "numpy==2.0.0"}
    assert set_of_three.fix.changes == (("onnxruntime", "required by another", "left out"),)


def test_open_versions_are_not_evaluated_away_from_the_index_and_pinned_in_the_command(judge):
    report = judge("a\n")
    assert report.verdict.outcome is Outcome.NOT_EVALUATED
    assert "not pinned: a" in report.verdict.reason
    assert pins(report) == {"a==1", "b==2"}


def test_open_versions_that_break_a_rule_fail_anywhere(judge):
    report = judge("torch\n", "torch==2.10.0", "torch==2.13.0")
    assert report.verdict.outcome is Outcome.FAILED
    assert ids(report) == ["driver-too-old-for-wheel"]
    assert pins(report) == {"torch==2.10.0"}
    assert report.fix.changes == (("torch", "any version", "2.10.0"),)


@pytest.mark.parametrize("offline", [True, False])
def test_what_nobody_here_knows_is_not_evaluated(judge, offline):
    for text in ("nosuch==1\n", "a==7\n", "a>=1\nb<1\n"):
        report = judge(text, offline=offline)
        assert report.verdict.outcome is Outcome.NOT_EVALUATED, text
        assert report.fix is None
        assert "next: " in report.verdict.reason


def test_a_contradiction_of_pins_needs_no_index(judge):
    report = judge("a==1\nc==1\n", "a==1: b>=2", "c==1: b<2", "c==2: b", "b==1", "b==2")
    assert report.verdict.outcome is Outcome.FAILED
    assert ids(report) == ["resolver-conflict"]
    assert report.findings[0].packages == ("a==1", "c==1")
    assert pins(report) == {"a==1", "b==2", "c==2"}


def test_a_package_without_wheels_is_known_without_an_index(judge):
    report = judge("insightface==0.7.3\n")
    assert report.verdict.outcome is Outcome.FAILED
    assert ids(report) == ["insightface-sdist-needs-compiler"]


def test_the_index_is_asked_first_and_its_silence_is_no_verdict(judge, monkeypatch):
    asked = []

    def resolve(self, question):
        asked.append("--no-index" in self.options)
        return Unavailable("the package index cannot be reached")

    monkeypatch.setattr(Resolver, "resolve", resolve)
    report = judge("a\n", offline=False)
    assert asked[0] is False
    assert report.verdict.outcome is Outcome.NOT_EVALUATED
    assert report.verdict.reason.startswith("the package index cannot be reached")


@pytest.mark.parametrize(("of_index", "outcome"), [(True, Outcome.NOT_EVALUATED), (False, Outcome.FAILED)])
def test_away_from_the_index_only_metadata_proves_a_contradiction(judge, monkeypatch, of_index, outcome):
    conflict = Conflict("because", frozenset({"a"}), frozenset({"a"}), of_index)
    monkeypatch.setattr(Resolver, "resolve", lambda self, question: conflict)
    assert judge("a==1\n").verdict.outcome is outcome


@pytest.fixture
def index(monkeypatch):
    """Let the index answer every question with version 1 of these packages."""
    answer = Resolver.resolve

    def build(*names):
        found = {name: Pinned(name, Version("1"), f"{name}-1-py3-none-any.whl", 1) for name in names}

        def resolve(self, question):
            return answer(self, question) if "--no-index" in self.options else Solved(found)

        monkeypatch.setattr(Resolver, "resolve", resolve)

    return build


def test_a_set_that_passes_over_the_index_may_leave_versions_open(judge, index):
    index("a", "b")
    assert judge("a\n", offline=False).verdict.outcome is Outcome.PASSED


@pytest.mark.parametrize("names", [(), ("b",)])
def test_an_answer_that_leaves_out_what_was_asked_is_none(judge, index, names):
    index(*names)
    report = judge("a\n", offline=False)
    assert report.verdict.outcome is Outcome.NOT_EVALUATED
    assert "leaves out a" in report.verdict.reason
    assert report.fix is None


def test_a_processor_that_the_tables_do_not_speak_of_is_refused(judge):
    with pytest.raises(InputError, match="accepted an x86-64 platform, got aarch64"):
        judge("a==1\n", pod=H100.model_copy(update={"platform": "aarch64-manylinux_2_28"}))


def test_no_wheel_for_this_python_is_said_only_where_all_wheels_are_known(judge):
    def found(**changes):
        report = judge("numpy==2.5.0\n", pod=H100.model_copy(update=changes), committed=True)
        return report.verdict.outcome, ids(report)

    assert found() == (Outcome.FAILED, ["no-wheel-for-python"])
    assert found(python="3.12") == (Outcome.PASSED, [])
    assert found(python="3.10") == (Outcome.NOT_EVALUATED, [])
    assert found(platform="x86_64-manylinux_2_35") == (Outcome.NOT_EVALUATED, [])


def test_a_wheel_that_no_row_speaks_of_is_not_evaluated_and_has_a_way_out(judge):
    report = judge("torch==99.0\n", "torch==99.0", "torch==2.10.0")
    assert report.verdict.outcome is Outcome.NOT_EVALUATED
    assert ids(report) == ["wheel-not-in-tables"]
    assert pins(report) == {"torch==2.10.0"}


def test_a_disk_that_is_too_small(judge):
    tiny = H100.model_copy(update={"disk_gib": 1e-6})
    report = judge("a==1\nb==1\n", pod=tiny)
    assert ids(report) == ["disk-too-small"]
    assert report.verdict.outcome is Outcome.FAILED
    assert report.fix is None


def test_hashes(judge):
    first, second = (f"--hash=sha256:{number:064x}" for number in (1, 2))
    assert judge(f"a==1 {first}\nb==1 {second}\n").verdict.outcome is Outcome.PASSED
    assert ids(judge(f"a==1 {first}\nb==1\n")) == ["hashes-incomplete"]
    mismatch = judge(f"a==1 {second}\nb==1 {second}\n")
    assert ids(mismatch) == ["hash-mismatch"]
    assert mismatch.fix is None


def test_a_lock_keeps_hashes_where_the_file_had_some(judge):
    report = judge(f"a==1 --hash=sha256:{1:064x}\nb==1\n")
    assert report.fix.command == "uv pip install --no-deps a==1 b==1"
    assert report.fix.lock_text.splitlines()[-2:] == [
        f"a==1 --hash=sha256:{1:064x}",
        f"b==1 --hash=sha256:{2:064x}",
    ]
    assert judge(report.fix.lock_text).verdict.outcome is Outcome.PASSED
    assert "hash" not in judge("torch==2.13.0\n", "torch==2.13.0", "torch==2.10.0").fix.lock_text


def test_every_build_of_a_version_may_be_the_hashed_one():
    snapshot = load_snapshot()
    wheels = [wheel for wheel in snapshot.versions["torch"][Version("2.10.0")].wheels if "-cp311-cp311-" in wheel.file]
    assert len(wheels) == 2
    pinned = Pinned("torch", Version("2.10.0"), wheels[0].file, None, frozenset({"0"}), (wheels[1].file,))
    assert snapshot.hashes(pinned) == {wheel.sha256 for wheel in wheels}
    elsewhere = Pinned("torch", Version("2.10.0"), "x.whl", None, frozenset({"0"}))
    assert snapshot.hashes(elsewhere) == {"0"}


def test_lines_that_exclude_each_other_need_no_index(judge):
    report = judge("a==1\nb==1\nb==2\n")
    assert report.verdict.outcome is Outcome.FAILED
    assert ids(report) == ["resolver-conflict"]
    assert pins(report) == {"a==1", "b==2"}
    assert judge("a==1\nb==1\nb==1.0\n").verdict.outcome is Outcome.PASSED


def test_a_url_is_refused_before_anything_is_asked(judge):
    with pytest.raises(InputError, match="a URL or a local path"):
        judge("a @ https://a.example/a-1-py3-none-any.whl\n")


def test_the_lock_stands_beside_the_file_and_passes_the_same_gate(judge, tmp_path, monkeypatch):
    releases = ("torch==2.10.0: b", "torch==2.13.0", "b==1")
    report = judge("torch\n", *releases)
    source = tmp_path / "sét of requirements.txt"
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    fix = write_lock(report.fix, source, report.pod)
    assert fix.lock == tmp_path / "sét of requirements.h100.lock"
    assert fix.command == f"uv pip install --no-deps -r '{fix.lock}'"
    monkeypatch.chdir(tmp_path)
    assert write_lock(report.fix, source, report.pod).command.endswith(" -r 'sét of requirements.h100.lock'")
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    again = judge(fix.lock.read_text(encoding="utf-8"), *releases)
    assert again.verdict.outcome is Outcome.PASSED
    assert again.fix is None


def test_a_lock_that_cannot_be_written_is_one_line(judge, tmp_path):
    report = judge("torch\n", "torch==2.10.0", "torch==2.13.0")
    (tmp_path / "x.txt").write_text("torch\n", encoding="utf-8")
    (tmp_path / "x.h100.lock").mkdir()
    with pytest.raises(InputError, match="a folder to write in"):
        write_lock(report.fix, tmp_path / "x.txt", "h100")


def test_a_package_of_a_lock_that_nobody_needs_any_more_is_left_out(judge):
    releases = ("torch==2.10.0: old", "torch==2.13.0: new", "old==1", "new==1", "mine==1")
    report = judge("torch==2.13.0\nnew==1\nmine==1\n", *releases)
    assert ids(report) == ["driver-too-old-for-wheel"]
    assert pins(report) == {"torch==2.10.0", "old==1", "mine==1"}
    assert report.fix.changes == (("torch", "==2.13.0", "2.10.0"), ("new", "==1", "left out"))


def test_the_gate_judges_the_lock_that_was_made_of_the_file_and_no_other(judge, tmp_path, monkeypatch):
    releases = ("torch==2.10.0", "torch==2.13.0")
    report = judge("torch==2.13.0\n", *releases)
    source = tmp_path / "sét of requirements.txt"
    snapshot = toy_snapshot(tmp_path, *releases)
    monkeypatch.setattr(dependencies, "load_snapshot", lambda: snapshot)

    def verdict():
        return dependencies_verdict(source, lambda: H100, tmp_path / "cache")

    assert verdict().outcome is Outcome.FAILED
    assert "--pod h100 --fix" in verdict().reason
    monkeypatch.chdir(tmp_path)
    assert verdict().reason.endswith("--requirements 'sét of requirements.txt' --pod h100 --fix")
    write_lock(report.fix, source, "h100")
    assert verdict().outcome is Outcome.PASSED
    assert verdict().reason.startswith("sét of requirements.h100.lock: ")
    source.write_text("torch==2.13.0 # another file now\n", encoding="utf-8")
    assert verdict().outcome is Outcome.FAILED


def test_the_gate_turns_what_cannot_be_read_into_not_evaluated(tmp_path):
    assert dependencies_verdict(tmp_path / "no.txt", lambda: H100, tmp_path).outcome is Outcome.NOT_EVALUATED
    assert dependencies_verdict(tmp_path, lambda: load_pod("nosuch"), tmp_path).outcome is Outcome.NOT_EVALUATED


def test_pins_that_fail_together_are_named_though_nothing_can_be_resolved(judge):
    # peft is on no index that this snapshot knows.
    report = judge("peft==0.17.1\ntransformers==5.0.0\n")
    assert report.verdict.outcome is Outcome.FAILED
    assert ids(report) == ["peft-hybridcache-transformers5"]
    assert judge("peft==0.17.1\ntransformers==4.57.6\n").verdict.outcome is Outcome.NOT_EVALUATED
