"""The sizes that pictures are trained at: the base's own, a square a side, or the nearest shape of that area."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from lifeos.errors import InputError
from lifeos.lora.dataset import Example, read_size

if TYPE_CHECKING:
    from lifeos.lora.recipe import ResolutionSettings

Size = tuple[int, int]


def sizes_of_examples(
    examples: Sequence[Example], settings: "ResolutionSettings | None", usual: Size
) -> list[tuple[Size, ...]]:
    """Return the sizes at which each picture is trained: ``usual`` alone without settings.

    Raises:
        InputError: a picture cannot be read, or may not be enlarged and is smaller than any size.
    """
    if settings is None:
        return [(usual,)] * len(examples)
    sizes = []
    for example in examples:
        width, height = read_size(example.image)
        sizes.append(trained_sizes(width, height, settings))
        least = settings.effective_min_side if settings.buckets else settings.bucket_step
        if min(min(size) for size in sizes[-1]) < least:
            raise InputError(f"{example.image}: accepted a picture that fills {least} pixels a side without being "
                             f"enlarged, got {width}x{height}; next: take it out, or set resolution.upscale = true")
    return sizes


def trained_sizes(width: int, height: int, settings: "ResolutionSettings") -> tuple[Size, ...]:
    """Return the sizes (width, height) at which a picture of a size is trained, one for each of ``sides``.

    Two sides that come to one size, as where a small picture may not be enlarged, give it once. A picture that may not
    be enlarged is trained at what it holds, cut down to multiples of ``bucket_step``; a size of 0 means it holds none.
    """
    sizes = []
    for side in settings.sides:
        size = bucket_of(width, height, shapes(side, settings)) if settings.buckets else (side, side)
        scale = trained_scale(width, height, size)
        if scale > 1.0 and not settings.upscale:
            step = settings.bucket_step
            size = int(size[0] / scale) // step * step, int(size[1] / scale) // step * step
        if size not in sizes:
            sizes.append(size)
    return tuple(sizes)


def sizes_of_recipe(settings: "ResolutionSettings") -> tuple[Size, ...]:
    """Return every size (width, height) that a recipe trains at; the smallest side's alone where none is enlarged."""
    sides = settings.sides if settings.upscale else settings.sides[:1]
    of_side = [shapes(side, settings) if settings.buckets else ((side, side),) for side in sides]
    return tuple(size for sizes in of_side for size in sizes)


@cache
def shapes(side: int, settings: "ResolutionSettings") -> tuple[Size, ...]:
    """Return every size (width, height) of at most ``side`` x ``side`` pixels that is as high as its width allows.

    Widths and heights are multiples of ``bucket_step`` between the shortest and the longest side of a bucket.
    """
    step, low, high = settings.bucket_step, settings.effective_min_side, settings.effective_max_side
    found = set()
    for width in range(-(-low // step) * step, high + 1, step):
        height = min(high, side * side // width) // step * step
        if height >= low:
            found |= {(width, height), (height, width)}
    return tuple(sorted(found))


def bucket_of(width: int, height: int, buckets: Sequence[Size]) -> Size:
    """Return the bucket (width, height) that a picture is trained in: the one nearest in shape, then the largest.

    Raises:
        ValueError: there is no bucket.
    """
    if not buckets:
        raise ValueError("buckets must hold at least 1 size, but got none")

    def difference(bucket: Size) -> tuple[float, int]:
        wide, high = width * bucket[1], height * bucket[0]
        return max(wide, high) / min(wide, high), -bucket[0] * bucket[1]

    return min(buckets, key=difference)


def trained_scale(width: int, height: int, bucket: Size) -> float:
    """Return the factor by which a picture is scaled to cover its bucket; above 1 it is enlarged."""
    return max(bucket[0] / width, bucket[1] / height)
