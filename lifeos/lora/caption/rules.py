"""What a caption of a persona says: trigger and class once, what varies, nothing of identity, nothing of beauty.

Which words those are stands in ``dataset_lint/words.toml``, and the lint's own rule has the last word on every caption.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lifeos.errors import InputError
from lifeos.lora.caption.cleaning import is_latin, may_name, phrases_of
from lifeos.lora.caption.scaffold import caption_of, check_caption
from lifeos.lora.dataset_lint.captions import Caption, caption_findings, length_findings
from lifeos.lora.dataset_lint.constants import constant_phrases
from lifeos.lora.dataset_lint.tokens import CaptionTokenizer
from lifeos.lora.dataset_lint.words import WordBook, WordCheck, word_book

# Where no tokenizer is known, a caption is bounded in words.
MOST_WORDS = 50
# A sentence is cut before these words, so that one part can go and the rest stay.
_STARTS = frozenset({
    "with", "and", "but", "or", "who", "which", "that", "while", "as", "having", "has", "in", "on", "at", "near", "by",
    "behind", "beside", "under", "against", "over", "through",
})  # fmt: skip
# Before these it is parted by a comma.
_ACTIONS = frozenset(
    {"wearing", "holding", "looking", "standing", "sitting", "walking", "posing", "smiling", "leaning"}
)
# What may not begin a part that has lost the one before it.
_JOINTS = frozenset({
    "and", "but", "or", "who", "which", "that", "while", "as", "is", "are", "was", "were", "has", "have", "having",
    "be", "being",
})  # fmt: skip
_OF_A_PERSON = frozenset({
    "she", "he", "they", "her", "his", "him", "their", "them", "hers", "theirs", "it", "its", "i", "my", "you", "your",
})  # fmt: skip
_COPULAS = r"is|was|has|wears|looks|stands|sits|smiles|poses|holds|appears|seems"
_NAMED_FIRST = re.compile(rf"^([A-Z][a-z]+) (?={_COPULAS}\b)")
_NO_NAMES = frozenset({"there", "this", "that", "one", "someone"})
# Of the ages and origins these are words of things and colours too: alone they are no word for a person.
_OF_THINGS = frozenset({"old", "white", "black"})
# Words of the medium that say how near the camera is.
_SHOTS = frozenset({"shot", "close-up", "closeup", "headshot", "selfie"})
_BODY = (("hair", "hair"), ("eyes", "eyes"), ("skin", "skin"), ("skin", "complexion"))


@dataclass(frozen=True)
class Removed:
    """A part of a text that did not become caption, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Composed:
    """A caption and what it was made of.

    Args:
        head: scaffold with trigger and class word.
        phrases: comma phrases behind it, each in the parts that can go one by one.
        removed: what was left out.
    """

    head: str
    phrases: tuple[tuple[str, ...], ...]
    removed: tuple[Removed, ...] = ()

    @property
    def text(self) -> str:
        """The caption, one line."""
        return ", ".join([self.head, *(" ".join(parts) for parts in self.phrases)])


