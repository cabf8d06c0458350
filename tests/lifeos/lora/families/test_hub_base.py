"""A base of the hub: found in a cache made here, and fetched from a hub that this machine plays."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.families.base_location import HubName, hub_name, locate_base, require_base
from lifeos.lora.families.hub_fetch import files_to_fetch

COMMIT, NAME = "a" * 40, "somebody/tiny"


def cache_base(base: Path, cache: Path, linked: bool) -> Path:
    """Lay a base into the hub's cache as its client does: blobs, refs and snapshots, with links or without."""
    repository = cache / "models--somebody--tiny"
    snapshot = repository / "snapshots" / COMMIT
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    for file in base.rglob("*"):
        if not file.is_file():
            continue
        place = snapshot / file.relative_to(base)
        place.parent.mkdir(parents=True, exist_ok=True)
        if linked:
            blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
            blob.parent.mkdir(exist_ok=True)
            shutil.copy(file, blob)
            place.symlink_to(os.path.relpath(blob, place.parent))
        else:
            shutil.copy(file, place)
    return snapshot


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache in a folder of this test, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.mark.parametrize("linked", [False] if os.name == "nt" else [True, False])
@pytest.mark.parametrize("written", [f"hub:{NAME}", NAME, f"hub:{NAME}@main", f"hub:{NAME}@{COMMIT}"])
def test_a_hub_id_is_found_in_the_cache_and_hashed_by_content(bases, cache, tmp_path, written, linked):
    snapshot = cache_base(bases["sd15"], cache, linked)
    found = locate_base(Path(written), [tmp_path], tmp_path / "artifacts")
    assert found == snapshot
    assert base_hash(found) == base_hash(bases["sd15"])
    assert get_family("sd15").modules(found) == get_family("sd15").modules(bases["sd15"])


def test_a_path_that_exists_wins_over_a_hub_id(bases, cache, tmp_path):
    snapshot = cache_base(bases["sd15"], cache, linked=False)
    (tmp_path / NAME).mkdir(parents=True)
    assert locate_base(Path(NAME), [tmp_path], tmp_path) == tmp_path / NAME
    assert locate_base(Path(f"hub:{NAME}"), [tmp_path], tmp_path) == snapshot


@pytest.mark.parametrize(("written", "said"), [
    (f"hub:{NAME}@v9", f"got none of hub:{NAME}@v9; next: lifeos base fetch hub:{NAME}@v9"),
    ("hub:nobody/none", "next: lifeos base fetch hub:nobody/none"),
    ("nobody/none", "or a hub id that is in the cache, got none; next: correct base, or lifeos base fetch OWNER/NAME"),
    ("hub:a b/c", "accepted hub:OWNER/NAME or hub:OWNER/NAME@REVISION, got 'hub:a b/c'"),
])  # fmt: skip
def test_what_is_not_in_the_cache_is_one_line_and_nothing_is_asked(bases, cache, tmp_path, monkeypatch, written, said):
    import socket

    def asked(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", asked)
    cache_base(bases["sd15"], cache, linked=False)
    base = locate_base(Path(written), [tmp_path], tmp_path / "artifacts")
    for act in (require_base, base_hash, get_family("sd15").modules, get_family("sd15").load):
        with pytest.raises(InputError) as caught:
            act(base)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_snapshot_with_a_config_alone_is_no_base(bases, cache, tmp_path):
    snapshot = cache_base(bases["sd15"], cache, linked=False)
    (snapshot / "model_index.json").unlink()
    assert not locate_base(Path(f"hub:{NAME}"), [tmp_path], tmp_path).exists()


def test_a_persona_and_a_recipe_name_it_alike(bases, cache, tmp_path):
    from lifeos.lora.recipe import load_recipe

    (tmp_path / "dataset").mkdir()
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'base = "{NAME}"\ndataset = "dataset"\ntrigger = "zeph"\nfamily = "sd15"\nsteps = 1\n',
                      encoding="utf-8")  # fmt: skip
    with pytest.raises(InputError, match=r"recipe\.toml: base: accepted a folder in diffusers' layout"):
        load_recipe(recipe, tmp_path)
    snapshot = cache_base(bases["sd15"], cache, linked=False)
    assert load_recipe(recipe, tmp_path).base == snapshot


