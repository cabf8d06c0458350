"""A release without torch and onnxruntime: an engine that fakes the heavy rooms, and a persona folder that fits it.

An image carries its face's embedding in its first pixels; a LoRA file is a line of JSON that says how it behaves. Every
step of training and every image made leaves a line in ``work.log``, so that a test can count what was repeated.
"""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from evals.atomic import write_bytes, write_json
from evals.calibration import build_calibration, load_calibration
from evals.content_hash import hash_file, hash_json
from evals.faces import BackendIdentity, Face
from evals.images import read_image
from evals.verdict import failed, passed
from lifeos.base_images import READING_REVISION, base_plan, class_prompts
from lifeos.engine import Rendered, Sampled, Trained
from lifeos.inputs import read_inputs
from lifeos.lora.families import base_hash
from lifeos.lora.sample import encode_png
from lifeos.lora.store import ImageStore
from lifeos.measure import ImageToMeasure, Measurements, image_rows, skin_of
from lifeos.persona import load_persona
from lifeos.release import WEIGHTS_GATES
from lifeos.release_inputs import release_domain
from lifeos.strangers import IMPOSTORS_FILE

IDENTITY, TRIGGER = "simulation", "pstch"
NAME = "tests.lifeos.simulated_release"
SIDE, DIMENSIONS, STEPS = 128, 64, 12
CONTROLS = 24  # images of the overdriven LoRA: as few as the policy judges
# Column of the first row that says by how many pixels the nose is moved aside, plus 128; 6 are a yaw of 15 degrees.
TURN = 100
POINTS = np.array([[46, 52], [82, 52], [64, 74], [50, 92], [78, 92]], dtype=np.float32)


class Backend:
    identity = BackendIdentity("simulated", {"x.onnx": "0" * 64}, "no licence needed", SIDE)
    provider = "cpu"

    def detect(self, image):
        box = np.array([20, 20, 108, 108], dtype=np.float32)
        points = POINTS.copy()
        points[2, 0] += float(image[0, TURN, 0]) - 128
        return [Face(box=box, points=points, score=0.9)] if image[0, 0, 0] else []

    def align(self, image, points):
        return image[:112, :112]

    def embed(self, aligned):
        vector = aligned[0, 1 : 1 + DIMENSIONS, 0].astype(np.float32) - 128
        return vector / np.linalg.norm(vector)


def open_faces(backend, folder):
    return Backend()


def direction(seed):
    vector = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return vector / np.linalg.norm(vector)


