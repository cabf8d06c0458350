"""Caption files: there, readable, with the trigger once and nothing that should be the trigger's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lifeos.lora.dataset import trigger_count
from lifeos.lora.dataset_lint.finding import Finding
from lifeos.lora.dataset_lint.folder import DatasetFolder
from lifeos.lora.dataset_lint.rules import rule_book
from lifeos.lora.dataset_lint.tokens import CaptionTokenizer
from lifeos.lora.dataset_lint.words import WordCheck

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Caption:
    """One caption file that could be read.

    Args:
        path: the file.
        text: stripped, on one line, as training reads it.
    """

    path: Path
    text: str


def read_captions(folder: DatasetFolder) -> tuple[dict[Path, Caption], list[Finding]]:
    """Read the caption of each image.

    Returns:
        Captions by image, and what is wrong with the files: one absent, empty, shared, alone or not readable.
    """
    captions: dict[Path, Caption] = {}
    found: list[Finding] = []
    owners: dict[Path, Path] = {}
    for image in folder.images:
        path = image.with_suffix(".txt")
        if path in owners:
            got, fix = f"{owners[path].name} and {image.name}", f"rename {image.name} and write it a caption of its own"
            found.append(Finding("caption_shared", path, got, fix))
            continue
        owners[path] = image
        if not path.exists():
            found.append(Finding("caption_missing", image, "none", f"write {path.name}"))
            continue
        read = _read(path)
        if isinstance(read, Finding):
            found.append(read)
        else:
            captions[image] = read
    found += [
        Finding("caption_orphan", path, "none", f"delete {path.name}, or bring its image back")
        for path in folder.captions
        if path not in owners
    ]
    return captions, found


def caption_findings(caption: Caption, trigger: str, words: WordCheck) -> list[Finding]:
    """Judge one caption's words: the trigger exactly once, no word of identity or beauty."""
    found = []
    exact = trigger_count(caption.text, trigger)
    # Tokenizers of the CLIP kind lower their input: another case is the same word to the base.
    any_case = trigger_count(caption.text.lower(), trigger.lower())
    if exact != 1 or any_case != 1:
        got = f"{trigger} {exact} times" + (f", {any_case} times in any case" if any_case != exact else "")
        found.append(Finding("trigger_count", caption.path, got, f"edit {caption.path.name}"))
    for banned in words.banned(caption.text):
        got = f"{banned.word!r} ({banned.kind}: {banned.reason})"
        fix = f"remove {banned.word!r} from {caption.path.name}"
        found.append(Finding("banned_word", caption.path, got, fix))
    return found


def length_findings(caption: Caption, tokenizers: Sequence[CaptionTokenizer]) -> list[Finding]:
    """Judge one caption's length against each tokenizer of the base; the tightest is named."""
    counts = [(tokenizer.count(caption.text), tokenizer) for tokenizer in tokenizers]
    over = [(count, tokenizer) for count, tokenizer in counts if count > tokenizer.limit]
    if not over:
        return []
    count, tokenizer = max(over, key=lambda pair: pair[0] - pair[1].limit)
    fix = f"shorten {caption.path.name} by {count - tokenizer.limit} tokens or more"
    return [Finding("caption_long", caption.path, f"{count} tokens", fix, f"{tokenizer.name}: {tokenizer.limit}")]


def shown(text: str) -> str:
    """Return a text short enough for one line."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _read(path: Path) -> Caption | Finding:
    limit = rule_book().limits.most_caption_bytes
    rewrite = f"save {path.name} again as plain UTF-8 text"
    if not path.is_file():
        return Finding("caption_encoding", path, "no regular file", f"write {path.name} again")
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        return Finding("caption_encoding", path, error.strerror or "no file to read", f"write {path.name} again")
    if len(data) > limit:
        return Finding("caption_encoding", path, f"more than {limit} bytes", f"shorten {path.name}")
    if data.startswith(_BYTE_ORDER_MARK):
        return Finding("caption_encoding", path, "a byte order mark", rewrite)
    try:
        text = " ".join(data.decode("utf-8").split())
    except UnicodeDecodeError as error:
        return Finding("caption_encoding", path, f"byte {data[error.start]:#04x} at {error.start}", rewrite)
    return Caption(path, text) if text else Finding("caption_empty", path, "an empty file", f"write {path.name}")
