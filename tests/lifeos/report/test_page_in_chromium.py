"""The page in a real browser; skipped where none is installed."""

import shutil
import subprocess

import pytest

from lifeos.report.page import page
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
