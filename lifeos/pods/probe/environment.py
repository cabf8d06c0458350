"""Is what is installed what was judged: distributions against the lock, and modules that two distributions bring."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.pods.requirements import Line, parse_requirements

OVERWRITING = ("onnxruntime", "cv2")
"""Modules that several distributions bring under one name, each overwriting the other's files."""


def lock_file(requirements: Path, pod: str) -> Path:
    """Return the lock that ``validate-pod-deps --fix`` writes beside the requirements, else the requirements."""
    # A pod may be named by the path of its file.
    name = Path(pod).stem if pod.endswith(".toml") else pod
    lock = requirements.with_name(f"{requirements.stem}.{name}.lock")
    return lock if name and lock.is_file() else requirements


def installed_versions() -> dict[str, str]:
    """Return canonical name to version of every installed distribution."""
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        # The first on the path is the one that imports find.
        if name:
            found.setdefault(str(canonicalize_name(name)), distribution.version)
    return found


def environment_verdict(lock: Path, installed: Mapping[str, str], providers: Mapping[str, Sequence[str]]) -> Verdict:
    """Judge the environment against a lock.

    What the lock does not name may be installed too (an image brings its own), unless it overwrites a module.

    Args:
        lock: requirements file, every line it holds for this machine with a version that decides.
        installed: canonical name to version.
        providers: module to the distributions that bring it (``importlib.metadata.packages_distributions``).
    """
    twice = {module: sorted(set(providers.get(module, ()))) for module in OVERWRITING}
    for module, names in twice.items():
        if len(names) > 1:
            return failed(f"{' and '.join(names)} both bring the module {module}: which files won is chance; next: pip "
                          f"uninstall -y {' '.join(names)}, then install the lock again")  # fmt: skip
    try:
        lines, unread = parse_requirements(lock.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        return not_evaluated(f"{lock.name} cannot be read: {error}")
    if unread:
        return not_evaluated(f"{lock.name}: {unread[0]}")
    lines = [line for line in lines if line.requirement.marker is None or line.requirement.marker.evaluate()]
    if not lines:
        return not_evaluated(f"{lock.name} holds no requirement for this machine")
    open_ended = [line.requirement.name for line in lines if not _pinned(line)]
    problems = list(_differences(lines, installed))
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        # A whole list is installed as it stands: a resolver would add onnxruntime beside onnxruntime-gpu.
        step = "`lifeos validate-pod-deps --fix`" if open_ended else f"uv pip install --no-deps -r {lock.name}"
        return failed(f"{problems[0]}{rest}; next: {step}", value=len(problems), threshold=0)
    if open_ended:
        return not_evaluated(
            f"{lock.name} does not pin {open_ended[0]}{_more(len(open_ended) - 1)}, so no environment equals it; next: "
            "`lifeos validate-pod-deps --fix`"
        )
    return passed(f"all {len(lines)} distributions of {lock.name} are installed as pinned", value=0, threshold=0)


def _differences(lines: Iterable[Line], installed: Mapping[str, str]) -> Iterable[str]:
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    for line in lines:
        requirement = line.requirement
        found = installed.get(str(canonicalize_name(requirement.name)))
        if found is None:
            yield f"{requirement} is not installed"
            continue
        try:
            # 2.10.0 is served by 2.10.0+cu128; a lock that names the label gets exactly that.
            fits = requirement.specifier.contains(Version(found), prereleases=True)
        except InvalidVersion:
            fits = False
        if not fits:
            yield f"{requirement.name}: accepted {requirement.specifier}, got {found}"


def _pinned(line: Line) -> bool:
    return any(
        part.operator in ("==", "===") and not part.version.endswith(".*") for part in line.requirement.specifier
    )


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