class CaptionRules:
    """The rules for one persona.

    Args:
        trigger: one printable word.
        class_word: what the persona is one of.
        names: of the persona, never to stand in a caption.
        tokenizers: of the base; none where it is not known.
        book: the words.

    Raises:
        InputError: trigger and class word make no caption (``check_caption``), or the class word stands in it twice.
    """

    def __init__(
        self,
        trigger: str,
        class_word: str,
        names: Sequence[str] = (),
        tokenizers: Sequence[CaptionTokenizer] = (),
        book: WordBook | None = None,
    ) -> None:
        """Compile the words."""
        check_caption(trigger, class_word, list(tokenizers))
        book = word_book() if book is None else book
        self.trigger, self.class_word, self.head = trigger, class_word, caption_of(trigger, class_word)
        if len(_pattern({class_word.lower()}).findall(self.head)) != 1:
            raise InputError(
                f"--class-word: accepted a word that the caption {self.head!r} holds once, got {class_word!r}; "
                "next: --class-word person"
            )
        self._tokenizers, self._frame = tuple(tokenizers), book.frame
        self._check = WordCheck(book, class_word, trigger)
        self._little = frozenset(book.frame.little)
        own = {word for text in (trigger, class_word) for word in _words(text)}
        people = {*book.lists["person"], *own, *book.frame.medium, "subject", "model"} - self._little - _SHOTS
        self._people = _pattern({*people, trigger.lower(), class_word.lower()})
        ages_and_origins = {*book.lists["age"], *book.lists["origin"]} - _OF_THINGS
        self._of_identity = _pattern(ages_and_origins)
        self._names = _pattern({name.lower() for name in names if name.strip()})
        self._body = [(_pattern({body}), _pattern(set(book.lists[words]))) for words, body in _BODY]

    def compose(self, raw: str) -> Composed:
        """Return the caption of a raw text; equal texts give equal captions.

        Args:
            raw: any text; comma phrases, sentences, markup.
        """
        removed: list[Removed] = []
        kept: list[tuple[str, ...]] = []
        seen: set[str] = set()
        for sentence in phrases_of(raw):
            for number, phrase in enumerate(sentence):
                for parts in _by_action(self._parts(phrase, number == 0, removed)):
                    if (text := " ".join(parts)) not in seen:
                        seen.add(text)
                        kept.append(parts)
        return self._bounded(Composed(self.head, tuple(kept), tuple(removed)))

    def without_constants(self, captions: Sequence[Composed], others: Sequence[str] = ()) -> list[Composed]:
        """Take out what every caption of a folder says: it belongs to the trigger.

        Args:
            captions: to write.
            others: captions of the folder that stay as they are.
        """
        left = list(captions)
        while constants := constant_phrases(
            [*(caption.text for caption in left), *others], self.trigger, self.class_word, self._frame
        ):
            left = [_without(caption, constants) for caption in left]
            # What only the kept ones could give up stays.
            if all(a.phrases == b.phrases for a, b in zip(captions, left, strict=True)):
                break
            captions = left
        return left

    def _parts(self, phrase: str, begins: bool, removed: list[Removed]) -> Iterator[str]:
        if begins and (named := _NAMED_FIRST.match(phrase)):
            word = named[1].lower()
            if word not in _NO_NAMES | _OF_A_PERSON and not self._people.search(word):
                removed.append(Removed(named[1], "may be a name"))
                phrase = phrase[named.end() :]
        chunks = list(_chunks(phrase))
        banned = [self._reason(chunk, begins and not place) for place, chunk in enumerate(chunks)]
        for place in range(len(chunks) - 1):
            # A word of the lists that is cut in two by a joint ("good | looking").
            if banned[place] is banned[place + 1] is None and (
                reason := self._banned(f"{chunks[place]} {chunks[place + 1]}")
            ):
                banned[place] = banned[place + 1] = reason
        lost = True
        for chunk, reason in zip(chunks, banned, strict=True):
            if reason is not None:
                removed.append(Removed(chunk, reason))
                lost = True
            elif text := self._impersonal(chunk, lost):
                lost = False
                yield text

    def _reason(self, chunk: str, begins: bool) -> str | None:
        if not is_latin(chunk):
            return "not in English: its words cannot be looked up"
        lower = chunk.lower()
        if self._of_identity.search(lower):
            return "age and origin belong to the persona"
        for body, words in self._body:
            if body.search(lower) and words.search(lower):
                return "hair, eyes and skin belong to the persona"
        if reason := self._banned(chunk):
            return reason
        # The trigger's own capitals are no name.
        named = self._names.search(lower) or may_name(_whole({self.trigger}, exact=True).sub(" ", chunk), begins)
        return "may be a name" if named else None

    def _banned(self, text: str) -> str | None:
        found = self._check.banned(text)
        return found[0].reason if found else None

    def _impersonal(self, chunk: str, first: bool) -> str:
        text = chunk.lower()
        # What stands before the word for the person describes the person.
        for match in self._people.finditer(chunk.lower()):
            text = chunk.lower()[match.end() :]
        words = [word for word in text.split() if word not in _OF_A_PERSON]
        words = [word for place, word in enumerate(words) if place == 0 or word != words[place - 1]]
        while first and words and words[0] in _JOINTS:
            words = words[1:]
        while words and words[-1] in self._little | _JOINTS:
            words = words[:-1]
        return " ".join(words)

    def _bounded(self, composed: Composed) -> Composed:
        """Drop phrases from the end until every tokenizer takes the caption and the lint finds nothing in it."""
        phrases = []
        for parts in composed.phrases:
            found = caption_findings(_caption(replace(composed, phrases=(parts,))), self.trigger, self._check)
            if found:
                composed = _also_removed(composed, " ".join(parts), found[0].got)
            else:
                phrases.append(parts)
        composed = replace(composed, phrases=tuple(phrases))
        while composed.phrases and (reason := self._too_much(composed)):
            *rest, last = composed.phrases
            composed = _also_removed(replace(composed, phrases=tuple(rest)), " ".join(last), reason)
        return composed

    def _too_much(self, composed: Composed) -> str | None:
        caption = _caption(composed)
        if found := caption_findings(caption, self.trigger, self._check):
            return found[0].got
        if self._tokenizers:
            long = length_findings(caption, self._tokenizers)
            return f"{long[0].got}, {long[0].detail}" if long else None
        words = len(caption.text.split())
        return f"{words} words of {MOST_WORDS}" if words > MOST_WORDS else None


