"""An entry says what it must, or is refused with the key that is wrong."""

import pytest

from evals.errors import InputError
from evals.known_failures import entry_of, read_entries

SOUND = """symptom = "it breaks"
signatures = ["a message that is written", { text = "nan", pattern = "loss=nan$" }]
cause = "because"
affected = "every version"
phase = "predeploy"
severity = "hard"
looks_at = "recipe"
gate = "recipe_sane"
fix = "mend it"
source = "somewhere"

[twin]
field = "steps"
broken = 0
healthy = 10

[inputs]
recipe = "recipe.toml"

[files]
"recipe.toml" = "steps = $steps"
"""
DEAD = """symptom = "it breaks"
cause = "because"
affected = "every version"
phase = "pod"
severity = "hard"
not_live_because = "nobody has such a machine"
fix = "mend it"
source = "somewhere"
"""


def read(folder, text=SOUND, subject="training", name="it-breaks"):
    (folder / subject).mkdir(exist_ok=True)
    (folder / subject / f"{name}.toml").write_text(text, encoding="utf-8")
    return read_entries(folder)


def test_a_sound_entry_is_read_with_its_place(tmp_path):
    (entry,) = read(tmp_path)
    assert (entry.id, entry.subject, entry.function) == ("it-breaks", "training", "it_breaks")
    assert [signature.text for signature in entry.signatures] == ["a message that is written", "nan"]
    assert entry.twin.difference == "steps: 0 is broken, 10 is healthy"
    for part in ("it breaks", "because", "mend it", "somewhere", "it-breaks"):
        assert part in entry.told


def test_one_that_nothing_detects_says_why(tmp_path):
    (entry,) = read(tmp_path, DEAD)
    assert entry.gate is None
    assert entry.not_live_because == "nobody has such a machine"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('cause = "because"', "", "cause"),
        ('cause = "because"', 'cause = "because"\ncolour = "red"', "colour"),
        ('cause = "because"', 'cause = "two\\nlines"', "cause"),
        ('cause = "because"', 'cause = "because"\nid = "other"', "no key id"),
        ('severity = "hard"', 'severity = "fatal"', "severity"),
        ('phase = "predeploy"', 'phase = "later"', "phase"),
        ('looks_at = "recipe"', "", "looks_at is missing"),
        ('gate = "recipe_sane"', "", "gate is missing"),
        ("healthy = 10", "healthy = 0", "the same"),
        ("healthy = 10", "", "healthy"),
        ('"a message that is written"', '"short"', "8 characters"),
        ('"loss=nan$"', '"loss=(nan$"', "no regular expression"),
        ('"recipe.toml" = "steps = $steps"', "", "stand together"),
        ('"recipe.toml" = "steps', '"../recipe.toml" = "steps', "below the artefact"),
        ('fix = "mend it"', 'fix = "mend it"\nneeds = "gpu"', "stand together"),
        ('fix = "mend it"', 'fix = "mend it"\nrule = "captured"', "stand together"),
        ('fix = "mend it"', 'fix = "mend it"\nnot_live_because = "no idea"', "looks_at is given"),
        ("[twin]", "[twin", "TOML"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path, old, new, told):
    assert old in SOUND
    with pytest.raises(InputError, match=r"it-breaks\.toml") as raised:
        read(tmp_path, SOUND.replace(old, new))
    assert told in str(raised.value)
    assert "next:" in str(raised.value)


def test_an_id_stands_once_and_a_folder_is_a_subject(tmp_path):
    read(tmp_path)
    with pytest.raises(InputError, match="an id of its own"):
        read(tmp_path, subject="pod")
    (tmp_path / "pod" / "it-breaks.toml").unlink()
    with pytest.raises(InputError, match="a folder of packaging"):
        read(tmp_path, subject="elsewhere", name="other")


def test_a_misspelt_id_is_told_the_nearest():
    with pytest.raises(InputError, match="did you mean ort-cpu-gpu-clobber"):
        entry_of("ort-cpu-gpu-clober", read_entries())
