"""Writes the metric-row fixtures beside this file: one that breaches each hard row gate alone, and one healthy.

The healthy one is whole; every other file holds the rows that differ from it, and ``read`` puts them in their places.
Run as ``python tests/must_block/build_fixtures.py`` after a change of the policy; a test holds the files to it.
"""

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parent
PROMPTS = [f"B{number:02}" for number in range(1, 9)]
SEEDS = [0, 1, 2]
LISTS = ("rows", "champion_rows", "base_rows")
STRANGE, USUAL = 0.30, 0.86

# Bands of an imagined persona: tau so near the genuine mean that the mean can fall below it while the tail holds.
CALIBRATION = {
    "schema": "lifeos.calibration/1",
    "persona": "fixture",
    "backend": {"name": "fixture", "weights": {}, "licence": "none", "detector_size": 320},
    "domain": {"base": "fixture", "size": 128, "sampler": "fixture"},
    "references_hash": "0" * 64,
    "far": 0.01,
    "centroid": [1.0, 0.0],
    "thresholds": {
        "tau": 0.80,
        "impostor_mean": STRANGE,
        "impostor_p99": 0.78,
        "impostor_maximum": 0.79,
        "null_mean": STRANGE,
        "null_p99": 0.80,
        "genuine_mean": USUAL,
        "genuine_p05": 0.81,
        "genuine_p10": 0.82,
        "genuine_p95": 0.93,
        "skin_z_low": -2.0,
        "skin_z_high": 2.5,
        "copy_face_p95": 0.05,
        "copy_image_distance": 0.2,
    },
    "tau_interval": [0.77, None],
    "tau_group": "nulls",
    "far_upper": 0.03,
    "skin_bands": {"fine_to_mid": {"median": 0.0, "mad": 0.1, "count": 16.0}},
    "counts": {"references": 16, "impostors": 300},
}


def rows(likeness=USUAL, name="candidate"):
    """Healthy rows, 8 prompts by 3 seeds, that vary a little from image to image."""
    made = []
    for prompt in PROMPTS:
        for seed in SEEDS:
            number = len(made)
            made.append(
                {
                    "image": hashlib.sha256(f"{name} {prompt} {seed}".encode()).hexdigest(),
                    "file": f"{prompt}-{seed}.png",
                    "prompt": prompt,
                    "seed": seed,
                    "strength": 1.0,
                    "metrics": {
                        "face_count": 1.0,
                        "likeness": round(likeness + 0.001 * (number % 5 - 2), 6),
                        "skin_z": round(0.2 * (number % 7 - 3), 6),
                        "copy_image": 0.0,
                        "copy_face": round(-0.05 + 0.002 * (number % 4), 6),
                        "flat": 0.0,
                        "clip_score": round(0.7 + 0.01 * (number % 5 - 2), 6),
                    },
                    "reasons": {},
                }
            )
    return made


def older():
    """A champion a little less like the person: every healthy candidate is shown to be better."""
    return rows(USUAL - 0.02, "champion")


def base_rows():
    """The base without a LoRA on the same prompts, other seeds."""
    kept = ("clip_score",)
    return [
        {**row, "seed": row["seed"] + 70, "strength": 0.0, "metrics": {name: row["metrics"][name] for name in kept}}
        for row in rows(name="base")
    ]


def breach(metric, value, count):
    """Healthy rows with one metric of the first ``count`` prompts' first seed set to ``value``."""
    changed = rows()
    for row in [row for row in changed if row["seed"] == 0][:count]:
        row["metrics"][metric] = value
    return changed


def fixtures():
    """Fixture by gate id; "healthy" breaches none."""
    lower_mean, lower_champion = rows(0.805), rows(0.785, "champion")
    for lowered, value in ((lower_mean, 0.60), (lower_champion, 0.58)):
        lowered[0]["metrics"]["likeness"] = value
    plastic = breach("skin_z", -5.0, 4)
    # As plastic itself, or the candidate would be worse than the champion too.
    plastic_champion = [
        {**row, "metrics": {**row["metrics"], "skin_z": own["metrics"]["skin_z"]}}
        for row, own in zip(older(), plastic, strict=True)
    ]
    cases = {
        "healthy": ("nothing: every gate passes", rows(), older()),
        "face_rate": ("two faces in 2 of 24 images", breach("face_count", 2.0, 2), older()),
        "likeness": (
            "one image far below pulls the mean under tau, too few for the tail",
            lower_mean,
            lower_champion,
        ),
        "likeness_tail": ("2 of 24 images below tau", breach("likeness", 0.79, 2), older()),
        "skin_realism": ("4 of 24 images far outside the band", plastic, plastic_champion),
        "copy_image": ("one training photo", breach("copy_image", 1.0, 1), older()),
        "clip_score": ("two prompts that are not followed at all", breach("clip_score", 0.0, 6), older()),
        "image_flat": ("one black image", breach("flat", 1.0, 1), older()),
        "champion": ("less like by .04 on every prompt", rows(), rows(0.90, "champion")),
    }
    return {
        name: {
            "schema": "lifeos.must-block/1",
            "breaches": [] if name == "healthy" else [name],
            "about": about,
            "calibration": CALIBRATION,
            "rows": own,
            "champion_rows": champion,
            "base_rows": base_rows(),
        }
        for name, (about, own, champion) in cases.items()
    }


def text(fixture, healthy):
    """One line a row, so that a change of one image is a change of one line; only rows that are not healthy's."""
    is_whole = fixture is healthy
    parts = [f'"{key}": {json.dumps(fixture[key])}' for key in ("schema", "breaches", "about")]
    parts += [f'"calibration": {json.dumps(fixture["calibration"])}'] if is_whole else []
    for key in LISTS:
        rows = fixture[key] if is_whole else [row for row in fixture[key] if row not in healthy[key]]
        if rows:
            parts.append(f'"{key}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]")
    return "{" + ",\n".join(parts) + "}\n"


def read(path):
    """Return a fixture whole: the healthy one's rows, and its own in their cells."""
    own = json.loads(path.read_text(encoding="utf-8"))
    whole = json.loads(path.with_name("healthy.json").read_text(encoding="utf-8"))
    for key in LISTS:
        changed = {(row["prompt"], row["seed"]): row for row in own.get(key, [])}
        whole[key] = [changed.pop((row["prompt"], row["seed"]), row) for row in whole[key]]
        if changed:
            raise ValueError(f"{path.name}: healthy.json has no row {min(changed)} in {key}")
    return {**whole, "breaches": own["breaches"], "about": own["about"]}


if __name__ == "__main__":
    made = fixtures()
    for name, fixture in made.items():
        (FOLDER / f"{name}.json").write_text(text(fixture, made["healthy"]), encoding="utf-8", newline="\n")
