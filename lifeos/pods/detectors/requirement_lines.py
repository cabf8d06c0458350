"""Known failures that a requirements file shows, by its lines or by what they resolve to."""

import re
from collections.abc import Sequence

from evals.known_failures import detects
from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.pods.asked_set import AskedSet
from lifeos.pods.dependencies import DependencyReport
from lifeos.pods.rule_checks import DependencyFinding
from lifeos.pods.rule_tables import load_rules
from lifeos.pods.spec import Pod


@detects("ort127-broken-extra")
def ort_extra_nobody_can_install(asked: AskedSet) -> str | None:
    """Return whether the one release is asked for whose extra ``cuda`` names a package without a release for it."""
    for one in asked.asked:
        if one.name == "onnxruntime-gpu" and "cuda" in one.extras and str(one.pinned) == "1.27.0":
            asks = f"onnxruntime-gpu[{','.join(sorted(one.extras))}]{one.specifier}"
            return f"{asks} requires nvidia-cuda-nvrtc-cu13 ~=13.0, and there is none"
    return None


@detects("py310-newest-mixes-cuda12-and-13")
def cuda_majors_for_old_python(asked: AskedSet, pod: Pod) -> str | None:
    """Return whether torch and the last onnxruntime-gpu for Python 3.10 are pinned and of different CUDA majors."""
    if pod.python != "3.10":
        return None
    rules, built = load_rules(), {}
    for one in asked.asked:
        row = None if one.pinned is None else rules.wheel(one.name, one.pinned)
        if one.name in ("torch", "onnxruntime-gpu") and row is not None and row.major is not None:
            built[f"{one.name}=={one.pinned}"] = row.major
    if len(set(built.values())) < 2:
        return None
    return "Python 3.10: " + " beside ".join(f"{name} of CUDA {major}" for name, major in built.items())


@detects("torchvision-nms")
def torchvision_of_another_torch(requirements: DependencyReport) -> str | None:
    """Return whether torch and torchvision are in one conflict; without a conflict the resolver paired them."""
    for finding in _findings(requirements):
        if finding.id == "resolver-conflict" and {"torch", "torchvision"} <= _names(finding):
            return f"{' and '.join(finding.packages)}: {finding.reason}"
    return None


@detects("torch215-dropped-curand")
def torch_without_curand(requirements: DependencyReport) -> str | None:
    """Return whether onnxruntime lacks libraries beside a torch that no longer brings all of CUDA."""
    from packaging.version import Version

    findings, torch = _findings(requirements), requirements.packages.get("torch")
    if torch is None or torch.version < Version("2.15"):
        return None
    found = next((one for one in findings if one.id == "ort-cuda-libraries-missing"), None)
    return None if found is None else f"{torch} beside {', '.join(found.packages)}: {found.reason}"


@detects("resolver-silent-backtrack")
def walked_back_without_a_floor(asked: AskedSet, requirements: DependencyReport) -> str | None:
    """Return whether a package that is asked for below a version only was resolved to one that breaks another."""
    upper_only = {
        one.name for one in asked.asked if "<" in one.specifier and not set("=>~").intersection(one.specifier)
    }
    for finding in _findings(requirements):
        fallen = [package for package in finding.packages if _name(package) in upper_only]
        if fallen and finding.id != "resolver-conflict":
            return f"{fallen[0]}, asked for without a floor: {finding.reason}"
    return None


def _findings(requirements: DependencyReport) -> Sequence[DependencyFinding]:
    if requirements.verdict.outcome is Outcome.NOT_EVALUATED and not requirements.findings:
        raise InputError(requirements.verdict.reason)
    return requirements.findings


def _names(finding: DependencyFinding) -> set[str]:
    return {_name(package) for package in finding.packages}


def _name(package: str) -> str:
    return re.split(r"[^a-z0-9-]", package, maxsplit=1)[0]
