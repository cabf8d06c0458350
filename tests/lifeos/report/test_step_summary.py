import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from lifeos.cli import main
from lifeos.report.step_summary import PICTURE, escaped, step_summary, worst_pairs
from tests.lifeos.report.recorded_release import gathered


def test_it_says_what_blocked_and_shows_no_image_unless_told(place):
    data = gathered(place)
    text = step_summary(data)
    assert text.startswith("## REJECTED: one\n")
    assert "**likeness**" in text
    assert "![" not in text
    assert "data:image" not in text
    assert f"]({PICTURE})" in step_summary(data, with_images=True)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert html.count("<tr>") == 1 + len(data.row["gates"])
    assert "<b>" not in html  # a reason held it


@given(st.text(max_size=80))
def test_no_text_becomes_markup(text):
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render("x " + escaped(text))
    assert html.startswith("<p>x")
    assert html.count("<") == 2


def test_the_picture_holds_the_worst_pairs(place):
    data = gathered(place)
    with Image.open(io.BytesIO(worst_pairs(data))) as picture:
        assert picture.size == (2 * 2 * 192 + 8, 2 * 192)


def test_the_command_writes_beside_the_page_and_appends_where_the_server_reads(place, tmp_path, monkeypatch):
    folder, artifacts, row = place
    where = ["report", "--history", str(folder / "h.jsonl"), "--artifacts", str(artifacts)]
    out = artifacts / "reports" / row["id"]
    assert main(where) == 0
    assert {path.name for path in out.iterdir()} == {"index.html", "junit.xml", "summary.md", "README.md"}
    assert main([*where, "--with-images"]) == 0
    assert (out / PICTURE).exists()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert main([*where, "--step-summary"]) == 2
    target = tmp_path / "summary of the step.md"
    target.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    assert main([*where, "--step-summary"]) == 0
    assert target.read_text(encoding="utf-8").startswith("before\n## REJECTED")


@pytest.mark.parametrize("name", ["summary.md", "README.md", "junit.xml"])
def test_what_may_leave_the_machine_holds_no_image(place, name):
    folder, artifacts, row = place
    main(["report", "--history", str(folder / "h.jsonl"), "--artifacts", str(artifacts)])
    text = (artifacts / "reports" / row["id"] / name).read_text(encoding="utf-8")
    assert "base64" not in text
    assert str(artifacts) not in text
