"""ComfyUI's HTTP API: a graph of its nodes is queued, waited for, and its image fetched (``server.py``, ``nodes.py``).

No endpoint that every ComfyUI has tells the hash of a model, so nothing is claimed here about the weights themselves.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lifeos.errors import InputError
from lifeos.lora.backends import Served, ServerRequest
from lifeos.lora.backends.equivalents import Equivalent
from lifeos.lora.backends.http import Connection
from lifeos.lora.backends.image_server import COMFYUI, ImageServer
from lifeos.lora.backends.picture import Picture, read_png
from lifeos.lora.backends.prompt_text import escape_for_comfyui
from lifeos.lora.backends.provenance import SingleFile, name_on_server

if TYPE_CHECKING:
    from lifeos.lora.sample_plan import SamplePlan

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.05, 1.0
_SAMPLER, _IMAGE = "sampler", "image"
# Above .9999 the sampler takes every step (``KSampler.set_steps``): so small a difference makes a request another one
# for the cache of results, and no other image.
_NONCE_UNIT, _NONCES = 1e-11, 5_000_000


class ComfyUI:
    """See ``lifeos.lora.backends.Backend``."""

    name = COMFYUI

    def __init__(
        self, plan: "SamplePlan", how: Equivalent, lora: Path | None, files: tuple[SingleFile, ...],
        server: ImageServer, connection: Connection, clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """Look for checkpoint and LoRA among the names that the server lists.

        Args:
            plan: what is sampled.
            how: what the server is asked for.
            lora: LoRA file; None for the base alone.
            files: what the base was converted from.
            server: what the models are called there.
            connection: to the server.
            clock: nanoseconds; sets requests of this run apart from those of earlier ones.

        Raises:
            InputError: the server is not reached, or does not list one of them once.
        """
        self._plan, self._how, self._connection = plan, how, connection
        system = connection.get("/system_stats")
        told = system.get("system", {}).get("comfyui_version") if isinstance(system, dict) else None
        self.version = str(told)[:40] if told else "unknown"
        wanted = [server.checkpoint] if server.checkpoint else [file.name for file in files]
        if not wanted:
            raise InputError("sampling by comfyui: accepted the checkpoint's name there, got none; next: write "
                             "checkpoint = \"FILE.safetensors\" under [sampler.server] in persona.toml")  # fmt: skip
        self._checkpoint = self._listed("checkpoints", wanted, "copy the base's single file there, or correct "
                                        "checkpoint in [sampler.server]")  # fmt: skip
        self._lora = None
        if lora is not None:
            named = name_on_server(lora)
            self._lora = self._listed("loras", [named, lora.name], f"copy {lora} there as {named}")
        self._count = clock() // 1000 % _NONCES

    def refuse(self, text: str) -> None:
        """See ``Backend.refuse``."""
        escape_for_comfyui(text)

    def draw(self, request: ServerRequest) -> Served:
        """See ``Backend.draw``."""
        graph = self._graph(request)
        queued = self._connection.post("/prompt", {"prompt": graph})
        number = queued.get("prompt_id") if isinstance(queued, dict) else None
        if not isinstance(number, str) or not number or queued.get("node_errors"):
            self._connection.refuse("a prompt_id from /prompt", str(queued), "read the server's log")
        entry = self._finished(number)
        self._require_graph(graph, entry["prompt"][2] if len(entry.get("prompt") or ()) > 2 else None, "history")
        self._require_run(entry)
        picture = self._fetched(entry)
        if "prompt" in picture.text:
            try:
                written = json.loads(picture.text["prompt"])
            except (ValueError, RecursionError):
                written = None
            self._require_graph(graph, written, "image")
        return Served(picture.pixels)

    def _graph(self, request: ServerRequest) -> dict[str, Any]:
        plan, how = self._plan, self._how
        self._count = (self._count + 1) % _NONCES
        model: list[Any] = ["checkpoint", 0]
        clip: list[Any] = ["checkpoint", 1]
        nodes = {"checkpoint": _node("CheckpointLoaderSimple", ckpt_name=self._checkpoint)}
        if request.strength is not None:
            nodes["lora"] = _node("LoraLoader", model=model, clip=clip, lora_name=self._lora,
                                  strength_model=request.strength, strength_clip=request.strength)  # fmt: skip
            model, clip = ["lora", 0], ["lora", 1]
        negative = ["empty", 0]
        if how.zero_empty:
            nodes["zeros"] = _node("ConditioningZeroOut", conditioning=["empty", 0])
            negative = ["zeros", 0]
        return nodes | {
            "levels": _node("ModelSamplingDiscrete", model=model, zsnr=False,
                            sampling="eps" if how.prediction == "epsilon" else "v_prediction"),
            "text": _node("CLIPTextEncode", text=escape_for_comfyui(request.text), clip=clip),
            "empty": _node("CLIPTextEncode", text="", clip=clip),
            "latent": _node("EmptyLatentImage", width=plan.width, height=plan.height, batch_size=1),
            _SAMPLER: _node("KSampler", model=["levels", 0], positive=["text", 0], negative=negative,
                            latent_image=["latent", 0], seed=request.seed, steps=plan.steps, cfg=how.guidance,
                            sampler_name=how.sampler, scheduler="simple", denoise=1.0 - _NONCE_UNIT * self._count),
            "pixels": _node("VAEDecode", samples=[_SAMPLER, 0], vae=["checkpoint", 2]),
            # Not SaveImage: the user's folder of pictures is left alone.
            _IMAGE: _node("PreviewImage", images=["pixels", 0]),
        }  # fmt: skip

    def _finished(self, number: str) -> dict[str, Any]:
        deadline, pause, absent = time.monotonic() + self._connection.timeout_seconds, _FIRST_PAUSE_SECONDS, 0
        while True:
            entry = self._connection.get(f"/history/{quote(number, safe='')}")
            entry = entry.get(number) if isinstance(entry, dict) else None
            if isinstance(entry, dict):
                return entry
            # Between the two looks a run may have ended: only a second look that finds it nowhere counts.
            absent = 0 if self._is_queued(number) else absent + 1
            if absent > 1:
                self._connection.refuse("a run in the server's queue or history", "none: it was cancelled or the "
                                        "server began anew", "the same command again, it goes on from where it was")
            if time.monotonic() > deadline:
                self._connection.refuse(f"an image within {self._connection.timeout_seconds:g} s", "none",
                                        "look at the server, or raise sampling_server_timeout_seconds in lifeos.toml")
            self._connection.pause(pause)
            pause = min(_LAST_PAUSE_SECONDS, 1.5 * pause)

    def _is_queued(self, number: str) -> bool:
        queue = self._connection.get("/queue")
        rows = [row for name in ("queue_running", "queue_pending") for row in (queue.get(name) or ())
                ] if isinstance(queue, dict) else []  # fmt: skip
        return any(isinstance(row, list) and len(row) > 1 and row[1] == number for row in rows)

    def _require_run(self, entry: dict[str, Any]) -> None:
        status = entry.get("status")
        if not isinstance(status, dict):
            status = {}
        messages = {message[0]: message[1] for message in status.get("messages") or ()
                    if isinstance(message, list) and len(message) > 1 and isinstance(message[1], dict)}  # fmt: skip
        if status.get("status_str") != "success" or not status.get("completed"):
            failed = messages.get("execution_error", {})
            what = f"{failed.get('node_type', '')} {failed.get('exception_message', '')}".strip()
            self._connection.refuse("a run that succeeded", what or f"status {status.get('status_str')}",
                                    "read the server's log")  # fmt: skip
        if _SAMPLER in (messages.get("execution_cached", {}).get("nodes") or ()):
            self._connection.refuse("an image that was drawn anew", "one out of the server's cache",
                                    "restart the server without extensions that change its cache")  # fmt: skip

    def _fetched(self, entry: dict[str, Any]) -> Picture:
        output = (entry.get("outputs") or {}).get(_IMAGE)
        images = output.get("images") if isinstance(output, dict) else None
        if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], dict):
            self._connection.refuse("one image of a run", str(images), "read the server's log")
        place = {name: str(images[0].get(name, "")) for name in ("filename", "subfolder", "type")}
        return read_png(self._connection.get_bytes("/view", place), self._plan.width, self._plan.height)

    def _require_graph(self, asked: dict[str, Any], got: Any, where: str) -> None:
        """Refuse a server that says it ran something else; it may add fields of its own to a node."""
        if not isinstance(got, dict) or _bare(got) != _bare(asked):
            self._connection.refuse(f"the graph that was asked for, in the {where}", "another or none",
                                    "look for extensions of the server that rewrite prompts")  # fmt: skip

    def _listed(self, folder: str, wanted: list[str], command: str) -> str:
        listed = self._connection.get(f"/models/{folder}")
        names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
        for name in wanted:
            # Windows servers write backslashes; a name without a folder means the file in whichever folder it lies.
            found = [each for each in names if name in (each, PurePosixPath(each.replace("\\", "/")).name)]
            if name in found or len(found) == 1:
                return name if name in found else found[0]
            if found:
                self._connection.refuse(f"one {name} among its {folder}", f"{len(found)}", command)
        return self._connection.refuse(f"{' or '.join(wanted)} among its {folder}", f"none of them in {len(names)}",
                                       command)  # fmt: skip


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def _bare(graph: dict[str, Any]) -> dict[str, Any]:
    return {name: (node.get("class_type"), node.get("inputs")) if isinstance(node, dict) else None
            for name, node in graph.items()}  # fmt: skip
