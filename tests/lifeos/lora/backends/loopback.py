"""Image servers on this machine that speak both APIs, draw with a base of their own, and lie where they are told to."""

import base64
import contextlib
import functools
import hashlib
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from tests.lifeos.lora.backends.sigma_sampler import SigmaSampler, as_png

_sampler = functools.cache(SigmaSampler)


class Loopback:
    """What both servers share: an address, a log of requests, and lies by name.

    Lies: ``other_base`` and ``other_lora`` (paths) and ``strength`` (a factor) draw with something else; ``no_lora``
    draws without; ``noise`` draws another image every time; ``size``, ``jpeg``, ``html``, ``hang`` and ``trickle``
    (seconds), ``dies_after`` (images) speak for themselves. ``dtype`` is no lie: what the denoiser computes in.
    """

    def __init__(self, base, loras, checkpoint="tiny.safetensors", **lies):
        self.base, self.loras, self.checkpoint, self.lies = base, dict(loras), checkpoint, lies
        self.requests, self.drawn = [], 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self._answer(None)

            def do_POST(self):
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body):
                split = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
                path = unquote(split.path)
                server.requests.append((path, body))
                limit = server.lies.get("dies_after")
                if limit is not None and server.drawn >= limit:
                    self.connection.close()
                    return
                if "hang" in server.lies:
                    time.sleep(server.lies["hang"])
                if "html" in server.lies:
                    answer = 502, b"<html><head><title>Bad gateway</title></head><body>nginx</body></html>"
                else:
                    answer = server.answer(path, query, body)
                status, data = answer
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                for drop in [data] if "trickle" not in server.lies else [data[:1], data[1:2], data[2:3], data[3:]]:
                    with contextlib.suppress(ConnectionError):
                        self.wfile.write(drop)
                    time.sleep(server.lies.get("trickle", 0.0))

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()

    def pixels(self, text, seed, lora, strength, **how):
        """Draw, or lie; ``lora`` is a name among ``loras``."""
        base = self.lies.get("other_base", self.base)
        if "no_lora" in self.lies:
            strength = 0.0
        if "strength" in self.lies:
            strength *= self.lies["strength"]
        file = self.lies.get("other_lora") or self.loras.get(lora)
        sampler = _sampler(base, dtype=self.lies.get("dtype", "float32"))
        pixels = sampler.draw(text, seed, lora=file, strength=strength if file else 0.0, **how)
        self.drawn += 1
        if "noise" in self.lies:
            pixels = np.random.default_rng(self.drawn).integers(0, 256, pixels.shape, dtype=np.uint8)
        return pixels[:-8] if "size" in self.lies else pixels

    def file(self, pixels, text):
        return b"\xff\xd8\xff\xe0 a photograph" if "jpeg" in self.lies else as_png(pixels, text)


class ComfyUILoopback(Loopback):
    """``/prompt`` queues, ``/history`` tells, ``/view`` gives; equal inputs are answered from a cache, as there.

    Lies: ``graph`` tells of another graph; ``cache`` takes equal images for equal whatever ``denoise`` says; ``fails``
    ends every run with an error; ``forgets`` loses every run.
    """

    def __init__(self, *args, **lies):
        super().__init__(*args, **lies)
        self.runs, self.files, self.cache = {}, {}, {}
        self.numbers = itertools.count()  # several may ask at once

    def answer(self, path, query, body):
        if path == "/system_stats":
            return 200, {"system": {"comfyui_version": "0.9.9"}, "devices": []}
        if path.startswith("/models/"):
            return 200, {"checkpoints": ["other.safetensors", f"sub/{self.checkpoint}"],
                         "loras": list(self.loras)}.get(path.rpartition("/")[2], [])  # fmt: skip
        if path == "/prompt":
            return self._queue(body["prompt"])
        if path.startswith("/history/"):
            number = path.rpartition("/")[2]
            run = self.runs.get(number)
            if run is None or run["waits"] > 0:
                if run:
                    run["waits"] -= 1
                return 200, {}
            return 200, {number: run["entry"]}
        if path == "/queue":
            running = [[0, number, {}, {}, []] for number, run in self.runs.items() if run["waits"]]
            return 200, {"queue_running": running, "queue_pending": []}
        if path == "/view":
            return 200, self.files[query["filename"]]
        return 404, b"404: Not Found"

    def _queue(self, graph):
        sampler, unknown = graph["sampler"]["inputs"], "missing" in self.lies
        if unknown:
            return 400, {"error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed "
                                   "validation", "details": ""}, "node_errors": {"lora": {}}}  # fmt: skip
        number = f"run-{next(self.numbers)}"
        if "forgets" in self.lies:
            return 200, {"prompt_id": number, "number": 1, "node_errors": {}}
        key = json.dumps({**graph, "sampler": {**sampler, "denoise": 1.0}} if "cache" in self.lies else graph)
        cached = key in self.cache
        if not cached:
            self.cache[key] = self._run(graph)
        name = f"{number}.png"
        told = {**graph, "text": {"class_type": "CLIPTextEncode", "inputs": {}}} if "graph" in self.lies else graph
        self.files[name] = self.file(self.cache[key], {"prompt": json.dumps(told), "workflow": "{}"})
        status = {"status_str": "success", "completed": True, "messages": [
            ["execution_start", {"prompt_id": number}],
            ["execution_cached", {"nodes": sorted(graph) if cached else ["checkpoint"], "prompt_id": number}],
            ["execution_success", {"prompt_id": number}]]}  # fmt: skip
        outputs = {"image": {"images": [{"filename": name, "subfolder": "", "type": "temp"}]}}
        if "fails" in self.lies:
            outputs, status = {}, {"status_str": "error", "completed": False, "messages": [
                ["execution_error", {"node_type": "KSampler", "exception_message": "CUDA out of\nmemory"}]]}
        self.runs[number] = {"waits": 1, "entry": {"prompt": [1, number, graph, {}, ["image"]], "outputs": outputs,
                                                   "status": status, "meta": {}}}  # fmt: skip
        return 200, {"prompt_id": number, "number": 1, "node_errors": {}}

    def _run(self, graph):
        node = {name: each["inputs"] for name, each in graph.items()}
        sampler, lora = node["sampler"], node.get("lora", {})
        assert sampler["scheduler"] == "simple"
        assert 0.9999 < sampler["denoise"] <= 1.0
        assert node["levels"]["sampling"] == "v_prediction"
        assert node["empty"]["text"] == ""
        assert lora.get("strength_model") == lora.get("strength_clip")
        return self.pixels(
            node["text"]["text"].replace("\\(", "(").replace("\\)", ")"), sampler["seed"], lora.get("lora_name"),
            lora.get("strength_model", 0.0), steps=sampler["steps"], cfg=sampler["cfg"],
            sampler={"dpmpp_2m": "2m", "euler": "euler"}[sampler["sampler_name"]], width=node["latent"]["width"],
            height=node["latent"]["height"])  # fmt: skip


