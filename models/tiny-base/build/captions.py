"""Caption language of tiny-base: the words it knows, its tokenizer, and random captions for training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WORDS = (
    "a",
    "photo",
    "of",
    "person",
    "man",
    "woman",
    "young",
    "old",
    "pale",
    "fair",
    "tan",
    "brown",
    "dark",
    "bald",
    "cropped",
    "short",
    "curly",
    "long",
    "black",
    "auburn",
    "blond",
    "grey",
    "hair",
    "neutral",
    "smiling",
    "surprised",
    "frowning",
    "facing",
    "left",
    "front",
    "right",
    "soft",
    "hard",
    "light",
    "red",
    "blue",
    "green",
    "yellow",
    "white",
    "background",
    "portrait",
    "close",
)
# Words without a meaning, for personas: each is one token whose embedding base training leaves as it was drawn.
TRIGGERS = ("pstch", "qvrnl", "zkwlo", "mbxtr", "ohwx", "sksqz", "trvbn", "wqlfd")
CONTEXT = 32


def build_tokenizer(folder: Path):  # type: ignore[no-untyped-def]
    """A CLIPTokenizer with one token a known word, saved to `folder` with vocab.json and merges.txt beside tokenizer.json.

    Older transformers (4.57) reads only the two files, newer writes only the one: all three lie there.
    """
    from transformers import CLIPTokenizer

    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters, extra = {}, 0
    for byte in range(256):
        if byte in printable:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + extra)
            extra += 1
    symbols = [letters[b] for b in range(256)]
    vocabulary = {s: i for i, s in enumerate([*symbols, *(f"{s}</w>" for s in symbols)])}
    merges: list[tuple[str, str]] = []
    for word in (*WORDS, *TRIGGERS):
        # What earlier merges leave of a word is joined by new, lower-ranked ones: earlier words keep their token.
        parts = [*word[:-1], f"{word[-1]}</w>"]
        for left, right in merges:
            at = 0
            while at < len(parts) - 1:
                if (parts[at], parts[at + 1]) == (left, right):
                    parts[at : at + 2] = [left + right]
                at += 1
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts[:2] = ["".join(parts[:2])]
            vocabulary.setdefault(parts[0], len(vocabulary))
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[special] = len(vocabulary)
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n", encoding="utf-8"
    )
    for word in (*WORDS, *TRIGGERS):
        tokens = tokenizer(word).input_ids
        if len(tokens) != 3:
            raise ValueError(f"{word}: accepted one token, got {tokens}")
    return tokenizer


def facing_word(traits: dict[str, str], mirrored: bool) -> str:
    """Where the head of a picture, or of its mirror image, turns."""
    facing = traits["facing"]
    return {"left": "right", "right": "left"}.get(facing, facing) if mirrored else facing


def layout_caption(traits: dict[str, str], mirrored: bool) -> str:
    """The caption that names what a scene is, and nothing of the person."""
    return (
        f"photo of a person, {traits['expression']}, facing {facing_word(traits, mirrored)}, "
        f"{traits['light']} light, {traits['background']} background"
    )


def random_caption(traits: dict[str, str], mirrored: bool, rng: np.random.Generator) -> str:
    """One of the captions that are true of a picture; parts are left out at random so that each may be left out.

    A tenth are empty (classifier-free guidance). `mirrored` swaps the facing word, as the flipped picture needs.
    """
    if rng.random() < 0.1:
        return ""
    subject = "person" if rng.random() < 0.7 else traits["sex"]
    who = [traits["age"]] * (rng.random() < 0.5) + [traits["tone"]] * (rng.random() < 0.5) + [subject]
    parts = [f"photo of a {' '.join(who)}"]
    if rng.random() < 0.55:
        parts.append(traits["hair"])
    chosen = [
        (traits["expression"], 0.85),
        (f"facing {facing_word(traits, mirrored)}", 0.85),
        (f"{traits['light']} light", 0.6),
        (f"{traits['background']} background", 0.85),
    ]
    parts += [text for text, chance in chosen if rng.random() < chance]
    return ", ".join(parts)
