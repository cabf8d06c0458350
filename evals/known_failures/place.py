"""Where a reproducer works, and the raw material it may take: nothing of the code that is to find the failure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.atomic import write_bytes, write_text
from evals.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BASE = Path("models") / "tiny-base"
_DEMO = Path("personas") / "pistachio"
_ATTENTION = (".to_q", ".to_k", ".to_v", ".to_out.0")


@dataclass(frozen=True)
class Place:
    """Where a reproducer works.

    Args:
        folder: empty; everything is written below it.
        root: the checkout, to read from.
    """

    folder: Path
    root: Path

    def text(self, name: str, content: str) -> Path:
        """Write a text file below the folder and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, content)
        return path

    def data(self, name: str, content: bytes) -> Path:
        """Write a file below the folder and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
        return path

    def lora(self, name: str, tensors: "Mapping[str, NDArray[Any]]", metadata: Mapping[str, str] | None = None) -> Path:
        """Write a safetensors file below the folder and return its path."""
        from safetensors.numpy import save

        return self.data(name, save(dict(tensors), metadata=None if metadata is None else dict(metadata)))

    def attention_lora(self, rank: int = 2, seed: int = 0) -> "dict[str, NDArray[np.float32]]":
        """Return a sound LoRA of tiny-base's attention, diffusers keys, small random matrices, all in float32."""
        import numpy as np

        draw = np.random.default_rng(seed)
        tensors: dict[str, NDArray[np.float32]] = {}
        for module, (rows, columns) in self.attention_shapes().items():
            tensors[f"{module}.lora_A.weight"] = draw.normal(0, 0.1, (rank, columns)).astype(np.float32)
            tensors[f"{module}.lora_B.weight"] = draw.normal(0, 0.1, (rows, rank)).astype(np.float32)
        return tensors

    def attention_shapes(self) -> dict[str, tuple[int, int]]:
        """Return ``unet.<module>`` to (rows, columns) for each attention projection of tiny-base's UNet."""
        from safetensors import safe_open

        shapes: dict[str, tuple[int, int]] = {}
        for shard in sorted((self.root / _BASE / "unet").glob("*.safetensors")):
            with safe_open(shard, framework="numpy") as file:
                for key in sorted(file.keys()):
                    module = key.removesuffix(".weight")
                    if key != module and module.endswith(_ATTENTION):
                        rows, columns = file.get_slice(key).get_shape()
                        shapes[f"unet.{module}"] = (rows, columns)
        return shapes

    def demo_pictures(self, folder: str = "references") -> list[Path]:
        """Return the demo persona's pictures in ``references`` (nobody trained on them) or ``dataset``.

        Raises:
            InputError: this project has no demo persona.
        """
        found = sorted((self.root / _DEMO / folder).glob("*.png"))
        if not found:
            raise InputError(f"{_DEMO.as_posix()}: accepted the demo persona to make artefacts of, got none; next: run "
                             "it in a checkout of lifeos itself")  # fmt: skip
        return found

    def demo_persona(self, images: int = 3, references: int = 2) -> Path:
        """Copy the demo persona with so many of its training images (and captions) and references; return the copy.

        Raises:
            InputError: this project has no demo persona.
        """
        source, target = self.root / _DEMO, self.folder / "persona"
        pictures = {name: self.demo_pictures(name) for name in ("dataset", "references")}
        for name in ("persona.toml", "prompts.toml", "recipe.toml", "calibration.json"):
            self.data(f"persona/{name}", (source / name).read_bytes())
        for folder, count in (("dataset", images), ("references", references)):
            for path in pictures[folder][:count]:
                for each in (path, path.with_suffix(".txt")):
                    if each.exists():
                        self.data(f"persona/{folder}/{each.name}", each.read_bytes())
        return target
