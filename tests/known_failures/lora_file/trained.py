"""LoRA files as a training that went wrong leaves them: a step on tiny-base's UNet, with peft."""


def _step(place, prepare=None, optimized=True):
    """Take a step on random latents and return the file; ``prepare`` is called with the UNet and its LoRA."""
    import diffusers
    import torch
    from diffusers import UNet2DConditionModel
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(0)
    diffusers.utils.logging.disable_progress_bar()
    unet = UNet2DConditionModel.from_pretrained(place.root / "models" / "tiny-base" / "unet", local_files_only=True)
    unet.float().requires_grad_(False)
    unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    if prepare is not None:
        prepare(unet)
    pairs = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD([{"params": pairs if optimized else [torch.nn.Parameter(torch.zeros(1))]}], lr=1.0)
    side, channels = 8, unet.config.in_channels
    words = torch.randn(1, 4, unet.config.cross_attention_dim)
    unet(torch.randn(1, channels, side, side), torch.tensor([500]), words).sample.square().mean().backward()
    optimizer.step()
    tensors = {f"unet.{name}": tensor.numpy() for name, tensor in get_peft_model_state_dict(unet).items()}
    return place.lora("lora.safetensors", tensors)


def lora_b_all_zero(place, optimizer_holds):
    return {"lora": _step(place, optimized=optimizer_holds == "every LoRA parameter")}


def unet_only_down_blocks_zero(place, reentrant):
    from torch.utils.checkpoint import checkpoint

    def recompute(module):
        forward = module.forward

        def again(*tensors, **named):
            return checkpoint(lambda *given: forward(*given, **named), *tensors, use_reentrant=reentrant)

        module.forward = again

    def prepare(unet):
        for block in unet.down_blocks:
            for attention in getattr(block, "attentions", []):
                recompute(attention)

    return {"lora": _step(place, prepare)}


def fused_save_unreadable(place, unloaded):
    import json

    from diffusers import UNet2DConditionModel
    from peft import LoraConfig

    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1, cross_attention_dim=8,
        attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False))
    unet.fuse_lora()
    if unloaded:
        unet.unload_lora()
    unet.save_pretrained(place.folder / "base" / "unet")
    place.text("base/model_index.json", json.dumps({"unet": ["diffusers", "UNet2DConditionModel"]}))
    persona = place.demo_persona()
    path = persona / "persona.toml"
    text = path.read_text(encoding="utf-8")
    base = (place.folder / "base").as_posix()
    path.write_text(text.replace('base = "models/tiny-base"', f'base = "{base}"'), encoding="utf-8")
    return {"persona": persona}
