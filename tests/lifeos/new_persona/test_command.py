"""The whole command on real face models: renders of the shipped persona, written as phones and scanners would."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from lifeos.cli import main
from lifeos.errors import InputError
from lifeos.new_persona.command import parse_size
from lifeos.settings import project_root
from tests.lifeos.new_persona import photographs as made

RENDERS = sorted((project_root() / "personas/pistachio/dataset").glob("*.png"))[:14]


def render(path, width=256, height=320):
    """A taller photograph than is trained, the face above its middle."""
    with Image.open(path) as image:
        square = image.convert("RGB").resize((width, width), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (width, height), square.getpixel((2, width - 2)))
    whole.paste(square, (0, 0))
    return np.asarray(whole)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "My photos é"
    folder.mkdir()
    for number, path in enumerate(RENDERS):
        orientation = number % 8 + 1
        kind, suffix = (("JPEG", "JPG"), ("HEIF", "heic"), ("PNG", "png"), ("WEBP", "webp"))[number % 4]
        metadata = made.exif(orientation, f"2024:01:{number + 1:02} 08:00:00", gps=True)
        pixels = made.HELD[orientation](render(path))
        (folder / f"IMG {number:02}.{suffix}").write_bytes(made.encoded(pixels, kind, exif=metadata))
    both = np.concatenate([render(RENDERS[0]), render(RENDERS[5])], axis=1)
    (folder / "two.jpg").write_bytes(made.encoded(both, "JPEG"))
    (folder / "view.jpg").write_bytes(made.encoded(np.zeros((300, 300, 3), np.uint8) + 90, "JPEG"))
    (folder / "broken.heic").write_bytes(made.encoded(render(RENDERS[0]), "HEIF")[:700])
    return folder


@pytest.fixture
def run(photographs, artifacts, tmp_path, capsys):
    (tmp_path / "into").mkdir()

    def call(*arguments, folder=photographs):
        given = ["new-persona", str(folder), "--into", str(tmp_path / "into"), "--artifacts", str(artifacts)]
        code = main([*given, *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_photographs_become_a_persona_that_the_lint_passes(run, artifacts, tmp_path, capsys):
    code, out, _ = run("--name", "Anna", "--class-word", "woman", "--trigger", "pstch")
    assert code == 0
    lines = out.splitlines()
    left_out = dict(line.removeprefix("left out: ").split(": ", 1) for line in lines if line.startswith("left out: "))
    assert left_out["two.jpg"] == "2 faces: crop it to one"
    assert left_out["view.jpg"] == "no face found"
    assert left_out["broken.heic"].startswith("damaged")
    persona = tmp_path / "into" / "Anna"
    assert any(line.startswith(f"{persona}: ") and "references held out" in line for line in lines)
    assert "note: the trigger pstch is one token of the base" in lines
    assert lines[-3:] == [
        f"next: lifeos lint-dataset --persona {persona}",
        f"next: lifeos calibrate {persona}",
        f"next: lifeos gate predeploy --persona {persona}",
    ]
    assert main(["lint-dataset", "--persona", str(persona), "--artifacts", str(artifacts), "--json"]) == 0
    lint = json.loads(capsys.readouterr().out)
    assert {finding["rule"] for finding in lint["findings"]} <= {"captions_identical"}
    assert lint["references"] >= 5
    with Image.open(persona / "references/0001.png") as image:
        assert image.width == image.height == 256


def test_the_answer_as_json(run, tmp_path):
    code, out, _ = run("--json", "--references", 6, "--seed", 2)
    answer = json.loads(out)
    assert code == 0
    assert answer["schema"] == "lifeos.new_persona/1"
    assert (answer["name"], answer["seed"], answer["faces"]) == ("My photos é", 2, "yunet_sface")
    assert len(answer["references"]) == 6
    assert {"two.jpg", "view.jpg", "broken.heic"} <= {row["file"] for row in answer["left_out"]}
    assert answer["changes"]["turned"] > 8
    assert (tmp_path / "into" / "My photos é" / next(iter(answer["training"].values()))).is_file()


def test_without_looking_at_faces_pictures_of_none_are_taken(run):
    code, out, _ = run("--no-faces", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["faces"] is None
    assert "two.jpg" in {**answer["training"], **answer["references"]}
    assert answer["look_at"] == []


def test_a_stranger_among_the_photographs_is_pointed_out(run, photographs, tmp_path):
    folder = tmp_path / "with a stranger"
    shutil.copytree(photographs, folder)
    (folder / "stranger.png").write_bytes(made.encoded(made.astronaut(512)[20:300, 80:360], "PNG"))
    _, out, _ = run("--json", folder=folder)
    assert [row["file"] for row in json.loads(out)["look_at"]] == ["stranger.png"]


def test_too_few_show_what_was_left_out_and_end_in_one_line(run, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    (few / "broken.jpg").write_bytes(b"x")
    code, out, err = run(folder=few)
    assert code == 2
    assert out == "left out: broken.jpg: damaged, or no picture of a known kind\n"
    complaint = [line for line in err.splitlines() if line.startswith("lifeos: ")]
    assert len(complaint) == 1
    assert "got 0 usable photographs of 0 moments; next: add 10 or more" in complaint[0]
    code, out, _ = run("--json", folder=few)
    assert (code, list(json.loads(out))) == (2, ["schema", "error"])
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--size", "big"], "--size: accepted WIDTHxHEIGHT"),
        (["--name", "a/b"], "--name"),
        (["--face-backend", "nobody"], "face backend: accepted one of"),
        (["--face-folder", "no such folder"], "no such folder"),
        (["--family", "flux"], "family"),
        (["--into", "no such folder"], "--into"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    complaint = [line for line in err.splitlines() if line.startswith("lifeos: ")]
    assert (code, out, len(complaint)) == (2, "", 1)
    assert named in complaint[0]
    assert "; next: " in complaint[0]
    assert list((tmp_path / "into").iterdir()) == []


def test_every_option_is_described():
    import typer

    from lifeos.cli import app

    described = (project_root() / "docs/personas.md").read_text(encoding="utf-8")
    command = typer.main.get_command(app).commands["new-persona"]
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert len(options) > 10
    assert not [option for option in options - {"--artifacts", "--help"} if f"`{option}" not in described]


def test_sizes():
    assert parse_size(None) is None
    assert parse_size("512") == (512, 512)
    assert parse_size("512x768") == (512, 768)
    for wrong in ("", "x", "512x", "-1", "512x768x3", "1e3"):
        with pytest.raises(InputError, match="--size"):
            parse_size(wrong)


def test_the_table_on_a_terminal_folds_and_shows_names_of_others_safely():
    from lifeos.new_persona.prepare import LeftOut
    from lifeos.new_persona.show import MOST_ROWS, show_left_out

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    rows = [LeftOut("bad\x1b[31m\nname.jpg", "an [red]empty[/red] file")] * (MOST_ROWS + 3)
    show_left_out(rows, stream)
    shown = stream.getvalue()
    assert "\x1b[31m\nname" not in shown
    assert "[red]empty" in shown
    assert "and 3 more" in shown
