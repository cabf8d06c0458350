"""Opens onnxruntime sessions: on the CPU, or on CUDA only when the provider truly loaded."""

from typing import Any

from evals.errors import InputError

PROVIDERS = ("cpu", "cuda", "auto")
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


def open_session(model: bytes, name: str, provider: str = "cpu", threads: int = 1) -> Any:
    """Open an ``onnxruntime.InferenceSession``.

    Args:
        model: a serialised ONNX model.
        name: what an error calls it.
        provider: ``"cpu"``; ``"cuda"``: that or an error; ``"auto"``: CUDA where it loads, else the CPU.
        threads: threads inside one operator, >= 1. Values do not depend on it. Two threads beside another busy
            process are slower than one, hence the default.

    Raises:
        InputError: an unknown provider, ``threads`` below 1, CUDA asked for but not loaded, or a model that
            onnxruntime refuses.
    """
    if provider not in PROVIDERS:
        raise InputError(f"provider: accepted one of {', '.join(PROVIDERS)}, got {provider!r}; next: choose one")
    if threads < 1:
        raise InputError(f"threads: accepted 1 or more, got {threads}; next: pass a positive number")
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    wanted: list[Any] = [_CPU]
    if provider != "cpu" and _CUDA in offered:
        load_cuda_libraries()
        # TF32 rounds to 10 bits and moves similarities in the third digit.
        wanted = [(_CUDA, {"use_tf32": "0"}), _CPU]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads starve whatever shares the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=wanted)
    except Exception as error:  # onnxruntime raises its own classes, which share no base but Exception
        raise InputError(
            f"{name}: accepted a model that onnxruntime opens, got: {error}; next: fetch it again"
        ) from error
    if provider == "cuda" and session_provider(session) != "cuda":
        raise InputError(
            f"provider cuda: accepted a loaded {_CUDA}, got {session.get_providers()} (offered: {offered}); "
            "next: install onnxruntime-gpu in place of onnxruntime, or use provider cpu"
        )
    return session


def load_cuda_libraries() -> None:
    """Load CUDA and cuDNN as pip installs them, which is on no loader's path (microsoft/onnxruntime#25609).

    To be called before the first session on CUDA; where they cannot be loaded, the session falls back and says so.
    """
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        onnxruntime.preload_dlls()


def session_provider(session: Any) -> str:
    """Return ``"cuda"`` or ``"cpu"``: what the session runs on. onnxruntime falls back silently; this asks it."""
    return "cuda" if _CUDA in session.get_providers() else "cpu"
