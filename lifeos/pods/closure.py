"""Which packages of a whole list nobody needs any more after some of them changed."""

from collections.abc import Iterable, Mapping

from lifeos.pods.asked_set import marker_environment
from lifeos.pods.snapshot import Release, Snapshot
from lifeos.pods.uv_resolver import Pinned


def without_orphans(
    before: Mapping[str, Pinned], after: Mapping[str, Pinned], snapshot: Snapshot, python: str
) -> dict[str, Pinned]:
    """Return ``after`` less what was in ``before`` only because another package required it, and is required no more.

    A list of pins does not say which of them somebody wanted: those are taken to be wanted that no other one requires.
    Where the snapshot does not know every release, nothing is removed.
    """
    old, new = _releases(before, snapshot), _releases(after, snapshot)
    if old is None or new is None:
        return dict(after)
    required_before = _required(old, old, python)
    wanted = [name for name in after if name not in required_before]
    kept = {*wanted, *_required(new, wanted, python)}
    return {name: pinned for name, pinned in after.items() if name in kept}


def _releases(packages: Mapping[str, Pinned], snapshot: Snapshot) -> dict[str, Release] | None:
    found = {name: snapshot.versions.get(name, {}).get(pinned.version) for name, pinned in packages.items()}
    known = {name: release for name, release in found.items() if release is not None}
    return known if len(known) == len(found) else None


def _required(releases: Mapping[str, Release], start: Iterable[str], python: str) -> set[str]:
    """Return every package that one of ``start`` requires, directly or through others, extras followed."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(name, "") for name in start]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen or name not in releases:
            continue
        seen.add((name, extra))
        for text in releases[name].requires:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate(marker_environment(python, extra)):
                continue
            other = requirement.name.lower().replace("_", "-").replace(".", "-")
            found.add(other)
            todo += [(other, one) for one in ("", *sorted(requirement.extras))]
    return found
