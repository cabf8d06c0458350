"""The layouts of published checkpoints, against diffusers' own converters and names copied from published sources."""

import pytest

from lifeos.lora.families import FAMILIES, get_family
from lifeos.lora.key_formats import read_keys
from lifeos.lora.key_maps import checkpoint_layers

pytestmark = pytest.mark.filterwarnings("ignore")

# Shapes of real bases as far as names depend on them; SDXL has two layers a block and no attention in the first.
SDXL = {
    f"unet.{name}": (4, 4) for name in (
        "down_blocks.0.resnets.0.conv1", "down_blocks.0.resnets.1.conv1", "down_blocks.0.downsamplers.0.conv",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "down_blocks.2.attentions.1.proj_in",
        "down_blocks.2.resnets.1.time_emb_proj", "mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj",
        "mid_block.resnets.1.conv2", "up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_out.0",
        "up_blocks.0.upsamplers.0.conv", "up_blocks.1.upsamplers.0.conv", "up_blocks.1.attentions.0.proj_in",
        "up_blocks.2.resnets.2.conv_shortcut", "add_embedding.linear_2", "time_embedding.linear_1", "conv_in",
        "conv_out",
    )
}  # fmt: skip
BLOCK = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "ff.net.0.proj", "ff.net.2", "attn.add_q_proj",
         "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out", "ff_context.net.2", "norm1.linear")  # fmt: skip
