"""Facts of a picture to findings: what training or the judge would see differently, or not at all."""

from collections.abc import Sequence
from pathlib import Path

from lifeos.lora.buckets import Size, bucket_of, trained_scale
from lifeos.lora.dataset_lint.finding import Finding, delete_edit, rewrite_command
from lifeos.lora.dataset_lint.image_facts import ImageFacts
from lifeos.lora.dataset_lint.rules import rule_book


def image_findings(
    path: Path, facts: ImageFacts, buckets: Sequence[Size] = (), *, of_references: bool = False
) -> list[Finding]:
    """Judge one picture.

    Args:
        path: the file.
        facts: of the file.
        buckets: sizes (width, height) that training knows; none for a picture that is not trained on.
        of_references: True for a picture held out for judging: it need not have the trained size, and no advice is
            given on it.

    Returns:
        Hard findings first; a picture that cannot be read has that one finding.
    """

    def finding(rule: str, got: str, fix: str, detail: str = "") -> Finding:
        return Finding(rule, path, got, fix, detail, of_references)

    rewrite = rewrite_command(path)
    if facts.problem is not None:
        return [finding("image_unreadable", facts.problem, f"export it again, or {delete_edit(path)}")]
    if facts.frames > 1:
        return [finding("image_format", f"{facts.frames} frames", f"export one frame as {path.stem}.png")]
    if facts.format not in ("PNG", "JPEG"):
        return [finding("image_format", str(facts.format), rewrite)]
    found = []
    if facts.orientation != 1:
        found.append(finding("image_orientation", f"EXIF orientation {facts.orientation}", rewrite))
    if facts.alpha == "transparent":
        found.append(finding("image_transparent", f"{facts.mode} with transparent pixels", rewrite))
    elif not facts.readable:
        found.append(finding("image_mode", facts.mode, rewrite))
    if facts.blank:
        found.append(finding("image_blank", "one colour", delete_edit(path)))
    if buckets and not of_references:
        found += _size_findings(path, facts, buckets)
    return found if of_references else found + _advice(path, facts)


def _size_findings(path: Path, facts: ImageFacts, buckets: Sequence[Size]) -> list[Finding]:
    bucket = bucket_of(facts.width, facts.height, buckets)
    scale = trained_scale(facts.width, facts.height, bucket)
    wanted, size = f"{bucket[0]} x {bucket[1]}", f"{facts.width} x {facts.height}"
    if scale > 1.0:
        fix = f"export a larger original, or {delete_edit(path)}"
        return [Finding("image_small", path, f"{size}, enlarged {scale:.2f} times", fix, wanted)]
    lost = 1.0 - bucket[0] * bucket[1] / (scale * facts.width * scale * facts.height)
    if lost > rule_book().limits.most_cropped_share:
        fix = f"crop {path.name} around the face to the shape of {wanted}"
        return [Finding("image_cropped", path, f"{size}, of which {lost:.0%} is cut away", fix, wanted)]
    return []


def _advice(path: Path, facts: ImageFacts) -> list[Finding]:
    if not facts.readable:
        return []
    if facts.mode in ("P", "PA"):
        return [Finding("image_palette", path, "a palette", f"export {path.name} from its original in full colour")]
    if facts.grey and not facts.blank:
        return [Finding("image_grey", path, "grey pixels only", f"use the colour original, or {delete_edit(path)}")]
    if facts.alpha == "opaque":
        return [Finding("image_opaque_alpha", path, f"{facts.mode}, all opaque", rewrite_command(path))]
    return []
