"""The whole command on real face models: the shipped persona's pictures in a folder with spaces and other letters."""

import json
import shutil

import pytest
from PIL import Image

from lifeos.cli import main
from lifeos.settings import project_root

SHIPPED = project_root() / "personas" / "pistachio"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def folder(tmp_path):
    """Six training images and four references of the shipped persona."""
    folder = tmp_path / "Persona Ä ü 人"
    for name, count in (("dataset", 6), ("references", 4)):
        (folder / name).mkdir(parents=True)
        for path in sorted((SHIPPED / name).iterdir()):
            if int(path.stem) <= count:
                shutil.copy(path, folder / name)
    for name in ("persona.toml", "prompts.toml"):
        shutil.copy(SHIPPED / name, folder)
    return folder


@pytest.fixture
def run(folder, artifacts, capsys):
    def call(*arguments):
        code = main(["lint-dataset", "--persona", str(folder), "--artifacts", str(artifacts), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_sound_folder(run):
    code, out, _ = run()
    assert (code, out.splitlines()[-1].split()[0]) == (0, "PASSED")


def test_two_faces_and_none(run, folder):
    with Image.open(folder / "dataset/0001.png") as one, Image.open(folder / "dataset/0002.png") as other:
        both = Image.new("RGB", (256, 128))
        both.paste(one, (0, 0))
        both.paste(other, (128, 0))
    both.save(folder / "dataset/0001.png")
    Image.linear_gradient("L").convert("RGB").save(folder / "references/0001.png")
    code, out, _ = run("--json")
    answer = json.loads(out)
    found = {(finding["rule"], finding["gate"]) for finding in answer["findings"]}
    assert code == 1
    assert {("face_several", "dataset_faces"), ("face_none", "persona_sane")} <= found


def test_every_rewrite_that_is_named_as_a_fix_is_one(run, folder):
    image = Image.open(folder / "dataset/0001.png").convert("RGB")
    exif = Image.Exif()
    exif[0x112] = 3
    image.rotate(180).save(folder / "dataset/0001.png", exif=exif)
    clear = Image.open(folder / "dataset/0002.png").convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    clear.save(folder / "dataset/0002.png")
    with Image.open(folder / "dataset/0003.png") as third:
        third.save(folder / "dataset/0003.webp", lossless=True)
    (folder / "dataset/0003.png").unlink()
    code, out, _ = run("--json")
    files = [finding["file"] for finding in json.loads(out)["findings"] if "--rewrite" in finding["fix"]]
    assert (code, len(files)) == (1, 3)
    code, out, _ = run(*(word for file in files for word in ("--rewrite", file)))
    assert code == 0, out


def test_the_contact_sheet(run, folder, tmp_path):
    out = tmp_path / "sheet ü.html"
    assert run("--html", str(out))[0] == 0
    assert out.read_text(encoding="utf-8").count("<article") == 10


@pytest.mark.parametrize("arguments", [
    ("--html", "nowhere/at/all.html"), ("--html", "."), ("--rewrite", "absent.png"), ("--persona", "nobody"),
])  # fmt: skip
def test_bad_input_is_one_line(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("lifeos: ")]) == 1
    assert "next: " in err


def test_a_recipe_that_cannot_be_read(run, folder):
    (folder / "recipe.toml").write_text("steps = ", encoding="utf-8")
    code, _, err = run()
    assert code == 2
    assert "recipe.toml" in err


def test_the_recipe_says_what_is_trained(run, folder):
    shutil.copytree(folder / "dataset", folder / "another")
    (folder / "another" / "0001.txt").write_text("a beautiful pstch", encoding="utf-8")
    base = (project_root() / "models/tiny-base").as_posix()
    (folder / "recipe.toml").write_text(
        f'base = "{base}"\ndataset = "another"\ntrigger = "pstch"\nsteps = 1\n', encoding="utf-8"
    )
    code, out, _ = run()
    assert code == 1
    assert "another/0001.txt" in out


def test_an_empty_dataset_is_not_evaluated(run, folder):
    shutil.rmtree(folder / "dataset")
    assert run()[0] == 2


def test_nothing_heavy_is_imported():
    import subprocess
    import sys

    code = (
        "import sys; from lifeos.lora.dataset_lint.command import run_lint;"
        "import lifeos.lora.dataset_lint.contact_sheet;"
        "from lifeos.lora.dataset_lint.tokens import read_tokenizers; from lifeos.settings import project_root;"
        "read_tokenizers(project_root() / 'models/tiny-base');"
        "print(sorted({'torch', 'transformers', 'diffusers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project_root(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
