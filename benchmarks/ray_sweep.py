"""Ten thousand images over four Ray nodes of this machine, one of which is killed, replaced and killed again.

What draws is a stand-in that waits 5 ms an image, as a GPU would be waited for, and puts a small PNG into the store:
what is measured is what lifeos and Ray add. ``python -m benchmarks.ray_sweep``.
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.arguments import positive
from benchmarks.comparison import Comparison, Context, Outcome, Pair, Target, UnmeasuredError, all_met, in_turn
from benchmarks.registry import entry
from benchmarks.table import format_table
from lifeos.errors import InputError
from lifeos.lora.sample import BATCH_SIZE, PlannedImages, SampledImage, encode_png, planned_images
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.ray_engine import RayEngine
from lifeos.parameter_sweep.ray_node import Draw
from lifeos.parameter_sweep.rendering import RenderTask
from lifeos.settings import project_root

SECONDS_AN_IMAGE = 0.005
NODES, PROMPTS = 4, 10
PAIR_IMAGES = 2000
_NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def stand_in(_: int) -> Draw:
    """Return what waits for each image, puts PNGs of 8x8 pixels a batch at a time, and notes each put in a file."""
    import numpy as np

    def draw(asked: PlannedImages, images: Sequence[SampledImage], store: ImageStore) -> None:
        notes = store.folder.parent / "puts"
        notes.mkdir(exist_ok=True)
        for start in range(0, len(images), BATCH_SIZE):
            drawn = []
            for image in images[start : start + BATCH_SIZE]:
                time.sleep(SECONDS_AN_IMAGE)
                pixels = np.full((8, 8, 3), image.request.seed % 256, np.uint8)
                drawn.append((image.key, encode_png(pixels), {"seed": image.request.seed}))
            new = [key for key, _, _ in drawn if not store.has(key)]
            store.put_all(drawn)
            for key in new:
                (notes / f"{key}.{uuid.uuid4().hex}").touch()

    return draw


def tasks_of(images: int, base: Path) -> list[RenderTask]:
    """Return ten tasks, which differ in their guidance, of ``images`` images in all (rounded up to whole seeds)."""
    prompts = tuple(PlannedPrompt(f"B{number:02}", f"prompt {number}") for number in range(PROMPTS))
    seeds = tuple(range(-(-images // (10 * PROMPTS))))
    plans = [SamplePlan(prompts, seeds, "ddim", 1, 1.0 + step / 10, 32, 32) for step in range(10)]
    return [RenderTask(plan, base, None) for plan in plans]


def in_one_process(tasks: Sequence[RenderTask], artifacts: Path) -> float:
    """Draw everything with the stand-in here, without Ray; returns seconds."""
    store, draw = ImageStore(artifacts / "samples"), stand_in(1)
    artifacts.mkdir()
    planned = [planned_images(task.plan, task.base, task.lora, store) for task in tasks]
    started = time.monotonic()
    for asked in planned:
        draw(asked, asked.lacking(store), store)
    return time.monotonic() - started


def over_nodes(tasks: Sequence[RenderTask], artifacts: Path, kills: Sequence[float]) -> dict[str, Any]:
    """Draw everything over a Ray cluster of this machine; at each share of ``kills`` a node is killed.

    The dead node is replaced before the next kill, which hits its replacement, and not after the last.

    Returns:
        seconds, made, lost, doubled, kills, events of progress, and the driver's peak memory in bytes.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    try:
        victim, *_ = [cluster.add_node(**_NODE) for _ in range(NODES - 1)]
        left, facts = list(kills), {"events": 0, "peak": 0, "kills": 0}

        def progress(_: str, done: int, total: int) -> None:
            nonlocal victim
            facts["events"] += 1
            facts["peak"] = max(facts["peak"], _peak_of_driver())
            print(f"\r{done} of {total}", end="", file=sys.stderr, flush=True)
            if left and done >= left[0] * total:
                left.pop(0)
                facts["kills"] += 1
                cluster.remove_node(victim, allow_graceful=False)
                if left:
                    victim = cluster.add_node(**_NODE)

        engine = RayEngine(cluster.address, draw="benchmarks.ray_sweep:stand_in")
        rendering = engine.render(tasks, artifacts, progress)
        print(file=sys.stderr)
    finally:
        cluster.shutdown()
    store = ImageStore(artifacts / "samples")
    wanted = {image.key for task in tasks for image in planned_images(task.plan, task.base, None, store).images}
    puts = Counter(path.name.partition(".")[0] for path in (artifacts / "puts").iterdir())
    return {**facts, "seconds": rendering.seconds, "made": rendering.made, "images": len(wanted),
            "lost": sum(not store.has(key) for key in wanted), "doubled": sum(count > 1 for count in puts.values()),
            "foreign": len(set(puts) - wanted)}  # fmt: skip