class WebuiLoopback(Loopback):
    """``/sdapi/v1``: the checkpoint's hash, the LoRA's hash in the infotext, images in base64.

    Lies: ``base_sha256`` and ``lora_hash`` are told in place of the right ones, None for nothing; ``info`` changes what
    is told of an image, ``parameters`` what the infotext says of it.
    """

    def __init__(self, base, loras, sha256, **lies):
        super().__init__(base, loras, **lies)
        self.sha256 = lies.get("base_sha256", sha256)

    def answer(self, path, query, body):
        if path == "/sdapi/v1/sd-models":
            title = f"{self.checkpoint} [{self.sha256[:10]}]" if self.sha256 else self.checkpoint
            return 200, [{"title": "other.safetensors", "model_name": "other", "hash": None, "sha256": None,
                          "filename": "C:\\models\\other.safetensors", "config": None},
                         {"title": title, "model_name": "tiny", "hash": None, "sha256": self.sha256,
                          "filename": f"/models/{self.checkpoint}", "config": None}]  # fmt: skip
        if path == "/sdapi/v1/loras":
            return 200, [{"name": name, "alias": name, "path": str(file), "metadata": {}}
                         for name, file in self.loras.items()]  # fmt: skip
        if path == "/sdapi/v1/embeddings":
            return 200, {"loaded": {"easynegative": {}}, "skipped": {}}
        if path == "/sdapi/v1/txt2img":
            return self._txt2img(body)
        return 404, {"detail": "Not Found"}

    def _txt2img(self, body):
        if "fails" in self.lies:
            return 500, {"error": "OutOfMemoryError", "detail": "", "body": "", "errors": "CUDA out of memory.\nTried"}
        text, lora, strength = body["prompt"], None, 0.0
        if text.endswith(">"):
            text, _, mark = text.rpartition("<")
            kind, lora, strength = mark.rstrip(">").split(":")
            assert kind == "lora"
        settings = body["override_settings"]
        assert (settings["randn_source"], settings["sd_lora"], body["scheduler"]) == ("CPU", "None", "Simple")
        assert self.checkpoint in settings["sd_model_checkpoint"]
        for sign in "()[]\\":
            text = text.replace("\\" + sign, sign)
        pixels = self.pixels(
            text, body["seed"], lora, float(strength), steps=body["steps"], cfg=body["cfg_scale"],
            sampler={"DPM++ 2M": "2m", "Euler": "euler"}[body["sampler_name"]], width=body["width"],
            height=body["height"], unit=settings["sgm_noise_multiplier"])  # fmt: skip
        told = self.lies.get("lora_hash", self.data_hash(lora)[:12] if lora in self.loras else None)
        parameters = f"Steps: {body['steps']}, Seed: {body['seed']}, Schedule type: {body['scheduler']}"
        parameters += ", RNG: CPU" + ", SGM noise multiplier: True" * settings["sgm_noise_multiplier"]
        parameters += self.lies.get("parameters", "")
        if lora and told:
            parameters += f', Lora hashes: "{lora}: {told}"'
        info = {name: body[name] for name in ("prompt", "negative_prompt", "seed", "width", "height", "sampler_name",
                                              "cfg_scale", "steps")}  # fmt: skip
        info |= {"all_prompts": [body["prompt"]], "sd_model_hash": (self.sha256 or "")[:10], "version": "v1.99",
                 "infotexts": [f"{body['prompt']}\n{parameters}"], **self.lies.get("info", {})}  # fmt: skip
        return 200, {"images": [base64.b64encode(self.file(pixels, {"parameters": parameters})).decode()],
                     "parameters": {}, "info": json.dumps(info)}  # fmt: skip

    def data_hash(self, name):
        content = self.loras[name].read_bytes()
        return hashlib.sha256(content[8 + int.from_bytes(content[:8], "little"):]).hexdigest()
