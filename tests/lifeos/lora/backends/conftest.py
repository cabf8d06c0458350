"""A tiny base with the record of the file it came from, its LoRAs, and servers that draw with them."""

import contextlib
import json
import shutil

import numpy as np
import pytest

from lifeos.lora.backends.http import Connection
from lifeos.lora.backends.image_server import ImageServer
from lifeos.lora.families.random_base import write_random_base
from lifeos.lora.families.tiny_base import TinyBase
from lifeos.lora.safetensors_file import encode
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from tests.lifeos.lora.backends.loopback import ComfyUILoopback, WebuiLoopback

SHA256 = "c0ffee" + 58 * "1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Attempts and polls without pauses."""
    init = Connection.__init__
    monkeypatch.setattr(Connection, "__init__", lambda self, server: init(self, server, pause=lambda _: None))


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """A base below ``bases/``, beside the record of the single file it was converted from."""
    bases = tmp_path_factory.mktemp("artifacts") / "bases"
    folder = write_random_base("tiny_base", bases / "abc", seed=0)
    (bases / "files").mkdir()
    record = {"folder": "abc", "path": "/models/tiny.safetensors", "sha256": SHA256, "file": {}}
    (bases / "files" / "1.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def unrecorded(converted, tmp_path_factory):
    """The same base, of unknown origin."""
    return shutil.copytree(converted, tmp_path_factory.mktemp("plain") / "abc")


@pytest.fixture(scope="session")
def another(tmp_path_factory):
    return write_random_base("tiny_base", tmp_path_factory.mktemp("another") / "abc", seed=7)


@pytest.fixture(scope="session")
def make_lora(converted, tmp_path_factory):
    """Write a LoRA of random matrices; of ``size`` .01 it changes nothing that can be seen."""

    def make(name, seed=3, size=0.1):
        generator, tensors = np.random.default_rng(seed), {}
        for module, shape in sorted(TinyBase().expected_modules(converted, "full").items()):
            down = generator.normal(0, size, (2, *shape[1:])).astype(np.float32)
            up = generator.normal(0, size, (shape[0], 2, *[1] * (len(shape) - 2))).astype(np.float32)
            tensors |= {f"{module}.lora_A.weight": ("F32", down), f"{module}.lora_B.weight": ("F32", up)}
        path = tmp_path_factory.mktemp("lora") / name
        path.write_bytes(encode(tensors, {}))
        return path

    return make


@pytest.fixture(scope="session")
def lora(make_lora):
    return make_lora("anna.safetensors")


@pytest.fixture
def serve(converted, lora):
    """Start a server of a kind that has the base and the LoRA, and lies as told."""
    with contextlib.ExitStack() as stack:

        def start(kind, **lies):
            if kind == "comfyui":
                return stack.enter_context(ComfyUILoopback(converted, {"anna.safetensors": lora}, **lies))
            return stack.enter_context(WebuiLoopback(converted, {"anna": lora}, SHA256, **lies))

        yield start


@pytest.fixture
def make_plan():
    def make(server=None, kind="comfyui", *, known_answer=False, timeout=20.0, checkpoint=None, **changes):
        at = ImageServer(getattr(server, "address", server or ""), checkpoint, timeout, known_answer)
        values = {"prompts": (PlannedPrompt("B1", "photo of a zeph person (left)"), PlannedPrompt("B2", "zeph")),
                  "seeds": (5, 2**40), "sampler": "dpmsolver++", "steps": 4, "guidance": 3.0, "width": 32, "height": 32,
                  "backend": kind, "server": at, **changes}  # fmt: skip
        return SamplePlan(**values)

    return make
