"""A pod that is not there: driver library, probe answers, disks, distributions; all sound unless a test says not."""

import sys
import types
from pathlib import Path

from lifeos.inputs import read_inputs
from lifeos.pods.probe.ask import Answer
from lifeos.pods.probe.gates import CHECKS, PodMachine, pod_gate
from lifeos.pods.probe.machine import GIB
from lifeos.pods.probe.storage import Space
from lifeos.pods.spec import load_pod
from lifeos.settings import project_root

SOUND = {
    "imports": {"results": [{"name": "diffusers.StableDiffusionPipeline", "problem": None}]},
    "matmul": {"torch": "2.10.0", "cuda": "12.8", "available": True, "capability": [8, 6], "kernels": ["sm_80"],
               "native": True, "finite": True, "error_share": 0.003},
    "onnxruntime": {"version": "1.26.0", "offered": ["CUDAExecutionProvider", "CPUExecutionProvider"],
                    "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"], "error_share": 1e-6},
    "xformers": {"version": "0.0.35", "widths": {"40": 1e-3, "80": 1e-3, "160": 1e-3}},
    "bitsandbytes": {"version": "0.50.2", "finite": True, "moved": 0.01, "smaller": True, "state": "uint8"},
    "training": {"steps": 5, "file": {"weights_whole": ["passed", "x"], "weights_effect": ["passed", "x"]},
                 "device": {"name": "NVIDIA A40", "dtype": "bfloat16", "losses": [0.3, 0.2, 0.3, 0.2, 0.1],
                            "moved": 1e-6}},
    "insightface": {"findings": [], "length": 1.0, "dimensions": 512, "files": ["det_10g.onnx", "w600k_r50.onnx"]},
}  # fmt: skip
REQUIREMENTS = {"torch": "2.10.0", "onnxruntime-gpu": "1.26.0", "xformers": "0.0.35", "bitsandbytes": "0.50.2"}


class NVMLError(Exception):
    """The fake library's error."""


class Card:
    """One GPU of the fake driver."""

    def __init__(self, name, total, capability, used=0, processes=0):
        self.name, self.total, self.capability, self.used, self.processes = name, total, capability, used, processes