def _chunks(phrase: str) -> Iterator[str]:
    chunk: list[str] = []
    for word in phrase.split():
        if word.lower() in _STARTS | _ACTIONS and chunk:
            yield " ".join(chunk)
            chunk = []
        chunk.append(word)
    if chunk:
        yield " ".join(chunk)


def _by_action(parts: Iterator[str]) -> list[tuple[str, ...]]:
    phrases: list[list[str]] = []
    for part in parts:
        if not phrases or part.split()[0] in _ACTIONS:
            phrases.append([])
        phrases[-1].append(part)
    return [tuple(phrase) for phrase in phrases]


def _without(caption: Composed, constants: Sequence[str]) -> Composed:
    phrases, removed = [], list(caption.removed)
    whole = _pattern(set(constants))
    for parts in caption.phrases:
        left = tuple(part for part in parts if not whole.search(part))
        if left and whole.search(" ".join(left)):
            left = ()
        if left != parts:
            gone = " ".join(part for part in parts if part not in left)
            removed.append(Removed(gone, "every caption says it: it belongs to the trigger"))
        if left:
            phrases.append((left[0].removeprefix("and "), *left[1:]))
    return replace(caption, phrases=tuple(phrases), removed=tuple(removed))


def _also_removed(composed: Composed, text: str, reason: str) -> Composed:
    return replace(composed, removed=(*composed.removed, Removed(text, reason)))


def _caption(composed: Composed) -> Caption:
    return Caption(Path("caption.txt"), composed.text)


def _words(text: str) -> list[str]:
    return text.lower().split()


def _pattern(words: set[str]) -> re.Pattern[str]:
    return _whole(words) if words else re.compile(r"(?!)")


def _whole(words: set[str], *, exact: bool = False) -> re.Pattern[str]:
    # Longest first; a space also matches a hyphen.
    escaped = [re.escape(word).replace(r"\ ", r"[\s-]+") for word in sorted(words, key=lambda w: (-len(w), w))]
    return re.compile(rf"(?<!\w)(?:{'|'.join(escaped)})(?!\w)", 0 if exact else re.IGNORECASE)
