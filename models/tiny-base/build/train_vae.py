"""Train the autoencoder: `train_vae.py DATA RUN --steps N`. Kill it at any time; the same command goes on.

AutoencoderKL, 128 px -> 32 x 32 x 6. Loss: L1 + L1 of gradients + L1 of a Laplacian (keeps pores, which plain L1
smooths away) + KL; a small patch discriminator joins after `--adversarial-from` and pays for texture that no
pixel loss can place exactly.
"""

from __future__ import annotations

import time
from pathlib import Path

import checkpoint
import numpy as np
import torch
import torch.nn.functional as F
from training import choose_device, training_parser


def load_images(folder: Path) -> torch.Tensor:
    """All rendered pictures u8[n,3,128,128]."""
    shards = sorted(folder.glob("*.npz"))
    return torch.cat([torch.from_numpy(np.load(s)["images"]).permute(0, 3, 1, 2) for s in shards])


def build_vae():  # type: ignore[no-untyped-def]
    """The untrained autoencoder."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=6,
        block_out_channels=(24, 48, 96),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        sample_size=128,
        mid_block_add_attention=False,
    )


class Patches(torch.nn.Sequential):
    """A patch discriminator of 0.2 M parameters, receptive field 22 px."""

    def __init__(self) -> None:
        super().__init__(
            torch.nn.Conv2d(3, 32, 4, 2, 1),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(32, 64, 4, 2, 1),
            torch.nn.GroupNorm(8, 64),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(64, 128, 3, 1, 1),
            torch.nn.GroupNorm(8, 128),
            torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(128, 1, 3, 1, 1),
        )


def details(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Horizontal and vertical gradients and the Laplacian."""
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :], x - blurred


def main() -> None:
    """Train, report every 100 steps, checkpoint every 250, save the diffusers folder at the end."""
    parser = training_parser(__doc__, steps=6000, batch=8, rate=1.5e-3)
    parser.add_argument(
        "--adversarial-from", type=float, default=0.6, help="share of the steps after which patches are judged"
    )
    arguments = parser.parse_args()
    device, half = choose_device(arguments.threads)
    torch.manual_seed(0)
    images = load_images(arguments.data).to(device)
    vae = build_vae().to(device, memory_format=torch.channels_last)
    if arguments.start_from is not None:
        from diffusers import AutoencoderKL

        vae.load_state_dict(AutoencoderKL.from_pretrained(arguments.start_from / "vae").float().state_dict())
    patches = Patches().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), arguments.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    judge = torch.optim.AdamW(patches.parameters(), 4e-4, betas=(0.5, 0.99))
    state = arguments.run / "vae_state.safetensors"
    step = checkpoint.load(state, {"vae": vae, "patches": patches}, {"vae": optimizer, "patches": judge}, {})
    began, first = time.time(), step
    adversarial_start = int(arguments.adversarial_from * arguments.steps)
    while step < arguments.steps:
        generator = torch.Generator().manual_seed(1_000_003 + step)
        progress = step / arguments.steps
        rate = arguments.rate * min(1, (step + 1) / 200) * (0.5 * (1 + np.cos(np.pi * progress)) * 0.97 + 0.03)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.randint(len(images), (arguments.batch,), generator=generator)
        real = (images[chosen.to(device)].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        if torch.rand(1, generator=generator) < 0.5:
            real = real.flip(-1)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            posterior = vae.encode(real).latent_dist
            latent = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=generator).to(device)
            fake = vae.decode(latent).sample.float()
        pixel = (fake - real).abs().mean()
        texture = sum((a - b).abs().mean() for a, b in zip(details(fake), details(real), strict=True))
        loss = pixel + 0.7 * texture + 2e-8 * posterior.kl().float().mean()
        adversarial = step >= adversarial_start
        if adversarial:
            patches.requires_grad_(False)
            with torch.autocast(device, torch.bfloat16, enabled=half):
                loss = loss - 0.012 * min(1, (step - adversarial_start) / 300) * patches(fake).float().mean()
            patches.requires_grad_(True)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if adversarial:
            with torch.autocast(device, torch.bfloat16, enabled=half):
                verdict_real, verdict_fake = patches(real).float(), patches(fake.detach()).float()
            hinge = F.relu(1 - verdict_real).mean() + F.relu(1 + verdict_fake).mean()
            judge.zero_grad()
            hinge.backward()
            judge.step()
        step += 1
        if step % 100 == 0:
            print(
                f"step {step} error {pixel.detach().item() * 127.5:.2f}/255 texture {float(texture.detach()):.4f} kl {posterior.kl().mean().item():.0f} "
                f"latent sd {latent.std().item():.2f} {(time.time() - began) / (step - first):.3f} s/step",
                flush=True,
            )
        if step % 250 == 0 or step == arguments.steps or time.time() - began > arguments.seconds:
            checkpoint.save(state, step, {"vae": vae, "patches": patches}, {"vae": optimizer, "patches": judge}, {})
            if time.time() - began > arguments.seconds:
                print(f"stopped at step {step} {(time.time() - began) / (step - first):.4f} s/step", flush=True)
                return
    vae.eval()
    with torch.no_grad():
        sample = images[torch.linspace(0, len(images) - 1, 512).long()]
        means = torch.cat([vae.encode(x.float() / 127.5 - 1).latent_dist.mean for x in sample.split(32)])
    vae.register_to_config(scaling_factor=float(1 / means.std()))
    vae.float().save_pretrained(arguments.run / "vae")


if __name__ == "__main__":
    main()
