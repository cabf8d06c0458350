"""Judge the good LoRA and every bad one: `judge_cases.py WORK [PERSONA]` prints the table of docs/demo-results.md.

Also draws WORK/contact-sheet.webp: training images, samples of the good LoRA with their likeness, samples of bad ones.
Run from the root of the repository. Each case is one `lifeos gate release`; what was made before is not made again.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BAD = ROOT / "tests" / "bad_loras"
sys.path.insert(0, str(ROOT))


def judge(work: Path, persona: Path, *arguments: str) -> dict[str, Any]:
    """Run one release and return its answer."""
    command = [sys.executable, "-m", "lifeos", "gate", "release", "--json", "--persona", str(persona),
               "--history", str(work / "history.jsonl"), "--artifacts", str(work / "artifacts"),
               *arguments]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if "error" in answer:
        raise SystemExit(answer["error"])
    return answer


def row(name: str, expected: list[str], answer: dict[str, Any]) -> str:
    """One line of the table."""
    gates = {gate["id"]: gate for gate in answer["gates"]}
    failing = [g["id"] for g in answer["gates"] if g["severity"] == "hard" and g["verdict"] == "failed"]

    def value(gate: str) -> str:
        number = gates[gate]["value"]
        return "-" if number is None else f"{number:.3f}"

    cells = [name, answer["verdict"], ", ".join(expected) or "-", ", ".join(failing) or "-",
             *(value(g) for g in ("face_rate", "likeness", "likeness_tail", "skin_realism", "copy_image"))]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def cases(work: Path, persona: Path, good: Path, bad: Path) -> list[tuple[str, list[str], list[str]]]:
    """Name, expected gates and arguments of every case that can be judged here."""
    from PIL import Image

    spec = importlib.util.spec_from_file_location("derive", BAD / "derive.py")
    assert spec is not None
    assert spec.loader is not None
    derive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(derive)
    noise, pasted = work / "noise", work / "pasted"
    photos = sorted((persona / "dataset").glob("*.png"))
    rng = np.random.default_rng(0)
    for folder in (noise, pasted):
        folder.mkdir(exist_ok=True)
    for number in range(24):
        name = f"B{number // 3 + 1:02d}_seed{100 + number % 3}.png"
        Image.fromarray(rng.integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(noise / name)
        Image.open(photos[number]).save(pasted / name)
    made = {
        "ten_steps": lambda out: derive.ten_steps(persona, out),
        "strength_0": lambda out: derive.scaled(good, out, 0.0),
        "strength_1_8": lambda out: derive.scaled(good, out, 1.8),
        "with_nan": lambda out: derive.with_nan(good, out),
        "half_of_keys": lambda out: derive.half_of_keys(good, out),
        "wrong_base": lambda out: derive.wrong_base(good, out),
    }
    found = []
    for name, case in tomllib.loads((BAD / "bad_loras.toml").read_text(encoding="utf-8")).items():
        if case["kind"] == "images":
            arguments = ["--images", str(noise if name == "noise_images" else pasted)]
        else:
            file = f"{name}.safetensors"
            lora = bad / file if case["kind"] == "trained" else made[name](work / file)
            if not lora.exists():
                print(f"{name}: no file, not judged", file=sys.stderr)
                continue
            arguments = ["--lora", str(lora)]
        found.append((name, case["expected"], arguments))
    return found


def walks(work: Path, answer: dict[str, Any]) -> list[tuple[Path, dict[str, Any]]]:
    """Run folder and result of each walk that judged what a row judged; a walk that was killed has no result."""
    history = [json.loads(line) for line in (work / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    hashes = next(r for r in history if r["id"] == answer["row"])["hashes"]
    found = [
        (path.parent, json.loads(path.read_text(encoding="utf-8"))["result"])
        for path in sorted((work / "artifacts" / "runs").glob("release-*/result.json"))
    ]
    return [one for one in found if all(one[1]["hashes"][name] == hashes[name] for name in ("lora", "calibration"))]


def pictures(work: Path, answer: dict[str, Any], count: int) -> list[tuple[np.ndarray, float | None]]:
    """The first samples of a judged row, one a prompt, with their likeness."""
    from PIL import Image

    drawn = [folder / "metrics.jsonl" for folder, _ in walks(work, answer) if (folder / "metrics.jsonl").exists()]
    if not drawn:
        return []
    rows = [json.loads(line) for line in drawn[0].read_text(encoding="utf-8").splitlines()]
    seen: dict[str, dict[str, Any]] = {}
    for r in rows:
        seen.setdefault(r["prompt"], r)
    files = {p.name: p for p in (work / "artifacts" / "samples").rglob("*.png")}
    return [(np.asarray(Image.open(files[r["file"]]).convert("RGB")), r["metrics"].get("likeness"))
            for r in list(seen.values())[:count]]  # fmt: skip


def main() -> None:
    """Judge, print, draw."""
    from PIL import Image, ImageDraw

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("persona", type=Path, nargs="?", default=ROOT / "personas" / "pistachio")
    parser.add_argument("--bad", type=Path, default=BAD, help="folder of the trained bad LoRAs")
    parser.add_argument("--good-only", action="store_true")
    arguments = parser.parse_args()
    work, persona = arguments.work.resolve(), arguments.persona.resolve()
    work.mkdir(parents=True, exist_ok=True)
    print("| case | verdict | expected | failed | face_rate | likeness | tail | skin z or share outside | copies |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    answer = judge(work, persona)
    print(row("good", [], answer), flush=True)
    strips = [("good", pictures(work, answer, 8))]
    if not arguments.good_only:
        loras = (Path(result["lora"]) for _, result in walks(work, answer))
        good = next(lora for lora in loras if lora.exists())
        for name, expected, how in cases(work, persona, good, arguments.bad):
            answer = judge(work, persona, *how)
            print(row(name, expected, answer), flush=True)
            if "--lora" in how:
                strips.append((name, pictures(work, answer, 8)))
    photos = [np.asarray(Image.open(p).convert("RGB")) for p in sorted((persona / "dataset").glob("*.png"))[:8]]
    strips.insert(0, ("training images", [(p, None) for p in photos]))
    strips = [s for s in strips if s[1]]
    sheet = Image.new("RGB", (8 * 132 + 4, len(strips) * 150), "white")
    draw = ImageDraw.Draw(sheet)
    for line, (name, images) in enumerate(strips):
        draw.text((4, line * 150 + 2), name, fill="black")
        for column, (image, likeness) in enumerate(images):
            sheet.paste(Image.fromarray(image), (column * 132 + 4, line * 150 + 18))
            if likeness is not None:
                draw.text((column * 132 + 90, line * 150 + 2), f"{likeness:.2f}", fill="black")
    sheet.save(work / "contact-sheet.webp", quality=75, method=6)


if __name__ == "__main__":
    main()
