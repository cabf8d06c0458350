"""The trials of a training search: the record of truth, a line of JSON each; Optuna only suggests from it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evals.atomic import write_text
from evals.content_hash import canonical_json
from evals.selection import Candidate

TrialState = Literal["judged", "failed", "contradictory"]
TRIALS_NAME = "trials.jsonl"
# Likeness is a cosine, in [-1, 1]: what is ruled out lies below whatever is not.
_RULED_OUT = 3.0


@dataclass(frozen=True)
class Trial:
    """One suggested recipe and what became of it.

    Args:
        number: from 0.
        state: ``judged`` on set A, ``failed`` in training or at the weights gates, or ``contradictory``: never trained.
        parameters: value of each searched key.
        recipe: content hash of the recipe; None for a contradictory one.
        lora: SHA-256 of the LoRA file; None where there is none.
        candidate: what set A says (``Candidate.to_json``); None where it was not judged.
        reason: why it was not judged; None where it was.
        steps: optimizer steps done; None where nothing finished.
        seconds: of the process that finished the training.
        stopped: why the recipe's own early stop ended it; None where it did not.
    """

    number: int
    state: TrialState
    parameters: Mapping[str, Any]
    recipe: str | None = None
    lora: str | None = None
    candidate: Mapping[str, Any] | None = None
    reason: str | None = None
    steps: int | None = None
    seconds: float | None = None
    stopped: str | None = None

    @property
    def name(self) -> str:
        """As people know it, counted from 1."""
        return f"trial {self.number + 1}"

    @property
    def value(self) -> float | None:
        """What is maximised: likeness on set A, less 3 where a gate rules the LoRA out; None where not judged."""
        if self.candidate is None:
            return None
        return float(self.candidate["likeness"]) - (_RULED_OUT if self.candidate["ruled_out"] else 0.0)

    def as_candidate(self) -> Candidate:
        """Return the candidate of a judged trial."""
        assert self.candidate is not None
        return Candidate(**self.candidate)


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Return the judged trials, the best first and the earlier of equals; of trials with the same file, the first."""
    judged = [trial for trial in trials if trial.value is not None]
    ranked, seen = [], set()
    for trial in sorted(judged, key=lambda trial: (-(trial.value or 0.0), trial.number)):
        if trial.lora not in seen:
            seen.add(trial.lora)
            ranked.append(trial)
    return ranked


def read_trials(folder: Path) -> list[Trial]:
    """Return the trials in a search's folder up to the first line that is not whole; none where there is no file."""
    try:
        lines = (folder / TRIALS_NAME).read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
    trials: list[Trial] = []
    for line in lines:
        try:
            trial = Trial(**json.loads(line))
            whole = trial.number == len(trials) and (trial.state != "judged" or trial.as_candidate() is not None)
        except (ValueError, TypeError, AssertionError):
            break
        if not whole:
            break
        trials.append(trial)
    return trials


def write_trials(folder: Path, trials: Sequence[Trial]) -> None:
    """Write all trials, whole or not at all: a resumed search goes on behind what stands here."""
    write_text(folder / TRIALS_NAME, "".join(canonical_json(asdict(trial)) + "\n" for trial in trials))
