"""The one child process that trains and samples with all cores, while others sleep on a lock."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evals.atomic import write_json
from lifeos.errors import InputError
from lifeos.lora.progress import Progress
from lifeos.orphan import end_with_parent

FAILURE_NAME = "failure.json"
_REPORT_SECONDS = 0.2
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# How processes end by their own fault (SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV); other signals come from outside.
_CRASHES = (-4, -6, -7, -8, -11)


def run_once(
    artifacts: Path, folder: Path, job: Callable[[], dict[str, Any] | None], progress: Progress, *, retry: bool = False
) -> bool:
    """Do a job in the child process unless it is done or has failed before.

    Args:
        artifacts: data folder; its ``child.lock`` lets one child run at a time.
        folder: folder of this job, named after its inputs; log, job and a remembered failure lie here.
        job: called with and without the lock; returns what to do, or None when nothing is left.
        progress: gets what the child reports.
        retry: forget a remembered failure.

    Returns:
        True when the child did something, False when it was done already.

    Raises:
        InputError: the job failed now or before (until the inputs change or ``retry``), or the child was killed (not
            remembered: the next call goes on from what is on the disk).
    """
    from filelock import FileLock

    if job() is None:
        return False
    artifacts.mkdir(parents=True, exist_ok=True)
    with FileLock(str(artifacts / "child.lock"), poll_interval=0.2):
        todo = job()
        if todo is None:
            return False
        failure = folder / FAILURE_NAME
        if retry:
            failure.unlink(missing_ok=True)
        _raise_remembered(failure)
        folder.mkdir(parents=True, exist_ok=True)
        _run_child(folder, todo, progress)
        if job() is not None:
            raise InputError(f"{todo['operation']}: accepted a finished job, got none though the child ended well; "
                             f"next: read {folder / 'log.txt'}")
    return True


def remembered_failure(folder: Path) -> str | None:
    """Return the one-line reason of a job's remembered failure, or None."""
    try:
        stored = json.loads((Path(folder) / FAILURE_NAME).read_text(encoding="utf-8"))
        return str(stored["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _raise_remembered(failure: Path) -> None:
    reason = remembered_failure(failure.parent)
    if reason is not None:
        raise InputError(f"{reason} (remembered from an earlier run with the same inputs; --retry tries again)")


def _run_child(folder: Path, job: dict[str, Any], progress: Progress) -> None:
    job_file, log = folder / "job.json", folder / "log.txt"
    write_json(job_file, job)
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "lifeos.lora.child", str(job_file.resolve())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=_environment(),
        )
        assert child.stdout is not None
        try:
            for line in child.stdout:
                _report(line, progress)
            code = child.wait()
        finally:
            # The child ends itself when this pipe closes, also when this process dies.
            assert child.stdin is not None
            child.stdin.close()
            child.stdout.close()
            if child.poll() is None:
                child.kill()
                child.wait()
    if code == 0:
        return
    reason = remembered_failure(folder)
    if reason is None and (code in _CRASHES or code >= 0xC0000000):
        reason = f"{job['operation']}: accepted a child that ends well, got a crash (code {code}); next: read {log}"
        write_json(folder / FAILURE_NAME, {"reason": reason})
    if reason is None:
        raise InputError(f"{job['operation']}: the child was stopped from outside (code {code}); "
                         "next: run the same command again, it goes on from where it was")
    raise InputError(reason)


def _environment() -> dict[str, str]:
    # A test runner pins its workers to one thread; the child sets its own number.
    environment = {name: value for name, value in os.environ.items() if name not in _THREAD_VARIABLES}
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    environment.update(PYTHONPATH=os.pathsep.join(paths), PYTHONUNBUFFERED="1", HF_HUB_OFFLINE="1",
                       TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
    return environment


def _report(line: bytes, progress: Progress) -> None:
    parts = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    if len(parts) == 4 and parts[0] == "progress" and parts[2].isdigit() and parts[3].isdigit():
        progress(parts[1], int(parts[2]), int(parts[3]))


def _main(job_file: Path) -> int:
    end_with_parent()
    folder = job_file.parent
    last = [0.0]

    def report(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done in (0, total) or now - last[0] >= _REPORT_SECONDS:
            last[0] = now
            print("progress", stage, done, total, sep="\t", flush=True)

    try:
        _do(json.loads(job_file.read_text(encoding="utf-8")), report)
    except InputError as error:
        write_json(folder / FAILURE_NAME, {"reason": str(error)})
        return 2
    except Exception as error:
        write_json(folder / FAILURE_NAME, {"reason": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}; "
                                                     f"next: read {folder / 'log.txt'}"})
        raise
    return 0


def _do(job: dict[str, Any], progress: Progress) -> None:
    if job["operation"] == "train":
        from lifeos.lora.recipe import Recipe
        from lifeos.lora.train import train_lora

        train_lora(Recipe.model_validate(job["recipe"]), Path(job["out"]), Path(job["run_folder"]), progress)
    elif job["operation"] == "sample":
        from lifeos.lora.sample import sample_plan
        from lifeos.lora.sample_plan import SamplePlan
        from lifeos.lora.store import ImageStore

        lora = None if job["lora"] is None else Path(job["lora"])
        store = ImageStore(Path(job["store"]))
        sample_plan(SamplePlan.from_json(job["plan"]), Path(job["base"]), lora, store, progress,
                    batch_size=job["batch_size"], threads=job["threads"])
    else:
        raise InputError(f"job: accepted train or sample, got {job['operation']!r}; next: report this")


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
