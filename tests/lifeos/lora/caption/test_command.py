"""The whole command: real face models on the shipped persona's pictures, and a model with random weights."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lifeos.cli import main
from lifeos.settings import project_root

SHIPPED = project_root() / "personas/pistachio"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def persona(tmp_path):
    """Nine training images without captions and four references of the shipped persona."""
    folder = tmp_path / "Persona Ä ü 人"
    for name, count in (("dataset", 9), ("references", 4)):
        (folder / name).mkdir(parents=True)
        for path in sorted((SHIPPED / name).glob("*.png")):
            if int(path.stem) <= count:
                shutil.copy(path, folder / name)
    for name in ("persona.toml", "prompts.toml"):
        shutil.copy(SHIPPED / name, folder)
    return folder


@pytest.fixture
def run(artifacts, capsys):
    def call(*arguments):
        code = main(["auto-caption", *map(str, arguments), "--artifacts", str(artifacts)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def captions(folder):
    return {path.stem: path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob("*.txt"))}


def test_the_shipped_pictures_get_the_shipped_captions(run, persona):
    folder = persona / "dataset"
    code, out, _ = run(folder, "--persona", persona, "--rendered")
    assert code == 0, out
    assert "PASSED  Persona" in out
    shipped = {path.stem: path.read_text(encoding="utf-8").strip() for path in (SHIPPED / "dataset").glob("*.txt")}
    for stem, caption in captions(folder).items():
        # Where light comes from is said beyond what the shipped captions say.
        assert caption.partition(", light from")[0] == shipped[stem]
    sheet = out.splitlines()[-1].removeprefix("contact sheet: ")
    page = Path(sheet).read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 13
    assert captions(folder)["0001"] in page
    assert ">written<" in page


def test_without_a_persona_captions_alone_are_linted(run, persona):
    folder = persona / "dataset"
    code, out, _ = run(folder, "--trigger", "ohwx", "--class-word", "woman", "--json")
    answer = json.loads(out)
    assert (code, answer["schema"], answer["complete"]) == (0, "lifeos.captions/1", True)
    assert answer["images"][0]["caption"].startswith("photo of a ohwx woman, facing front")
    assert "--rendered" in answer["images"][0]["not_measured"]["expression"]
    assert answer["lint"]["gates"][0]["verdict"] == "not_evaluated"
    assert answer["every_picture"] == {"shot": "close-up"}


def test_kept_forced_and_dry(run, persona):
    folder = persona / "dataset"
    (folder / "0001.txt").write_text("photo of a pstch person, mine\n", encoding="utf-8")
    code, out, _ = run(folder, "--trigger", "pstch", "--dry-run")
    assert (code, list(captions(folder))) == (0, ["0001"])
    assert "8 to write, 1 kept" in out
    code, out, _ = run(folder, "--trigger", "pstch")
    assert (code, captions(folder)["0001"]) == (0, "photo of a pstch person, mine")
    code, out, _ = run(folder, "--trigger", "pstch", "--force")
    assert (code, captions(folder)["0001"][:39]) == (0, "photo of a pstch person, facing front, ")


def test_a_broken_picture_and_two_faces(run, persona):
    folder = persona / "dataset"
    (folder / "0003.png").write_bytes(b"no picture")
    with Image.open(folder / "0001.png") as one, Image.open(folder / "0002.png") as other:
        both = Image.new("RGB", (256, 128))
        both.paste(one, (0, 0))
        both.paste(other, (128, 0))
    both.save(folder / "0001.png")
    code, out, _ = run(folder, "--persona", persona)
    assert code == 2
    assert "0003.png: refused: accepted a whole PNG or JPEG" in out
    assert "0001.png: written: 2 faces: whose is meant is not known" in out
    assert "facing" not in captions(folder)["0001"]
    assert len(captions(folder)) == 8
    assert "[face_several]" in out


def test_a_finding_of_the_lint_that_is_no_captions_fault(run, persona):
    shutil.copy(persona / "dataset/0001.png", persona / "dataset/0011.png")
    assert run(persona / "dataset", "--persona", persona)[0] == 1


def test_a_base_that_is_elsewhere_leaves_token_length_not_evaluated(run, persona):
    file = persona / "persona.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("models/tiny-base", "models/on-the-pod"), encoding="utf-8")
    code, out, _ = run(persona / "dataset", "--persona", persona)
    assert (code, len(captions(persona / "dataset"))) == (2, 9)
    assert "dataset_captions: NOT EVALUATED: token length" in out


def test_a_transformers_model(run, persona, blip):
    folder = persona / "dataset"
    for path in sorted(folder.iterdir())[2:]:
        path.unlink()
    code, out, _ = run(folder, "--persona", persona, "--backend", "blip", "--model", blip, "--json")
    answer = json.loads(out)
    assert code in (0, 1)
    assert {image["status"] for image in answer["images"]} == {"written"}
    assert all(image["raw"] for image in answer["images"])
    gates = {gate["id"]: gate["verdict"] for gate in answer["lint"]["gates"]}
    assert gates["dataset_captions"] == "passed"
    assert run(folder, "--persona", persona, "--backend", "blip", "--model", blip, "--force", "--json")[1] == out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trigger", "pstch", "--backend", "blip"], "--model: accepted the folder of a blip model"),
        (["--trigger", "pstch", "--backend", "gpt"], "accepted one of measured, blip, florence2, qwen-vl"),
        (["--trigger", "pstch", "--model", "x"], "--model: accepted with --backend"),
        (["--trigger", "pstch", "--prompt", "x"], "--prompt: accepted with --backend"),
        (["--trigger", "pstch", "--backend", "blip", "--model", "nowhere"], "local folder"),
        (["--trigger", "pstch", "--backend", "blip", "--model", ".", "--rendered"], "--rendered: accepted with"),
        ([], "--trigger: accepted a word"),
        (["--trigger", "two words"], "one printable word"),
        (["--trigger", "a"], "the trigger exactly once"),
        (["--persona", "pistachio", "--trigger", "other"], "the persona's own 'pstch'"),
        (["--persona", "pistachio", "--class-word", "woman"], "the persona's own 'person'"),
        (["--persona", "nobody"], "accepted a persona folder"),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(run, persona, arguments, said):
    code, out, err = run(persona / "dataset", *arguments)
    assert (code, out) == (2, "")
    assert said in err.replace("\n", " ")
    assert err.count("\n") == 1
    assert captions(persona / "dataset") == {}


def test_no_images(run, tmp_path):
    code, _, err = run(tmp_path, "--trigger", "pstch")
    assert (code, err.count("\n")) == (2, 1)
    assert "got none; next: check the folder" in err
