"""``lifeos vram`` as it is typed: text, JSON, chart, picture, exit statuses, and time of a kept answer."""

import json
import sys
import time

import pytest

from lifeos.cli import main
from lifeos.pods.vram.explain import explanation
from lifeos.pods.vram.replay import Phase, Usage

pytestmark = pytest.mark.filterwarnings("ignore")
RECIPE = """base = "base"
family = "sd15"
dataset = "dataset"
trigger = "zeph"
steps = 10
batch_size = {batch}
rank = 4
targets = "attention"
{more}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, random_bases):
    folder = tmp_path_factory.mktemp("project")
    with random_bases["sd15"].folder() as configs:
        import shutil

        shutil.copytree(configs, folder / "base")
    return folder


@pytest.fixture
def ask(place, capsys):
    def run(*options, batch=1, more="", pod="a40"):
        recipe = place / "recipe.toml"
        recipe.write_text(RECIPE.format(batch=batch, more=more), encoding="utf-8")
        status = main(["vram", str(recipe), "--pod", pod, "--artifacts", str(place / "artifacts"), *options])
        return status, capsys.readouterr()

    return run


def test_it_says_that_it_fits_and_that_nothing_was_measured(ask):
    status, said = ask()
    assert status == 0
    assert "on pod a40 (A40, 45.0 GiB): fits" in said.out
    assert "unmeasured: " in said.out
    assert "published measurements it was not fitted to" in said.out
    assert "missed by -32 %" in said.out
    assert said.err == ""


def test_a_kept_answer_comes_at_once_and_without_torch(ask, monkeypatch):
    ask()
    monkeypatch.setitem(sys.modules, "torch", None)
    started = time.process_time()
    status, _ = ask()
    assert status == 0
    # The command itself; the process around it takes .3 s to start.
    assert time.process_time() - started < 0.2


def test_json(ask):
    status, said = ask("--json")
    answer = json.loads(said.out)
    assert (status, answer["fits"], answer["measured"], answer["smallest_pod"]) == (0, True, False, "t4")


def test_explain_and_plot(ask, place):
    status, said = ask("--explain", "--plot", str(place / "plot.png"))
    assert status == 0
    assert "training: peak" in said.out
    assert "sampling: peak" in said.out
    assert (place / "plot.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_is_in_no_prediction_is_status_2(ask):
    status, said = ask(more='compile = true\ndevice = "cuda"')
    assert status == 2
    assert "NOT EVALUATED" in said.out
    assert "in no prediction: compile" in said.out


@pytest.mark.parametrize(("options", "reason"), [
    ({"pod": "nonesuch"}, "nonesuch"), ({"more": 'rank_of_mine = 3'}, "rank_of_mine"),
    ({"batch": 4096, "more": "resolution = { sides = [2048] }"}, "batch_size x picture"),
])  # fmt: skip
def test_bad_input_is_one_line(ask, options, reason):
    status, said = ask(**options)
    assert status == 2
    assert reason in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_no_images_at_once_is_refused(ask):
    status, said = ask("--images", "0")
    assert (status, said.out) == (2, "")
    assert "--images: accepted 1 or more" in said.err


def test_a_persona_says_how_its_images_are_drawn(ask, place):
    from tests.lifeos.simulated_release import make_persona

    file = make_persona(place / "persona") / "persona.toml"
    text = file.read_text(encoding="utf-8").replace("[sampler]", "[sampler]\nbatch = 5\nvae_slicing = true")
    file.write_text(text, encoding="utf-8")
    status, said = ask("--persona", str(file.parent))
    assert (status, said.out) == (2, "")
    assert "--persona: accepted one of family sd15" in said.err
    file.write_text(text.replace('family = "tiny_base"', 'family = "sd15"'), encoding="utf-8")
    _, said = ask("--persona", str(file.parent))
    assert "sampling on the processor" in said.out
    assert json.loads(ask("--persona", str(file.parent), "--json")[1].out)["sampling"] is None
    text = file.read_text(encoding="utf-8").replace("[sampler]", '[sampler]\ndevice = "cuda"')
    file.write_text(text, encoding="utf-8")
    _, said = ask("--persona", str(file.parent))
    assert "sampling 5 at once, 128x128" in said.out
    assert "autoencoder float32, one by one" in said.out
    assert "sampling 2 at once" in ask("--persona", str(file.parent), "--images", "2")[1].out
    assert "sampling 12 at once" in ask()[1].out


def test_the_chart_adds_up_and_can_be_plain():
    usage = Usage(100 * 2**20, 1, 120 * 2**20, (Phase("step 1", 0.0, 5, 6), Phase("step 2", 0.5, 5, 6)),
                  {"weights": 60 * 2**20, "activations": 40 * 2**20}, {f"unet.b{n}": 4 * 2**20 for n in range(10)},
                  "step 2", "mul", (1, 100, 50, 100), 9)  # fmt: skip
    lines = explanation("training", usage, plain=True)
    assert all(line.isascii() for line in lines)
    assert "60.0 %" in lines[1]
    assert len([line for line in lines if "unet.b" in line]) == 8
    assert "2 more" in "\n".join(lines)
    # A name ends where the next phase begins.
    assert lines[-1] == "  |s|step 2"
