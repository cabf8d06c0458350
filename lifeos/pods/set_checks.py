"""What a resolved set weighs, and what the file itself says about it: disk, hashes, packages without a wheel."""

from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.pods.asked_set import AskedSet
from lifeos.pods.rule_checks import DependencyFinding, Violation
from lifeos.pods.rule_tables import Rules
from lifeos.pods.snapshot import PLATFORM, Snapshot
from lifeos.pods.spec import Pod
from lifeos.pods.uv_resolver import Pinned
from lifeos.pods.version_ranges import parse_range

GIB = 2**30
DISK_TOO_SMALL, HASH_MISMATCH = "disk-too-small", "hash-mismatch"


@dataclass(frozen=True)
class Weight:
    """Bytes to download, bytes on the disk, and how many packages have no known size."""

    download: int
    disk: int
    unmeasured: int

    def __str__(self) -> str:
        unknown = f", {self.unmeasured} of unknown size" if self.unmeasured else ""
        return f"{self.download / GIB:.1f} GiB to download{unknown}, {self.disk / GIB:.1f} GiB on disk"


def weigh(packages: Mapping[str, Pinned], snapshot: Snapshot, rules: Rules) -> Weight:
    """Add up the wheels: as the snapshot measured them, else the index's size and the table's factor for unpacking."""
    factor = rules.tables.disk[0].unpacked_per_download
    download = disk = unmeasured = 0
    for pinned in packages.values():
        wheel = snapshot.measured(pinned)
        size = pinned.size if wheel is None else wheel.size
        if size is None:
            unmeasured += 1
            continue
        download += size
        disk += int(size * factor) if wheel is None or wheel.unpacked is None else wheel.unpacked
    return Weight(download, disk, unmeasured)


def disk_violations(weight: Weight, pod: Pod) -> list[Violation]:
    """Return a finding when the disk cannot hold the wheels and what they unpack to: installers keep both."""
    if weight.download + weight.disk <= pod.disk_gib * GIB:
        return []
    need = f"{(weight.download + weight.disk) / GIB:.1f} GiB while installing; {pod.name} has {pod.disk_gib:g} GiB"
    return [Violation(DependencyFinding(DISK_TOO_SMALL, (), need, f"disk_gib of pod {pod.name}"), ())]


def hash_violations(packages: Mapping[str, Pinned], asked: AskedSet, snapshot: Snapshot, pod: Pod) -> list[Violation]:
    """Return what pip's hash checking would refuse: packages without a hash beside some with one, another hash."""
    hashes = {one.name: one.hashes for one in asked.asked if one.hashes}
    found = []
    bare = sorted(set(packages) - set(hashes)) if hashes else []
    if bare:
        reason = f"{len(hashes)} packages carry hashes and {len(bare)} of the set do not: pip refuses the file"
        names = tuple(str(packages[name]) for name in bare)
        found.append(DependencyFinding("hashes-incomplete", names, reason, "pip documentation, hash-checking mode"))
    for name in sorted(set(hashes) & set(packages)):
        known = snapshot.hashes(packages[name])
        if known and not known & {text.removeprefix("sha256:") for text in hashes[name]}:
            reason = f"the wheel for {pod.platform} and Python {pod.python} has none of the hashes of the file"
            found.append(DependencyFinding(HASH_MISMATCH, (str(packages[name]),), reason, "SHA-256 of the wheel"))
    return [Violation(finding, ()) for finding in found]


def missing_wheels(asked: AskedSet, rules: Rules, snapshot: Snapshot, pod: Pod) -> dict[str, DependencyFinding]:
    """Return, by name, the pinned packages without a wheel: of any kind, or for this Python by the snapshot."""
    found = {}
    for one in asked.asked:
        if one.pinned is None:
            continue
        packages = (f"{one.name}{one.specifier}",)
        for row in rules.tables.missing_wheel:
            if one.name == row.package and one.pinned in parse_range(row.versions):
                found[one.name] = DependencyFinding(row.id, packages, row.reason, row.source)
        release = snapshot.versions.get(one.name, {}).get(one.pinned)
        # Another index may have other wheels; of other Pythons and a newer glibc the snapshot knows only some.
        is_known = pod.python in snapshot.pythons and pod.platform == PLATFORM and not asked.uv_options
        if one.name not in found and is_known and release is not None and not release.serves(pod.python):
            needs = f": it requires Python {release.requires_python}" if release.requires_python else ""
            reason = f"no wheel for Python {pod.python}{needs}"
            found[one.name] = DependencyFinding("no-wheel-for-python", packages, reason, snapshot.title)
    return found
