"""The page in a real browser; skipped where none is installed."""

import base64
import re
import shutil
import subprocess

import pytest

from lifeos.report.page import page
from lifeos.reviews import read_draft, record_review
from tests.lifeos.report.recorded_release import gathered

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH: the page is not tried in a browser here")

# What a person would do, done by the page's own events; what came of it is left in the title.
DRIVE = """<script>
window.addEventListener("load", () => {
  const seen = [];
  const by = (what) => document.querySelectorAll(what);
  by('[data-gates="failed"]')[0].click();
  seen.push([...by("tr[data-verdict]")].filter((line) => !line.hidden).length);
  const prompt = document.getElementById("prompt");
  prompt.value = "P1"; prompt.dispatchEvent(new Event("change"));
  seen.push([...by(".pair")].filter((card) => !card.hidden).length, document.getElementById("count").textContent);
  prompt.value = ""; prompt.dispatchEvent(new Event("change"));
  const order = document.getElementById("order");
  order.value = "prompt"; order.dispatchEvent(new Event("change"));
  seen.push(by(".pair")[0].dataset.prompt + by(".pair")[0].dataset.seed);
  document.getElementById("boxes").click();
  seen.push(getComputedStyle(by(".box")[0]).opacity);
  const frame = by(".frame")[0]; frame.focus();
  seen.push(document.activeElement === frame);
  frame.click();
  seen.push(document.getElementById("large").open);
  seen.push([...document.images].every((image) => image.id || !image.src || image.naturalWidth > 0));
  document.title = "SEEN " + JSON.stringify(seen) + " ERRORS " + window.errors;
});
</script>"""
WATCH = "<script>window.errors = 0; window.addEventListener('error', () => { window.errors += 1; });</script>"


def dumped(path, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", *options]
    done = subprocess.run(
        [*command, "--enable-logging=stderr", "--dump-dom", path.as_uri()], capture_output=True, timeout=120, check=True
    )
    return done.stdout.decode("utf-8"), done.stderr.decode("utf-8", "replace")


def test_it_loads_filters_sorts_and_answers_the_keyboard_without_an_error(place, tmp_path):
    text = page(gathered(place)).replace("<head>", "<head>" + WATCH, 1).replace("</body>", DRIVE + "</body>", 1)
    path = tmp_path / "driven.html"
    path.write_text(text, encoding="utf-8")
    dom, log = dumped(path)
    assert '<title>SEEN [1,2,"2 shown","P00","1",true,true,true] ERRORS 0</title>' in dom
    assert "CONSOLE" not in log


RATE = """<script>
window.addEventListener("load", () => {
  const card = document.querySelectorAll(".review")[0];
  card.querySelector(".rating").value = "2";
  card.querySelector('input[value="plastic_skin"]').checked = true;
  card.querySelector(".note").value = "cheek </script>";
  document.getElementById("save").click();
  const asked = document.getElementById("saved").textContent;
  document.getElementById("reviewer").value = " Ana ";
  document.getElementById("verdict").value = "reject";
  document.title = "ASKED " + asked + " DRAFT " + btoa(JSON.stringify(window.reviewDraft()));
});
</script>""".replace("cheek </script>", "cheek")


def test_what_the_page_saves_is_a_review(place, tmp_path):
    path = tmp_path / "rated.html"
    path.write_text(page(gathered(place)).replace("</body>", RATE + "</body>", 1), encoding="utf-8")
    dom, _ = dumped(path)
    found = re.search(r"<title>ASKED say who looked first DRAFT ([A-Za-z0-9+/=]+)</title>", dom)
    draft = tmp_path / "draft.json"
    draft.write_bytes(base64.b64decode(found[1]))
    folder, artifacts, row = place
    made, _ = record_review(folder / "h.jsonl", artifacts, read_draft(draft), time="2026-11-25T10:00:00Z")
    assert (made["row"], made["reviewer"], made["verdict"]) == (row["id"], "Ana", "reject")
    assert made["ratings"][0] | {"image": ""} == {
        "image": "", "rating": 2, "reasons": ["plastic_skin"], "note": "cheek",
    }  # fmt: skip


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(place, tmp_path, width):
    told = (
        '<script>window.addEventListener("load", () => { document.title = "W " + '
        "(document.documentElement.scrollWidth <= window.innerWidth); });</script></body>"
    )
    path = tmp_path / "wide.html"
    # Chromium opens no window narrower than 500 pixels: a frame of the wanted width stands for the phone.
    path.write_text(page(gathered(place)).replace("</body>", told, 1), encoding="utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<iframe src="{path.as_uri()}" style="width:{width}px;height:800px;border:0" id="inner"></iframe>'
        '<script>addEventListener("load", () => setTimeout(() => { document.title = '
        'document.getElementById("inner").contentDocument.title; }, 200));</script>',
        encoding="utf-8",
    )
    dom, _ = dumped(outer, "--allow-file-access-from-files", "--window-size=1400,900")
    assert "<title>W true</title>" in dom