def picture(vector, seed, face=True, turn=0):
    """Noise skin with a face's vector in the first row; ``face`` False hides it, ``turn`` moves its nose aside."""
    generator = np.random.default_rng(seed)
    # Roughness varies from picture to picture, as skin does: the band of good skin has a width of its own.
    roughness = 12 * np.exp(0.1 * generator.normal())
    # One noise for all channels: skin of many colours is no skin, and would be left out.
    grey = np.clip(generator.normal(140, roughness, size=(SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
    image = np.repeat(grey, 3, axis=2)
    image[0, 0, 0] = 255 if face else 0
    image[0, TURN, 0] = 128 + turn
    image[0, 1 : 1 + DIMENSIONS, 0] = np.round(128 + 400 * np.clip(vector, -0.3, 0.3)).astype(np.uint8)
    return image


def portrait(identity, seed, spread=0.35, turn=0):
    vector = direction(identity) + spread * direction(10_000 + seed)
    return picture(vector / np.linalg.norm(vector), seed, turn=turn)


def log(artifacts, line):
    Path(artifacts).mkdir(parents=True, exist_ok=True)
    with (Path(artifacts) / "work.log").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def training_hash(recipe, watch):
    return hash_file(recipe)


def training_images(recipe):
    return Path(recipe).parent / "dataset"


def _trained(recipe, artifacts):
    return Path(artifacts) / "runs" / hash_file(recipe)[:16] / "lora.safetensors"


def is_trained(recipe, artifacts, watch):
    return _trained(recipe, artifacts).exists()


def train(recipe, artifacts, progress, watch):
    out = _trained(recipe, artifacts)
    if out.exists():
        return Trained(out, made=False)
    behaviour = json.loads(Path(recipe).read_text(encoding="utf-8").split("#", 1)[1])
    if behaviour.get("broken"):
        raise RuntimeError("the optimizer broke")
    checkpoint = out.with_name("checkpoint.json")
    done = json.loads(checkpoint.read_text(encoding="utf-8"))["step"] if checkpoint.exists() else 0
    for step in range(done, STEPS):
        time.sleep(behaviour.get("pause", 0.0))
        log(artifacts, f"train {step}")
        write_json(checkpoint, {"step": step + 1})
        progress("training", step + 1, STEPS)
    write_bytes(out, json.dumps(behaviour).encode("ascii"))
    return Trained(out, made=True)


def inspect(lora, base, family):
    behaviour = json.loads(Path(lora).read_text(encoding="utf-8"))
    refused = behaviour.get("weights", [])
    return {gate: failed("made to fail") if gate in refused else passed("made to pass") for gate in WEIGHTS_GATES}


def _keyed(plan, lora):
    return [
        (request, hash_json([hash_file(lora), request.prompt.id, request.seed, request.strength]))
        for request in plan.requests()
    ]


def missing(plan, base, lora, store):
    return sum(not ImageStore(store).has(key) for _, key in _keyed(plan, lora))


def sample(plan, base, lora, store, progress):
    behaviour = json.loads(Path(lora).read_text(encoding="utf-8"))
    images, made = [], 0
    for number, (request, key) in enumerate(_keyed(plan, lora), 1):
        if not ImageStore(store).has(key):
            time.sleep(behaviour.get("pause", 0.0))
            seed = int(key[:8], 16)
            burnt = request.strength > behaviour.get("burns_above", 1.5)
            named = TRIGGER in request.prompt.text or behaviour.get("bleeds", False)
            who = 99 if burnt else behaviour["identity"] if named else 3000 + seed % 1000
            png = encode_png(
                portrait(who, seed, behaviour.get("spread", 0.35), turn=6 if request.seed % 2 else -6)
            )
            what = "sample" if request.strength == 1.0 else "control"
            log(Path(store).parent, f"{what} {request.prompt.id} {request.seed}")
            ImageStore(store).put(key, png, {})
            made += 1
        images.append(Rendered(request.prompt.id, request.seed, ImageStore(store).path_for(key), key))
        progress("sampling", number, len(plan.requests()))
    return Sampled(tuple(images), made)


def round_trip(images, base, family):
    return np.stack(list(images))


def write_lora(path, **behaviour):
    path.write_text(json.dumps({"identity": 1, **behaviour}), encoding="utf-8")
    return path


def write_recipe(folder, **behaviour):
    recipe = folder / "recipe.toml"
    recipe.write_text("# " + json.dumps({"identity": 1, **behaviour}), encoding="utf-8")
    return recipe


def make_persona(folder, champion="none", prompts=8):
    """Write a persona of identity 1 with a calibration; returns its folder."""
    persona = folder / "persona one"
    for name in ("dataset", "references"):
        (persona / name).mkdir(parents=True)
    base, faces = folder / "base", folder / "faces"
    (base / "unet").mkdir(parents=True)
    (base / "unet" / "config.json").write_text("{}", encoding="utf-8")
    write_bytes(base / "unet" / "diffusion_pytorch_model.safetensors", save({"conv_in.bias": np.zeros(1, np.float32)}))
    (base / "model_index.json").write_text('{"unet": ["diffusers", "UNet2DConditionModel"]}', encoding="utf-8")
    faces.mkdir()
    (faces / "x.onnx").write_bytes(b"x")
    for number in range(4):
        write_bytes(persona / "dataset" / f"{number:04}.png", encode_png(portrait(1, 500 + number)))
        (persona / "dataset" / f"{number:04}.txt").write_text("photo of a pstch person", encoding="utf-8")
    for number in range(20):
        write_bytes(persona / "references" / f"{number:04}.png", encode_png(portrait(1, 600 + number)))
    write_recipe(persona)
    (persona / "persona.toml").write_text(
        'name = "one"\ntrigger = "pstch"\nclass_word = "person"\nfamily = "tiny_base"\nfar = 0.01\n'
        f'base = "{base.as_posix()}"\nchampion = "{champion}"\n'
        f'[sampler]\nname = "ddim"\nsteps = 2\nguidance = 1.0\nwidth = {SIDE}\nheight = {SIDE}\n'
        f'[seeds]\na = [9]\nb = [0, 1, 2]\n[face]\nbackend = "simulated"\nfolder = "{faces.as_posix()}"\n',
        encoding="utf-8",
    )
    line = '[[b]]\nid = "B{0:02}"\ntext = "photo {0} of a {{trigger}} {{class}}"'
    lines = [line.format(number) for number in range(prompts)]
    (persona / "prompts.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    calibrate(persona, folder / "calibrating")
    return persona


def make_choosing_persona(folder, prompts, more=""):
    """As ``make_persona``, with a set A of so many prompts, which end with ``more``, and the seeds 8 and 9."""
    persona = make_persona(folder)
    line = '[[a]]\nid = "A{0:02}"\ntext = "picture {0} of a {{trigger}} {{class}}{1}"\n'
    _change(persona / "prompts.toml", "", "".join(line.format(number, more) for number in range(prompts)))
    _change(persona / "persona.toml", "a = [9]", "a = [8, 9]")
    return persona


def inputs_of_its_own(persona, folder):
    """Copy a persona below a test's folder; returns the inputs of a command there, with history and artifacts."""
    shutil.copytree(persona, folder / "persona one")
    return read_inputs({"persona": folder / "persona one", "history": folder / "h.jsonl",
                        "artifacts": folder / "artifacts"})  # fmt: skip


def _change(path, before, after):
    path.write_text(path.read_text(encoding="utf-8").replace(before, after, 1), encoding="utf-8")


def calibrate(folder, artifacts):
    persona = load_persona(folder)
    measurements = Measurements(artifacts, Backend, "simulated")
    paths = sorted(persona.references.glob("*.png"))
    records = measurements.of_all(paths, lambda *_: None, "references")
    strangers = np.array([direction(1000 + number) for number in range(320)], dtype=np.float32)
    nulls = np.array([direction(2000 + number) for number in range(24)], dtype=np.float32)
    write_bytes(folder / IMPOSTORS_FILE, save({"identities": strangers, "nulls": nulls}))
    build_calibration(
        persona.name,
        measurements.backend_identity(),
        release_domain(persona, base_hash(persona.base), (SIDE, SIDE)),
        np.array([record["embedding"] for record in records], dtype=np.float32),
        strangers,
        strangers,
        strangers[:0],
        [skin_of(read_image(path), POINTS)[0] for path in paths],
        [0.8] * len(paths),
        persona.far,
        training=np.array([portrait_embedding(path) for path in sorted(persona.dataset.glob("*.png"))]),
    ).save(persona.calibration)


def add_base(folder):
    """Give a persona's calibration what the base draws without a LoRA: strangers who turn their heads."""
    persona = load_persona(folder)
    calibration, measurements = load_calibration(persona.calibration), Measurements(folder / "base", Backend, "base")
    plan, images = base_plan(persona), []
    for number, request in enumerate(plan.requests()):
        path = folder / "base" / f"{number}.png"
        write_bytes(path, encode_png(portrait(4000 + number, number, turn=(-6, 0, 6)[number % 3])))
        images.append(ImageToMeasure(path, request.prompt.id, request.seed))
    records = [measurements.of(image.path) for image in images]
    rows = image_rows(images, records, [], calibration, 0.0, prompts=class_prompts(persona))
    bound_to = {"prompts": class_prompts(persona), "reader": None, "clip": None, "revision": READING_REVISION}
    replace(calibration, base={"bound_to": bound_to, "rows": rows}).save(persona.calibration)


def portrait_embedding(path):
    return Backend().embed(read_image(path)[:112, :112])
