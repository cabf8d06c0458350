"""``lifeos vram``: will a recipe fit a pod, said before it is rented."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from lifeos.errors import InputError
from lifeos.pods.vram.fit import GIB, Fit, advice, fit, read_architecture, sampling_of
from lifeos.pods.vram.limits import CONTEXT_BYTES, HEADROOM
from lifeos.pods.vram.prediction import Sampling
from lifeos.pods.vram.published import validation_lines
from lifeos.settings import Project

UNMEASURED = "unmeasured: no recipe has been run on a GPU to hold this against (python -m benchmarks.vram)"


def run_vram(
    project: Project, recipe: Path, pod: str, *, explain: bool = False, plot: Path | None = None,
    images: int | None = None, as_json: bool = False, artifacts: Path | None = None, persona: Path | None = None,
) -> int:  # fmt: skip
    """Print whether a recipe fits; returns 0 if it does, 1 if it does not, 2 if that cannot be said.

    Args:
        project: settings and folders.
        recipe: file.
        pod: name or ``.toml`` file; empty means that of the settings.
        explain: also print what the peaks are made of.
        plot: PNG to draw.
        images: drawn at once in sampling; None: as many as the sampler draws.
        as_json: print one JSON object instead.
        artifacts: folder for data.
        persona: folder of one whose sampler draws; None: as the family usually does.

    Raises:
        InputError: recipe, persona, base or pod cannot be used, a config holds an unknown key or an absurd size.
    """
    from lifeos.lora.recipe import read_recipe
    from lifeos.pods.spec import list_pods, load_pod
    from lifeos.report.progress_bars import show_operators

    named = pod or project.settings.pod
    if not named:
        raise InputError("--pod: accepted a kind of pod, got none; next: lifeos vram RECIPE --pod NAME (lifeos pods)")
    if images is not None and images < 1:
        raise InputError(f"--images: accepted 1 or more, got {images}; next: lifeos vram RECIPE --pod NAME")
    asked, rented = read_recipe(recipe), load_pod(named)
    sampling = Sampling() if persona is None else _of_persona(project, persona, asked.family)
    if images is not None:
        sampling = replace(sampling, images=images)
    with show_operators() as progress:
        found = fit(asked, read_architecture(recipe, asked), rented, artifacts or project.path("artifacts"),
                    pods=list_pods(), sampling=sampling, progress=progress)
    if plot is not None:
        from lifeos.pods.vram.explain import draw_timeline

        draw_timeline(found.prediction.usages, found.limit, plot)
    if as_json:
        print(json.dumps(found.to_json(), allow_nan=False))
    else:
        _print(found, recipe, explain)
    return {True: 0, False: 1, None: 2}[found.fits]


def _of_persona(project: Project, folder: Path, family: str) -> Sampling:
    from lifeos.persona import load_persona

    persona = load_persona(folder, project.root)
    if persona.family != family:
        raise InputError(f"--persona: accepted one of family {family}, as the recipe, got {persona.family!r}; "
                         "next: leave --persona out, or correct family")
    return sampling_of(persona)


def _print(found: Fit, recipe: Path, explain: bool) -> None:
    words = {True: "fits", False: "DOES NOT FIT", None: "NOT EVALUATED"}
    gpu = found.pod.gpu
    print(f"{recipe} on pod {found.pod.name} ({gpu.name}, {gpu.memory_gib:.1f} GiB): {words[found.fits]}")
    print(f"  {'':<10} {'peak':>10} {'reserved':>10}")
    for name, usage in found.prediction.usages.items():
        over = "  too much" if name in found.exceeding else ""
        print(f"  {name:<10} {usage.peak_bytes / GIB:>6.2f} GiB {usage.reserved_bytes / GIB:>6.2f} GiB{over}")
    print(f"  {'limit':<10} {'':>10} {found.limit / GIB:>6.2f} GiB, beside {CONTEXT_BYTES / GIB:.2f} GiB for CUDA's "
          f"context and {100 * HEADROOM:.0f} % headroom")
    for line in found.missing:
        print(f"  in no prediction: {line}")
    for line in advice(found):
        print(f"  {line}")
    for line in found.prediction.assumed:
        print(f"  assumed: {line}")
    print(f"  {UNMEASURED}")
    for line in validation_lines():
        print(f"  {line}")
    if explain:
        from lifeos.pods.vram.explain import explanation

        encoding = (sys.stdout.encoding or "").lower()
        for name, usage in found.prediction.usages.items():
            print("\n".join(["", *explanation(name, usage, plain=not encoding.startswith("utf"))]))
