"""A resolved set against the tables: each rule that it breaks, and every way to keep that rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lifeos.pods.rule_tables import Rules, Wheel
from lifeos.pods.uv_resolver import Pinned
from lifeos.pods.version_ranges import complement, merge, parse_range

CPU_LOCAL = "cpu"


@dataclass(frozen=True)
class DependencyFinding:
    """What is wrong: a stable id, the packages as ``name==version``, why, and where the fact was read."""

    id: str
    packages: tuple[str, ...]
    reason: str
    source: str

    def to_json(self) -> dict[str, object]:
        """Return the finding as ``validate-pod-deps --json`` writes it."""
        return {"id": self.id, "packages": list(self.packages), "reason": self.reason, "source": self.source}


@dataclass(frozen=True)
class Limit:
    """Take only these versions of a package."""

    package: str
    specifier: str


@dataclass(frozen=True)
class LeaveOut:
    """Do not install a package, whoever asks for it."""

    package: str


@dataclass(frozen=True)
class AddExtras:
    """Ask for extras of a package."""

    package: str
    extras: tuple[str, ...]


Repair = Limit | LeaveOut | AddExtras


@dataclass(frozen=True)
class Violation:
    """A broken rule and the ways to keep it.

    ``certain`` is False where no row speaks of the version: not known to work. ``by_itself`` says that the rule is
    about one package alone, so that its only repair is needed whatever else changes.
    """

    finding: DependencyFinding
    repairs: tuple[Repair, ...]
    certain: bool = True
    by_itself: bool = False


@dataclass(frozen=True)
class Machine:
    """What the rules ask of a pod: its GPU's compute capability, its driver's version, its name."""

    name: str
    gpu: str
    capability: tuple[int, int]
    driver: str

    @property
    def driver_version(self) -> tuple[int, ...]:
        """The driver as numbers that can be compared."""
        return _numbers(self.driver)


def broken_rules(packages: Mapping[str, Pinned], machine: Machine, rules: Rules) -> list[Violation]:
    """Return every rule of the tables that the set breaks on the machine, in the order of the checks."""
    return [
        *_overwriting(packages, rules),
        *broken_skews(packages, rules),
        *_builds(packages, machine, rules),
        *_cuda_majors(packages, rules),
        *_binary_interfaces(packages, rules),
        *_libraries_per_cuda(packages, rules),
        *_companions(packages, rules),
    ]


def serves(archs: list[str], capability: tuple[int, int]) -> bool:
    """Whether machine code for ``archs`` runs on a GPU of this capability.

    Code for x.y runs on x.z with z >= y; with an ``a`` only on x.y itself, with an ``f`` on the family x; PTX is
    compiled forward by the driver (CUDA C++ Programming Guide, binary and PTX compatibility).
    """
    for arch in archs:
        number, ptx = arch.removesuffix("+PTX"), arch.endswith("+PTX")
        specific = number.endswith("a")
        built = _pair(number.rstrip("af"))
        if built == capability or (ptx and capability >= built):
            return True
        if not specific and capability[0] == built[0] and capability[1] >= built[1]:
            return True
    return False


def _overwriting(packages: Mapping[str, Pinned], rules: Rules) -> Iterator[Violation]:
    for row in rules.tables.overwrite:
        present = [name for name in row.packages if name in packages]
        if len(present) < 2:
            continue
        kept = row.keep if row.keep in present else present[0]
        repairs = tuple(LeaveOut(name) for name in present if name != kept)
        # Leaving out only one of three would not end the overwriting; two at a time is what the tables hold.
        yield Violation(_finding(row.id, packages, present, row.reason, row.source), repairs[:1], by_itself=True)


def broken_skews(packages: Mapping[str, Pinned], rules: Rules) -> Iterator[Violation]:
    """Give each row of the table of skews that these packages break; it holds of any part of a set."""
    for row in rules.tables.skew:
        ranges = {name: parse_range(text) for name, text in row.when.items()}
        if not all(name in packages and packages[name].version in found for name, found in ranges.items()):
            continue
        repairs = [
            limit
            for name, found in ranges.items()
            for limit in _limits(name, [outside.specifier for outside in complement(found)])
        ]
        yield Violation(_finding(row.id, packages, list(ranges), row.reason, row.source), tuple(repairs))


def _builds(packages: Mapping[str, Pinned], machine: Machine, rules: Rules) -> Iterator[Violation]:
    for name in rules.built_packages:
        if name not in packages:
            continue
        pinned = packages[name]
        if pinned.version.local == CPU_LOCAL:
            reason = f"a build without CUDA on {machine.name}"
            finding = _finding("cpu-build-on-gpu-pod", packages, [name], reason, "the version's own label")
            yield Violation(finding, (Limit(name, f"!={pinned.version}"),), by_itself=True)
            continue
        row = rules.wheel(name, pinned.version)
        if row is None:
            known = _specifiers([row for row in rules.wheels(name) if _fits(row, machine, rules)])
            reason = "no row says for which CUDA and GPUs this wheel is built: it has to be opened first"
            finding = _finding("wheel-not-in-tables", packages, [name], reason, "lifeos/pods/rules/wheels.toml")
            yield Violation(finding, _limits(name, known) + _drop(name, rules), certain=False, by_itself=True)
            continue
        complaint = _complaint(row, machine, rules)
        if complaint is not None:
            known = _specifiers([other for other in rules.wheels(name) if _fits(other, machine, rules)])
            identity, reason, source = complaint
            finding = _finding(identity, packages, [name], reason, source)
            yield Violation(finding, _limits(name, known) + _drop(name, rules), by_itself=True)


def _complaint(row: Wheel, machine: Machine, rules: Rules) -> tuple[str, str, str] | None:
    """Return id, reason and source of what one build lacks on the machine."""
    capability = f"{machine.capability[0]}.{machine.capability[1]}"
    if row.max_capability is not None and machine.capability > _pair(row.max_capability):
        reason = f"its kernels refuse a capability above {row.max_capability}; {machine.gpu} has {capability}"
        return f"{row.package}-blackwell-too-new", reason, row.source
    if row.archs and not serves(row.archs, machine.capability):
        reason = f"built for {' '.join(row.archs)}; {machine.gpu} has capability {capability}: no kernel image"
        is_blackwell = row.package == "torch" and machine.capability[0] >= 10
        return "torch-no-sm120-kernel" if is_blackwell else "no-kernel-image", reason, row.source
    for driver in rules.tables.driver:
        if row.major == driver.cuda_major and machine.driver_version < _numbers(driver.minimum):
            reason = f"CUDA {row.cuda} needs driver {driver.minimum}; {machine.name} may come with {machine.driver}"
            return "driver-too-old-for-wheel", reason, driver.source
    if row.major is not None and row.major not in [driver.cuda_major for driver in rules.tables.driver]:
        return "driver-too-old-for-wheel", f"no row says which driver CUDA {row.cuda} needs", row.source
    return None


def _cuda_majors(packages: Mapping[str, Pinned], rules: Rules) -> Iterator[Violation]:
    torch = _row(packages, rules, "torch")
    for name in rules.built_packages:
        other = _row(packages, rules, name)
        if torch is None or other is None or name == "torch" or other.major is None or torch.major is None:
            continue
        if other.major != torch.major:
            reason = (
                f"torch is built with CUDA {torch.cuda}, {name} with {other.cuda}: it finds no libraries of its own"
            )
            identity = "ort-cuda-major-mismatch-silent-cpu" if name == "onnxruntime-gpu" else "cuda-major-mismatch"
            repairs = (
                _limits(name, _specifiers([row for row in rules.wheels(name) if row.major == torch.major]))
                + _limits("torch", _specifiers([row for row in rules.wheels("torch") if row.major == other.major]))
                + _drop(name, rules)
            )
            yield Violation(_finding(identity, packages, ["torch", name], reason, other.source), repairs)


def _binary_interfaces(packages: Mapping[str, Pinned], rules: Rules) -> Iterator[Violation]:
    for name in rules.built_packages:
        row = _row(packages, rules, name)
        if row is None or row.torch is None or "torch" not in packages:
            continue
        torch = packages["torch"].version
        if torch in parse_range(row.torch):
            continue
        fitting = [
            other for other in rules.wheels(name) if other.torch is not None and torch in parse_range(other.torch)
        ]
        reason = f"its compiled part is built against torch {row.torch}; with torch {torch} it does not load"
        to_torch = Limit("torch", parse_range(row.torch).specifier)
        repairs = (to_torch, *_limits(name, _specifiers(fitting)), *_drop(name, rules))
        identity = f"{name}-torch-abi-mismatch"
        yield Violation(_finding(identity, packages, ["torch", name], reason, row.source), repairs)


def _libraries_per_cuda(packages: Mapping[str, Pinned], rules: Rules) -> Iterator[Violation]:
    torch = _row(packages, rules, "torch")
    for name in rules.built_packages:
        row = _row(packages, rules, name)
        if torch is None or torch.cuda is None or row is None or not row.cudas or torch.cuda in row.cudas:
            continue
        fitting = [other for other in rules.wheels(name) if torch.cuda in other.cudas]
        torches = [other for other in rules.wheels("torch") if other.cuda in row.cudas]
        reason = f"brings libraries for CUDA {', '.join(row.cudas)} and torch is built with {torch.cuda}"
        repairs = _limits(name, _specifiers(fitting)) + _limits("torch", _specifiers(torches)) + _drop(name, rules)
        identity = "bnb-no-binary-for-cuda" if name == "bitsandbytes" else "no-library-for-cuda"
        yield Violation(_finding(identity, packages, ["torch", name], reason, row.source), repairs)


def _companions(packages: Mapping[str, Pinned], rules: Rules) -> Iterator[Violation]:
    for row in rules.tables.companion:
        if row.package not in packages or packages[row.package].version not in parse_range(row.versions):
            continue
        missing = [group[0] for group in row.one_of if not any(name in packages for name in group)]
        if missing:
            reason = f"{row.reason}; nothing in the set brings {', '.join(missing)}"
            finding = _finding(row.id, packages, [row.package], reason, row.source)
            yield Violation(finding, (AddExtras(row.package, tuple(row.extras)),))


def _fits(row: Wheel, machine: Machine, rules: Rules) -> bool:
    return _complaint(row, machine, rules) is None


def _row(packages: Mapping[str, Pinned], rules: Rules, name: str) -> Wheel | None:
    return rules.wheel(name, packages[name].version) if name in packages else None


def _specifiers(rows: list[Wheel]) -> list[str]:
    return [found.specifier for found in merge([row.range for row in rows])]


def _limits(name: str, specifiers: list[str]) -> tuple[Repair, ...]:
    # Newest first: the search looks at repairs in this order, and a set moves least when it stays new.
    return tuple(Limit(name, specifier) for specifier in reversed(specifiers))


def _drop(name: str, rules: Rules) -> tuple[Repair, ...]:
    return (LeaveOut(name),) if rules.may_be_dropped(name) else ()


def _finding(
    identity: str, packages: Mapping[str, Pinned], names: list[str], reason: str, source: str
) -> DependencyFinding:
    return DependencyFinding(identity, tuple(str(packages[name]) for name in names), reason, source)


def _pair(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
