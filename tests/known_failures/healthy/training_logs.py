"""Clean logs of three families of trainers, written as they write them: nothing may be found in any."""

import json
import math

TOTAL = 400


def _falling(step, seed=0):
    """A noisy loss that falls, the same at every call."""
    return 0.14 * math.exp(-step / 300) + 0.03 + 0.02 * math.sin(12.9898 * (step + seed)) ** 2


def _d(step):
    """Prodigy's d as toys show it: at its start for some steps, then up, then level."""
    return min(4e-3, 1e-6 * 1.25 ** max(0, step - 20))


def _bar(name, step, total, figures):
    share = step / total
    drawn = "█" * int(10 * share)
    return f"{name}: {share:4.0%}|{drawn:10}| {step}/{total} [00:{step % 60:02}<01:30,  1.52it/s, {figures}]"


def _kohya(lines, start=0, total=TOTAL):
    head = [
        "2025-03-02 10:15:02 INFO     prepare tokenizers",
        "                    INFO     update token length: 225",
        "                    INFO     [Dataset 0]",
        "                    INFO     loading image sizes.",
        "100%|██████████| 31/31 [00:00<00:00, 2074.29it/s]",
        "                    INFO     bucket 0: resolution (832, 1216), count: 180",
        "                    INFO     mean ar error (without repeats): 0.0112",
        *lines,
        "running training / 学習開始",
        "  num train images * repeats / 学習画像の数×繰り返し回数: 310",
        f"  total optimization steps / 学習ステップ数: {total}",
        "epoch 1/2",
    ]
    bars = [_bar("steps", step, total, f"avr_loss={_falling(step):.3g}") for step in range(start + 1, total + 1)]
    half = len(bars) // 2
    samples = [
        "",
        "generating sample images at step / サンプル画像生成 ステップ: 200",
        "prompt: photo of pstch person",
        "100%|██████████| 30/30 [00:12<00:00,  2.41it/s]",
    ]
    tail = ["", "saving checkpoint: /workspace/out/pstch.safetensors", "model saved."]
    first, second = "\r".join(bars[:half]), "\r".join(bars[half:])
    return "\n".join([*head, first, *samples, second, *tail])


def _logs(place, texts):
    return [{"training-log": place.text(f"{name}.log", text)} for name, text in texts.items()]


def kohya_logs(place):
    cached = [
        "                    INFO     caching latents with caching strategy.",
        "                    INFO     caching latents...",
        "100%|██████████| 31/31 [00:08<00:00,  3.60it/s]",
    ]
    prodigy = [
        "                    INFO     use Prodigy optimizer | {'decouple': True, 'weight_decay': 0.01, 'd_coef': 2.0,",
        "                             'use_bias_correction': True, 'safeguard_warmup': True}",
        "Using decoupled weight decay",
    ]
    resumed = [
        "                    INFO     resume training from local state: /workspace/out/pstch-step00000150-state",
        "                    INFO     Loading states from /workspace/out/pstch-step00000150-state",
        "                    INFO     All optimizer states loaded successfully",
        "                    INFO     Loading in 0 custom states",
    ]
    return _logs(place, {
        "adamw-fp16": _kohya(["                    INFO     use 8-bit AdamW optimizer | {}", "enable fp16 training."]),
        "prodigy-bf16": _kohya(prodigy),
        "sdxl-cached": _kohya(["load VAE: /workspace/sdxl-vae-fp16-fix", *cached, *prodigy]),
        "resumed": _kohya([*prodigy, *resumed], start=150),
    })  # fmt: skip


def _diffusers(lines, figures, start=0, validate=True):
    head = [
        "03/02/2025 10:15:02 - INFO - __main__ - Distributed environment: NO",
        "Num processes: 1",
        "Mixed precision type: fp16",
        "Loading pipeline components...: 100%|██████████| 7/7 [00:01<00:00,  5.11it/s]",
        "03/02/2025 10:15:40 - INFO - __main__ - ***** Running training *****",
        "03/02/2025 10:15:40 - INFO - __main__ -   Num examples = 31",
        f"03/02/2025 10:15:40 - INFO - __main__ -   Total optimization steps = {TOTAL}",
        *lines,
    ]
    body = []
    for step in range(start + 1, TOTAL + 1):
        body.append(_bar("Steps", step, TOTAL, f"{figures(step)}, loss={_falling(step, 3):.4f}"))
        if validate and step == 200:
            body += [
                "03/02/2025 10:20:02 - INFO - __main__ - Running validation...",
                " Generating 4 images with prompt: a photo of pstch person.",
                "100%|██████████| 25/25 [00:06<00:00,  4.10it/s]",
                "03/02/2025 10:20:30 - INFO - accelerate.accelerator - Saving current state to out/checkpoint-200",
                "Model weights saved in out/checkpoint-200/pytorch_lora_weights.safetensors",
            ]
    return "\n".join([*head, *body, "Model weights saved in out/pytorch_lora_weights.safetensors"])


def diffusers_script_logs(place):
    cosine = lambda step: f"lr={0.5e-4 * (1 + math.cos(math.pi * step / TOTAL)):.3g}"  # noqa: E731
    prodigy = lambda step: f"lr=1, d*lr={_d(step):.2e}"  # noqa: E731
    resumed = [
        "Resuming from checkpoint checkpoint-200",
        "03/02/2025 10:15:41 - INFO - accelerate.accelerator - Loading states from out/checkpoint-200",
    ]
    return _logs(place, {
        "adamw-fp16": _diffusers([], cosine),
        "prodigy": _diffusers([], prodigy, validate=False),
        "resumed": _diffusers(resumed, cosine, start=200, validate=False),
    })  # fmt: skip


def _ours(figures):
    lines = []
    for step in range(1, TOTAL + 1):
        line = {"step": step, "loss": _falling(step, 7), "gradient_norm": 0.3 + 0.1 * math.sin(step) ** 2,
                "weight_norm": 1.0 + step / 90, "seconds": 0.41, **figures(step)}  # fmt: skip
        lines.append(json.dumps(line, sort_keys=True) + "\n")
    return "".join(lines)


def lifeos_logs(place):
    return _logs(place, {
        "adamw": _ours(lambda step: {"learning_rate": 1e-4, "d": None}),
        "prodigy": _ours(lambda step: {"learning_rate": 1.0, "d": _d(step)}),
        # Cosine: the rate falls to nothing, d does not.
        "prodigy-cosine": _ours(
            lambda step: {"learning_rate": 0.5 * (1 + math.cos(math.pi * step / TOTAL)), "d": _d(step)}
        ),
    })  # fmt: skip
