"""Logs of very small trainings that really run, and go wrong as larger ones do."""

import ast
import contextlib
import io
import traceback

STEPS = 120


def _bar(step, total, loss, **more):
    figures = "".join(f", {name}={value:.3g}" for name, value in more.items())
    drawn = "#" * (10 * step // total)
    return f"Steps: {100 * step // total:3d}%|{drawn:10}| {step}/{total} [00:01<00:01, loss={loss:.4f}{figures}]"


def _prodigy(parameters, **settings):
    from prodigyopt import Prodigy

    with contextlib.redirect_stdout(io.StringIO()):  # its constructor prints
        return Prodigy(parameters, betas=(0.9, 0.99), use_bias_correction=True, safeguard_warmup=True, **settings)


def _toy():
    """A frozen layer with a LoRA, and what it is to become."""
    import torch

    torch.manual_seed(0)
    down, up = torch.nn.Parameter(torch.randn(2, 16) * 0.1), torch.nn.Parameter(torch.zeros(16, 2))
    return [down, up], torch.randn(16, 16) * 0.1


def _step(parameters, wanted, optimizer):
    import torch

    down, up = parameters
    given = torch.randn(8, 16)
    loss = ((given @ (up @ down).T - given @ wanted.T) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def sdxl_vae_nan_latents(place, encoded_in):
    import numpy as np

    lines = ["INFO     caching latents...", "INFO     checking cache validity..."]
    with np.errstate(all="ignore"):
        # Activations as large as those of SDXL's VAE, normalised: beyond 65504 float16 holds infinity alone.
        hidden = np.linspace(-1, 1, 64, dtype=encoded_in) * np.dtype(encoded_in).type(1e3) ** 2
        latents = (hidden - hidden.mean()) / hidden.std()
    if np.isnan(latents).any():
        lines.append("RuntimeError: NaN detected in latents: /workspace/img/10_pstch/0002.png")
    else:
        lines += [_bar(step, 5, 0.1) for step in range(1, 6)]
    return {"training-log": place.text("train.log", "\n".join(lines))}


def prodigy_d_stuck_at_d0(place, warmup_steps):
    parameters, wanted = _toy()
    optimizer = _prodigy(parameters, lr=1.0)
    lines = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = min(1.0, (step + 1) / max(1, warmup_steps))
        loss = _step(parameters, wanted, optimizer)
        lines.append(_bar(step + 1, STEPS, loss, d=optimizer.param_groups[0]["d"]))
    return {"training-log": place.text("train.log", "\n".join(lines))}


def prodigy_resume_d_reset(place, state):
    parameters, wanted = _toy()
    optimizer = _prodigy(parameters, lr=1.0)
    lines = []
    for step in range(80):
        if step == 60:
            lines.append("resume training")
            saved = optimizer.state_dict()
            optimizer = _prodigy(parameters, lr=1.0)
            if state == "loaded":
                optimizer.load_state_dict(saved)
        loss = _step(parameters, wanted, optimizer)
        lines.append(_bar(step + 1, 80, loss, d=optimizer.param_groups[0]["d"]))
    return {"training-log": place.text("train.log", "\n".join(lines))}


def resume_restarts_optimizer(place, restored):
    import torch

    parameters, wanted = _toy()
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    lines, total, step = [], 40, 0
    while step < 20:
        loss = _step(parameters, wanted, optimizer)
        step += 1
        lines.append(_bar(step, total, loss, lr=1e-3))
    lines.append("Resuming from checkpoint checkpoint-20")
    saved = {"optimizer": optimizer.state_dict(), "step": step}
    optimizer, step = torch.optim.AdamW(parameters, lr=1e-3), 0
    if restored == "everything":
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    while step < total:
        loss = _step(parameters, wanted, optimizer)
        step += 1
        lines.append(_bar(step, total, loss, lr=1e-3))
    return {"training-log": place.text("train.log", "\n".join(lines))}


def fp16_unscale_gradients(place, weights):
    import torch

    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 8, bias=False, dtype=getattr(torch, weights))
    optimizer, scaler = torch.optim.AdamW(layer.parameters(), lr=1e-4), torch.amp.GradScaler("cpu", init_scale=8.0)
    lines = ["***** Running training *****", "  Total optimization steps = 5"]
    try:
        for step in range(5):
            loss = layer(torch.ones(2, 8, dtype=layer.weight.dtype)).square().mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            lines.append(_bar(step + 1, 5, loss.item(), lr=1e-4))
    except ValueError:
        lines.append(traceback.format_exc())
    return {"training-log": place.text("train.log", "\n".join(lines))}


def prodigy_args_as_tuple(place, argument):
    parameters, wanted = _toy()
    lines = ["running training"]
    try:
        # As sd-scripts reads optimizer_args.
        optimizer = _prodigy(parameters, lr=1.0, weight_decay=ast.literal_eval(argument))
        lines += [_bar(step + 1, 5, _step(parameters, wanted, optimizer)) for step in range(5)]
    except TypeError:
        lines.append(traceback.format_exc())
    return {"training-log": place.text("train.log", "\n".join(lines))}


def oom_at_validation(place, sample_side):
    import torch

    parameters, wanted = _toy()
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    lines = [_bar(step + 1, 6, _step(parameters, wanted, optimizer)) for step in range(3)]
    lines += ["Running validation...", " Generating 4 images with prompt: a photo of pstch."]
    try:
        torch.empty((sample_side, sample_side))
        lines += [_bar(step + 1, 6, _step(parameters, wanted, optimizer)) for step in range(3, 6)]
    except RuntimeError:
        lines.append(traceback.format_exc())
    return {"training-log": place.text("train.log", "\n".join(lines))}
