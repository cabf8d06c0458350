"""Train the text encoder and the denoiser: `train_denoiser.py DATA RUN --steps N`; resumes like train_vae.py.

v-prediction on cached latents, moving average of the weights. The weight of a step is min(SNR + 1, 6) / (SNR + 1): even
where noise rules, since there a picture's pose and background are decided, and falling only where next to none is left.
Pictures are mirrored in half of the steps and their caption's facing word with them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import checkpoint
import numpy as np
import torch
from captions import build_tokenizer, layout_caption, random_caption
from train_vae import load_images
from training import choose_device, training_parser

# Where a head turns is decided here: averaged over a face, a hundredth of signal is enough to tell.
NOISIEST = 150
# Single pictures taught pose late: with batches of 32, 216,000 of them, half of the last 38,000 among the noisiest steps,
# left a wrong pose word raising the error of .54 by .0004, since the symmetric mean face is a saddle and all that
# pictures differ in besides drowns the way off it. Means of pictures leave it in 25 steps. So whole batches of means
# come first, and a part of every batch stays.
LAYOUT_STEPS = 150
LAYOUT_SHARE = 1 / 8
CAPTIONS_EACH = 12  # drawn and tokenised once, so that no step waits for it
SECONDS_BETWEEN_CHECKPOINTS = 60
STEADY = 0.7  # share of the steps after which the learning rate falls


def build_denoiser(vocabulary: int, bos: int, eos: int):  # type: ignore[no-untyped-def]
    """Untrained CLIPTextModel and UNet2DConditionModel, 0.5 and 9.9 M parameters."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=32,
            projection_dim=128,
            hidden_act="gelu",
            bos_token_id=bos,
            eos_token_id=eos,
            pad_token_id=eos,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=6,
        out_channels=6,
        block_out_channels=(48, 112, 192),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )
    return text, unet


def build_scheduler():  # type: ignore[no-untyped-def]
    """The noise schedule of Stable Diffusion with v-prediction, ending in pure noise (Lin et al. 2024).

    Without that end the mean of a seed's noise decided the colour of large areas before the prompt did.
    """
    from diffusers import DDPMScheduler

    return DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        num_train_timesteps=1000,
        clip_sample=False,
        steps_offset=1,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


@torch.no_grad()
def cache_latents(vae, images: torch.Tensor, path: Path) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Scaled latent means bf16[n,2,6,32,32] of each picture and its mirror image, cached in `path`."""
    from safetensors.torch import load_file, save_file

    if path.exists():
        stored = load_file(str(path))["latents"]
        if len(stored) == len(images):
            return stored
    device = next(vae.parameters()).device
    rows = []
    for start in range(0, len(images), 32):
        x = images[start : start + 32].to(device).float() / 127.5 - 1
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            both = [vae.encode(v).latent_dist.mean.float() * vae.config.scaling_factor for v in (x, x.flip(-1))]
        rows.append(torch.stack(both, 1).to(torch.bfloat16).cpu())
    latents = torch.cat(rows).contiguous()
    save_file({"latents": latents}, str(path))
    return latents


def layout_means(latents: torch.Tensor, traits: list[dict[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean latents f32[k,6,32,32] of the pictures and mirror images that share a layout caption, and whose is whose
    i64[n,2]."""
    names: dict[str, int] = {}
    index = torch.empty(len(traits), 2, dtype=torch.long)
    for row, facts in enumerate(traits):
        for mirrored in (0, 1):
            index[row, mirrored] = names.setdefault(layout_caption(facts, bool(mirrored)), len(names))
    flat = index.flatten().to(latents.device)
    sums = torch.zeros(len(names), *latents.shape[2:], device=latents.device)
    sums.index_add_(0, flat, latents.flatten(0, 1).float())
    counts = torch.bincount(flat, minlength=len(names)).view(-1, 1, 1, 1)
    return sums / counts, index.to(latents.device)


def caption_tokens(tokenizer, traits: list[dict[str, str]]) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Tokens i16[n,2,1+CAPTIONS_EACH,32] of each picture and its mirror image: the layout caption, then random ones."""
    rows = []
    for row, facts in enumerate(traits):
        rng = np.random.default_rng([2_000_003, row])
        words = []
        for mirrored in (False, True):
            words.append(layout_caption(facts, mirrored))
            words += [random_caption(facts, mirrored, rng) for _ in range(CAPTIONS_EACH)]
        ids = tokenizer(words, padding="max_length", max_length=32, truncation=True, return_tensors="np").input_ids
        rows.append(np.asarray(ids, np.int16).reshape(2, 1 + CAPTIONS_EACH, 32))
    return torch.from_numpy(np.stack(rows))


def draw_steps(batch: int, means: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels i64[batch] in 0..999: pure noise for the first `means`, of the rest half over the whole schedule and
    half over its noisiest `NOISIEST` steps.

    Each half takes one level from each of its equal slices: the gradient is less noisy than with free draws.
    """

    def sliced(count: int, first: int) -> torch.Tensor:
        places = (
            torch.arange(count, device=generator.device)
            + torch.rand(count, generator=generator, device=generator.device)
        ) / count
        return (first + places * (1000 - first)).long().clamp(max=999)

    noisiest = (batch - means) // 2
    pure = torch.full((means,), 999, device=generator.device)
    return torch.cat([pure, sliced(batch - means - noisiest, 0), sliced(noisiest, 1000 - NOISIEST)]).long()


