"""A recorded release on the disk, small enough to look through: what reports are made of in tests."""

import io

import numpy as np
from PIL import Image

from evals import history
from evals.atomic import write_json
from evals.content_hash import hash_bytes
from evals.scorecard import gate_row
from evals.verdict import Interval, failed, not_applicable, passed
from lifeos.lora.store import ImageStore
from lifeos.release import write_rows
from lifeos.report.release_data import gather
from tests.lifeos.test_champion import scorecard

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
BACKEND = {"name": "simulated", "licence": "none"}
GATES = [
    gate_row("likeness", "hard", failed("below <b>tau</b>", 0.3, Interval(0.2, 0.4, 0.95), 0.6, "calibration:tau")),
    gate_row("ceiling", "soft", passed("fine", 0.3)),
    gate_row("champion", "hard", not_applicable("no champion was declared")),
]
METRICS = {"likeness": {"mean": 0.3, "interval": [0.2, 0.4], "n": 4, "missing": 0, "prompts": 2}}
RELEASE = "release-" + "a" * 32


def png(shade, side=64):
    noise = np.random.default_rng(shade).integers(0, 40, (side, side, 3)) + shade
    buffer = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def image_row(store, number, likeness, prompt="P1", name="candidate"):
    key = hash_bytes(f"{name} {number}".encode())
    path = store.put(key, png(40 + number), {"prompt": f"photo {number} {HOSTILE}"})
    return {
        "image": hash_bytes(path.read_bytes()), "file": path.name, "prompt": prompt, "seed": number, "strength": 1.0,
        "metrics": {"likeness": likeness, "skin_z": -0.2 * number}, "reasons": {},
    }  # fmt: skip


def record(tmp_path):
    """A history with one release and its run folder: candidate and champion, two prompts by two seeds."""
    artifacts, store = tmp_path / "artifacts", ImageStore(tmp_path / "artifacts" / "samples")
    folder = artifacts / "runs" / RELEASE
    rows = [image_row(store, number, 0.9 - 0.1 * number, f"P{number % 2}") for number in range(4)]
    champion = [image_row(store, number, 0.7, f"P{number % 2}", "champion") for number in range(4)]
    write_rows(folder / "metrics.jsonl", rows)
    write_rows(folder / "champion_metrics.jsonl", champion)
    write_json(folder / "request.json", {"images": None})
    measured = artifacts / "measured" / "b" / rows[0]["image"][:2]
    points = [[24.0, 24.0], [42.0, 24.0], [33.0, 34.0], [26.0, 44.0], [40.0, 44.0]]
    measurement = {"boxes": [[16, 8, 48, 80]], "points": [points], "size": [64, 64]}
    write_json(measured / f"{rows[0]['image']}.json", measurement)
    write_json(artifacts / "measured" / "b" / "backend.json", BACKEND)
    environment = {"source": "lora", "python": "3.11", "system": "Linux", "gpu": None, "packages": {"numpy": "2"}}
    card = scorecard(gates=GATES, metrics=METRICS, release=RELEASE, face_backend=BACKEND, environment=environment)
    row = history.append(tmp_path / "h.jsonl", card)
    return tmp_path, artifacts, row


def gathered(place):
    folder, artifacts, row = place
    return gather(row, history.read(folder / "h.jsonl"), artifacts)
