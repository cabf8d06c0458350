import json
import os

import pytest

from lifeos import cli
from lifeos.errors import InputError
from lifeos.pods import pods_cli
from lifeos.pods.spec import list_pods, load_pod
from lifeos.pods.supervise import Supervised, least_seconds
from lifeos.settings import load_project

posix = pytest.mark.skipif(os.name != "posix", reason="pods run Linux")
A40 = load_pod("a40")


@pytest.fixture
def started(monkeypatch):
    """What would have been run, with the settings that a test gives."""
    seen = {}

    def fake(command, *, limit, stop):
        seen.update(command=command, limit=limit, stop=stop)
        return Supervised(seen.get("status", 0), 3600.0, False, True if stop else None)

    monkeypatch.setattr("lifeos.pods.supervise.supervise", fake)

    def with_settings(**values):
        project = load_project()
        changed = type(project)(project.root, project.settings.model_copy(update=values), project.written)
        monkeypatch.setattr("lifeos.settings.load_project", lambda root=None: changed)
        return seen

    return with_settings


def test_pods_lists_every_pod_with_its_price_and_what_a_run_costs(capsys):
    assert cli.main(["pods"]) == 0
    shown = capsys.readouterr().out
    for pod in list_pods():
        line = next(line for line in shown.splitlines() if line.startswith(pod.name + " "))
        assert pod.gpu.name in line
        assert f"~{pod.price_per_hour:.2f} USD" in line
    assert "~ is a list price" in shown


def test_pods_as_json(capsys):
    assert cli.main(["pods", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert (body["schema"], body["problem"]) == ("lifeos.pods/1", None)
    assert [row["name"] for row in body["pods"]] == [pod.name for pod in list_pods()]
    assert body["pods"][0]["run"]["estimated"]
    assert body["pods"][0]["gpu"]["capability"] == "8.0"


def test_a_recipe_that_cannot_be_estimated_is_said(tmp_path, capsys):
    recipe = tmp_path / "r.toml"
    recipe.write_text('base = "b"\ndataset = "personas"\ntrigger = "x"\nsteps = 1\nfamily = "flux"\n', encoding="utf-8")
    (tmp_path / "personas").mkdir()
    assert cli.main(["pods", "--recipe", str(recipe)]) == 0
    assert "no estimate of a run: throughput: accepted a family" in capsys.readouterr().out
    assert cli.main(["pods", "--recipe", str(tmp_path / "none.toml")]) == 2


@posix
def test_run_hands_command_limit_and_stop_over(started, monkeypatch, capsys):
    monkeypatch.setenv("POD_ID", "p1 secret")
    seen = started(pod="a40", budget="0.88 USD", pod_stop=["stopper", "${POD_ID}"])
    seen["status"] = 5
    assert cli.main(["pod", "run", "--", "train", "--json", "-x"]) == 5
    assert seen["command"] == ["train", "--json", "-x"]
    assert seen["limit"] == pytest.approx(7200)
    assert seen["stop"] == ["stopper", "p1 secret"]
    shown = capsys.readouterr().err
    assert "secret" not in shown
    assert "the budget pays for 2.00 h" in shown
    assert "1.00 h, about 0.44 USD; the pod was told to stop" in shown


@posix
def test_options_win_over_settings_and_what_was_spent_counts(started):
    seen = started(pod="h100", budget="100 USD", pod_stop=["stopper"])
    assert cli.main(["pod", "run", "--pod", "a40", "--budget", "0.88", "--spent", "0.44 USD", "--", "x"]) == 0
    assert seen["limit"] == pytest.approx(3600)


@posix
def test_no_budget_no_limit_and_no_stop_only_when_asked_for(started, capsys):
    seen = started(pod="a40", budget="", pod_stop=["stopper"])
    assert cli.main(["pod", "run", "--no-stop", "--", "x"]) == 0
    assert (seen["limit"], seen["stop"]) == (float("inf"), [])
    assert "no limit" in capsys.readouterr().err


@posix
@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (["pod", "run"], {}, "a command after --"),
        (["pod", "run", "--"], {}, "a command after --"),
        (["pod", "run", "--pod", "nine", "--", "x"], {}, "accepted one of a100-80"),
        (["pod", "run", "--", "x"], {"pod": ""}, "accepted one of a100-80"),
        (["pod", "run", "--budget", "much", "--", "x"], {}, "accepted an amount"),
        (["pod", "run", "--budget", "5 EUR", "--", "x"], {}, "got EUR"),
        (["pod", "run", "--budget", "0.01", "--", "x"], {}, "ending and stopping"),
        (["pod", "run", "--budget", "1", "--spent", "2", "--", "x"], {}, "got 0.00"),
        (["pod", "run", "--", "x"], {"pod_stop": []}, "set pod_stop"),
        (["pod", "run", "--", "x"], {"pod_stop": ["s", "${NOT_SET_ANYWHERE}"]}, "NOT_SET_ANYWHERE"),
    ],
)
def test_wrong_options_start_nothing(started, capsys, arguments, settings, says):
    seen = started(**{"pod": "a40", "pod_stop": ["stopper"], **settings})
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert "; next: " in shown.err
    assert len(shown.err.splitlines()) == 1
    assert seen == {}


def test_least_budget():
    assert pods_cli.payable_seconds(A40, "", "5 USD") == float("inf")
    least = least_seconds() / 3600 * A40.price_per_hour
    assert pods_cli.payable_seconds(A40, f"{least + 0.01:.4f}", "") > least_seconds()
    with pytest.raises(InputError):
        pods_cli.payable_seconds(A40, f"{least - 0.001:.4f}", "")
