"""How many tokens a caption has for the base that is trained, read from the base's own files without transformers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.errors import InputError

# transformers writes 1e30 where a tokenizer knows no limit.
_NO_LIMIT = 1_000_000
# The pattern of CLIP's tokenizer: https://github.com/openai/CLIP/blob/main/clip/simple_tokenizer.py
_CLIP_PATTERN = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)  # fmt: skip
_CLIP_START, _CLIP_END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class CaptionTokenizer:
    """One tokenizer of a base.

    Args:
        name: its folder (``tokenizer``, ``tokenizer_2``).
        limit: tokens that the text encoder takes, those of start and end among them.
        count: gives the number of tokens of a text, those of start and end among them.
    """

    name: str
    limit: int
    count: Callable[[str], int]


def read_tokenizers(base: Path) -> list[CaptionTokenizer]:
    """Read every tokenizer that a base in diffusers layout names.

    Raises:
        InputError: no base there, no tokenizer named, one without readable files or without a limit.
    """
    return [_read(base, name) for name in _names(base)]


def read_pieces(base: Path) -> list[Callable[[str], list[str]]]:
    """Return for every tokenizer that a base names what cuts a text into its pieces, those of start and end left out.

    Raises:
        InputError: no base there, no tokenizer named, or one without readable files.
    """

    def cutter(tokenizer: Any) -> Callable[[str], list[str]]:
        return lambda text: list(tokenizer.encode(text, add_special_tokens=False).tokens)

    return [cutter(_open(base / name)) for name in _names(base)]


def _names(base: Path) -> list[str]:
    index = _json(base / "model_index.json")
    names = sorted(name for name, value in index.items() if name.startswith("tokenizer") and _is_used(value))
    if not names:
        raise InputError(f"{base}: accepted a base with a tokenizer, got none in model_index.json; next: check base")
    return names


def _is_used(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and value[1] is not None


def _read(base: Path, name: str) -> CaptionTokenizer:
    limit, tokenizer = _limit(base, name), _open(base / name)
    return CaptionTokenizer(name, limit, lambda text: len(tokenizer.encode(text).ids))


def _open(folder: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            tokenizer = _clip_tokenizer(folder)
    except InputError:
        raise
    # The library raises plain Exception for whatever it cannot read.
    except Exception as error:
        raise InputError(
            f"{folder}: accepted a tokenizer's files, got {error}; next: fetch {folder.name} of the base again"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _limit(base: Path, name: str) -> int:
    """The smaller of what the tokenizer and its text encoder say; ``tokenizer_2`` belongs to ``text_encoder_2``."""
    config = _json(base / name / "tokenizer_config.json")
    encoder = base / name.replace("tokenizer", "text_encoder", 1) / "config.json"
    said = [config.get("model_max_length")]
    if encoder.is_file():
        said.append(_json(encoder).get("max_position_embeddings"))
    limits = [int(value) for value in said if isinstance(value, int | float) and 2 < value < _NO_LIMIT]
    if not limits:
        raise InputError(
            f"{base / name}: accepted model_max_length in tokenizer_config.json, got none; next: fetch {name} again"
        )
    return min(limits)


def _clip_tokenizer(folder: Path) -> Any:
    """Build CLIP's tokenizer from ``vocab.json`` and ``merges.txt``, which is all that older bases carry."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    if not (vocabulary.is_file() and merges.is_file()):
        raise InputError(
            f"{folder}: accepted tokenizer.json, or vocab.json and merges.txt, got neither; "
            "next: save it again as tokenizer.json with transformers"
        )
    ids = _json(vocabulary)
    tokenizer = Tokenizer(
        models.BPE.from_file(str(vocabulary), str(merges), unk_token=_CLIP_END, end_of_word_suffix="</w>")
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    # By position: the library's stubs name the second argument otherwise than it does itself.
    tokenizer.post_processor = processors.RobertaProcessing(
        (_CLIP_END, ids[_CLIP_END]), (_CLIP_START, ids[_CLIP_START]), trim_offsets=False, add_prefix_space=False
    )
    return tokenizer


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: accepted readable JSON, got {error}; next: fetch the base again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: accepted a JSON object, got {type(values).__name__}; next: fetch the base again")
    return values
