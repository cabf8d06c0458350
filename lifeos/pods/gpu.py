"""Which GPUs the driver lists, asked through NVIDIA's management library; no CUDA context, no torch."""

from evals.verdict import Verdict, not_evaluated, passed


def gpu_names() -> list[str]:
    """Return the names of the GPUs; empty where there is no driver, no library or no GPU."""
    try:
        return _ask()
    except _NoDriverError:
        return []


def gpu_verdict() -> Verdict:
    """Passed when the driver lists a GPU; not evaluated on a machine without one."""
    try:
        names = _ask()
    except _NoDriverError as error:
        return not_evaluated(f"no GPU can be asked: {error}")
    if not names:
        return not_evaluated("the driver answers and lists no GPU")
    return passed(f"the driver lists {', '.join(names)}", value=len(names), threshold=1)


class _NoDriverError(Exception):
    pass


def _ask() -> list[str]:
    try:
        import pynvml
    except ImportError as error:
        raise _NoDriverError("nvidia-ml-py is not installed") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise _NoDriverError(str(error)) from error
    try:
        names = [
            pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i)) for i in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError as error:
        raise _NoDriverError(str(error)) from error
    finally:
        pynvml.nvmlShutdown()
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]
