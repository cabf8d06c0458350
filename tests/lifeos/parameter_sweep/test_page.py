import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from evals.atomic import write_bytes
from lifeos.lora.sample import encode_png
from lifeos.parameter_sweep.page import page, write_page
from tests.lifeos.parameter_sweep.swept import swept

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in BROWSERS if (found := shutil.which(name))), "")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH: the page is not tried in a browser here")
NASTY = '</script><img src=x onerror="alert(1)"> [bold] {{ 7 * 7 }} &amp; é'


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_it_is_written_beside_the_images_and_names_them_relatively(tmp_path):
    outcome = swept(tmp_path)
    path = write_page(outcome, tmp_path)
    assert path == tmp_path / "sweeps" / ("a" * 32) / "index.html"
    data = data_of(path.read_text(encoding="utf-8"))
    image = data["cells"][0]["images"][0][0]
    assert image.startswith("../../samples/ab/")
    assert (path.parent / image).resolve() == outcome.cells[0].images[0].path.resolve()
    assert page(outcome, path.parent) == path.read_text(encoding="utf-8")


def test_cells_are_told_by_what_became_of_them(tmp_path):
    text = page(swept(tmp_path), tmp_path)
    data = data_of(text)
    assert data["dimensions"] == ["strength", "guidance", "steps"]
    assert [cell["state"] for cell in data["cells"][:2]] == ["left", "out"]
    assert data["cells"][-1]["state"] == "chosen"
    assert len({tuple(cell["at"]) for cell in data["cells"]}) == 8
    assert data["noises"] == ["A00, seed 0", "A00, seed 1", "A01, seed 0", "A01, seed 1"]
    assert text.count("<tr><td class=") == 8
    assert text.count("<svg") == 3
    without = page(swept(tmp_path, adherence=False), tmp_path)
    assert without.count("<svg") == 2
    assert "adherence: not evaluated in 6 of 6 cells; it decides for no cell" in without


def test_text_stays_text(tmp_path):
    text = page(swept(tmp_path, lora=f"{NASTY}.safetensors", text=NASTY), tmp_path)
    assert "<img src=x" not in text
    assert "alert(1)" in text
    assert re.search(r"<h1>(.*?)</h1>", text)[1].endswith("{{ 7 * 7 }} &amp;amp; é")
    assert data_of(text)["cells"][0]["name"].startswith(NASTY)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)


DRIVE = """<script>
window.addEventListener("load", () => {
  const seen = [], by = (what) => [...document.querySelectorAll(what)];
  const set = (at, value) => {
    const select = by("#controls select")[at];
    select.value = value; select.dispatchEvent(new Event("change"));
  };
  seen.push(by(".grid").length, by(".cell").length);
  set(2, "-1");
  seen.push(by(".grid").length, by(".cell").length, by("#controls label").filter((one) => !one.hidden).length);
  set(0, "2"); set(1, "1");
  seen.push(by(".grid thead th").map((one) => one.textContent).join("|"));
  set(6, "all");
  seen.push(by(".cell img").length, by(".cell img").every((image) => image.loading === "lazy"));
  by(".cell.is-chosen")[0].click();
  seen.push(document.getElementById("large").open, by("#large img").length);
  setTimeout(() => {
    seen.push(by("#large img").every((image) => image.naturalWidth === 8));
    document.title = "SEEN " + JSON.stringify(seen) + " ERRORS " + window.errors;
  }, 500);
});
</script>"""
WATCH = "<script>window.errors = 0; window.addEventListener('error', () => { window.errors += 1; });</script>"


def dumped(path, tmp_path, *options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000",
               f"--user-data-dir={tmp_path / 'chromium'}", "--allow-file-access-from-files", *options]  # fmt: skip
    done = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8")


@needs_chromium
def test_axes_are_chosen_and_a_cell_opens_with_all_its_images(tmp_path):
    outcome = swept(tmp_path)
    png = encode_png(np.zeros((8, 8, 3), dtype=np.uint8))
    for cell in outcome.cells:
        for image in cell.images:
            write_bytes(image.path, png)
    path = write_page(outcome, tmp_path)
    text = path.read_text(encoding="utf-8")
    driven = text.replace("<head>", "<head>" + WATCH, 1).replace("</body>", DRIVE + "</body>", 1)
    path.write_text(driven, encoding="utf-8")
    found = re.search(r"<title>SEEN (.*?) ERRORS (\d+)</title>", dumped(path, tmp_path))
    assert json.loads(found[1]) == [
        2, 8, 1, 4, 5, "guidance ↓  steps →|16|28", 16, True, True, 4, True,
    ]  # fmt: skip
    assert found[2] == "0"


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(tmp_path, width):
    told = (
        '<script>window.addEventListener("load", () => { document.title = "W " + '
        "(document.documentElement.scrollWidth <= window.innerWidth); });</script></body>"
    )
    path = write_page(swept(tmp_path, strengths=tuple(n / 10 for n in range(1, 12)), text="w" * 300), tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", told, 1), encoding="utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<iframe src="{path.as_uri()}" style="width:{width}px;height:800px;border:0" id="inner"></iframe>'
        '<script>addEventListener("load", () => setTimeout(() => { document.title = '
        'document.getElementById("inner").contentDocument.title; }, 200));</script>',
        encoding="utf-8",
    )
    assert "<title>W true</title>" in dumped(outer, tmp_path, "--window-size=1400,900")
