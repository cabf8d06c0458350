"""Exactly one face of sufficient size, as the judge's own face models count it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifeos.lora.buckets import Size, bucket_of, trained_scale
from lifeos.lora.dataset_lint.finding import Finding, delete_edit
from lifeos.lora.dataset_lint.rules import rule_book

Measure = Callable[[Path], Mapping[str, Any]]
"""Gives the record of an image file (``lifeos.measure.Measurements.of``); raises ``InputError`` where it cannot."""

_TOO_SMALL = "face too small"


def face_findings(
    path: Path, record: Mapping[str, Any], buckets: Sequence[Size] = (), *, of_references: bool = False
) -> list[Finding]:
    """Judge the faces of one picture.

    Args:
        path: the file.
        record: keys ``faces`` (count of scorable ones), ``reason`` (why there is none), ``size`` [width, height] and
            ``inter_ocular`` (pixels between the eyes of the biggest, None without one).
        buckets: sizes (width, height) that training knows; none for a picture that is not trained on.
        of_references: True for a picture held out for judging.
    """
    count, reason = int(record["faces"]), str(record.get("reason") or "no face found")
    replace = f"use a picture with one large face, or {delete_edit(path)}"

    def finding(rule: str, got: str, fix: str, detail: str = "") -> list[Finding]:
        return [Finding(rule, path, got, fix, detail, of_references)]

    if count == 0:
        return finding("face_small" if reason.startswith(_TOO_SMALL) else "face_none", reason, replace)
    if count > 1:
        return finding("face_several", f"{count} faces", f"crop {path.name} to one face, or {delete_edit(path)}")
    distance = record.get("inter_ocular")
    if distance is None or not buckets:
        return []
    width, height = record["size"]
    bucket = bucket_of(width, height, buckets)
    limits = rule_book().limits
    least = max(limits.least_eye_distance, limits.least_eye_distance_share * min(bucket))
    trained = float(distance) * trained_scale(width, height, bucket)
    if trained >= least:
        return []
    return finding(
        "face_small",
        f"{trained:.1f} pixels between the eyes",
        f"crop {path.name} closer around the face, or {delete_edit(path)}",
        f"at least {least:.0f} pixels between the eyes at {bucket[0]} x {bucket[1]}",
    )
