"""Captioners of transformers, read from a folder that the user names: BLIP, Florence-2, Qwen-VL.

Nothing is downloaded, no code of the folder runs, weights are safetensors or refused, and decoding is greedy.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError
from lifeos.lora.safetensors_file import read_header

if TYPE_CHECKING:
    from PIL import Image

    from evals.images import RgbImage

Describe = Callable[["Image.Image"], str]

QWEN_PROMPT = (
    "Describe in short comma-separated English phrases only what could change from photo to photo: clothes, pose, "
    "expression, background, light, camera distance. Say nothing of hair, eyes, skin, age, origin or beauty."
)
FLORENCE_TASK = "<DETAILED_CAPTION>"
MOST_NEW_TOKENS = 128
# A large photograph becomes as many tokens as it has patches in Qwen-VL; the others scale it down by themselves.
LONGEST_SIDE = 1024
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_IDENTITY_FILES = ("*.safetensors", "*.json", "*.txt")


@dataclass(frozen=True)
class _Family:
    """Which model classes a backend reads, by the ``model_type`` of their config, and how one is asked."""

    classes: dict[str, str]
    open: Callable[[Any, Path, str | None], Describe]
    takes_prompt: bool = False


class Captioner:
    """One model; its weights are loaded when the first picture comes.

    Args:
        backend: ``blip``, ``florence2`` or ``qwen-vl``.
        folder: model and processor as transformers saves them.
        prompt: what is asked of ``qwen-vl``; None is ``QWEN_PROMPT``.

    Raises:
        InputError: no such backend; the folder is absent, holds pickled weights only, a damaged safetensors file or
            another kind of model; a prompt for a backend that takes none, or with the model's own marks in it.
    """

    def __init__(self, backend: str, folder: Path, prompt: str | None = None) -> None:
        """Check the folder without loading it."""
        if backend not in FAMILIES:
            raise InputError(f"--backend: accepted one of {', '.join(FAMILIES)}, got {backend!r}; next: correct it")
        self._family, self._folder, self._prompt = FAMILIES[backend], Path(folder), prompt
        if prompt is not None and not self._family.takes_prompt:
            raise InputError(f"--prompt: accepted with --backend qwen-vl, got {backend}; next: leave --prompt out")
        if prompt is not None and ("<|" in prompt or not prompt.strip()):
            raise InputError(f"--prompt: accepted plain text, got {prompt[:60]!r}; next: leave --prompt out")
        _check_weights(self._folder)
        self._class = self._family.classes.get(kind := _model_type(self._folder), "")
        if not self._class:
            raise InputError(
                f"{folder}: accepted a model of type {' or '.join(self._family.classes)} for --backend {backend}, got "
                f"{kind[:60]!r}; next: another --model or --backend"
            )
        self._describe: Describe | None = None

    def identity(self) -> str:
        """Return one SHA-256 over weights, configs, prompt and the code that asks."""
        import transformers

        from evals.content_hash import hash_file, hash_folder, hash_json

        files = [hash_folder(self._folder, pattern) for pattern in _IDENTITY_FILES if any(self._folder.glob(pattern))]
        return hash_json([files, self._class, self._prompt, hash_file(Path(__file__)), transformers.__version__])

    def describe(self, image: "RgbImage") -> str:
        """Return the model's text for one picture, as it came.

        Args:
            image: uint8 RGB ``[h, w, 3]``.

        Raises:
            InputError: the model cannot be loaded, or a weight of it is missing.
            RuntimeError: it cannot be run on this picture (memory).
        """
        from PIL import Image

        if self._describe is None:
            _quiet()
            model = _load(self._class, self._folder)
            self._describe = _guarded(self._folder, lambda: self._family.open(model, self._folder, self._prompt))
        picture = Image.fromarray(image)
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        return self._describe(picture)


def _open_blip(model: Any, folder: Path, prompt: str | None) -> Describe:
    from transformers import BlipProcessor

    processor = BlipProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)

    def describe(picture: "Image.Image") -> str:
        return _decoded(processor, _generate(model, processor(images=picture, return_tensors="pt")))

    return describe


def _open_florence(model: Any, folder: Path, prompt: str | None) -> Describe:
    from transformers import Florence2Processor

    processor = Florence2Processor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)

    def describe(picture: "Image.Image") -> str:
        return _decoded(processor, _generate(model, processor(text=FLORENCE_TASK, images=picture, return_tensors="pt")))

    return describe


def _open_qwen(model: Any, folder: Path, prompt: str | None) -> Describe:
    """Ask by picture processor and tokenizer alone: the whole processor wants torchvision, for videos.

    The marks are those of the model's chat format (https://qwen.readthedocs.io, "ChatML"); no template of the folder
    is run.
    """
    from transformers import Qwen2Tokenizer, Qwen2VLImageProcessorPil

    pictures = Qwen2VLImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
    tokenizer = Qwen2Tokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    question = QWEN_PROMPT if prompt is None else prompt

    def describe(picture: "Image.Image") -> str:
        pixels = pictures(images=[picture], return_tensors="pt")
        patches = int(pixels["image_grid_thw"][0].prod()) // pictures.merge_size**2
        shown = f"<|vision_start|>{'<|image_pad|>' * patches}<|vision_end|>"
        asked = tokenizer(
            f"<|im_start|>user\n{shown}{question}<|im_end|>\n<|im_start|>assistant\n", return_tensors="pt"
        )
        length = asked["input_ids"].shape[1]
        kinds = (asked["input_ids"] == model.config.image_token_id).int()
        made = _generate(model, {**asked, "mm_token_type_ids": kinds, **pixels})
        return _decoded(tokenizer, made[:, length:])

    return describe


FAMILIES: dict[str, _Family] = {
    "blip": _Family({"blip": "BlipForConditionalGeneration"}, _open_blip),
    "florence2": _Family({"florence2": "Florence2ForConditionalGeneration"}, _open_florence),
    "qwen-vl": _Family(
        {"qwen2_vl": "Qwen2VLForConditionalGeneration", "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration"},
        _open_qwen,
        takes_prompt=True,
    ),
}


def _generate(model: Any, inputs: Any) -> Any:
    import torch

    moved = {name: tensor.to(model.device) for name, tensor in dict(inputs).items()}
    moved = {name: t.to(model.dtype) if t.is_floating_point() else t for name, t in moved.items()}
    with torch.inference_mode():
        return model.generate(**moved, max_new_tokens=MOST_NEW_TOKENS, do_sample=False, num_beams=1)


def _decoded(processor: Any, tokens: Any) -> str:
    return str(processor.batch_decode(tokens, skip_special_tokens=True)[0])


def _check_weights(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(
            f"--model {folder}: accepted a local folder with a model, got none there; next: check the path"
        )
    # With one beside the weights, transformers loads the adapter too, which may be a pickle.
    if (folder / "adapter_config.json").exists():
        raise InputError(f"--model {folder}: accepted a whole model, got an adapter; next: merge it first")
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _PICKLES)
        got = f"pickled weights alone ({pickles[0]}), refused unread" if pickles else "no weights"
        raise InputError(f"--model {folder}: accepted weights in safetensors, got {got}; next: fetch the safetensors")
    for shard in shards:
        read_header(shard)


def _model_type(folder: Path) -> str:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: accepted a config in JSON, got none that can be read; next: fetch it again"
        ) from error
    return str(config.get("model_type")) if isinstance(config, dict) else ""


def _load(name: str, folder: Path) -> Any:
    import torch
    import transformers

    on_gpu = torch.cuda.is_available()
    model, info = _guarded(
        folder,
        lambda: getattr(transformers, name).from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True, dtype="auto" if on_gpu else torch.float32,
        ),
    )  # fmt: skip
    # transformers leaves an absent weight random with only a warning.
    missing = [key for key in info["missing_keys"] if not key.endswith("position_ids")]
    if missing or info["mismatched_keys"]:
        what = f"it without {sorted(missing)[0]}" if missing else "weights of another shape"
        raise InputError(f"{folder}: accepted {name} with all its weights, got {what}; next: fetch the model again")
    return model.eval().requires_grad_(False).to("cuda" if on_gpu else "cpu")


def _guarded(folder: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    # transformers raises OSError, ValueError, KeyError and safetensors' own class on broken folders.
    except Exception as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: accepted a model of transformers, got {what}; next: fetch it again") from error


def _quiet() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
