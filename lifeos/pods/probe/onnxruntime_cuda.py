"""Does onnxruntime compute on the GPU: it falls back to the CPU with no more than a line in its log."""

from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, passed

if TYPE_CHECKING:
    from lifeos.pods.probe.child import Stage

CUDA = "CUDAExecutionProvider"
TOLERANCE = 1e-3
"""Largest relative error of the small model; float32 gives 1e-6, TF32 about 1e-3 and is switched off."""


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Run a small generated model and read the session's own providers; runs in the child.

    Args:
        request: ``provider``, ``CUDAExecutionProvider`` on a pod.
        stage: told what comes next.
    """
    import numpy as np
    import onnxruntime

    from evals.faces.sessions import load_cuda_libraries
    from lifeos.pods.probe.onnx_model import CHANNELS, OUTPUTS, SIDE, expected, small_model

    provider = request.get("provider", CUDA)
    body: dict[str, Any] = {"version": onnxruntime.__version__, "offered": onnxruntime.get_available_providers()}
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(CHANNELS, 3, 3, 3)).astype(np.float32)
    matrix = generator.normal(size=(CHANNELS, OUTPUTS)).astype(np.float32)
    picture = generator.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    if provider == CUDA:
        stage("loading CUDA's libraries")
        load_cuda_libraries()
    options = onnxruntime.SessionOptions()
    # Without it a session that lists CUDA may still leave single operators to the CPU.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1" if provider == CUDA else "0")
    stage(f"InferenceSession on {provider}")
    settings = {"use_tf32": "0"} if provider == CUDA else {}
    session = onnxruntime.InferenceSession(small_model(kernel, matrix), options, providers=[(provider, settings)])
    body["providers"] = session.get_providers()
    stage("run")
    found = np.asarray(session.run(None, {"x": picture})[0], dtype=np.float64)
    exact = expected(kernel, matrix, picture)
    finite = bool(np.isfinite(found).all())
    body["error_share"] = float(np.linalg.norm(found - exact) / np.linalg.norm(exact)) if finite else None
    return body


def onnxruntime_verdict(body: dict[str, Any], provider: str = CUDA) -> Verdict:
    """Judge the answer of ``probe``: the session runs on ``provider`` and gives the right numbers."""
    name = f"onnxruntime {body['version']}"
    if not body["providers"] or body["providers"][0] != provider:
        return failed(f"{name} fell back to {', '.join(body['providers']) or 'nothing'}, it offers "
                      f"{', '.join(body['offered'])}; next: `lifeos validate-pod-deps`")  # fmt: skip
    if body["error_share"] is None:
        return failed(f"{name} gives numbers that are not finite on {provider}; next: `lifeos validate-pod-deps`")
    share = float(body["error_share"])
    figures: dict[str, Any] = {"value": share, "threshold": TOLERANCE, "threshold_source": "probe"}
    if not share <= TOLERANCE:
        return failed(f"{name} on {provider} is wrong by {share:.4f}; next: rent another host", **figures)
    return passed(f"{name} runs on {provider}, right within {share:.1e}", **figures)
