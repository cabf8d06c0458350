"""Bases in the layout of their authors: the names of their own code, written from diffusers' names the other way.

Sources: CompVis/stable-diffusion ``ldm/modules/diffusionmodules/{openaimodel,model}.py``, mlfoundations/open_clip
``transformer.py``, Stability-AI/sd3-ref ``mmditx.py``, black-forest-labs/flux ``modules/layers.py``. diffusers knows
the way from these names to its own; nothing of it is used here, so that a mistake of either shows.
"""

import json
import re
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
          "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}  # fmt: skip
UNET_ENDS = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
             "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
             "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0", "conv_out": "out.2"}  # fmt: skip


def tensors_of(base: Path, component: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for shard in sorted((base / component).glob("*.safetensors")):
        found |= load_file(shard)
    return found


def write_original(family: str, base: Path, file: Path, without: tuple[str, ...] = ()) -> Path:
    """Write a base as one file, ``without`` some of its components."""
    tensors: dict[str, np.ndarray] = {}
    for component, layout in LAYOUTS[family].items():
        if component not in without:
            tensors |= layout(tensors_of(base, component), json.loads((base / component / "config.json").read_text()))
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, file)
    return file


def unet(tensors, config):
    layers, sides = config["layers_per_block"], len(config["block_out_channels"])
    return {f"model.diffusion_model.{unet_name(name, layers, sides)}": array for name, array in tensors.items()}


def unet_name(name, layers, sides):
    module, _, kind = name.rpartition(".")
    if module in UNET_ENDS:
        return f"{UNET_ENDS[module]}.{kind}"
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", module)
    if match is None:
        part, number, rest = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", module).groups()
        place = f"middle_block.{2 * int(number) if part == 'resnets' else 1}"
        return f"{place}.{RESNET[rest] if part == 'resnets' else rest}.{kind}"
    way, block, part, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if part == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{kind}"
    if way == "down":
        place = f"input_blocks.{1 + block * (layers + 1) + number}"
    else:
        place = f"output_blocks.{block * (layers + 1) + (layers if part == 'upsamplers' else number)}"
    if part == "upsamplers":
        # Behind the attention where the block has one: the first of ours has, as in SD1.5 and SDXL.
        return f"{place}.{2 if block == 0 and sides == 2 else 1}.conv.{kind}"
    return f"{place}.0.{RESNET[rest]}.{kind}" if part == "resnets" else f"{place}.1.{rest}.{kind}"


def autoencoder(prefix):
    def convert(tensors, config):
        last = len(config["block_out_channels"]) - 1
        return {prefix + autoencoder_name(name, last): array for name, array in tensors.items()}

    return convert


def autoencoder_name(name, last):
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.(\d+)", lambda at: f"up.{last - int(at[1])}.block.{at[2]}", name)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{last - int(found[1])}.upsample", name)


def clip(prefix):
    def convert(tensors, _):
        named = {f"{prefix}{wrapped(name)}": array for name, array in tensors.items()}
        # Published files of SD1.5 and SDXL hold the positions' own numbers too.
        return named | {f"{prefix}text_model.embeddings.position_ids": np.arange(20)[None]}

    return convert


def wrapped(name):
    return name if name.startswith(("text_model.", "text_projection")) else f"text_model.{name}"


def open_clip(prefix):
    ends = {"text_model.embeddings.token_embedding.weight": "token_embedding.weight",
            "text_model.embeddings.position_embedding.weight": "positional_embedding",
            "text_model.final_layer_norm.weight": "ln_final.weight",
            "text_model.final_layer_norm.bias": "ln_final.bias"}  # fmt: skip
    layer = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2",
             "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}  # fmt: skip

    def convert(tensors, config):
        found = {"logit_scale": np.array(4.6, np.float16)}
        tensors = {wrapped(name): array for name, array in tensors.items()}
        for name, array in tensors.items():
            match = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
            if name == "text_projection.weight":
                found["text_projection"] = array.T
            elif match is None:
                found[ends[name]] = array
            elif match[2] in layer:
                found[f"transformer.resblocks.{match[1]}.{layer[match[2]]}.{match[3]}"] = array
            elif match[2] == "self_attn.q_proj":
                joined = [tensors[name.replace("q_proj", each)] for each in ("q_proj", "k_proj", "v_proj")]
                place = f"transformer.resblocks.{match[1]}.attn.in_proj_{match[3]}"
                found[place] = np.concatenate(joined)
        return {prefix + name: array for name, array in found.items()}

    return convert


def t5(tensors, _):
    return {f"text_encoders.t5xxl.transformer.{name}": array for name, array in tensors.items()
            if name != "encoder.embed_tokens.weight"}  # fmt: skip


def joint(tensors, name, parts):
    """Rows of several layers in one, as the authors compute them."""
    return np.concatenate([tensors[name.replace(parts[0], part)] for part in parts])


def swapped_halves(array):
    first, second = np.split(array, 2)
    return np.concatenate([second, first])


