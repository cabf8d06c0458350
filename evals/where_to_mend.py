"""Which stage owns the mending of a LoRA, read from the pattern of its failing gates; no evidence, no advice.

A rule looks at one scorecard and fires only on gates that *failed*: what was not evaluated shows nothing. The limits
that tell one cause from another come from the planted faults of three personas (docs/where-to-mend.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STAGES = ("data", "captions", "recipe", "checkpoint", "strength", "prompts")

# Likeness between a stranger's (0) and the references' own (1): other identities and ten steps reached .05 at most, a
# LoRA at strength 1.8 .23 to .32, good ones .69 to .82.
STRANGER, HALF_THE_PERSON = 0.15, 0.5
# Dispersion of the faces over that of the references: of another identity 1.36 to 1.74, of a base that learned hardly
# anything 2.09 to 2.69.
ONE_FACE = 1.9
# Mean skin z of LoRAs trained on smoothed pictures: -2.99 to -4.80; of every other fault -1.3 and more, but for one
# that had learned four pictures by heart (-2.2), which is a copy first.
SMOOTH = -2.5
# Adherence less the base's, of LoRAs that hold their person and copy nothing: -.03 to .09; of one trained on captions
# that belong to other pictures -.56.
OTHER_WORDS = -0.25


@dataclass(frozen=True)
class Advice:
    """Where to mend.

    Args:
        rule: its id.
        stage: one of ``STAGES``.
        evidence: the measured values it rests on, in words.
        command: what to do next.
    """

    rule: str
    stage: str
    evidence: str
    command: str

    def to_json(self) -> dict[str, str]:
        """Return the advice as JSON types."""
        return {"rule": self.rule, "stage": self.stage, "evidence": self.evidence, "command": self.command}


class _Card:
    """What a rule may ask of a scorecard."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._gates = {gate["id"]: gate for gate in row["gates"]}
        self._metrics = row.get("metrics") or {}
        self.source = (row.get("environment") or {}).get("source")

    def failed(self, *gates: str) -> bool:
        return any(self._gates.get(gate, {}).get("verdict") == "failed" for gate in gates)

    def passed(self, gate: str) -> bool:
        return bool(self._gates.get(gate, {}).get("verdict") == "passed")

    def value(self, gate: str) -> float | None:
        found = self._gates.get(gate, {}).get("value")
        return None if found is None else float(found)

    def mean(self, metric: str) -> float | None:
        found = (self._metrics.get(metric) or {}).get("mean")
        return None if found is None else float(found)


def advice(row: Mapping[str, Any]) -> list[Advice]:
    """Return where to mend what a scorecard rejects, the strongest evidence first; empty where no rule fits.

    A row that is approved gets what its soft gates show, one that was not evaluated none, and neither does one whose
    judge failed its own controls: what it measured says nothing about the LoRA.

    Args:
        row: a scorecard as the history holds it.

    Raises:
        KeyError: the row has no verdict or gates.
    """
    card = _Card(row)
    if row["verdict"] == "not_evaluated" or card.failed("instrument"):
        return []
    rules = RULES if row["verdict"] == "rejected" else OF_SOFT_GATES
    return [found for rule in rules if (found := rule(card)) is not None]


def _broken_file(card: _Card) -> Advice | None:
    broken = [gate for gate in ("weights_whole", "weights_finite", "weights_keys", "weights_base") if card.failed(gate)]
    if not broken:
        return None
    what = "made for another base" if broken == ["weights_base"] else "damaged or incomplete"
    return Advice(
        "broken_file", "checkpoint", f"the file is {what}: {', '.join(broken)} failed before anything was sampled",
        "take an earlier checkpoint or train again: lifeos retrain-lora RECIPE.toml -o OUT.safetensors",
    )  # fmt: skip


def _no_effect(card: _Card) -> Advice | None:
    if not card.failed("weights_effect"):
        return None
    return Advice(
        "no_effect", "strength", "weights_effect failed: modules change nothing, scaled to zero or never trained",
        "export again at strength 1, or: lifeos retrain-lora RECIPE.toml -o OUT.safetensors",
    )  # fmt: skip


def _pasted(card: _Card) -> Advice | None:
    share = card.value("copy_image")
    if card.source != "images" or not card.failed("copy_image") or share is None:
        return None
    return Advice(
        "pasted", "data", f"{share:.0%} of the finished images are training images",
        "take them out of the folder: lifeos gate release --images FOLDER",
    )  # fmt: skip


