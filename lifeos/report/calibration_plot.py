"""One picture of a calibration: how alike the persona is to itself and to strangers, and where the threshold lies."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evals.atomic import write_bytes

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from lifeos.calibrate import Similarities

_GROUPS = (  # colours that are told apart without red and green (Okabe and Ito 2008)
    ("impostors", "other people", "#0072B2"),
    ("nulls", "the base without a LoRA", "#E69F00"),
    ("genuine", "held-out references, leave-one-out", "#009E73"),
)
_BINS = 60


def draw_calibration(calibration: "Calibration", similarities: "Similarities", path: Path) -> None:
    """Write a PNG with the distribution of each group, one dot an image, and tau with its interval.

    Args:
        calibration: gives tau, its interval and the mean of each side.
        similarities: cosines to the persona's centroid in [-1, 1], as ``lifeos.calibrate.calibrate`` returns them.
        path: file to write, whole or not at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    groups = [(name, words, colour, np.asarray(getattr(similarities, name))) for name, words, colour in _GROUPS]
    groups = [group for group in groups if len(group[3])]
    pooled = np.concatenate([values for *_, values in groups])
    edges = np.linspace(min(0.0, float(pooled.min())), 1.0, _BINS + 1)
    for number, (_, words, colour, values) in enumerate(groups):
        axes.hist(values, edges.tolist(), weights=np.full(len(values), 1 / len(values)), color=colour, alpha=0.55,
                  label=f"{words} (n = {len(values)})")  # fmt: skip
        # Below the histogram: few references make a poor histogram and an honest row of dots.
        axes.plot(values, np.full(len(values), -0.012 * (number + 1)), "|", color=colour, alpha=0.7, markersize=6)
    tau = calibration.thresholds["tau"]
    assert tau is not None
    low, high = calibration.tau_interval
    axes.axvspan(low if low is not None else edges[0], high if high is not None else 1.0, color="#CC79A7", alpha=0.18,
                 label="95 % interval of tau" + ("" if high is not None else ", open above"))  # fmt: skip
    axes.axvline(tau, color="#CC79A7", linewidth=2, label=f"tau = {tau:.3f} at false accept rate {calibration.far:g}")
    axes.axhline(0, color="#888888", linewidth=0.6)
    axes.set_xlabel("similarity to the persona (cosine to the centroid of the held-out references)")
    axes.set_ylabel("share of the group")
    # A dollar sign in a name would start a formula.
    axes.set_title(f"Calibration of {calibration.persona}".replace("$", r"\$"))
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick >= 0])
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    # Without the software line two runs give the same bytes.
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