def sd3_transformer(tensors, config):
    ends = {"pos_embed.pos_embed": "pos_embed", "pos_embed.proj": "x_embedder.proj",
            "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
            "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
            "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
            "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2", "context_embedder": "context_embedder",
            "proj_out": "final_layer.linear", "norm_out.linear": "final_layer.adaLN_modulation.1"}  # fmt: skip
    block = {"attn.norm_q": "x_block.attn.ln_q", "attn.norm_k": "x_block.attn.ln_k",
             "attn.norm_added_q": "context_block.attn.ln_q", "attn.norm_added_k": "context_block.attn.ln_k",
             "attn.to_out.0": "x_block.attn.proj", "attn.to_add_out": "context_block.attn.proj",
             "norm1.linear": "x_block.adaLN_modulation.1", "norm1_context.linear": "context_block.adaLN_modulation.1",
             "ff.net.0.proj": "x_block.mlp.fc1", "ff.net.2": "x_block.mlp.fc2",
             "ff_context.net.0.proj": "context_block.mlp.fc1", "ff_context.net.2": "context_block.mlp.fc2"}  # fmt: skip
    joined = {"attn.to_q": ("x_block.attn.qkv", ("to_q", "to_k", "to_v")),
              "attn.add_q_proj": ("context_block.attn.qkv", ("add_q_proj", "add_k_proj", "add_v_proj"))}  # fmt: skip
    found = {}
    for name, array in tensors.items():
        module, _, kind = name.rpartition(".")
        match = re.fullmatch(r"transformer_blocks\.(\d+)\.(.*)", module)
        if match is None:
            to = ends.get(name) or f"{ends[module]}.{kind}"
            # The text part of the last block only scales and shifts; diffusers keeps the two the other way round.
            found[to] = swapped_halves(array) if module == "norm_out.linear" else array
        elif match[2] in joined:
            to, parts = joined[match[2]]
            found[f"joint_blocks.{match[1]}.{to}.{kind}"] = joint(tensors, name, parts)
        elif match[2] in block:
            last = int(match[1]) == config["num_layers"] - 1 and match[2] == "norm1_context.linear"
            found[f"joint_blocks.{match[1]}.{block[match[2]]}.{kind}"] = swapped_halves(array) if last else array
    return {f"model.diffusion_model.{name}": array for name, array in found.items()}


def flux_transformer(tensors, _):
    embedders = {"time_text_embed.timestep_embedder": "time_in", "time_text_embed.text_embedder": "vector_in",
                 "time_text_embed.guidance_embedder": "guidance_in"}  # fmt: skip
    ends = {f"{ours}.linear_{number}": f"{theirs}.{layer}" for ours, theirs in embedders.items()
            for number, layer in ((1, "in_layer"), (2, "out_layer"))}  # fmt: skip
    ends |= {"context_embedder": "txt_in", "x_embedder": "img_in", "proj_out": "final_layer.linear",
             "norm_out.linear": "final_layer.adaLN_modulation.1"}  # fmt: skip
    double = {"norm1.linear": "img_mod.lin", "norm1_context.linear": "txt_mod.lin", "ff.net.0.proj": "img_mlp.0",
              "ff.net.2": "img_mlp.2", "ff_context.net.0.proj": "txt_mlp.0", "ff_context.net.2": "txt_mlp.2",
              "attn.to_out.0": "img_attn.proj", "attn.to_add_out": "txt_attn.proj"}  # fmt: skip
    scales = {"attn.norm_q": "img_attn.norm.query_norm", "attn.norm_k": "img_attn.norm.key_norm",
              "attn.norm_added_q": "txt_attn.norm.query_norm", "attn.norm_added_k": "txt_attn.norm.key_norm"}
    joined = {"attn.to_q": ("img_attn.qkv", ("to_q", "to_k", "to_v")),
              "attn.add_q_proj": ("txt_attn.qkv", ("add_q_proj", "add_k_proj", "add_v_proj"))}  # fmt: skip
    found = {}
    for name, array in tensors.items():
        module, _, kind = name.rpartition(".")
        match = re.fullmatch(r"(single_)?transformer_blocks\.(\d+)\.(.*)", module)
        if match is None:
            found[f"{ends[module]}.{kind}"] = swapped_halves(array) if module == "norm_out.linear" else array
            continue
        number, part = match[2], match[3]
        if match[1]:
            place = f"single_blocks.{number}"
            if part == "attn.to_q":
                joint_rows = joint(tensors, name, ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"))
                found[f"{place}.linear1.{kind}"] = joint_rows
            elif part.startswith("attn.norm_"):
                found[f"{place}.norm.{'query' if part.endswith('q') else 'key'}_norm.scale"] = array
            elif part in ("norm.linear", "proj_out"):
                found[f"{place}.{'modulation.lin' if part == 'norm.linear' else 'linear2'}.{kind}"] = array
            continue
        place = f"double_blocks.{number}"
        if part in joined:
            to, parts = joined[part]
            found[f"{place}.{to}.{kind}"] = joint(tensors, name, parts)
        elif part in scales:
            found[f"{place}.{scales[part]}.scale"] = array
        elif part in double:
            found[f"{place}.{double[part]}.{kind}"] = array
    # The authors' own file has no prefix; those that hold the other parts too have one.
    return {f"model.diffusion_model.{name}": array for name, array in found.items()}


LAYOUTS = {
    "sd15": {"unet": unet, "vae": autoencoder("first_stage_model."),
             "text_encoder": clip("cond_stage_model.transformer.")},
    "sdxl": {"unet": unet, "vae": autoencoder("first_stage_model."),
             "text_encoder": clip("conditioner.embedders.0.transformer."),
             "text_encoder_2": open_clip("conditioner.embedders.1.model.")},
    "sd3": {"transformer": sd3_transformer, "vae": autoencoder("first_stage_model."),
            "text_encoder": clip("text_encoders.clip_l.transformer."),
            "text_encoder_2": clip("text_encoders.clip_g.transformer."), "text_encoder_3": t5},
    "flux": {"transformer": flux_transformer, "vae": autoencoder("vae."),
             "text_encoder": clip("text_encoders.clip_l.transformer."), "text_encoder_2": t5},
}  # fmt: skip
LAYOUTS["tiny_base"] = LAYOUTS["sd15"]