@given(st.text(max_size=40))
def test_any_text_is_a_hub_id_or_none(text):
    name = hub_name(text)
    if name is not None:
        assert hub_name(str(name)) == name
        assert ".." not in name.repository.split("/")
        assert not name.repository.startswith(("/", "."))


def test_hub_ids():
    assert hub_name("hub:a/b@refs/pr/1") == HubName("a/b", "refs/pr/1")
    assert hub_name("a/b") == HubName("a/b", None)
    for other in ("a", "a/b/c", "../b", "a/..", "C:/b", "a/b@", "hub:", "ä/b", "/a/b"):
        assert hub_name(other) is None, other


def test_of_a_repository_one_format_and_one_precision_is_fetched():
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "U"], "vae": ["diffusers", "A"],
             "tokenizer": ["transformers", "T"], "scheduler": ["diffusers", "S"], "safety_checker": ["sd", "C"],
             "image_encoder": [None, None]}  # fmt: skip
    names = [
        "README.md", "model_index.json", "v1-5-pruned.ckpt", "v1-5-pruned.safetensors",
        "unet/config.json", "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.fp16.bin",
        "tokenizer/vocab.json", "tokenizer/merges.txt", "scheduler/scheduler_config.json",
        "safety_checker/model.safetensors", "unet/onnx/model.safetensors",
    ]  # fmt: skip
    assert files_to_fetch(index, names) == [
        "model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]  # fmt: skip
    with pytest.raises(InputError, match="safetensors weights of vae, got none"):
        files_to_fetch(index, [name for name in names if not name.startswith("vae/diffusion_pytorch_model.fp16.s")])


class HubServer(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for: a repository's list of files, and each file."""

    base: Path
    extra = ("unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors", "model.ckpt")
    given: list

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        if self.path.startswith("/api/") and not self.path.startswith(f"/api/models/{NAME}"):
            self.send_error(404)
            return
        if self.path.startswith("/api/models/"):
            sizes = {file.relative_to(self.base).as_posix(): file.stat().st_size
                     for file in sorted(self.base.rglob("*")) if file.is_file()}  # fmt: skip
            names = [*sizes, *self.extra]
            answer = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
            if "/tree/" in self.path:
                answer = [{"type": "file", "path": name, "size": sizes.get(name, 1), "oid": "0" * 40} for name in names]
            body = json.dumps(answer).encode()
        else:
            name = self.path.split(f"/resolve/{COMMIT}/")[-1].split("/resolve/main/")[-1]
            body = (self.base / name).read_bytes()
            if with_body:
                self.given.append(name)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_base_is_fetched_once_and_nothing_that_is_not_loaded(bases, tmp_path):
    handler = type("Handler", (HubServer,), {"base": bases["sd15"], "given": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                       "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0",
                       "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}  # fmt: skip
        command = [sys.executable, "-m", "lifeos", "base", "fetch", NAME, "--json"]
        root = Path(__file__).parents[4]
        for _ in range(2):
            done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        offline = {**environment, "HF_HUB_OFFLINE": "1"}
        shown = subprocess.run([*command[:4], "show", f"hub:{NAME}", "--json"], env=offline, cwd=root,
                               capture_output=True, text=True, check=False)  # fmt: skip
        refused = subprocess.run(command, env=offline, cwd=root, capture_output=True, text=True, check=False)
    finally:
        server.shutdown()
        server.server_close()
    assert len(handler.given) == len(set(handler.given))
    assert not set(handler.given) & set(HubServer.extra)
    assert json.loads(shown.stdout)["hash"] == json.loads(done.stdout)["hash"] == base_hash(bases["sd15"])
    assert refused.returncode == 2
    assert "accepted a network, got HF_HUB_OFFLINE; next: unset it" in refused.stderr
