"""Every comparison of the project: one small entry each, read from top to bottom by ``python -m benchmarks``.

A row is added by an entry here and a function ``(context, number) -> Pair`` in a module of its own: README.md here.
"""

from collections.abc import Sequence

from benchmarks.comparison import SHARE, Comparison, Target
from lifeos.errors import InputError

_NOTHING = "an interpreter that does nothing (python -c pass): what no command of Python is quicker than"
_DIFFUSERS = ("torch", "diffusers", "transformers", "peft")
_FACES = ("insightface", "onnxruntime", "opencv-python-headless")

COMPARISONS: tuple[Comparison, ...] = (
    Comparison(
        "help", "the front door's help", "lifeos --help", _NOTHING, "s", "benchmarks.commands:help_pair",
        direction=SHARE, target=Target("ours", high=0.3), packages=("typer", "rich"), is_quick=True, pairs=9,
        warms_up=True, of_any_checkout=True,
    ),
    Comparison(
        "cheap", "the gates before every commit", "pytest -m cheap",
        "pytest FILE with one empty test, the same pytest.ini", "s", "benchmarks.commands:cheap_pair", direction=SHARE,
        target=Target("ours", high=2.0), packages=("pytest", "import-linter"), is_quick=True, pairs=5, warms_up=True,
        of_any_checkout=True,
    ),
    Comparison(
        "operations-preflight", "the guardrails", "lifeos preflight", _NOTHING, "s",
        "benchmarks.commands:preflight_pair", direction=SHARE, target=Target("ours", high=0.4),
        packages=("detect-secrets",), is_quick=True, pairs=5, warms_up=True, of_any_checkout=True,
    ),
    Comparison(
        "operations-status", "where things stand", "lifeos status", _NOTHING, "s", "benchmarks.commands:status_pair",
        direction=SHARE, target=Target("ours", high=0.5), is_quick=True, pairs=5, warms_up=True, of_any_checkout=True,
    ),
    Comparison(
        "operations-promotion", "10,000 ledger items read, folded and written", "lifeos promote-findings, in process",
        "the same file read and written line by line with json alone", "s", "benchmarks.operations:promotion_pair",
        direction=SHARE, target=Target("ours", high=2.0), packages=("pydantic",), is_quick=True, pairs=5,
    ),
    Comparison(
        "known-failures-log", "a log of 16 MiB searched for every known failure", "evals.known_failures.explain",
        "a loop over lines and messages (text in line), the same failures named", "s",
        "benchmarks.known_failures_log:log_pair", is_quick=True, warms_up=True,
    ),
    Comparison(
        "decision-false-promotion", "an equal candidate promoted, share of 1,000 simulated releases",
        "the shipped rule", "the higher mean likeness wins", "share", "benchmarks.decision_pairs:false_promotion_pair",
        direction=SHARE, packages=("numpy", "scipy"), is_quick=True,
    ),
    Comparison(
        "decision-images", "images drawn of an under-trained LoRA before it is rejected", "looks on the way",
        "the whole plan, 24 prompts x 4 seeds", "images", "benchmarks.decision_pairs:images_pair", direction=SHARE,
        is_quick=True,
    ),
    Comparison(
        "halving-images", "images drawn at a seed to choose one of 27 cells of a sweep, simulated",
        "halved every two prompts", "the whole grid of 8 prompts", "images",
        "benchmarks.halving_simulation:images_pair", direction=SHARE, packages=("numpy",), is_quick=True,
    ),
    Comparison(
        "training-search", "likeness given up after 20 training runs, simulated", "lifeos' search (Optuna)",
        "as many recipes at random", "likeness", "benchmarks.training_search_simulation:search_pair",
        needs=("package:optuna",), packages=("optuna", "numpy"),
    ),
    Comparison(
        "fresh-clone", "clone to verdict, in all", "./lifeos.sh gate release in a fresh clone", "", "s",
        "benchmarks.fresh_clone:whole_pair", target=Target("ours", high=360.0),
    ),
    Comparison(
        "fresh-clone-environment", "clone to verdict, the environment", "start to the finished .venv", "", "s",
        "benchmarks.fresh_clone:environment_pair", target=Target("ours", high=90.0),
    ),
    Comparison(
        "fresh-clone-training", "clone to verdict, training", "step train of the recorded row", "", "s",
        "benchmarks.fresh_clone:training_pair", target=Target("ours", high=120.0),
    ),
    Comparison(
        "fresh-clone-sampling", "clone to verdict, sampling", "step sample of the recorded row", "", "s",
        "benchmarks.fresh_clone:sampling_pair", target=Target("ours", high=90.0),
    ),
    Comparison(
        "fresh-clone-rest", "clone to verdict, the rest", "whatever is left", "", "s",
        "benchmarks.fresh_clone:rest_pair", target=Target("ours", high=60.0),
    ),
    Comparison(
        "unchanged", "the same command, nothing changed", "gate release again in that clone", "its first run", "s",
        "benchmarks.fresh_clone:unchanged_pair", direction=SHARE, target=Target("ours", high=6.0),
    ),
    Comparison(
        "overhead", "runner and judging over sampling and embedding", "lifeos gate release --lora FILE",
        "a process that loads the diffusers pipeline and the LoRA, draws the same images in batches of the same size "
        "and embeds their faces", "s", "benchmarks.overhead:overhead_pair", direction=SHARE,
        target=Target("ratio", high=1.10), packages=_DIFFUSERS,
    ),
    Comparison(
        "batched", "images sampled in the persona's type", "lifeos in blocks",
        "diffusers' quick start: StableDiffusionPipeline.from_pretrained(base), one prompt a call; loading and PNG "
        "files included both ways", "s", "benchmarks.batched_sampling:own_dtype_pair", target=Target("ratio", low=1.5),
        packages=_DIFFUSERS,
    ),
    Comparison(
        "batched-float32", "images sampled in float32", "lifeos in blocks",
        "diffusers' quick start in its default type", "s", "benchmarks.batched_sampling:float32_pair",
        packages=_DIFFUSERS,
    ),
    Comparison(
        "metrics-faces", "faces of pictures of 512 pixels", "detection and embedding, the same weights",
        "insightface: FaceAnalysis, prepare, get an image", "s", "benchmarks.metrics:faces_pair",
        target=Target("ratio", low=2.0), needs=("package:insightface",), packages=_FACES,
    ),
    Comparison(
        "metrics-skin", "skin features of those that show a face", "evals.skin_realism_eval, finding the skin included",
        "plain scikit-image, one call a feature, the same values", "s", "benchmarks.metrics:skin_pair",
        target=Target("ratio", low=3.0), packages=("scikit-image", "scipy", "numpy"),
    ),
    Comparison(
        "metrics-everything", "all that is measured on a picture", "faces, skin, copies, adherence, metric families",
        "our own faces alone", "s", "benchmarks.metrics:everything_pair", direction=SHARE, packages=_FACES,
    ),
    Comparison(
        "vram-published", "memory predicted, against what others published", "lifeos/pods/vram",
        "published.toml, each row with its source", "GiB", "benchmarks.vram.pairs:published_pair", direction=SHARE,
        target=Target("every pair", 0.95, 1.05), packages=("torch", "diffusers"), pairs=26, fixed_pairs=True,
    ),
    Comparison(
        "vram-training", "memory of training predicted, against this GPU", "lifeos vram",
        "torch.cuda.max_memory_allocated of the same steps", "GiB", "benchmarks.vram.pairs:training_pair",
        direction=SHARE, target=Target("every pair", 0.97, 1.03), needs=("gpu",), packages=("torch", "diffusers"),
        pairs=20, fixed_pairs=True,
    ),
    Comparison(
        "vram-training-reserved", "memory that training reserves predicted, against this GPU",
        "lifeos vram", "torch.cuda.max_memory_reserved of the same steps", "GiB",
        "benchmarks.vram.pairs:training_reserved_pair", direction=SHARE, target=Target("every pair", 0.97),
        needs=("gpu",), packages=("torch", "diffusers"), pairs=20, fixed_pairs=True,
    ),
    Comparison(
        "vram-sampling", "memory of sampling predicted, against this GPU", "lifeos vram",
        "torch.cuda.max_memory_allocated of the same steps", "GiB", "benchmarks.vram.pairs:sampling_pair",
        direction=SHARE, target=Target("every pair", 0.95, 1.05), needs=("gpu",), packages=("torch", "diffusers"),
        pairs=13, fixed_pairs=True,
    ),
    Comparison(
        "vram-sampling-reserved", "memory that sampling reserves predicted, against this GPU",
        "lifeos vram", "torch.cuda.max_memory_reserved of the same steps", "GiB",
        "benchmarks.vram.pairs:sampling_reserved_pair", direction=SHARE, target=Target("every pair", 0.95),
        needs=("gpu",), packages=("torch", "diffusers"), pairs=13, fixed_pairs=True,
    ),
    Comparison(
        "training-speed", "a small SDXL LoRA trained, start of the process to its end", "lifeos retrain-lora",
        "diffusers' examples/dreambooth/train_dreambooth_lora_sdxl.py as its README runs it, the same settings", "s",
        "benchmarks.generation_speed.pairs:training_pair", target=Target("ratio", low=1.5), needs=("script",),
        packages=(*_DIFFUSERS, "accelerate"),
    ),
    Comparison(
        "training-speed-gpu", "an SDXL LoRA trained on the GPU", "lifeos retrain-lora",
        "diffusers' examples/dreambooth/train_dreambooth_lora_sdxl.py as its README runs it, the same settings", "s",
        "benchmarks.generation_speed.pairs:training_gpu_pair", target=Target("ratio", low=1.5),
        needs=("gpu", "script"), packages=(*_DIFFUSERS, "accelerate"),
    ),
    Comparison(
        "sampling-speed", "images of a small SDXL drawn with a LoRA", "lifeos in blocks",
        "a plain loop over a diffusers pipeline, one image a call", "s",
        "benchmarks.generation_speed.pairs:sampling_pair", target=Target("ratio", low=1.3), packages=_DIFFUSERS,
    ),
    Comparison(
        "sampling-speed-gpu", "images of SDXL drawn with a LoRA on the GPU", "lifeos in blocks",
        "a plain loop over a diffusers pipeline, one image a call", "s",
        "benchmarks.generation_speed.pairs:sampling_gpu_pair", target=Target("ratio", low=1.3), needs=("gpu",),
        packages=_DIFFUSERS,
    ),
    Comparison(
        "ray-sweep", "images of 5 ms over four Ray nodes of this machine", "lifeos over Ray, start-up included",
        "the same images one after another in one process", "s", "benchmarks.ray_sweep:sweep_pair",
        needs=("package:ray",), packages=("ray",),
    ),
    Comparison(
        "history-append", "a row appended to a history of 100,000", "evals.history.append, median of 50",
        "write and fsync of the same bytes", "s", "benchmarks.history_scale:append_pair", direction=SHARE,
        target=Target("ratio", high=1.5),
    ),
    Comparison(
        "history-query", "the last 20 rows of one of ten personas of 100,000 rows",
        "lifeos history --persona NAME --last 20, start to exit",
        "a process that reads every line with json", "s", "benchmarks.history_scale:query_pair",
        target=Target("ours", high=1.0), warms_up=True,
    ),
)  # fmt: skip
"""In the order of the table."""

