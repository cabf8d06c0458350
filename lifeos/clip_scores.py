"""CLIPScore of image files against their prompts, each pair asked once."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evals.atomic import write_json
from evals.content_hash import hash_bytes, hash_json
from lifeos.progress import Progress

if TYPE_CHECKING:
    from evals.clip_score_eval import ClipScorer
    from lifeos.persona import Persona

STAGE = "prompts"


class ClipScores:
    """Scores remembered by model, image and text.

    Args:
        artifacts: data folder; scores lie below ``measured/``.
        identity: content hash of the model.
        open_scorer: loads it; called when the first unknown pair comes.
    """

    def __init__(self, artifacts: Path, identity: str, open_scorer: "Callable[[], ClipScorer]") -> None:
        """Remember where scores lie; nothing is loaded yet."""
        self.identity = identity
        self._folder = artifacts / "measured" / f"clip-{identity[:32]}"
        self._open = open_scorer

    @cached_property
    def _scorer(self) -> "ClipScorer":
        return self._open()

    def of_all(self, paths: Sequence[Path], texts: Sequence[str], progress: Progress) -> list[float]:
        """Return the score of each image file against its text.

        Raises:
            InputError: a file is no image, or the model cannot be loaded.
        """
        from evals.images import read_image

        scores = []
        for number, (path, text) in enumerate(zip(paths, texts, strict=True), 1):
            key = hash_json([hash_bytes(path.read_bytes()), text])
            known = self._folder / key[:2] / f"{key}.json"
            if not known.exists():
                write_json(known, {"score": self._scorer.scores([read_image(path)], [text])[0]}, durable=False)
            scores.append(float(json.loads(known.read_text(encoding="utf-8"))["score"]))
            progress(STAGE, number, len(paths))
        return scores


def clip_scores(persona: "Persona", artifacts: Path) -> ClipScores | None:
    """Return the scores by the CLIP model that a persona names; None where it names none.

    Raises:
        InputError: it names a folder without such a model.
    """
    from evals.clip_score_eval import ClipScorer, clip_hash

    folder = persona.clip_folder
    return None if folder is None else ClipScores(artifacts, clip_hash(folder), lambda: ClipScorer(folder))
