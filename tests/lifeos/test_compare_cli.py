import json
import shutil

import pytest

from evals import history
from evals.scorecard import gate_row
from evals.verdict import passed
from lifeos.cli import main
from lifeos.compare_cli import bars
from tests.lifeos.report.recorded_release import BACKEND, GATES, METRICS, RELEASE, record
from tests.lifeos.test_champion import scorecard


@pytest.fixture
def two(tmp_path):
    """A history with two releases of one plan; the second one's images are the first one's."""
    folder, artifacts, first = record(tmp_path)
    other = "release-" + "b" * 32
    shutil.copytree(artifacts / "runs" / RELEASE, artifacts / "runs" / other)
    better = {"likeness": {**METRICS["likeness"], "mean": 0.5}}
    gates = [gate_row("likeness", "hard", passed("fine", 0.5)), *GATES[1:]]
    card = scorecard(
        gates=gates, metrics=better, release=other, time="2026-11-24T10:00:00Z", face_backend=BACKEND,
        environment=first["environment"], lora="e" * 64,
    )  # fmt: skip
    second = history.append(folder / "h.jsonl", card)
    return first, second, ["--history", str(folder / "h.jsonl")], ["--artifacts", str(artifacts)]


def test_two_releases_stand_beside_each_other(two, capsys, tmp_path):
    first, second, where, artifacts = two
    page = tmp_path / "beside.html"
    assert main(["compare", second["id"], first["id"], *where, *artifacts, "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "likeness" in out
    assert "+0.2" in out
    assert "gate likeness" in out
    assert "gate ceiling" not in out  # it did not change
    assert "made with equal base" in out
    assert "worst pair: P" in out
    assert f"other ({first['id']})" in page.read_text(encoding="utf-8")
    assert main(["compare", second["id"], first["id"], *where, *artifacts, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["schema"], body["pairs"], body["why_unpaired"], body["unequal"]) == ("lifeos.compare/1", 4, None, [])
    assert body["metrics"] == [
        {"metric": "likeness", "one": 0.5, "other": 0.3, "difference": pytest.approx(0.2)}
    ]  # fmt: skip


def test_other_plans_share_no_noise_and_gone_images_are_said(two, capsys, tmp_path):
    first, second, where, artifacts = two
    other_plan = history.append(
        tmp_path / "h.jsonl",
        scorecard(time="2026-11-25T10:00:00Z", release=RELEASE, environment=first["environment"],
                  hashes={**first["hashes"], "plan": "d" * 64}),
    )  # fmt: skip
    assert main(["compare", other_plan["id"], first["id"], *where, *artifacts]) == 0
    out = capsys.readouterr().out
    assert "the plans differ" in out
    assert "made with another plan" in out
    shutil.rmtree(tmp_path / "artifacts" / "runs")
    assert main(["compare", second["id"], first["id"], *where, *artifacts]) == 0
    assert "is gone" in capsys.readouterr().out
    assert main(["compare", "nothing", first["id"], *where, *artifacts]) == 2


def test_history_is_plotted_in_the_terminal_and_on_a_page(two, capsys, tmp_path):
    _, _, where, _ = two
    page = tmp_path / "plot.html"
    assert main(["history", "plot", *where, "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "✗✓" in out
    assert "▁█" in out
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg ") == 1
    assert "http://" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert main(["history", *where, "--json", "plot"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["metrics"] == {"likeness": [0.3, 0.5]}
    assert body["verdicts"] == ["rejected", "approved"]
    assert main(["history", "plot", "--history", str(tmp_path / "none.jsonl")]) == 2


def test_bars_say_low_high_and_missing():
    assert bars([0.0, None, 1.0]) == "▁·█"
    assert bars([0.5, 0.5]) == "▅▅"
    assert bars([None]) == "·"