class SimulatedPod:
    """A sound A40 with its volume mounted; change an attribute to break it.

    Args:
        folder: an empty folder.
        monkeypatch: puts the fake ``pynvml`` in place.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self.kind = Path(folder), load_pod("a40")
        self.volume = self.folder / "volume"
        self.container = self.folder
        (self.volume / "huggingface" / "hub").mkdir(parents=True)
        self.driver, self.cuda, self.torch_cuda = "580.95.05", 13000, "12.8"
        gpu = self.kind.gpu
        self.cards = [Card(gpu.driver_names[0], int(gpu.memory_gib * GIB), gpu.capability)]
        self.init_error = self.device_error = None
        self.answers = {subject: Answer(subject, dict(body)) for subject, body in SOUND.items()}
        self.asked = {}
        self.mounted = True
        self.spaces = {}
        self.space = Space(100 * GIB, 80 * GIB)
        self.variables = {"HF_HOME": str(self.volume / "huggingface")}
        self.installed = {**REQUIREMENTS, "torch": "2.10.0+cu128"}
        self.providers = {"onnxruntime": ["onnxruntime-gpu"], "cv2": ["opencv-python-headless"]}
        self.requirements = self.folder / "requirements-pod.txt"
        self.requirements.write_text("".join(f"{n}=={v}\n" for n, v in REQUIREMENTS.items()), encoding="utf-8")
        self.artifacts = self.volume / "artifacts"
        self.persona = self._persona()
        self.pod = self._pod_file()
        monkeypatch.setitem(sys.modules, "pynvml", self._library())

    def inputs(self, **options):
        given = {"persona": self.persona, "requirements": self.requirements, "artifacts": self.artifacts,
                 "pod": self.pod, "history": self.folder / "history.jsonl"}  # fmt: skip
        return read_inputs({**given, **options})

    def machine(self):
        return PodMachine(
            ask=self._ask, device=self._device, space=self._space, variables=self.variables,
            torch_cuda=lambda: self.torch_cuda, installed=lambda: self.installed, providers=lambda: self.providers,
            container=self.container,
        )  # fmt: skip

    def verdict(self, gate, **options):
        return pod_gate(gate, self.inputs(**options), self.machine())

    def verdicts(self, **options):
        return {gate: self.verdict(gate, **options) for gate in CHECKS}

    def answer(self, subject, *notices, **changes):
        """Change findings of one probe; ``notices`` are what it wrote."""
        self.answers[subject] = Answer(subject, {**SOUND[subject], **changes}, notices=notices)

    def dies(self, subject, ending="was ended by SIGSEGV", crashed=True, notices=()):
        self.answers[subject] = Answer(subject, None, ending, crashed, tuple(notices))

    def _ask(self, subject, request, seconds):
        self.asked[subject] = request
        answer = self.answers[subject]
        return Answer(subject, None if answer.body is None else dict(answer.body), answer.ending, answer.crashed,
                      answer.notices)  # fmt: skip

    def _device(self, path):
        return 2 if self.mounted and Path(path).resolve().is_relative_to(self.volume.resolve()) else 1

    def _space(self, path):
        return self.spaces.get(Path(path), self.space)

    def _persona(self):
        persona = self.folder / "persona"
        (persona / "dataset").mkdir(parents=True)
        (persona / "recipe.toml").write_text(
            f'base = "{(project_root() / "models/tiny-base").as_posix()}"\ndataset = "dataset"\ntrigger = "pstch"\n'
            "steps = 300\n",
            encoding="utf-8",
        )
        (persona / "prompts.toml").write_text('[[b]]\nid = "B1"\ntext = "a {trigger}"\n', encoding="utf-8")
        (persona / "persona.toml").write_text(
            'name = "one"\ntrigger = "pstch"\nclass_word = "person"\nfamily = "tiny_base"\nfar = 0.01\n'
            'base = "models/tiny-base"\n'
            '[sampler]\nname = "ddim"\nsteps = 2\nguidance = 1.0\nwidth = 128\nheight = 128\n'
            f'[seeds]\na = [9]\nb = [0]\n[face]\nbackend = "insightface"\nfolder = "{self.folder.as_posix()}/pack"\n',
            encoding="utf-8",
        )
        return persona

    def _pod_file(self):
        text = (project_root() / "pods" / "a40.toml").read_text(encoding="utf-8")
        path = self.folder / "a40-here.toml"
        path.write_text(text.replace('"/workspace"', f'"{self.volume.as_posix()}"'), encoding="utf-8")
        return path

    def _library(self):
        library = types.ModuleType("pynvml")
        library.NVMLError = NVMLError

        def initialise():
            if self.init_error:
                raise NVMLError(self.init_error)

        def count():
            if self.device_error:
                raise NVMLError(self.device_error)
            return len(self.cards)

        def cuda():
            if self.cuda is None:
                raise NVMLError("Not Supported")
            return self.cuda

        def processes(card):
            if card.processes is None:
                raise NVMLError("Not Supported")
            return list(range(card.processes))

        library.nvmlInit, library.nvmlShutdown = initialise, lambda: None
        library.nvmlSystemGetDriverVersion = lambda: self.driver
        library.nvmlSystemGetCudaDriverVersion_v2 = cuda
        library.nvmlDeviceGetCount = count
        library.nvmlDeviceGetHandleByIndex = lambda index: self.cards[index]
        library.nvmlDeviceGetName = lambda card: card.name
        library.nvmlDeviceGetMemoryInfo = lambda card: types.SimpleNamespace(
            total=card.total, free=card.total - card.used
        )
        library.nvmlDeviceGetCudaComputeCapability = lambda card: card.capability
        library.nvmlDeviceGetComputeRunningProcesses = processes
        return library
