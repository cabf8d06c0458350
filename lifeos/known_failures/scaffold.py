"""A new entry: a file to fill in, a reproducer beside it where text cannot be one, and so a test that fails."""

from pathlib import Path

from evals.atomic import write_text
from evals.known_failures import SUBJECTS, read_entries
from evals.known_failures.reading import FOLDER
from evals.known_failures.reproduction import REPRODUCERS
from lifeos.errors import InputError
from lifeos.manifest import PHASES, default_manifest, load_manifest

# What an entry looks at -> the gate it blocks unless its author knows better, and the option that hands it in.
_KINDS: dict[str, tuple[str, str]] = {
    "requirements": ("pod_dependencies", "requirements"),
    "pod": ("pod_known", "pod"),
    "recipe": ("recipe_sane", "recipe"),
    "dataset": ("dataset_images", "persona"),
    "weights": ("weights_sane", "lora"),
    "training_log": ("training_log", "training-log"),
    "samples": ("image_flat", "images"),
    "machine": ("pod_environment", "machine"),
}
_TEXT = {
    "requirements": ("requirements.txt", "torch==2.10.0\nnumpy==$value\n"),
    "recipe": ("recipe.toml", 'base = "models/tiny-base"\ndataset = "dataset"\ntrigger = "pstch"\nsteps = $value\n'),
    "training_log": ("run.log", "steps:   1%|          | 10/1550 [00:15<38:51,  1.51s/it, loss=0.12] $value\n"),
    "machine": ("machine.json", '{"variables": {"NAME": "$value"}, "installed": {}}\n'),
}


def scaffold(name: str, subject: str, looks_at: str, folder: Path = FOLDER, root: Path | None = None) -> list[Path]:
    """Write the files of a new entry and return them; its test fails until they say something.

    Args:
        name: its id.
        subject: one of ``SUBJECTS``.
        looks_at: what its detector will read.
        folder: of the registry.
        root: the checkout, for the reproducer; default: the one that holds ``folder``.

    Raises:
        InputError: the id is taken or none, or the subject is unknown.
    """
    if subject not in SUBJECTS:
        raise InputError(f"--subject: accepted {', '.join(SUBJECTS)}, got {subject!r}; next: choose one")
    if looks_at not in _KINDS:
        raise InputError(f"--looks-at: accepted {', '.join(_KINDS)}, got {looks_at!r}; next: choose one")
    if name in {entry.id for entry in read_entries(folder)}:
        raise InputError(f"{name}: accepted an id that is free, got one of the registry; next: lifeos known-failures "
                         f"show {name}")  # fmt: skip
    words = name.split("-")
    if not all(word.isascii() and word.isalnum() and word == word.lower() for word in words):
        raise InputError(f"{name!r}: accepted small letters, digits and single hyphens; next: another id")
    path = folder / subject / f"{name}.toml"
    write_text(path, _entry(looks_at))
    made = [path]
    if looks_at not in _TEXT and looks_at != "pod":
        where = (root or folder.parent.parent) / REPRODUCERS / subject / f"{name.replace('-', '_')}.py"
        where.parent.mkdir(parents=True, exist_ok=True)
        write_text(where, _reproducer(name.replace("-", "_"), _KINDS[looks_at][1]))
        made.append(where)
    return made


def _entry(looks_at: str) -> str:
    gate, option = _KINDS[looks_at]
    row = load_manifest(default_manifest()).row(gate)
    phase = next(phase for phase in PHASES if row is not None and phase in row.phases)
    text = f"""symptom = "TODO what somebody sees"
signatures = []  # lines it writes, as they stand in a log
cause = "TODO why it happens"
affected = "TODO versions or conditions"
phase = "{phase}"
severity = "hard"
looks_at = "{looks_at}"
gate = "{gate}"
# rule = "..."  # id of the check that reports it already; without it: a function marked @detects("<this id>") in a
#               # detectors folder of lifeos
fix = "TODO one command or one edit"
source = "TODO where it was met"

[twin]
field = "value"  # the one thing that differs
broken = "TODO"
healthy = "TODO otherwise"
"""
    if looks_at in _TEXT:
        file, content = _TEXT[looks_at]
        text += f"\n[inputs]\n{option} = \"{file}\"\n\n[files]\n\"{file}\" = '''\n{content}'''\n"
    elif looks_at == "pod":
        text += "\n[inputs]\npod = \"pod.toml\"\n\n[files]\n\"pod.toml\" = '''\ngpu = \"$value\"\n'''\n"
    return text


def _reproducer(function: str, option: str) -> str:
    return f'''"""TODO what is made here, and what is wrong with it."""


def {function}(place, value):
    raise NotImplementedError("write the artefact below place.folder and return {{{option!r}: its path}}")
'''
