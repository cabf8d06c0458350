"""Does what the run imports import: the classes themselves, because ``import diffusers`` alone loads nothing."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from evals.verdict import Verdict, failed, not_evaluated, passed

if TYPE_CHECKING:
    from lifeos.pods.probe.child import Stage


class Target(NamedTuple):
    """What is imported: the distributions that can bring it, module and attribute."""

    distributions: tuple[str, ...]
    module: str
    attribute: str


# In the order of a release: torch first, because what comes after finds CUDA's libraries through it.
TARGETS = (
    Target(("torch",), "torch", "Tensor"),
    Target(("safetensors",), "safetensors.torch", "save_file"),
    Target(("transformers",), "transformers", "CLIPTextModel"),
    Target(("transformers",), "transformers", "CLIPTokenizer"),
    Target(("diffusers",), "diffusers", "UNet2DConditionModel"),
    Target(("diffusers",), "diffusers", "StableDiffusionPipeline"),
    Target(("diffusers",), "diffusers", "StableDiffusionXLPipeline"),
    Target(("peft",), "peft", "LoraConfig"),
    Target(("accelerate",), "accelerate", "Accelerator"),
    Target(("prodigyopt",), "prodigyopt", "Prodigy"),
    Target(("bitsandbytes",), "bitsandbytes.optim", "AdamW8bit"),
    Target(("xformers",), "xformers.ops", "memory_efficient_attention"),
    Target(("onnxruntime", "onnxruntime-gpu"), "onnxruntime", "InferenceSession"),
    Target(("opencv-python", "opencv-python-headless"), "cv2", "imdecode"),
    Target(("insightface",), "insightface.app", "FaceAnalysis"),
    Target(("scikit-image",), "skimage.metrics", "structural_similarity"),
)
# Whatever the requirements say (an image may bring torch): without these nothing is trained or sampled.
ALWAYS = frozenset({"torch", "safetensors", "transformers", "diffusers", "peft"})


def targets_for(distributions: Iterable[str]) -> list[list[str]]:
    """Return ``[module, attribute]`` of everything to import.

    Args:
        distributions: canonical names of what the pod's requirements install.
    """
    wanted = ALWAYS | set(distributions)
    return [[target.module, target.attribute] for target in TARGETS if wanted.intersection(target.distributions)]


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Import every ``[module, attribute]`` of ``request["targets"]``; runs in the child.

    All in one process, as the run does it: libraries that cannot live together are found too.
    """
    import importlib

    from lifeos.pods.probe.child import error_line

    results = []
    for module, attribute in request["targets"]:
        stage(f"{module}.{attribute}")
        problem = None
        try:
            found = getattr(importlib.import_module(module), attribute)
            # diffusers and transformers give a placeholder of this metaclass where something they need is missing.
            if type(found).__name__ == "DummyObject":
                problem = f"a placeholder: it misses {', '.join(getattr(found, '_backends', ['something']))}"
        except Exception as error:  # a broken library may raise anything
            problem = error_line(error)
        results.append({"name": f"{module}.{attribute}", "problem": problem})
    return {"results": results}


def imports_verdict(body: dict[str, Any]) -> Verdict:
    """Judge the answer of ``probe``: passed when nothing failed."""
    from lifeos.pods.probe.notices import blocking_notice

    results = body["results"]
    problems = [f"{row['name']}: {row['problem']}" for row in results if row["problem"] is not None]
    if not results:
        return not_evaluated("nothing was imported")
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        blocking = blocking_notice(problems)
        known = "" if blocking is None else f" ({blocking[0].reason} [{blocking[0].id}])"
        return failed(f"cannot import {problems[0]}{known}{rest}; next: `lifeos validate-pod-deps`",
                      value=len(problems), threshold=0)  # fmt: skip
    return passed(f"{len(results)} classes import", value=0, threshold=0)
