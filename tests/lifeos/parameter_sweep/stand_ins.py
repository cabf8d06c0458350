"""Stand-ins for what draws, named by path to actors; every image that is put is logged in a file of its own."""

import os
import time
import uuid
import zlib
from pathlib import Path

from lifeos.errors import InputError
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.ray_node import draw_with_lora


def png_of(seed):
    """A valid PNG of one grey pixel."""
    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes([0, seed % 256])))
            + chunk(b"IEND", b""))  # fmt: skip


def quick(threads):
    """20 ms an image; logs each real put of the store beside it: ``puts/KEY.UUID``."""
    return _logging(0.02)


def three_together(threads):
    """As ``quick``, but nobody draws before three are ready: on a busy machine two could draw all without the third."""
    logging = _logging(0.02)

    def draw(asked, images, store):
        ready = store.folder.parent / "ready"
        ready.mkdir(exist_ok=True)
        (ready / str(os.getpid())).touch()
        end = time.monotonic() + 60.0
        while len(list(ready.iterdir())) < 3:
            if time.monotonic() > end:
                raise TimeoutError("fewer than three actors came")
            time.sleep(0.05)
        logging(asked, images, store)

    return draw


def dies_once(threads):
    """As ``quick``; the first actor that begins an image of seed 7 dies."""
    return _logging(0.0, die=lambda store: _first(store, "died"))


def dies_always(threads):
    """As ``quick``, but whoever begins an image of seed 7 dies."""
    return _logging(0.0, die=lambda store: True)


def refuses(threads):
    """Refuse an image of seed 7 as an unfit LoRA is refused."""

    def draw(asked, images, store):
        if any(image.request.seed == 7 for image in images):
            raise InputError("v3.safetensors: accepted a LoRA that fits, got another; next: lifeos gate predeploy")
        _put_all(asked, images, store, 0.0)

    return draw


def breaks(threads):
    """Raise what nobody foresaw."""

    def draw(asked, images, store):
        raise ZeroDivisionError("divided")

    return draw


def sees_another_folder(node, reach):
    """Complain on every node but one."""
    first = Path(reach.folder) / "first"
    try:
        first.touch(exist_ok=False)
    except FileExistsError:
        return f"node-{node[:4]}: {reach.folder}: accepted the token, got none; next: mount it there"
    return None


def _logging(seconds, die=None):
    def draw(asked, images, store):
        _put_all(asked, images, store, seconds, die)

    return draw


def _put_all(asked, images, store, seconds, die=None):
    for image in images:
        if die is not None and image.request.seed == 7 and die(store):
            os._exit(1)
        time.sleep(seconds)
        was_there = ImageStore.has(store, image.key)
        store.put(image.key, png_of(image.request.seed), {"seed": image.request.seed})
        if not was_there:
            _log(store, image.key)


def _log(store, key):
    log = store.folder.parent / "puts"
    log.mkdir(exist_ok=True)
    (log / f"{key}.{uuid.uuid4().hex}").touch()


def _first(store, name):
    try:
        (store.folder.parent / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def for_real_and_logged(threads):
    """What draws for real; every image that is written is logged."""
    draw, put_all = draw_with_lora(threads), ImageStore.put_all

    def logged(store, images):
        put_all(store, images)
        for key, _, _ in images:
            _log(store, key)

    ImageStore.put_all = logged
    return draw
