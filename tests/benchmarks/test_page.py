"""The page of results from lines that nobody measured, and in a browser where one is installed."""

import re
import shutil
import subprocess

import pytest

from benchmarks.chart import charts_of, commits_of
from benchmarks.comparison import Outcome, Pair
from benchmarks.page import main, page
from benchmarks.results import append
from tests.benchmarks.synthetic import line, row

OLD, NEW = "2026-11-20T05:00:00+00:00", "2026-11-28T05:00:00+00:00"
GPU = {"gpus": ["NVIDIA T4"]}


def points_of(path):
    return [tuple(map(float, point)) for point in re.findall(r"M([\d.]+) ([\d.]+)h0", path)]


def test_commits_stand_in_their_own_order_whenever_they_were_measured():
    lines = [line("b" * 40, "2026-11-29T05:00:00Z", NEW), line("a" * 40, "2026-11-29T06:00:00Z", OLD)]
    assert commits_of(lines) == ["aaaaaaa", "bbbbbbb"]
    assert commits_of([line(dirty=True)]) == ["aaaaaaa+"]
    (chart,) = charts_of(lines)
    assert [text.split(",")[0] for *_, text in chart.points] == ["aaaaaaa", "bbbbbbb"]
    (series,) = chart.series
    (first, _), (second, _) = points_of(series.points)
    assert first < second


def test_machines_are_series_of_their_own_and_no_line_joins_them():
    lines = [line(), line("b" * 40, "2026-11-29T06:00:00Z"), line(machine=GPU)]
    (chart,) = charts_of(lines)
    assert [(series.place, series.line.count("L"), len(points_of(series.points))) for series in chart.series] == [
        (0, 1, 2), (1, 0, 1),
    ]  # fmt: skip
    assert len({series.style for series in chart.series}) == 2
    assert len(chart.latest) == 2


def test_bars_span_the_spread_and_the_target_has_a_line_and_a_cross_where_missed():
    missed = Outcome(row(target=None), (Pair(1.0, 2.0), Pair(1.0, 3.0), Pair(1.0, 4.0)))
    (chart,) = charts_of([line()])
    (series,) = chart.series
    ((_, middle),) = points_of(series.points)
    low, high = map(float, re.fullmatch(r"M[\d.]+ ([\d.]+)V([\d.]+)", series.spreads).groups())
    assert high < middle < low
    assert (low + high) / 2 == pytest.approx(middle, abs=0.1)
    (target,) = chart.target_lines
    assert middle < target < low
    assert series.missed == ""
    assert charts_of([line(outcomes=[missed])])[0].target_lines == ()
    worse = line()
    worse["comparisons"][0]["verdict"] = "MISSED"
    assert charts_of([worse])[0].series[0].missed.count("M") == 1


def test_a_row_without_an_alternative_shows_its_own_numbers():
    outcome = Outcome(row(alternative=""), (Pair(5.0), Pair(6.0), Pair(7.0)))
    (chart,) = charts_of([line(outcomes=[outcome])])
    assert chart.axis == "ours, s"
    assert (chart.latest[0]["ours"], chart.latest[0]["ratio"]) == ("6.00 s", "")


def test_the_page_shows_raw_values_and_why_a_row_is_not_measured_and_escapes_text():
    outcomes = [Outcome(row(), (Pair(1.5, 2.5),) * 3), Outcome(row(id="gpu-row"), (), "needs a GPU & <more>")]
    text = page([line(outcomes=outcomes, machine={"processor": "<script>"})])
    assert "1.50 / 2.50" in text
    assert "needs a GPU &amp; &lt;more&gt;" in text
    assert "a &lt;loop&gt;" in text
    assert "<script>," not in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_row_that_was_measured_once_is_not_called_unmeasured():
    later = line("b" * 40, "2026-11-29T06:00:00Z", outcomes=[Outcome(row(), (), "needs a GPU")])
    assert "Unmeasured" not in page([line(), later])


def test_a_row_that_went_missing_says_so_until_it_is_measured_again():
    broken = line("b" * 40, "2026-11-29T06:00:00Z", outcomes=[Outcome(row(), (), "it broke")])
    elsewhere = line("b" * 40, "2026-11-29T06:30:00Z", machine=GPU, outcomes=[Outcome(row(), (), "no base")])
    absent = line("c" * 40, "2026-11-29T07:00:00Z", outcomes=[])
    (chart,) = charts_of([line(), broken, elsewhere, absent])
    assert chart.since == ("bbbbbbb unmeasured: it broke",)
    assert chart.axis.endswith("; 1 of 3 commits")
    (chart,) = charts_of([line(), broken, line("c" * 40, "2026-11-29T07:00:00Z")])
    assert chart.since == ()
    assert chart.axis.endswith("; 2 of 3 commits")


def test_the_command_writes_the_page_beside_the_results(tmp_path, capsys):
    results = tmp_path / "results.jsonl"
    append(results, line())
    append(tmp_path / "gpu.jsonl", line(machine=GPU))
    assert main(["--results", str(results), str(tmp_path / "gpu.jsonl")]) == 0
    text = (tmp_path / "results.html").read_text(encoding="utf-8")
    assert "NVIDIA T4" in text
    assert "no GPU" in text
    assert main(["--results", str(tmp_path / "missing.jsonl")]) == 2
    assert "accepted" in capsys.readouterr().err


def test_a_thousand_runs_are_few_elements():
    times = [f"2026-11-29T05:{number // 60:02}:{number % 60:02}Z" for number in range(1000)]
    lines = [line(f"{number:040x}"[::-1], time) for number, time in enumerate(times)]
    assert len(re.findall("<path", page(lines))) < 20


DRIVE = """<script>
addEventListener("load", () => {
  const picture = document.querySelector("svg"), told = document.querySelector(".told");
  const seen = [document.documentElement.scrollWidth <= innerWidth, told.textContent.slice(0, 7)];
  picture.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  seen.push(told.textContent.slice(0, 7));
  const box = picture.getBoundingClientRect();
  const at = { clientX: box.right - 20, clientY: box.top + 50 };
  picture.dispatchEvent(new PointerEvent("pointermove", at));
  seen.push(told.textContent.slice(0, 7));
  picture.dispatchEvent(new MouseEvent("click", at));
  seen.push(told.textContent.slice(0, 7));
  document.title = "SEEN " + JSON.stringify(seen);
});
</script></body>"""


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: the page is not tried in a browser here")
def test_a_point_is_told_by_keys_and_pointer_and_nothing_is_wider_than_the_screen(tmp_path):
    lines = [line("b" * 40, "2026-11-29T05:00:00Z", NEW), line("a" * 40, "2026-11-29T06:00:00Z", OLD)]
    path = tmp_path / "page.html"
    path.write_text(page(lines).replace("</body>", DRIVE), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               f"--user-data-dir={tmp_path / 'user'}", "--window-size=500,900",
               "--dump-dom", path.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    # The keys hold the point, so the pointer changes nothing until a click.
    wanted = '<title>SEEN [true,"bbbbbbb","aaaaaaa","aaaaaaa","bbbbbbb"]</title>'
    assert wanted in done.stdout.decode("utf-8")
