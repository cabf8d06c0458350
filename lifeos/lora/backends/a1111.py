"""The HTTP API of stable-diffusion-webui and its kin, started with ``--api`` (``modules/api/api.py``).

One call draws one image and tells, as ``info``, what it was drawn with. Options of the server that change images are
set for the one call (``override_settings``) and left as they were.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from lifeos.lora.backends import Served, ServerRequest
from lifeos.lora.backends.equivalents import Equivalent
from lifeos.lora.backends.http import Connection
from lifeos.lora.backends.image_server import A1111, ImageServer
from lifeos.lora.backends.picture import read_png
from lifeos.lora.backends.prompt_text import escape_for_a1111
from lifeos.lora.backends.provenance import SingleFile, name_on_server

if TYPE_CHECKING:
    from lifeos.lora.sample_plan import SamplePlan

_HASH = re.compile(r"[0-9a-f]{10,64}")
_LORA_NAME = re.compile(r"[^<>:,\"\\/\x00-\x1f]+")


class StableDiffusionWebui:
    """See ``lifeos.lora.backends.Backend``."""

    name = A1111

    def __init__(
        self, plan: "SamplePlan", how: Equivalent, lora: Path | None, files: tuple[SingleFile, ...],
        server: ImageServer, connection: Connection,
    ) -> None:  # fmt: skip
        """Look for the checkpoint by hash, then by name, and for the LoRA by file name; arguments as for ``ComfyUI``.

        Raises:
            InputError: the server is not reached, or does not list one of them once.
        """
        self._plan, self._how, self._connection = plan, how, connection
        self.version = "unknown"
        self._sha256: str | None = None
        self._title = self._checkpoint(server, files)
        self._lora = None if lora is None else self._lora_name(lora)
        listed = connection.get("/sdapi/v1/embeddings")
        loaded = listed.get("loaded") if isinstance(listed, dict) else None
        self._embeddings = sorted(str(name) for name in loaded or ())

    def refuse(self, text: str) -> None:
        """See ``Backend.refuse``."""
        escape_for_a1111(text, self._embeddings)

    def draw(self, request: ServerRequest) -> Served:
        """See ``Backend.draw``; it keeps no results."""
        body = self._body(request)
        answer = self._connection.post("/sdapi/v1/txt2img", body)
        images = answer.get("images") if isinstance(answer, dict) else None
        if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], str):
            self._connection.refuse("one image from /sdapi/v1/txt2img", f"{len(images or ())}", "read the server's log")
        try:
            data = base64.b64decode(images[0], validate=True)
        except binascii.Error:
            self._connection.refuse("an image in base64", images[0][:40], "look at the server")
        picture = read_png(data, self._plan.width, self._plan.height)
        info, parameters = self._info(answer.get("info"))
        self._require(info, body)
        self._require_settings(parameters)
        self.version = str(info.get("version") or "unknown")[:40]
        base = self._base_sha256(str(info.get("sd_model_hash") or ""))
        return Served(picture.pixels, base, self._lora_hash(parameters))

    def _body(self, request: ServerRequest) -> dict[str, Any]:
        plan, how = self._plan, self._how
        text = escape_for_a1111(request.text, self._embeddings)
        if request.strength is not None:
            # Close to the text: the server cuts the mark out and leaves what stands around it.
            text += f"<lora:{self._lora}:{request.strength!r}>"
        return {
            "prompt": text, "negative_prompt": "", "seed": request.seed, "subseed_strength": 0.0, "batch_size": 1,
            "n_iter": 1, "steps": plan.steps, "cfg_scale": how.guidance, "width": plan.width, "height": plan.height,
            "sampler_name": how.sampler, "scheduler": "Simple", "restore_faces": False, "tiling": False,
            "enable_hr": False, "send_images": True, "save_images": False,
            "override_settings_restore_afterwards": True,
            "override_settings": {
                "sd_model_checkpoint": self._title, "sd_vae": "None", "sd_lora": "None", "CLIP_stop_at_last_layers": 1,
                "randn_source": "CPU", "eta_noise_seed_delta": 0, "sgm_noise_multiplier": how.from_unit_variance,
                "always_discard_next_to_last_sigma": False, "token_merging_ratio": 0.0, "samples_format": "png",
                "lora_add_hashes_to_infotext": True,
            },
        }  # fmt: skip

    def _info(self, told: Any) -> tuple[dict[str, Any], str]:
        """Return ``info`` and the last line of its infotext, which holds no text of the prompt."""
        try:
            info = json.loads(told)
            return dict(info), str(info["infotexts"][0]).rpartition("\n")[2]
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            self._connection.refuse("info with infotexts beside the image", str(told)[:80], "look at the server")

    def _require(self, info: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Refuse an image that says it was made otherwise than asked for."""
        told = {name: info.get(name) for name in ("seed", "steps", "cfg_scale", "width", "height", "sampler_name",
                                                  "negative_prompt")}  # fmt: skip
        prompts = info.get("all_prompts")
        told["prompt"] = prompts[0] if isinstance(prompts, list) and len(prompts) == 1 else info.get("prompt")
        for name, value in told.items():
            if value != body[name]:
                self._connection.refuse(f"an image of {name} {str(body[name])[:120]!r}", f"{str(value)[:120]!r}",
                                        "look for extensions of the server that change requests")  # fmt: skip

    def _require_settings(self, parameters: str) -> None:
        """Refuse an image that does not say it took the settings that an older server passes over without a word."""
        parts = (part.partition(":") for part in parameters.split(","))
        told = {name.strip(): value.strip() for name, _, value in parts}
        wanted = {"Schedule type": "Simple", "RNG": "CPU",
                  "SGM noise multiplier": "True" if self._how.from_unit_variance else "False"}  # fmt: skip
        for name, value in wanted.items():
            # What is as usual goes unsaid.
            got = told.get(name, "False" if name == "SGM noise multiplier" else "nothing")
            if got != value:
                self._connection.refuse(f"an infotext with {name}: {value}", got, "bring the server up to version 1.9")

    def _base_sha256(self, beginning: str) -> str | None:
        """Return the whole SHA-256 that the server lists for the checkpoint, whose beginning an image tells."""
        if not _HASH.fullmatch(beginning):
            return None
        if self._sha256 is None:
            # It may be known only now: the server hashes a file when it loads it.
            told = [model.get("sha256") for model in self._models() if _file_name(model) == self._file]
            self._sha256 = str(told[0]) if len(told) == 1 and told[0] else None
        if self._sha256 is not None and not self._sha256.startswith(beginning):
            self._connection.refuse(f"an image by {self._file} ({self._sha256[:10]})", f"one by {beginning}",
                                    "look at what the server loaded")  # fmt: skip
        return self._sha256

    def _lora_hash(self, parameters: str) -> str | None:
        told = re.search(r'Lora hashes: "([^"]*)"', parameters)
        if told is None or self._lora is None:
            return None
        named = dict(part.strip().rpartition(": ")[::2] for part in told[1].split(","))
        if set(named) != {self._lora}:
            self._connection.refuse(f"an image with the LoRA {self._lora} alone", str(sorted(named)),
                                    "look for LoRAs that the server adds to every prompt")  # fmt: skip
        return named[self._lora] if _HASH.fullmatch(named[self._lora]) else None

    def _models(self) -> list[dict[str, Any]]:
        listed = self._connection.get("/sdapi/v1/sd-models")
        return [model for model in listed if isinstance(model, dict)] if isinstance(listed, list) else []

    def _checkpoint(self, server: ImageServer, files: tuple[SingleFile, ...]) -> str:
        models, hashes = self._models(), {file.sha256 for file in files}
        found = [model for model in models if model.get("sha256") in hashes]
        if server.checkpoint:
            found = [model for model in models
                     if server.checkpoint in (model.get("title"), model.get("model_name"), _file_name(model))]
        elif not found:
            found = [model for model in models if _file_name(model) in {file.name for file in files}]
        if len(found) != 1 or not isinstance(found[0].get("title"), str):
            wanted = server.checkpoint or " or ".join(file.name for file in files) or "one named in [sampler.server]"
            self._connection.refuse(f"one checkpoint {wanted}", f"{len(found)} of {len(models)}",
                                    "copy the base's single file there, or write checkpoint = \"FILE\" under "
                                    "[sampler.server] in persona.toml")  # fmt: skip
        self._file = _file_name(found[0])
        return str(found[0]["title"])

    def _lora_name(self, lora: Path) -> str:
        command = f"copy {lora} there as {name_on_server(lora)}"
        listed = self._connection.get("/sdapi/v1/loras")
        loras = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        wanted = [Path(name_on_server(lora)).stem, lora.stem]
        for name in wanted:
            # The server looks a name up among aliases too.
            found = [each for each in loras if name in (each.get("name"), each.get("alias"))]
            if len(found) == 1 and found[0].get("name") == name and _LORA_NAME.fullmatch(name):
                return name
            if found:
                self._connection.refuse(f"one LoRA {name!r:.80}, in a name without <>:,\" and slashes",
                                        f"{len(found)} of that name or alias", command)  # fmt: skip
        return self._connection.refuse(f"{' or '.join(wanted)} among its LoRAs", f"none of them in {len(loras)}",
                                       f"{command}, then POST /sdapi/v1/refresh-loras")  # fmt: skip


def _file_name(model: Mapping[str, Any]) -> str:
    # Takes both kinds of slashes: the server may run on Windows.
    return PureWindowsPath(str(model.get("filename") or "")).name
