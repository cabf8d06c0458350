"""What tiny-base reached, as numbers and a picture: `evaluate_base.py MPFB2 BASE OUT [--samples 200]`.

Prints a Markdown table: does the VAE keep skin texture, are prompts followed, is a face found, is each seed a
different person. Run from the root of the repository; needs the project's environment and numba.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from mesh import load_head  # noqa: E402
from person import sample_person  # noqa: E402
from render import render  # noqa: E402
from scene import BACKGROUNDS, plastic, sample_scene  # noqa: E402


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive exceeds a negative, ties half (Mann-Whitney)."""
    difference = positive[:, None] - negative[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def face_features(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients f64[n] of the lower and upper face, cut out upright (Dalal and Triggs 2005)."""
    from skimage.color import rgb2gray
    from skimage.feature import hog

    from evals.faces.align import align_face

    return np.asarray(hog(rgb2gray(align_face(image, points)), 8, (14, 14), (2, 2), feature_vector=True))


class WordReader:
    """Tells words such as `smiling` from features: ridge regression on one-hot words, fitted on renders alone."""

    def __init__(self, features: np.ndarray, words: list[str], ridge: float = 3.0) -> None:
        """Fit; `features` f64[n, d], one word a row."""
        self.names = sorted(set(words))
        self.mean = features.mean(0)
        centred = features - self.mean
        target = np.array([[word == name for name in self.names] for word in words], float)
        self.offset = target.mean(0)
        gram = centred.T @ centred + ridge * np.eye(centred.shape[1])
        self.weights = np.linalg.solve(gram, centred.T @ (target - self.offset))

    def read(self, features: np.ndarray) -> str:
        """The likeliest word of one feature row."""
        return self.names[int(np.argmax((features - self.mean) @ self.weights + self.offset))]


def median_pairwise(embeddings: np.ndarray) -> float:
    """Median cosine between different rows of unit vectors."""
    return float(np.median((embeddings @ embeddings.T)[np.triu_indices(len(embeddings), 1)]))


def main() -> None:
    """Render, sample, measure, print."""
    from PIL import Image

    from evals.faces import measure_face, open_backend
    from evals.skin_realism_eval import skin_features
    from lifeos.lora.sample import round_trip, sample_plan
    from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
    from lifeos.lora.store import ImageStore
    from lifeos.processor import resolve_dtype

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mpfb2", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--readings", type=int, default=400, help="renders from which expressions are learnt")
    # What the demo persona samples with.
    parser.add_argument("--sampler", default="sde-dpmsolver++")
    parser.add_argument("--steps", type=int, default=56)
    parser.add_argument("--guidance", type=float, default=1.0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    backend = open_backend("yunet_sface", ROOT / "models" / "faces", threads=2)
    mesh = load_head(arguments.mpfb2)
    people = [sample_person(mesh, seed) for seed in range(920000, 920080)]  # seen by neither base nor personas
    rough = [render(mesh, p, sample_scene(p, 0)) for p in people]
    smooth = [render(mesh, p, plastic(sample_scene(p, 0), 1.0)) for p in people]
    rough_back, smooth_back = (list(round_trip(x, arguments.base)) for x in (rough, smooth))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print("| measure | reached | asked |\n| --- | --- | --- |")
    error = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(rough, rough_back, strict=True)])
    print(f"| VAE round trip, mean error | {error:.2f}/255 | |")
    pairs = [(measure_face(backend, a), measure_face(backend, b)) for a, b in zip(rough, rough_back, strict=True)]
    kept = [float(a.embedding @ b.embedding) for a, b in pairs if a.embedding is not None and b.embedding is not None]
    print(f"| identity through the VAE, median cosine | {np.median(kept):.3f} (n {len(kept)}) | |")
    features: dict[str, list[list[float]]] = {}
    for which, pictures in enumerate((rough_back, smooth_back)):
        for picture in pictures:
            found = measure_face(backend, picture)
            if found.embedding is None:
                continue
            for name, value in skin_features(picture, found.faces[0].points).items():
                if value is not None:
                    features.setdefault(name, [[], []])[which].append(value)
    for name, (a, b) in sorted(features.items()):
        auc = area_under_curve(np.array(a), np.array(b))
        print(f"| rough against smooth after the VAE, {name} | AUC {max(auc, 1 - auc):.3f} | best >= .9 |")

    store = ImageStore(arguments.out / "store")

    def sample(text: str, seeds: range) -> list[np.ndarray]:
        plan = SamplePlan(
            (PlannedPrompt("P", text),),
            tuple(seeds),
            arguments.sampler,
            arguments.steps,
            arguments.guidance,
            128,
            128,
            dtype=resolve_dtype("auto"),
        )
        return [
            np.asarray(Image.open(i.path).convert("RGB")) for i in sample_plan(plan, arguments.base, None, store).images
        ]

    plain = sample("photo of a person", range(arguments.samples))
    measured = [measure_face(backend, x) for x in plain]
    embedded = np.array([m.embedding for m in measured if m.embedding is not None])
    renders = np.array([a.embedding for a, _ in pairs if a.embedding is not None])
    print(f"| face found, no trigger | {len(embedded)}/{len(plain)} | >= 97 % |")
    print(
        f"| median pairwise similarity of seeds | {median_pairwise(embedded):.3f} | <= {median_pairwise(renders) + 0.10:.3f} (renders {median_pairwise(renders):.3f} + .10) |"
    )
    turned = {}
    for facing in ("left", "front", "right"):
        offsets = []
        for picture in sample(f"photo of a person, facing {facing}", range(24)):
            faces = measure_face(backend, picture).faces
            if len(faces) == 1:
                points = faces[0].points
                offsets.append((points[2, 0] - points[:2, 0].mean()) / abs(points[1, 0] - points[0, 0]))
        turned[facing] = float(np.median(offsets)) if offsets else float("nan")
    print(
        f"| nose offset in eye distances, left / front / right | {turned['left']:+.2f} / {turned['front']:+.2f} / {turned['right']:+.2f} | ordered |"
    )
    hits = total = 0
    colours = np.array(list(BACKGROUNDS.values())) * 255
    for index, name in enumerate(BACKGROUNDS):
        for picture in sample(f"photo of a person, {name} background", range(8)):
            corner = np.concatenate([picture[:10, :6].reshape(-1, 3), picture[:10, -6:].reshape(-1, 3)])
            hits += int(np.argmin(np.linalg.norm(colours - np.median(corner, 0), axis=1)) == index)
            total += 1
    print(f"| background is the named colour | {hits}/{total} | |")
    others = [sample_person(mesh, seed) for seed in range(930100, 930100 + arguments.readings)]
    scenes = [sample_scene(person, 1) for person in others]
    shown = round_trip([render(mesh, p, scene) for p, scene in zip(others, scenes, strict=True)], arguments.base)
    seen: list[tuple[np.ndarray, str]] = []
    for picture, scene in zip(shown, scenes, strict=True):
        faces = measure_face(backend, picture).faces
        if len(faces) == 1:
            seen.append((face_features(picture, faces[0].points), scene.expression))
    held_out = len(seen) // 4
    reader = WordReader(np.array([f for f, _ in seen[held_out:]]), [w for _, w in seen[held_out:]])
    right = np.mean([reader.read(f) == w for f, w in seen[:held_out]])
    drawn: list[bool] = []
    for name in ("neutral", "smiling", "surprised", "frowning"):
        for picture in sample(f"photo of a person, {name}, facing front", range(24)):
            faces = measure_face(backend, picture).faces
            drawn.append(bool(faces) and reader.read(face_features(picture, faces[0].points)) == name)
    print(
        f"| expression read as the named one, of four | {np.mean(drawn):.2f} (n {len(drawn)}) | chance .25; "
        f"renders through the VAE {right:.2f} (n {held_out}) |"
    )
    rows = [np.hstack(rough[:10]), np.hstack(rough_back[:10]), np.hstack(plain[:10]), np.hstack(plain[10:20])]
    for text in (
        "smiling, facing left, red background",
        "surprised, facing right, blue background",
        "frowning, facing front, green background",
    ):
        rows.append(np.hstack(sample(f"photo of a person, {text}", range(10))))
    Image.fromarray(np.vstack(rows)).save(arguments.out / "base.png")


if __name__ == "__main__":
    main()