def sweep_pair(context: Context, number: int) -> Pair:
    """Draw 2,000 images both ways, no node killed; ``details`` hold the share of four perfect nodes that was reached.

    Raises:
        UnmeasuredError: an image is lost, foreign, or was put twice.
    """
    tasks = tasks_of(context.images or PAIR_IMAGES, context.root / "models" / "tiny-base")
    facts, alone = in_turn(
        lambda: over_nodes(tasks, context.folder / f"nodes-{number}", []),
        lambda: in_one_process(tasks, context.folder / f"alone-{number}"),
        number,
    )
    if facts["lost"] or facts["doubled"] or facts["foreign"]:
        raise UnmeasuredError(f"{facts['lost']} images lost, {facts['doubled']} put twice, {facts['foreign']} foreign")
    perfect = facts["images"] * SECONDS_AN_IMAGE / NODES
    return Pair(facts["seconds"], alone, details={"images": facts["images"], "efficiency": perfect / facts["seconds"]})


def main(arguments: Sequence[str]) -> int:
    """Print the table; 0: nothing lost, nothing doubled, all kills happened; 1: otherwise; 2: an error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_sweep", description=__doc__)
    parser.add_argument("--images", type=positive, default=10_000, metavar="N", help="planned images (10000)")
    parser.add_argument("--no-kills", action="store_true", help="let every node live")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="lifeos-ray-", ignore_cleanup_errors=True) as name:
            tasks = tasks_of(options.images, project_root() / "models" / "tiny-base")
            alone = in_one_process(tasks, Path(name) / "alone")
            facts = over_nodes(tasks, Path(name) / "nodes", [] if options.no_kills else [0.3, 0.6])
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    outcomes = outcomes_of(facts, alone, 0 if options.no_kills else 2)
    print(format_table(outcomes))
    return 0 if all_met(outcomes) else 1


def outcomes_of(facts: Mapping[str, Any], alone: float, kills: int) -> list[Outcome]:
    """Return the rows of a sweep: both ways, what must not be lost, doubled or foreign, the kills that must happen."""
    sweep, images = entry("ray-sweep"), facts["images"]
    ideal = images * SECONDS_AN_IMAGE

    def counted(name: str, unit: str, target: Target = Target("ours", high=0)) -> Outcome:
        row = Comparison(f"{sweep.id}-{name}", name, f"{name}, counted at the end", "", unit, target=target)
        return Outcome(row, (Pair(facts[name]),))

    note = (f"{images} images, 5 ms each: efficiency {ideal / NODES / facts['seconds']:.0%} of {NODES} nodes, "
            f"{ideal / alone:.0%} of one process; {facts['events']} events of progress; driver: peak memory "
            f"{facts['peak'] / 2**20:.0f} MiB")  # fmt: skip
    return [
        Outcome(sweep, (Pair(facts["seconds"], alone),), note=note),
        *(counted(name, "images") for name in ("lost", "doubled", "foreign")),
        counted("kills", "nodes", Target("ours", kills, kills)),
    ]


def _peak_of_driver() -> int:
    """Return the peak resident memory, in bytes, of the child that drives the cluster; 0 where Linux does not say."""
    import psutil

    for child in psutil.Process().children():
        try:
            if "lifeos.parameter_sweep.ray_run" in child.cmdline():
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
                return int(status.partition("VmHWM:")[2].split()[0]) * 1024
        except (OSError, psutil.Error, IndexError):
            continue
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
