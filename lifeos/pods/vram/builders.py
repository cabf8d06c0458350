"""Components of a base without its weights: fake for a prediction, random for a measurement, from the same configs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.families.component_files import read_config
from lifeos.pods.vram.architecture import require_known_keys

_CLIP_TOKENS, _T5_TOKENS = 77, 512


class ConfigBuilder:
    """Builds what the configs describe, in whatever mode PyTorch is: see ``component_files.Builder``."""

    def model(self, kind: Any, config: dict[str, Any], dtype: Any, place: Path) -> Any:
        """See ``Builder.model``; weights are as the class leaves them.

        Raises:
            InputError: the config holds an unknown key, or the class cannot be built from it.
        """
        import inspect

        import torch

        before = torch.get_default_dtype()
        # Built in its own type: weights that were float32 for a moment would leave their segments behind.
        torch.set_default_dtype(dtype)
        try:
            if hasattr(kind, "config_class") and kind.config_class is not None:
                known = set(kind.config_class().to_dict()) | set(inspect.signature(kind.config_class).parameters)
                require_known_keys(config, known, place)
                model = kind(kind.config_class(**config))
            else:
                require_known_keys(config, set(inspect.signature(kind.__init__).parameters), place)
                model = kind.from_config(config)
            return model.to(dtype)
        except InputError:
            raise
        except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, AssertionError, RuntimeError,
                NotImplementedError) as error:  # fmt: skip
            raise InputError(f"{place.name}/config.json: accepted a config of {kind.__name__}, got "
                             f"{' '.join(str(error).split())[:160]}; next: check the config") from error
        finally:
            torch.set_default_dtype(before)

    def tokenizer(self, kind: Any, place: Path) -> Any:
        """See ``Builder.tokenizer``: every text is as long as the encoder reads."""
        longest = _T5_TOKENS if "T5" in kind.__name__ else _CLIP_TOKENS
        if (place / "tokenizer_config.json").is_file():
            named = read_config(place.parent, place.name, "tokenizer_config.json").get("model_max_length", longest)
            longest = min(longest, int(named))
        return BlankTokenizer(longest)


class BlankTokenizer:
    """Called as a tokenizer of transformers is; all its tokens are 0."""

    def __init__(self, model_max_length: int) -> None:
        """``model_max_length``: tokens of a text unless the call says otherwise."""
        self.model_max_length = model_max_length

    def __call__(self, texts: str | list[str], max_length: int | None = None, **_: Any) -> Any:
        """Return ``input_ids``: a list for one text, int64 ``[n, max_length]`` for several."""
        import torch

        if isinstance(texts, str):
            return SimpleNamespace(input_ids=[0, 0])
        shape = (len(texts), max_length or self.model_max_length)
        return SimpleNamespace(input_ids=torch.zeros(shape, dtype=torch.long))
