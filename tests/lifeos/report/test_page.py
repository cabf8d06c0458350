import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from evals import history
from evals.atomic import write_bytes
from evals.errors import InputError
from lifeos.cli import main
from lifeos.report.charts import distribution
from lifeos.report.charts import history as history_chart
from lifeos.report.page import address, page
from lifeos.report.release_data import gather
from tests.lifeos.report.recorded_release import METRICS, gathered, png
from tests.lifeos.test_champion import scorecard


class Reader(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_pairs_stand_worst_first_with_their_pictures_and_boxes(place):
    data = gathered(place)
    assert [pair.candidate.seed for pair in data.pairs] == [3, 2, 1, 0]
    assert data.pairs[0].difference == pytest.approx(-0.1)
    assert all(pair.candidate.data and pair.champion.data for pair in data.pairs)
    read = Reader(page(data))
    assert len([image for image in read.all("img") if image.get("src", "").startswith("data:image/png")]) >= 8
    (box,) = [each for each in read.all("span") if each.get("class") == "box"]
    assert box["style"] == "left:25.00%;top:12.50%;width:50.00%;height:87.50%"  # cut at the border


def test_the_page_needs_nothing_else_and_equal_data_gives_equal_bytes(place):
    text = page(gathered(place))
    assert text == page(gathered(place))
    read = Reader(text)
    assert not read.all("link")[1:]
    assert {each.get("src", "data:")[:5] for tag in ("img", "script", "iframe") for each in read.all(tag)} == {"data:"}
    addresses = re.findall(r"https?://[^\s\"'<)]+", re.sub(r"data:[^\"']+", "", text))
    assert {each for each in addresses if "w3.org" not in each and "purl.org" not in each
            and "creativecommons" not in each and "matplotlib" not in each} == set()  # fmt: skip


def test_hostile_text_is_text(place):
    text = page(gathered(place))
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "below &lt;b&gt;tau&lt;/b&gt;" in text
    assert not [each for each in Reader(text).all("img") if "onerror" in each]


def test_verdicts_are_told_by_word_and_sign_and_reasons_stand_beside(place):
    text = page(gathered(place))
    assert "<h1>REJECTED</h1>" in text
    assert "Blocked by likeness." in text
    assert re.search(r"✗</span>failed", text)
    assert re.search(r"✓</span>passed", text)
    assert "0.2 to 0.4" in text
    assert "calibration:tau" in text
    read = Reader(text)
    assert read.all("html")[0]["lang"] == "en"
    assert read.all("meta")[1]["name"] == "viewport"
    assert all("alt" in image for image in read.all("img"))
    assert len({each["id"] for _, each in read.tags if "id" in each}) == sum("id" in each for _, each in read.tags)


def test_an_image_that_is_gone_or_another_one_is_said_and_not_shown(place):
    _, artifacts, _ = place
    first, second = sorted((artifacts / "samples").rglob("*.png"))[:2]
    first.unlink()
    write_bytes(second, png(99))
    text = page(gathered(place))
    assert text.count("this image is gone, or is not the one that was judged") == 2


def test_without_a_run_folder_the_verdict_stands_and_the_images_are_missing(place):
    import shutil

    folder, artifacts, _ = place
    shutil.rmtree(artifacts / "runs")
    text = page(gathered(place))
    assert "There are no images to show" in text
    assert "<h1>REJECTED</h1>" in text
    old = history.append(folder / "h.jsonl", scorecard(time="2026-11-24T20:29:00Z", environment={
        "source": "lora", "python": "3", "system": "x", "gpu": None, "packages": {}}))  # fmt: skip
    assert "names no run folder" in page(gather(old, history.read(folder / "h.jsonl"), artifacts))


def test_a_large_picture_is_made_small_and_a_broken_one_is_none():
    assert address(None) == ""
    assert address(b"no picture") == ""
    assert address(png(50)).startswith("data:image/png")
    assert address(png(50, 900)).startswith("data:image/jpeg")


def test_charts_are_svg_of_their_own_and_take_the_pages_colour():
    drawn = distribution("likeness", [0.1, 0.2, 0.2], [0.3], [(0.25, "threshold <tau>")])
    other = distribution("skin_z", [0.5], [], [])
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "currentColor" in drawn
    ids = [set(re.findall(r'\bid="([^"]+)"', each)) for each in (drawn, other)]
    assert ids[0].isdisjoint(ids[1])
    assert drawn == distribution("likeness", [0.1, 0.2, 0.2], [0.3], [(0.25, "threshold <tau>")])


def test_history_is_drawn_where_there_are_values():
    rows = [{"metrics": METRICS, "verdict": "approved"}, {"metrics": {}, "verdict": "rejected"},
            {"metrics": METRICS, "verdict": "not_evaluated"}]  # fmt: skip
    assert ET.fromstring(history_chart("likeness", rows)).tag.endswith("svg")
    assert history_chart("skin_z", rows) is None


def test_the_command_writes_the_page_and_says_where(place, capsys):
    folder, artifacts, row = place
    where = ["--history", str(folder / "h.jsonl"), "--artifacts", str(artifacts)]
    assert main(["report", *where]) == 0
    out = artifacts / "reports" / row["id"] / "index.html"
    assert capsys.readouterr().out.splitlines()[0] == str(out)
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["report", "nothing", *where]) == 2
    cheap = history.append(folder / "h.jsonl", scorecard(phase="predeploy"))
    assert main(["report", cheap["id"], *where]) == 2
    with pytest.raises(InputError, match="phase release"):
        gather(cheap, [], artifacts)
