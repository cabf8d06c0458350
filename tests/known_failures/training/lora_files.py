"""LoRA files of trainings that went wrong."""

import warnings


def gradckpt_reentrant_no_grad(place, use_reentrant):
    import torch
    from torch.utils.checkpoint import checkpoint

    torch.manual_seed(0)
    blocks, pairs = {}, {}
    for name, (rows, columns) in place.attention_shapes().items():
        pairs[name] = (torch.nn.Parameter(torch.randn(2, columns) * 0.1), torch.nn.Parameter(torch.zeros(rows, 2)))
        blocks.setdefault(name.partition(".attn")[0], []).append(name)

    def block(given, names):
        # A frozen part, cut to the width that is asked for, and the LoRA on it.
        return sum((given[:, : pairs[name][0].shape[1]] @ pairs[name][0].T @ pairs[name][1].T).sum() for name in names)

    optimizer = torch.optim.AdamW([each for pair in pairs.values() for each in pair], lr=1e-2)
    frozen = torch.randn(4, max(down.shape[1] for down, _ in pairs.values()))
    *wrapped, last = blocks.values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            loss = (block(frozen, last) - 1.0) ** 2
            for names in wrapped:
                loss = loss + (checkpoint(block, frozen, names, use_reentrant=use_reentrant) - 1.0) ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    tensors = {f"{name}.lora_{part}.weight": each.detach().numpy()
               for name, pair in pairs.items() for part, each in zip("AB", pair, strict=True)}  # fmt: skip
    return {"lora": place.lora("lora.safetensors", tensors)}


def vpred_base_trained_as_epsilon(place, prediction):
    # tiny-base predicts a velocity, as its scheduler says.
    metadata = {"modelspec.architecture": "stable-diffusion-v1/lora", "modelspec.prediction_type": prediction}
    return {"lora": place.lora("lora.safetensors", place.attention_lora(), metadata)}
