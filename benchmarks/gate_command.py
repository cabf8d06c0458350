"""One ``lifeos gate release --json`` as a user starts it: wall time, verdict and the row it recorded."""

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals import history

TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class GateCommand:
    """A command that ended.

    Args:
        seconds: wall time.
        verdict: ``approved``, ``rejected`` or ``not_evaluated``; "" when the command broke.
        row: the scorecard row it appended; empty when the command broke.
        problem: why no judgement was reached, hence nothing was measured; None when one was.
    """

    seconds: float
    verdict: str
    row: Mapping[str, Any]
    problem: str | None

    def duration(self, step: str) -> float | None:
        """Return the seconds of a step of the release, or None when the row does not name it."""
        seconds = self.row.get("durations", {}).get(step)
        return None if seconds is None else float(seconds)


def run_gate_command(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], *, history_file: Path, artifacts: Path
) -> GateCommand:
    """Run a gate command with a history and artifacts of its own.

    Args:
        command: ``... lifeos gate release`` with whatever options it has beside those.
        cwd: working directory.
        environment: of the process.
        history_file: gets the row.
        artifacts: folder for images and runs.
    """
    arguments = [*command, "--json", "--history", str(history_file), "--artifacts", str(artifacts)]
    started = time.perf_counter()
    try:
        done = subprocess.run(arguments, cwd=cwd, env=dict(environment), capture_output=True, check=False,
                              timeout=TIMEOUT_SECONDS)  # fmt: skip
    except subprocess.TimeoutExpired:
        return GateCommand(TIMEOUT_SECONDS, "", {}, f"it ran past {TIMEOUT_SECONDS:.0f} s and was ended")
    except OSError as error:
        return GateCommand(0.0, "", {}, f"it did not start: {error}")
    seconds = time.perf_counter() - started
    answer = _answer(done.stdout)
    if answer is None or answer.get("row") is None:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        return GateCommand(seconds, "", {}, f"it ended with status {done.returncode}: {last[0][:300]}")
    return judged(seconds, answer, history.find(history_file, answer["row"]))


def judged(seconds: float, answer: Mapping[str, Any], row: Mapping[str, Any]) -> GateCommand:
    """Return the command of an answer (``lifeos gate --json``) and its row; ``not_evaluated`` measures nothing."""
    verdict, problem = str(answer["verdict"]), None
    if verdict == "not_evaluated":
        gates = [gate for gate in answer["gates"] if gate["severity"] == "hard" and gate["verdict"] == "not_evaluated"]
        why = f"{gates[0]['id']}: {gates[0]['reason']}" if gates else "the run was narrowed"
        problem = f"no verdict was reached ({why})"
    return GateCommand(seconds, verdict, row, problem)


def _answer(stdout: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(stdout)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("schema") == "lifeos.gate/1" else None