def _copied(card: _Card) -> Advice | None:
    share = card.value("copy_image")
    if card.source == "images" or not card.failed("copy_image") or share is None:
        return None
    poor = [gate for gate in ("black_hole", "worst_pose", "adherence") if card.failed(gate)]
    copies = f"{share:.1%} of the samples are near-duplicates of training images"
    if poor:
        seen = ", ".join(f"{gate} {_figure(card.value(gate))}" for gate in poor)
        return Advice(
            "memorised_few", "data", f"{copies}, and variety is missing too ({seen})",
            "add pictures that differ, drop repeats: lifeos lint-dataset",
        )  # fmt: skip
    if not all(card.passed(gate) for gate in ("black_hole", "worst_pose", "adherence")):
        # Sampling that stopped early leaves open which of the two it is.
        return None
    return Advice(
        "trained_too_long", "recipe", f"{copies}, while poses and prompts are as varied as they should be",
        "fewer steps in recipe.toml, or an earlier checkpoint: lifeos choose-checkpoint FILE FILE",
    )  # fmt: skip


def _another_person(card: _Card) -> Advice | None:
    scaled, dispersion = card.value("likeness_norm"), card.value("face_diversity")
    if not _lost(card) or scaled is None or dispersion is None or scaled > STRANGER or dispersion > ONE_FACE:
        return None
    return Advice(
        "another_person", "data",
        f"scaled likeness {scaled:.2f} is a stranger's, yet the faces agree with each other (dispersion "
        f"{dispersion:.2f}, at most {ONE_FACE:g}): one person was learned, another one",
        "look at the training images and references side by side: lifeos lint-dataset --html sheet.html",
    )  # fmt: skip


def _nothing_learned(card: _Card) -> Advice | None:
    scaled, dispersion = card.value("likeness_norm"), card.value("face_diversity")
    if not _lost(card) or scaled is None or dispersion is None or scaled > STRANGER or dispersion <= ONE_FACE:
        return None
    return Advice(
        "nothing_learned", "recipe",
        f"scaled likeness {scaled:.2f} is a stranger's, and the faces differ as the base's do (dispersion "
        f"{dispersion:.2f}, above {ONE_FACE:g}): hardly anything was learned",
        "more steps or a higher rate in recipe.toml: lifeos retrain-lora RECIPE.toml -o OUT.safetensors",
    )  # fmt: skip


def _too_strong(card: _Card) -> Advice | None:
    scaled = card.value("likeness_norm")
    if not _lost(card) or scaled is None or not STRANGER < scaled <= HALF_THE_PERSON:
        return None
    if not card.failed("worst_prompt", "face_rate"):
        return None
    seen = [f"{gate} {_figure(card.value(gate))}" for gate in ("worst_prompt", "face_rate") if card.failed(gate)]
    return Advice(
        "too_strong", "strength",
        f"the person is half there (scaled likeness {scaled:.2f}) and breaks in some prompts ({', '.join(seen)})",
        "lifeos choose-checkpoint FILE --strength 0.6 --strength 0.8 --strength 1.0",
    )  # fmt: skip


def _smooth_skin(card: _Card) -> Advice | None:
    skin = card.mean("skin_z")
    if card.source == "images" or not card.failed("skin_realism") or card.failed("likeness", "copy_image"):
        return None
    if skin is None or skin > SMOOTH:
        return None
    return Advice(
        "smooth_skin", "data", f"the person is there and the skin is smooth (mean skin z {skin:.2f}, below {SMOOTH:g})",
        "replace retouched or smoothed training images: lifeos lint-dataset --html sheet.html",
    )  # fmt: skip


def _other_words(card: _Card) -> Advice | None:
    difference = card.value("adherence")
    held = card.passed("likeness") and card.passed("copy_image")
    if card.source == "images" or not card.failed("adherence") or not held:
        return None
    if difference is None or difference > OTHER_WORDS:
        return None
    return Advice(
        "other_words", "captions",
        f"the person is there, and prompts are followed {-difference:.2f} less than the base follows them: captions "
        "say something else than their pictures show",
        "look at both: lifeos lint-dataset --html sheet.html; write new ones: lifeos auto-caption FOLDER --force",
    )  # fmt: skip


def _lost(card: _Card) -> bool:
    return card.source != "images" and card.failed("likeness")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


RULES: tuple[Callable[[_Card], Advice | None], ...] = (
    _broken_file, _no_effect, _pasted, _copied, _another_person, _nothing_learned, _too_strong, _smooth_skin,
    _other_words,
)  # fmt: skip
OF_SOFT_GATES = (_other_words,)
"""Those that rest on soft gates alone, whose failing leaves a release approved."""
