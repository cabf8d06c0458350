"""``lifeos recipe show`` and ``lifeos recipe import`` as a user meets them."""

import json
import tomllib

import pytest

from evals.atomic import write_text
from lifeos import cli
from lifeos.lora.recipe import read_recipe
from lifeos.settings import project_root

DEMO = project_root() / "personas" / "pistachio" / "recipe.toml"
COMMAND = ("accelerate launch train_network.py --pretrained_model_name_or_path base --train_data_dir img "
           "--caption_extension .txt --learning_rate 1e-4\n")  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "img" / "10_zeph woman").mkdir(parents=True)
    write_text(tmp_path / "run" / "command.sh", COMMAND)
    return tmp_path


def test_show_fills_in_every_default(capsys):
    assert cli.main(["recipe", "show", str(DEMO)]) == 0
    shown = capsys.readouterr().out
    values = tomllib.loads(shown)
    assert (values["steps"], values["gradient_accumulation"], values["optimizer"]["warmup_steps"]) == (1600, 1, 0)
    assert f"# hash {read_recipe(DEMO).content_hash}" in shown
    assert cli.main(["recipe", "show", str(DEMO), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["hash"]) == ("lifeos.recipe/1", read_recipe(DEMO).content_hash)


@pytest.mark.parametrize("more", ["", 'min_snr_gamma = "none"\ngradient_clip = "none"\n', 'family = "flux"\n',
                                  'alpha = 3.0\n[repeats]\n"a b" = 2\n[prior]\nfolder = "o"\n'])  # fmt: skip
def test_a_recipe_as_shown_is_the_same_recipe(more, capsys, tmp_path):
    written, shown = tmp_path / "written.toml", tmp_path / "shown.toml"
    write_text(written, 'base = "b"\ndataset = "d"\ntrigger = "zeph"\nsteps = 9\n' + more)
    assert cli.main(["recipe", "show", str(written)]) == 0
    write_text(shown, capsys.readouterr().out)
    assert read_recipe(shown).content_hash == read_recipe(written).content_hash


def test_import_writes_a_recipe_and_says_what_became_of_each(folder, capsys):
    assert cli.main(["recipe", "import", "run/command.sh", "-o", "recipe.toml"]) == 0
    shown = capsys.readouterr().out
    assert "mapped      learning_rate = 0.0001 -> optimizer.learning_rate = 0.0001" in shown
    assert "its default alpha = 1.0 (network_alpha, not given)" in shown
    recipe = read_recipe(folder / "recipe.toml")
    assert (recipe.trigger, recipe.repeats) == ("zeph", {"10_zeph woman": 10})  # looked for beside the command
    assert f"recipe.toml: written, hash {recipe.content_hash}; 0 left out that change" in shown.splitlines()[-1]


def test_import_as_json(folder, capsys):
    arguments = ["recipe", "import", "run/command.sh", "-o", "recipe.toml", "--json"]
    assert cli.main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["recipe"], answer["faithful"]) == ("lifeos.recipe_import/1", "recipe.toml", True)
    line = {"argument": "learning_rate", "value": 1e-4, "fields": {"optimizer.learning_rate": 1e-4}, "note": ""}
    assert line in answer["mapped"]


def test_what_is_missing_is_asked_for_and_nothing_is_written(folder, capsys):
    write_text(folder / "bare.txt", "--network_dim 8 --clip_skip 2\n")
    assert cli.main(["recipe", "import", "bare.txt", "-o", "recipe.toml"]) == 1
    shown = capsys.readouterr().out
    assert "next: --set trigger=VALUE" in shown
    assert "not mapped, LOST: clip_skip = 2" in shown
    assert not (folder / "recipe.toml").exists()
    said = ["--set", "trigger=zeph", "--set", "base=b", "--set", "dataset=d"]
    assert cli.main(["recipe", "import", "bare.txt", "-o", "recipe.toml", *said]) == 1  # written, and clip_skip is lost
    assert read_recipe(folder / "recipe.toml").rank == 8


@pytest.mark.parametrize("arguments", [
    ["recipe"],
    ["recipe", "show", "none.toml"],
    ["recipe", "import", "none.sh", "-o", "recipe.toml"],
    ["recipe", "import", "run/command.sh"],
    ["recipe", "import", "run/command.sh", "-o", "recipe.txt"],
    ["recipe", "import", "run/command.sh", "-o", "recipe.toml", "--from", "elsewhere"],
    ["recipe", "import", "run/command.sh", "-o", "recipe.toml", "--set", "stepz=3"],
    ["recipe", "import", "bytes.sh", "-o", "recipe.toml"],
], ids=" ".join)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(arguments, folder, capsys):
    (folder / "bytes.sh").write_bytes(b"\xff\xfe\x00")
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 1, shown.err
    assert "; next: " in shown.err
    assert not (folder / "recipe.toml").exists()
