"""Logs of runs that met another version of a library than they were written for: it writes the error itself."""

import traceback


def _log(place, action):
    lines = ["loaded 31 images"]
    try:
        action()
        lines.append("done")
    except Exception:
        lines += traceback.format_exc().splitlines()
    return {"training-log": place.text("run.log", "\n".join(lines) + "\nloss=0.12\n")}


def torch26_weights_only_resume(place, weights_only):
    import numpy as np
    import torch

    path = place.folder / "random_states.pkl"
    torch.save(
        {"step": 5, "numpy_random_seed": np.random.default_rng(0).bit_generator.state, "rng": np.arange(3)}, path
    )
    return _log(place, lambda: torch.load(path, weights_only=weights_only))


def skimage_multichannel_removed(place, argument):
    import numpy as np
    from skimage.metrics import structural_similarity

    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    given = {"multichannel": True} if argument == "multichannel" else {"channel_axis": -1}
    return _log(place, lambda: structural_similarity(image, image, data_range=255, **given))


def clip_flatten_attr(place, attribute):
    from transformers import CLIPTextConfig, CLIPTextModel

    width = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = CLIPTextModel(CLIPTextConfig(**width, vocab_size=16, bos_token_id=0, eos_token_id=1))
    return _log(place, lambda: getattr(model, attribute))
