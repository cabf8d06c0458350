"""CLIPScore: how well an image fits a text, by a CLIP model that the user names; none ships with this project.

Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", EMNLP 2021.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.content_hash import hash_folder, hash_json
from evals.errors import InputError
from evals.images import RgbImage

HIGHER_IS_BETTER = True

SCALE = 2.5
BATCH_SIZE = 16
# What OpenAI's models were trained with, where preprocessor_config.json says nothing else.
_SIDE, _MEAN, _DEVIATION = 224, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_FILES = ("*.safetensors", "*.json", "*.txt")


def clip_hash(folder: Path) -> str:
    """Return one SHA-256 over the weights, configs and vocabulary of a CLIP folder.

    Raises:
        InputError: there is no such folder, or no safetensors file in it (a pickle is never opened).
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder}: accepted a folder with a CLIP model in safetensors, got none; next: correct [clip] folder in "
            "persona.toml, or take it out"
        )
    # Tokenizers of today write no vocabulary beside tokenizer.json.
    return hash_json([hash_folder(folder, pattern) for pattern in _FILES if any(folder.glob(pattern))])


class ClipScorer:
    """A CLIP model with its tokenizer, on the CPU, in float32."""

    def __init__(self, folder: Path) -> None:
        """Load it.

        Args:
            folder: ``CLIPModel`` and ``CLIPTokenizer`` as transformers saves them; nothing is downloaded.

        Raises:
            InputError: as ``clip_hash``, or transformers cannot load it.
        """
        self.identity = clip_hash(folder)
        from transformers import CLIPModel, CLIPTokenizer

        try:
            self._model = CLIPModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).eval()
            self._tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
        # transformers raises OSError, ValueError, KeyError and safetensors' own class on broken folders.
        except Exception as error:
            what = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{folder}: accepted a CLIP model, got {what}; next: save it again") from error
        self._side, self._mean, self._deviation = _preprocessing(Path(folder))

    def scores(self, images: Sequence[RgbImage], texts: Sequence[str]) -> list[float]:
        """Return ``2.5 max(cos(image, text), 0)`` of each pair; a text longer than the model reads is cut.

        Args:
            images: n images uint8 RGB ``[h, w, 3]``.
            texts: n texts.

        Raises:
            ValueError: the numbers differ, or the model gives a NaN.
        """
        import torch

        if len(images) != len(texts):
            raise ValueError(f"images and texts must be as many, but got {len(images)} and {len(texts)}")
        found: list[float] = []
        for start in range(0, len(images), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            pixels = np.stack([self.pixels(image) for image in images[batch]])
            tokens = self._tokenizer(list(texts[batch]), padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                out = self._model(**tokens, pixel_values=torch.from_numpy(pixels))
                cosines = torch.nn.functional.cosine_similarity(out.image_embeds, out.text_embeds).double().numpy()
            if not np.isfinite(cosines).all():
                raise ValueError("the CLIP model must give finite embeddings, but gave NaN or infinity")
            found += [SCALE * max(float(cosine), 0.0) for cosine in cosines]
        return found

    def pixels(self, image: RgbImage) -> NDArray[np.float32]:
        """Return an image as the model reads it: shorter side scaled (bicubic), middle cut out, normalised.

        Args:
            image: uint8 RGB ``[h, w, 3]``.

        Returns:
            float32 ``[3, side, side]``.
        """
        from PIL import Image

        height, width = image.shape[:2]
        scale = self._side / min(height, width)
        size = (max(self._side, int(width * scale)), max(self._side, int(height * scale)))
        scaled = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), dtype=np.float32) / 255.0
        top, left = (scaled.shape[0] - self._side) // 2, (scaled.shape[1] - self._side) // 2
        middle = scaled[top : top + self._side, left : left + self._side]
        return np.ascontiguousarray(((middle - self._mean) / self._deviation).transpose(2, 0, 1), dtype=np.float32)


def _preprocessing(folder: Path) -> tuple[int, NDArray[np.float32], NDArray[np.float32]]:
    path = folder / "preprocessor_config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        crop = config.get("crop_size", _SIDE)
        side = int(crop["height"] if isinstance(crop, dict) else crop)
        mean = np.asarray(config.get("image_mean", _MEAN), dtype=np.float32)
        deviation = np.asarray(config.get("image_std", _DEVIATION), dtype=np.float32)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: accepted crop_size, image_mean and image_std, got {error}; next: save it") from error
    if side < 1 or mean.shape != (3,) or deviation.shape != (3,) or not (deviation > 0).all():
        raise InputError(f"{path}: accepted three means and deviations, got {mean}, {deviation}; next: save it again")
    return side, mean, deviation