APART: tuple[tuple[str, str], ...] = (
    ("benchmarks.decision_simulation", "the bound and the power behind the rows decision-*; minutes, nothing is timed"),
    ("benchmarks.training_stop_simulation", "how often a training run is ended that still gained: a bound, no ratio"),
    ("benchmarks.training_search_simulation", "training-search at more lengths and with another stand-in; minutes"),
    ("benchmarks.halving_simulation", "halving-images case by case, and how often the best cell is lost"),
    ("benchmarks.skin_battery", "how well each measure of skin tells; needs 1,060 rendered people"),
    ("benchmarks.skin_battery.renders", "draws those people; needs numba and MPFB2"),
    ("benchmarks.count_operations", "operations of a step, counted; nothing to compare them with"),
    ("benchmarks.generation_speed", "the rows training-speed and sampling-speed part by part, and in half precision"),
    ("benchmarks.history_scale", "besides history-append and history-query: one row shown, all listed, the index made"),
    ("benchmarks.ray_sweep", "ray-sweep with 10,000 images and a node killed twice"),
    ("benchmarks.vram", "the rows vram-* recipe by recipe, predicted without a GPU too"),
)
"""Modules with a command of their own and why ``python -m benchmarks`` does not run it."""


def entry(name: str) -> Comparison:
    """Return the comparison of an id, so that a module's own command states neither sides nor target anew.

    Raises:
        StopIteration: there is none.
    """
    return next(each for each in COMPARISONS if each.id == name)


def chosen(names: Sequence[str], quick: bool = False) -> tuple[list[Comparison], list[Comparison]]:
    """Return the comparisons to run, in the table's order, and those that ``quick`` leaves out.

    Args:
        names: ids, or the first words of some (``operations``); none: all.
        quick: only what takes seconds.

    Raises:
        InputError: a name that is neither.
    """
    for name in names:
        if not any(_is_named(each, name) for each in COMPARISONS):
            known = ", ".join(each.id for each in COMPARISONS)
            raise InputError(f"comparison: accepted {known}, got {name!r}; next: python -m benchmarks --list")
    named = [each for each in COMPARISONS if not names or any(_is_named(each, name) for name in names)]
    left_out = [each for each in named if quick and not each.is_quick]
    return [each for each in named if each not in left_out], left_out


def _is_named(comparison: Comparison, name: str) -> bool:
    return comparison.id == name or comparison.id.startswith(f"{name}-")