SD3 = {f"transformer.transformer_blocks.7.{name}": (4, 4) for name in BLOCK} | {
    "transformer.transformer_blocks.7.norm1_context.linear": (24, 4),
    "transformer.transformer_blocks.8.norm1_context.linear": (8, 4), "transformer.norm_out.linear": (8, 4),
    "transformer.pos_embed.proj": (4, 4, 2, 2), "transformer.time_text_embed.text_embedder.linear_1": (4, 4),
}  # fmt: skip
SINGLE = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp", "proj_out", "norm.linear")
FLUX = {f"transformer.transformer_blocks.18.{name}": (4, 4) for name in BLOCK} | {
    **{f"transformer.single_transformer_blocks.37.{name}": (4, 4) for name in SINGLE},
    "transformer.proj_out": (4, 4), "transformer.norm_out.linear": (8, 4), "transformer.x_embedder": (4, 4),
    "transformer.time_text_embed.guidance_embedder.linear_1": (4, 4),
}  # fmt: skip
PUBLISHED = {
    # kohya-ss/sd-scripts 48d368f: make_unet_conversion_map; Comfy-Org/ComfyUI b3be02d: unet_to_diffusers.
    "sdxl": (SDXL, {
        "input_blocks.1.0.in_layers.2": ["down_blocks.0.resnets.0.conv1"],
        "input_blocks.2.0.in_layers.2": ["down_blocks.0.resnets.1.conv1"],
        "input_blocks.3.0.op": ["down_blocks.0.downsamplers.0.conv"],
        "input_blocks.4.1.transformer_blocks.0.attn1.to_q":
            ["down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"],
        "input_blocks.8.1.proj_in": ["down_blocks.2.attentions.1.proj_in"],
        "input_blocks.8.0.emb_layers.1": ["down_blocks.2.resnets.1.time_emb_proj"],
        "middle_block.1.transformer_blocks.9.ff.net.0.proj":
            ["mid_block.attentions.0.transformer_blocks.9.ff.net.0.proj"],
        "middle_block.2.out_layers.3": ["mid_block.resnets.1.conv2"],
        "output_blocks.2.1.transformer_blocks.0.attn2.to_out.0":
            ["up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_out.0"],
        "output_blocks.2.2.conv": ["up_blocks.0.upsamplers.0.conv"],
        "output_blocks.5.2.conv": ["up_blocks.1.upsamplers.0.conv"],
        "output_blocks.3.1.proj_in": ["up_blocks.1.attentions.0.proj_in"],
        "output_blocks.8.0.skip_connection": ["up_blocks.2.resnets.2.conv_shortcut"],
        "label_emb.0.2": ["add_embedding.linear_2"], "time_embed.0": ["time_embedding.linear_1"],
        "input_blocks.0.0": ["conv_in"], "out.2": ["conv_out"],
    }),
    # Comfy-Org/ComfyUI b3be02d: mmdit_to_diffusers; kohya-ss/sd-scripts 48d368f: networks/lora_sd3.py.
    "sd3": (SD3, {
        "joint_blocks.7.x_block.attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
        "joint_blocks.7.context_block.attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
        "joint_blocks.7.x_block.attn.proj": ["attn.to_out.0"],
        "joint_blocks.7.context_block.attn.proj": ["attn.to_add_out"],
        "joint_blocks.7.x_block.mlp.fc1": ["ff.net.0.proj"], "joint_blocks.7.x_block.mlp.fc2": ["ff.net.2"],
        "joint_blocks.7.context_block.mlp.fc2": ["ff_context.net.2"],
        "joint_blocks.7.x_block.adaLN_modulation.1": ["norm1.linear"],
        "joint_blocks.7.context_block.adaLN_modulation.1": ["norm1_context.linear"],
        "joint_blocks.8.context_block.adaLN_modulation.1": ["swapped", "norm1_context.linear"],
        "final_layer.adaLN_modulation.1": ["swapped", "norm_out.linear"],
        "x_embedder.proj": ["pos_embed.proj"], "y_embedder.mlp.0": ["time_text_embed.text_embedder.linear_1"],
    }),
    # kohya-ss/sd-scripts 48d368f: networks/convert_flux_lora.py; Comfy-Org/ComfyUI b3be02d: flux_to_diffusers.
    "flux": (FLUX, {
        "double_blocks.18.img_attn.qkv": ["attn.to_q", "attn.to_k", "attn.to_v"],
        "double_blocks.18.txt_attn.qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
        "double_blocks.18.img_attn.proj": ["attn.to_out.0"], "double_blocks.18.txt_attn.proj": ["attn.to_add_out"],
        "double_blocks.18.img_mlp.0": ["ff.net.0.proj"], "double_blocks.18.img_mlp.2": ["ff.net.2"],
        "double_blocks.18.txt_mlp.2": ["ff_context.net.2"], "double_blocks.18.img_mod.lin": ["norm1.linear"],
        "single_blocks.37.linear1": ["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
        "single_blocks.37.linear2": ["single_transformer_blocks.37.proj_out"],
        "single_blocks.37.modulation.lin": ["norm.linear"],
        "final_layer.linear": ["transformer.proj_out"],
        "final_layer.adaLN_modulation.1": ["swapped", "norm_out.linear"], "img_in": ["x_embedder"],
        "guidance_in.in_layer": ["time_text_embed.guidance_embedder.linear_1"],
    }),
}  # fmt: skip


@pytest.mark.parametrize("family", PUBLISHED)
def test_names_are_the_published_ones(family):
    modules, published = PUBLISHED[family]
    layers = {layer.name: layer for layer in checkpoint_layers(family, modules)}
    assert set(layers) == set(published)
    for name, endings in published.items():
        swapped = endings[0] == "swapped"
        assert layers[name].swapped is swapped, name
        assert len(layers[name].parts) == len(endings) - swapped
        for part, ending in zip(layers[name].parts, endings[swapped:], strict=True):
            assert part == ending or part.endswith(f".{ending}"), name


@pytest.mark.parametrize("family", FAMILIES)
def test_each_module_lies_in_one_layer_and_no_name_means_two_things(random_bases, family):
    modules = get_family(family).modules(random_bases[family])
    layers = checkpoint_layers(family, modules)
    assert sorted(part for layer in layers for part in layer.parts) == sorted(modules)
    flat = [(layer.component, layer.name.replace(".", "_")) for layer in layers]
    assert len(flat) == len(set(flat))
    # kohya's names without dots stand for the checkpoint's or diffusers' modules: where both fit, they agree.
    meanings = dict(zip(flat, layers, strict=True))
    for module in modules:
        component, inner = module.split(".", 1)
        clash = meanings.get((component, inner.replace(".", "_")))
        assert clash is None or clash.parts == (module,)


class Checkpoint(dict):
    """A checkpoint of linear layers and convolutions; what else a converter asks for is made up."""

    def pop(self, name, *default):
        import torch

        return super().pop(name) if name in self else torch.zeros(6, 6)


@pytest.mark.parametrize("family", PUBLISHED)
def test_diffusers_converts_a_checkpoint_of_these_layers_to_its_own_weights(random_bases, with_numbers, family):
    """Each random base is written as a checkpoint by our map and read by the converter of diffusers' single files."""
    import torch
    from diffusers.loaders import single_file_utils as converters
    from safetensors.torch import load_file

    kind = get_family(family)
    denoiser = kind.lora_components[0]
    weights = {}
    for shard in sorted((random_bases[family] / denoiser).glob("*.safetensors")):
        weights |= load_file(shard)
    checkpoint = Checkpoint()
    for layer in checkpoint_layers(family, kind.modules(random_bases[family])):
        for ending in (".weight", ".bias"):
            parts = [weights.get(part.split(".", 1)[1] + ending) for part in layer.parts]
            if layer.component == denoiser and all(part is not None for part in parts):
                whole = torch.cat(parts)
                whole = torch.cat(whole.chunk(2)[::-1]) if layer.swapped else whole
                checkpoint[layer.name + ending] = whole
    if family == "sdxl":
        config = {"layers_per_block": 1, "addition_embed_type": "text_time"}
        prefixed = {f"model.diffusion_model.{name}": value for name, value in checkpoint.items()}
        converted = converters.convert_ldm_unet_checkpoint(prefixed, config)
    elif family == "sd3":
        converted = converters.convert_sd3_transformer_checkpoint_to_diffusers(checkpoint)
    else:
        convert = with_numbers(converters.convert_flux_transformer_checkpoint_to_diffusers, "inner_dim = 3072",
                               "inner_dim = 32")  # fmt: skip
        converted = convert(checkpoint)
    modules = [name.split(".", 1)[1] for name in kind.modules(random_bases[family]) if name.startswith(denoiser)]
    assert len(modules) > 30
    for module in modules:
        assert torch.equal(converted[f"{module}.weight"], weights[f"{module}.weight"]), module


@pytest.mark.parametrize(("family", "name", "module", "key_format"), [
    # OneTrainer (Comfy-Org/ComfyUI 17358c8, comfy/lora.py), for SD3 and Flux in the names of diffusers.
    ("flux", "lora_transformer_single_transformer_blocks_37_proj_mlp.lora_up.weight",
     "transformer.single_transformer_blocks.37.proj_mlp", "kohya"),
    ("sd3", "lora_transformer_transformer_blocks_7_attn_to_q.lora_down.weight",
     "transformer.transformer_blocks.7.attn.to_q", "kohya"),
    # Diffusers' names after kohya's prefix, as some trainers write SDXL.
    ("sdxl", "lora_unet_up_blocks_1_upsamplers_0_conv.alpha", "unet.up_blocks.1.upsamplers.0.conv", "kohya"),
    # ComfyUI's generic format, and ai-toolkit's for Flux, which is diffusers' own.
    ("flux", "diffusion_model.single_blocks.37.linear2.lora_A.weight",
     "transformer.single_transformer_blocks.37.proj_out", "comfyui"),
    ("sdxl", "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.lora_B.weight",
     "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "comfyui"),
    ("flux", "transformer.single_transformer_blocks.37.proj_out.lora_A.weight",
     "transformer.single_transformer_blocks.37.proj_out", "diffusers"),
])  # fmt: skip
def test_names_of_other_trainers_are_read(family, name, module, key_format):
    modules, kind = PUBLISHED[family][0], get_family(family)
    read = read_keys([name], kind.lora_components, kind.kohya_prefixes, modules, checkpoint_layers(family, modules))
    assert (list(read.modules), read.formats, read.unknown) == ([module], (key_format,), ())


@pytest.mark.parametrize(("family", "name", "module"), [
    ("sdxl", "lora_te2_text_projection.lora_up.weight", "text_encoder_2.text_projection"),
    ("sdxl", "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.alpha",
     "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"),
    ("flux", "lora_te1_text_model_encoder_layers_1_mlp_fc1.lora_down.weight",
     "text_encoder.text_model.encoder.layers.1.mlp.fc1"),
    ("flux", "lora_te_text_model_encoder_layers_1_mlp_fc2.alpha", "text_encoder.text_model.encoder.layers.1.mlp.fc2"),
    ("flux", "text_encoders.clip_l.transformer.text_model.encoder.layers.0.self_attn.k_proj.lora_A.weight",
     "text_encoder.text_model.encoder.layers.0.self_attn.k_proj"),
])  # fmt: skip
def test_names_of_text_encoders_are_read(random_bases, family, name, module):
    kind = get_family(family)
    modules = kind.modules(random_bases[family])
    read = read_keys([name], kind.lora_components, kind.kohya_prefixes, modules, checkpoint_layers(family, modules))
    assert list(read.modules) == [module]
    assert module in modules


def test_a_layer_named_twice_is_unknown():
    names = ("lora_unet_double_blocks_18_img_attn_qkv.lora_up.weight",
             "transformer.transformer_blocks.18.attn.to_k.lora_B.weight")  # fmt: skip
    kind = get_family("flux")
    read = read_keys(names, kind.lora_components, kind.kohya_prefixes, FLUX, checkpoint_layers("flux", FLUX))
    assert read.unknown == (names[1],)
