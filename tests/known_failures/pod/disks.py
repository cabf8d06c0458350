"""Rented machines whose disks do not hold what the run needs."""

import json

GPU = {"name": "NVIDIA A40", "memory_gib": 44.99, "capability": [8, 6]}


def _posix(path):
    # A pod's paths start with a slash; without the drive, Windows means the current one.
    return "/" + path.as_posix().split("/", 1)[1]


def _pod(place, volume):
    text = (place.root / "pods" / "a40.toml").read_text(encoding="utf-8")
    return place.text("pod.toml", text.replace('volume_path = "/workspace"', f'volume_path = "{_posix(volume)}"'))


def pod_output_on_ephemeral_disk(place, outputs):
    volume, container = place.folder / "volume", place.folder / "container"
    volume.mkdir()
    container.mkdir()
    artifacts = {"volume": volume, "container": container}[outputs] / "artifacts"
    machine = {"gpus": [GPU], "variables": {"HF_HOME": str(volume / "huggingface")}, "volumes": [str(volume)]}
    return {
        "machine": place.text("machine.json", json.dumps(machine)),
        "pod": _pod(place, volume),
        "artifacts": artifacts,
    }


def disk_full_at_checkpoint(place, volume_free_gib):
    volume = place.folder / "volume"
    volume.mkdir()
    space = {str(volume): [100, volume_free_gib], "": [500, 300]}
    machine = {
        "gpus": [GPU],
        "variables": {"HF_HOME": str(volume / "huggingface")},
        "volumes": [str(volume)],
        "space": space,
    }
    return {
        "machine": place.text("machine.json", json.dumps(machine)),
        "pod": _pod(place, volume),
        "artifacts": volume / "artifacts",
    }