def learning_rate(step: int, steps: int) -> float:
    """Share of the peak rate: 50 steps up, level until ``STEADY`` of all steps, then a straight line down to .02.

    Level, so that a training of so many seconds need not know its number of steps before it has met the machine.
    """
    falling = max(0.0, (step / steps - STEADY) / (1 - STEADY))
    return min(1.0, (step + 1) / 50) * (1 - 0.98 * falling)


def main() -> None:
    """Train; checkpoint every minute; save unet, text_encoder, tokenizer, scheduler folders of the moving average."""
    from diffusers import AutoencoderKL

    parser = training_parser(__doc__, steps=40000, batch=16, rate=8e-4)
    parser.add_argument(
        "--compile", action="store_true", help="needs a C++ compiler; 17 %% less a step of 32 on two cores"
    )
    parser.add_argument(
        "--export-only", action="store_true", help="write the folders from the last checkpoint and stop"
    )
    arguments = parser.parse_args()
    device, half = choose_device(arguments.threads)
    torch.manual_seed(0)
    tokenizer = build_tokenizer(arguments.run / "tokenizer")
    text, unet = build_denoiser(len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    text, unet = text.to(device), unet.to(device, memory_format=torch.channels_last)
    if device == "cpu":
        # Fused attention's bfloat16 backward on a CPU took 14 % of a step on its own.
        from diffusers.models.attention_processor import AttnProcessor

        unet.set_attn_processor(AttnProcessor())
    if arguments.start_from is not None:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel

        unet.load_state_dict(UNet2DConditionModel.from_pretrained(arguments.start_from / "unet").state_dict())
        text.load_state_dict(CLIPTextModel.from_pretrained(arguments.start_from / "text_encoder").state_dict())
    modules = {"text": text, "unet": unet}
    predict = torch.compile(unet) if arguments.compile else unet
    parameters = [*unet.parameters(), *text.parameters()]
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, arguments.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    state = arguments.run / "denoiser_state.safetensors"
    step = checkpoint.load(state, modules, {"all": optimizer}, {"all": average})

    def export() -> None:
        kept = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, a in zip(parameters, average, strict=True):
                p.copy_(a)
        unet.save_pretrained(arguments.run / "unet")
        text.save_pretrained(arguments.run / "text_encoder")
        build_scheduler().save_pretrained(arguments.run / "scheduler")
        with torch.no_grad():
            for p, k in zip(parameters, kept, strict=True):
                p.copy_(k)

    if arguments.export_only:
        export()
        return
    vae = AutoencoderKL.from_pretrained(arguments.run / "vae").to(device).eval()
    latents = cache_latents(vae, load_images(arguments.data), arguments.run / "latents.safetensors").to(device)
    shards = sorted(arguments.data.glob("*.npz"))
    traits = [json.loads(t) for s in shards for t in np.load(s)["traits"]]
    layouts, layout_of = layout_means(latents, traits)
    tokens = caption_tokens(tokenizer, traits).to(device)
    scheduler = build_scheduler()
    snr = (scheduler.alphas_cumprod / (1 - scheduler.alphas_cumprod)).to(device)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.to(device)
    generator = torch.Generator(device)
    began, saved, first, running = time.time(), time.time(), step, torch.zeros((), device=device)
    while step < arguments.steps:
        generator.manual_seed(2_000_003 + step)
        means = arguments.batch if step < LAYOUT_STEPS else int(arguments.batch * LAYOUT_SHARE)
        for group in optimizer.param_groups:
            group["lr"] = arguments.rate * learning_rate(step, arguments.steps)
        shape = (arguments.batch,)
        chosen = torch.randint(len(latents), shape, generator=generator, device=device)
        mirrored = torch.randint(2, shape, generator=generator, device=device)
        worded = torch.randint(1, 1 + CAPTIONS_EACH, shape, generator=generator, device=device)
        worded[:means] = 0
        clean = latents[chosen, mirrored].float()
        clean[:means] = layouts[layout_of[chosen, mirrored][:means]]
        noise = torch.randn(clean.shape, generator=generator, device=device)
        when = draw_steps(arguments.batch, means, generator)
        noisy = scheduler.add_noise(clean, noise, when).contiguous(memory_format=torch.channels_last)
        target = scheduler.get_velocity(clean, noise, when)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            words = text(tokens[chosen, mirrored, worded].long()).last_hidden_state
            predicted = predict(noisy, when, words).sample.float()
        # Min-SNR weighs pure noise with nothing: after 72,000 samples no prompt had turned a head.
        weight = ((snr[when] + 1).clamp(max=6) / (snr[when] + 1)).view(-1, 1, 1, 1)
        loss = (weight * (predicted - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        keep = min(0.999, (step + 1) / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - keep)
        running += loss.detach()
        if step % 100 == 0:
            speed = (time.time() - began) / (step - first)
            print(f"step {step} loss {running.item() / 100:.4f} {speed:.3f} s/step", flush=True)
            running.zero_()
        over = time.time() - began > arguments.seconds
        if time.time() - saved > SECONDS_BETWEEN_CHECKPOINTS or step == arguments.steps or over:
            checkpoint.save(state, step, modules, {"all": optimizer}, {"all": average})
            saved = time.time()
            if over:
                print(f"stopped at step {step} {(time.time() - began) / (step - first):.4f} s/step", flush=True)
                break
    export()


if __name__ == "__main__":
    main()
