"""Gate id -> verdict: what each gate of phase pod asks of the machine."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, not_evaluated
from lifeos.errors import InputError
from lifeos.pods.probe import environment, storage
from lifeos.pods.probe import machine as machine_checks
from lifeos.pods.probe.ask import Ask, ask, judge
from lifeos.pods.probe.bitsandbytes_step import bitsandbytes_verdict
from lifeos.pods.probe.declared import recipe_file, required_distributions
from lifeos.pods.probe.imports import imports_verdict, targets_for
from lifeos.pods.probe.insightface_pack import pack_verdict
from lifeos.pods.probe.matmul import matmul_verdict
from lifeos.pods.probe.nvml import Machine, read_machine
from lifeos.pods.probe.onnxruntime_cuda import onnxruntime_verdict
from lifeos.pods.probe.training_smoke import smoke_settings, training_verdict
from lifeos.pods.probe.xformers_kernel import xformers_verdict

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.persona import Persona
    from lifeos.pods.spec import Pod

DEFAULT_VOLUME = Path("/workspace")
"""Where the volume is looked for when no pod was declared."""
# Below pytest's own limit of 600 s. An import from a network volume's cold cache is what takes long.
IMPORT_SECONDS, KERNEL_SECONDS, TRAINING_SECONDS = 300.0, 200.0, 500.0


@dataclass(frozen=True)
class PodMachine:
    """The machine a run stands on; tests put a simulated one here.

    Args:
        read: asks the driver.
        ask: asks a probe in a child process.
        device, space: file system and space of a path.
        variables: environment variables.
        torch_cuda: CUDA of the installed torch, see ``installed_torch_cuda``.
        installed: canonical name to version.
        providers: module to the distributions that bring it.
        container: root of the disk that goes with the pod.
    """

    read: Callable[[], Machine] = read_machine
    ask: Ask = ask
    device: storage.DeviceOf = storage.device_of
    space: storage.SpaceOf = storage.space_of
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    torch_cuda: Callable[[], str | None] = machine_checks.installed_torch_cuda
    installed: Callable[[], Mapping[str, str]] = environment.installed_versions
    providers: Callable[[], Mapping[str, Any]] = metadata.packages_distributions
    container: Path = Path("/")


def pod_gate(gate: str, inputs: "Inputs", pod_machine: PodMachine | None = None) -> Verdict:
    """Return the verdict of one gate of phase pod.

    Every one is not evaluated on a machine without a GPU: what a laptop says of itself proves nothing of the pod.

    Args:
        gate: a key of ``CHECKS``.
        inputs: the declared inputs.
        pod_machine: default: this machine.
    """
    from filelock import FileLock

    pod_machine = pod_machine or PodMachine()
    machine = pod_machine.read()
    if machine.problem is not None:
        return not_evaluated(machine.problem)
    Path(inputs.artifacts).mkdir(parents=True, exist_ok=True)
    # One at a time: what a probe holds on the GPU must not look like another tenant to the check of free memory.
    with FileLock(str(Path(inputs.artifacts) / "pod-probe.lock"), poll_interval=0.1):
        try:
            return CHECKS[gate](_Run(inputs, pod_machine, pod_machine.read() if gate == "gpu_memory_free" else machine))
        except InputError as error:
            return not_evaluated(str(error))


@dataclass(frozen=True)
class _Run:
    inputs: "Inputs"
    on: PodMachine
    machine: Machine

    def pod(self) -> "Pod | None":
        if not self.inputs.pod:
            return None
        from lifeos.pods.spec import load_pod

        return load_pod(self.inputs.pod, self.inputs.project.root)

    def persona(self) -> "Persona":
        from lifeos.persona import load_persona

        return load_persona(self.inputs.persona, self.inputs.project.root)

    def places(self) -> dict[str, Path]:
        return {"HF_HOME": storage.hub_cache(self.on.variables), "artifacts": Path(self.inputs.artifacts)}

    def ask(self, subject: str, request: dict[str, Any], seconds: float, check: Callable[[Any], Verdict]) -> Verdict:
        return judge(self.on.ask(subject, request, seconds), check)


def _gpu_present(run: _Run) -> Verdict:
    return machine_checks.present_verdict(run.machine)


def _gpu_driver(run: _Run) -> Verdict:
    return machine_checks.driver_verdict(run.machine, run.on.torch_cuda())


def _gpu_is_the_pods(run: _Run) -> Verdict:
    pod = run.pod()
    if pod is None:
        return not_evaluated("no pod was declared; next: --pod NAME (`lifeos pods` lists them)")
    return machine_checks.pod_verdict(run.machine, pod)


def _gpu_memory_free(run: _Run) -> Verdict:
    return machine_checks.memory_verdict(run.machine)


def _storage_persists(run: _Run) -> Verdict:
    pod = run.pod()
    volume = DEFAULT_VOLUME if pod is None else Path(pod.volume_path)
    if pod is None and not volume.is_dir():
        return not_evaluated("which disk outlives this pod is unknown; next: --pod NAME (`lifeos pods` lists them)")
    if pod is not None and not pod.volume_gib:
        return failed(f"pod {pod.name} has no volume: all of it goes with the pod; next: rent one and set volume_gib")
    return storage.persistence_verdict(volume, run.places(), run.on.device, run.on.container)


def _disk_free(run: _Run) -> Verdict:
    pod = run.pod()
    if pod is None:
        return storage.disk_verdict(run.places(), space=run.on.space)
    return storage.disk_verdict(run.places(), Path(pod.volume_path), pod.volume_gib, space=run.on.space)


def _pod_environment(run: _Run) -> Verdict:
    lock = environment.lock_file(run.inputs.requirements, run.inputs.pod)
    return environment.environment_verdict(lock, run.on.installed(), run.on.providers())


def _pod_imports(run: _Run) -> Verdict:
    wanted = set(required_distributions(run.inputs.requirements))
    if run.persona().face_backend == "insightface":
        wanted.add("insightface")
    return run.ask("imports", {"targets": targets_for(wanted)}, IMPORT_SECONDS, imports_verdict)


def _bf16_matmul(run: _Run) -> Verdict:
    from lifeos.lora.recipe import load_recipe

    wanted = load_recipe(recipe_file(run.inputs)).dtype == "bfloat16"
    return run.ask("matmul", {}, KERNEL_SECONDS, partial(matmul_verdict, bfloat16_wanted=wanted))


def _onnxruntime_cuda(run: _Run) -> Verdict:
    return run.ask("onnxruntime", {}, KERNEL_SECONDS, onnxruntime_verdict)


def _xformers_kernel(run: _Run) -> Verdict:
    return run.ask("xformers", {}, KERNEL_SECONDS, xformers_verdict)


def _bitsandbytes_step(run: _Run) -> Verdict:
    return run.ask("bitsandbytes", {}, KERNEL_SECONDS, bitsandbytes_verdict)


def _training_smoke(run: _Run) -> Verdict:
    from lifeos.lora.recipe import load_recipe

    settings = smoke_settings(load_recipe(recipe_file(run.inputs)))
    return run.ask("training", {"settings": settings}, TRAINING_SECONDS, training_verdict)


def _insightface_pack(run: _Run) -> Verdict:
    folder = str(Path(run.persona().face_folder).absolute())
    return run.ask("insightface", {"folder": folder}, KERNEL_SECONDS, pack_verdict)


CHECKS: dict[str, Callable[[_Run], Verdict]] = {
    "gpu_present": _gpu_present,
    "gpu_driver": _gpu_driver,
    "gpu_is_the_pods": _gpu_is_the_pods,
    "gpu_memory_free": _gpu_memory_free,
    "disk_free": _disk_free,
    "storage_persists": _storage_persists,
    "pod_environment": _pod_environment,
    "pod_imports": _pod_imports,
    "bf16_matmul": _bf16_matmul,
    "onnxruntime_cuda": _onnxruntime_cuda,
    "xformers_kernel": _xformers_kernel,
    "bitsandbytes_step": _bitsandbytes_step,
    "training_smoke": _training_smoke,
    "insightface_pack": _insightface_pack,
}
"""In the order of what they cost."""
