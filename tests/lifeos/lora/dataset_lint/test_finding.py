import shlex
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.lora.dataset_lint.finding import Finding, printable, rewrite_command


@settings(deadline=None)
@given(st.text())
def test_whatever_a_name_holds_one_line_of_text_comes_out(text):
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")


def test_signs_that_people_write_stay_as_they_are():
    assert printable("Ünï 人 'a' b") == "Ünï 人 'a' b"
    assert printable("a\x1b[31m\nb\udcff") == "a\\x1b[31m\\nb\\udcff"


def test_the_command_takes_any_name():
    path = Path("a folder/it's $HOME `x`.png")
    assert shlex.split(rewrite_command(path)) == ["lifeos", "lint-dataset", "--rewrite", str(path)]


def test_a_finding_says_file_accepted_got_and_fix():
    finding = Finding("image_small", Path("p/dataset/a.png"), "9 x 9", "delete a.png", "128 x 128")
    assert finding.line == (
        "dataset/a.png: accepted at least the trained resolution (128 x 128), got 9 x 9; next: delete a.png"
    )
    assert finding.gate == "dataset_images"
    assert finding.to_json()["accepted"].endswith("(128 x 128)")
    assert Finding("image_small", Path("a"), "x", "y", of_references=True).gate == "persona_sane"
