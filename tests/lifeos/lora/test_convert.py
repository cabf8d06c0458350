"""Conversion between key formats: round trips, what diffusers' own converters read, metadata, and refusals."""

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.lora.convert import convert_lora
from lifeos.lora.converted_metadata import data_hash
from lifeos.lora.families import FAMILIES, base_hash, get_family
from lifeos.lora.families.component_files import published_name
from lifeos.lora.hand_over import Judgement
from lifeos.lora.lora_file import read_lora
from lifeos.lora.safetensors_file import encode, read_header
from lifeos.lora.weights import inspect_lora

pytestmark = pytest.mark.filterwarnings("ignore")
UNETS, TRANSFORMERS = ("tiny_base", "sd15", "sdxl"), ("sd3", "flux")


@pytest.fixture
def make(random_bases, tmp_path):
    """Write a diffusers LoRA over the modules that ``keep`` takes, with the rank and alpha that it gives."""

    def write(family, keep=lambda name: (2, 4.0), dtype="F32", dora=False, metadata=None, name="source.safetensors"):
        kind, generator, tensors = get_family(family), np.random.default_rng(5), {}
        ranks, alphas = {}, {}
        for module, shape in sorted(kind.modules(random_bases[family]).items()):
            kept = keep(module)
            if kept is None:
                continue
            rank, alpha = kept
            component, inner = module.split(".", 1)
            ranks.setdefault(component, {})[f"^{inner}"] = rank
            alphas.setdefault(component, {})[f"^{inner}"] = alpha
            down, up = generator.normal(0, 0.2, (rank, *shape[1:])), generator.normal(0, 0.2, (shape[0], rank))
            tensors[f"{module}.lora_A.weight"] = (dtype, down)
            tensors[f"{module}.lora_B.weight"] = (dtype, up.reshape(*up.shape, *(1 for _ in shape[2:])))
            if dora:
                norms = generator.uniform(0.5, 2, shape[0])
                norms = norms.reshape(1, -1, 1, 1) if len(shape) == 4 else norms
                tensors[f"{module}.lora_magnitude_vector"] = ("F32", norms)
        adapter = {f"{component}.alpha_pattern": pattern for component, pattern in alphas.items()}
        adapter |= {f"{component}.rank_pattern": pattern for component, pattern in ranks.items()}
        path = tmp_path / name
        path.write_bytes(encode(tensors, {"lora_adapter_metadata": json.dumps(adapter), **(metadata or {})}))
        return path

    return write


@pytest.fixture
def convert(random_bases, tmp_path):
    def run(source, family, key_format, name="", **extra):
        out = tmp_path / f"{name or key_format}.safetensors"
        return convert_lora(source, out, random_bases[family], get_family(family), key_format, **extra)

    return run


def rejected(path):
    return Judgement("20261123T202900Z-0123abcd", "d" * 64, "rejected", "c" * 64, hash_file(path))


def tensors_of(path):
    found = read_header(path)
    return {name: (found.entries[name].dtype, array) for name, array in found.read().items()}


def same_tensors(left, right):
    left, right = tensors_of(left), tensors_of(right)
    return set(left) == set(right) and all(
        left[name][0] == right[name][0] and np.array_equal(left[name][1], right[name][1]) for name in left
    )


def pairs_of(path, family, base):
    kind = get_family(family)
    read = read_lora(path, kind, kind.modules(base))
    assert (read.keys.unknown, read.broken) == ((), {})
    return read.modules


def by_kind(name):
    """Ranks and alphas that differ from module to module with the scale they have in common, .5."""
    rank = 1 + sum(name.encode()) % 4
    return rank, rank / 2


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_to_kohya_and_back_gives_equal_tensors_and_scales(make, convert, random_bases, family, dtype):
    source = make(family, by_kind, dtype)
    kohya = convert(source, family, "kohya")
    back = convert(kohya.path, family, "diffusers")
    assert same_tensors(back.path, source)
    pairs = [pairs_of(path, family, random_bases[family]) for path in (source, kohya.path, back.path)]
    for name, pair in pairs[0].items():
        assert [each[name].alpha for each in pairs] == [pair.alpha] * 3, name
    assert kohya.types == back.types == (dtype,)
    assert kohya.source_formats == ("diffusers",)
    assert back.source_formats == ("kohya",)


@pytest.mark.parametrize("family", FAMILIES)
def test_dora_magnitudes_come_through_every_format(make, convert, random_bases, family):
    denoiser = get_family(family).lora_components[0]
    source = make(family, lambda name: (2, 1.0) if name.startswith(denoiser) else None, dora=True)
    kohya = convert(source, family, "kohya")
    peft = convert(kohya.path, family, "peft")
    back = convert(peft.path, family, "diffusers")
    assert same_tensors(back.path, source)
    assert kohya.dora
    assert any("DoRA" in note for note in kohya.notes)
    for path, ending in ((kohya.path, ".dora_scale"), (peft.path, ".lora_magnitude_vector")):
        magnitudes = {name: array for name, (_, array) in tensors_of(path).items() if name.endswith(ending)}
        assert len(magnitudes) > 10
        for name, array in magnitudes.items():
            linear = array.shape[1:] == (1,) if path == kohya.path else array.ndim == 1
            conv = array.shape[1:] == (1, 1, 1) if path == kohya.path else array.shape[::2] == (1, 1)
            assert linear or conv, (name, array.shape)


@pytest.mark.parametrize(("layer", "module"), [
    ("final_layer_adaLN_modulation_1", "norm_out.linear"),
    ("joint_blocks_1_context_block_adaLN_modulation_1", "transformer_blocks.1.norm1_context.linear"),
])  # fmt: skip
def test_halves_that_a_checkpoint_has_the_other_way_round_are_written_so(make, convert, layer, module):
    source = make("sd3", lambda name: (2, 1.0) if name.startswith("transformer.") else None, dora=True)
    kohya, given = tensors_of(convert(source, "sd3", "kohya").path), tensors_of(source)
    for ending, own in ((".lora_up.weight", ".lora_B.weight"), (".dora_scale", ".lora_magnitude_vector")):
        written, read = kohya[f"lora_unet_{layer}{ending}"][1], given[f"transformer.{module}{own}"][1]
        half = len(read) // 2
        np.testing.assert_array_equal(written.reshape(read.shape), np.concatenate([read[half:], read[:half]]))


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_takes_the_converted_file_with_its_ranks_and_alphas(make, convert, random_bases, family, tmp_path):
    import diffusers
    from peft import PeftModel

    denoiser = get_family(family).lora_components[0]
    source = make(family, lambda name: by_kind(name) if name.startswith(denoiser) else None)
    made = convert(source, family, "peft", "adapter_model")
    index = json.loads((random_bases[family] / denoiser / "config.json").read_text(encoding="utf-8"))
    kind = getattr(diffusers, index["_class_name"])
    model = kind.from_pretrained(str(random_bases[family] / denoiser), local_files_only=True)
    adapted = PeftModel.from_pretrained(model, str(tmp_path))
    layers = {name.removeprefix("base_model.model."): layer for name, layer in adapted.named_modules()
              if hasattr(layer, "lora_A")}  # fmt: skip
    pairs = pairs_of(source, family, random_bases[family])
    assert {f"{denoiser}.{name}" for name in layers} == set(pairs)
    for name, layer in layers.items():
        pair = pairs[f"{denoiser}.{name}"]
        assert (layer.r["default"], layer.scaling["default"]) == (pair.rank, pair.scale), name
        np.testing.assert_allclose(layer.get_delta_weight("default").detach().numpy(), pair.delta(), atol=1e-5)
    assert pairs_of(made.path, family, random_bases[family]).keys() == pairs.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_takes_the_converted_file_with_its_ranks_and_alphas(make, convert, random_bases, family):
    """Text encoders too, whose names transformers 5 shortened."""
    import torch
    from diffusers import DiffusionPipeline

    source = make(family, lambda name: by_kind(name) if "text_projection" not in name else None)
    made = convert(convert(source, family, "kohya").path, family, "diffusers")
    folder = str(random_bases[family])
    pipeline = DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    pipeline.load_lora_weights(str(made.path.parent), weight_name=made.path.name, adapter_name="persona")
    loaded = {}
    for component in get_family(family).lora_components:
        for name, layer in getattr(pipeline, component).named_modules():
            if hasattr(layer, "lora_A"):
                loaded[f"{component}.{published_name(component, name)}"] = layer
    pairs = pairs_of(source, family, random_bases[family])
    assert set(loaded) == set(pairs)
    for name, layer in loaded.items():
        assert (layer.r["persona"], layer.scaling["persona"]) == (pairs[name].rank, pairs[name].scale), name
        np.testing.assert_allclose(layer.get_delta_weight("persona").detach().numpy(), pairs[name].delta(), atol=1e-5)


@pytest.mark.parametrize("family", UNETS)
def test_diffusers_own_converter_reads_the_unets_kohya_file_alike(make, convert, random_bases, family):
    from diffusers import DiffusionPipeline
    from diffusers.utils.state_dict_utils import convert_unet_state_dict_to_peft

    source = make(family, lambda name: by_kind(name) if "projection" not in name else None)
    kohya = convert(source, family, "kohya")
    pipeline = DiffusionPipeline.from_pretrained(str(random_bases[family]), local_files_only=True)
    state, alphas = pipeline.lora_state_dict(str(kohya.path), unet_config=pipeline.unet.config)
    state = convert_unet_state_dict_to_peft(state)
    pairs = pairs_of(source, family, random_bases[family])
    of_unet = {name: pair for name, pair in pairs.items() if name.startswith("unet.")}
    assert len(of_unet) > 60
    for name, pair in of_unet.items():
        np.testing.assert_array_equal(state[f"{name}.lora_A.weight"].numpy(), pair.down)
        np.testing.assert_array_equal(state[f"{name}.lora_B.weight"].numpy(), pair.up)
    assert len(alphas) == len(pairs)
    assert sorted(alphas.values()) == sorted(pair.alpha for pair in pairs.values())


def test_diffusers_own_converter_reads_the_flux_kohya_file_alike(make, convert, random_bases, with_numbers):
    """But for what lies outside the blocks, which it drops: the note says so."""
    from diffusers.loaders import lora_conversion_utils as converters
    from safetensors.torch import load_file

    source = make("flux", lambda name: by_kind(name) if name.startswith("transformer.") else None)
    kohya = convert(source, "flux", "kohya")
    convert_flux = converters._convert_kohya_flux_lora_to_diffusers
    own = with_numbers(convert_flux, "[3072, 3072, 3072, 12288]", "[32, 32, 32, 128]")
    state = own(load_file(str(kohya.path)))
    pairs = pairs_of(source, "flux", random_bases["flux"])
    blocks = {name: pair for name, pair in pairs.items() if "transformer_blocks." in name}
    assert {name.removesuffix(".lora_A.weight") for name in state if name.startswith("transformer.")
            and name.endswith("lora_A.weight")} == set(blocks)  # fmt: skip
    for name, pair in blocks.items():
        product = (state[f"{name}.lora_B.weight"] @ state[f"{name}.lora_A.weight"]).numpy()
        np.testing.assert_allclose(product, pair.delta(), atol=1e-6)
    assert any("drops what lies outside Flux's blocks" in note for note in kohya.notes)
    # Its names for what it drops have no component in front; the halves of the last modulation are where they were.
    last = pairs["transformer.norm_out.linear"].up
    np.testing.assert_array_equal(state["norm_out.linear.lora_B.weight"].numpy(), last)


def test_flux_at_its_real_width_is_read_by_diffusers_unchanged(tmp_path):
    """One single block of the published sizes, whose split diffusers has in numbers."""
    from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers as own
    from safetensors.torch import load_file

    from lifeos.lora.stacked import Pair, stack

    generator = np.random.default_rng(0)
    sizes = [3072, 3072, 3072, 12288]
    pairs = [Pair(generator.normal(size=(1, 4)).astype(np.float32), generator.normal(size=(size, 1)).astype(np.float32),
                  2.0) for size in sizes]  # fmt: skip
    made, stem = stack(pairs, sizes), "lora_unet_single_blocks_0_linear1"
    path = tmp_path / "real.safetensors"
    path.write_bytes(encode({f"{stem}.lora_down.weight": ("F32", made.down), f"{stem}.lora_up.weight": ("F32", made.up),
                             f"{stem}.alpha": ("F32", np.array(made.alpha))}, {}))  # fmt: skip
    state = own(load_file(str(path)))
    for name, pair in zip(("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"), pairs, strict=True):
        stem = f"transformer.single_transformer_blocks.0.{name}"
        product = (state[f"{stem}.lora_B.weight"] @ state[f"{stem}.lora_A.weight"]).numpy()
        np.testing.assert_allclose(product, pair.scale * pair.up @ pair.down, rtol=1e-6)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_a_stacked_file_that_shares_a_is_split_and_comes_back(make, convert, random_bases, family, tmp_path):
    """As kohya trains it without split_qkv: one pair for query, key and value."""
    source = make(family, lambda name: (2, 4.0) if name.startswith("transformer.") else None)
    shared = tensors_of(convert(source, family, "kohya").path)
    generator = np.random.default_rng(1)
    for name, (dtype, array) in shared.items():
        if name.endswith(".lora_up.weight"):
            shared[name] = (dtype, generator.normal(size=array.shape))
    path = tmp_path / "shared.safetensors"
    path.write_bytes(encode(shared, {}))
    kind, modules = get_family(family), get_family(family).modules(random_bases[family])
    diffusers = convert(path, family, "diffusers")
    assert same_tensors(convert(diffusers.path, family, "kohya", "again").path, path)
    query = pairs_of(diffusers.path, family, random_bases[family])["transformer.transformer_blocks.0.attn.to_q"]
    assert query.rank == 6
    report = inspect_lora(path, random_bases[family], kind)
    assert str(report.verdicts["weights_base"].outcome) == "passed"
    assert report.found == len([name for name in modules if name.startswith("transformer.")])


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_comfyui_takes_diffusers_names_and_no_alpha(make, convert, family):
    scaled, plain = (convert(make(family, lambda name, alpha=alpha: (2, alpha)), family, "diffusers", str(alpha))
                     for alpha in (4.0, 2.0))  # fmt: skip
    assert any("reads no alpha from metadata" in note for note in scaled.notes)
    assert plain.notes == ()


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_modules_without_a_pair_stay_without_one(make, convert, random_bases, family):
    def keep(name):
        return (3, 3.0) if name.endswith((".attn.to_q", ".attn.to_v")) else None

    source = make(family, keep)
    assert same_tensors(convert(convert(source, family, "kohya").path, family, "diffusers").path, source)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_what_a_stacked_layer_cannot_hold_exactly_is_refused(make, convert, family, tmp_path):
    source = make(family, lambda name: (2, 6.0 if name.endswith("to_k") else 2.0))
    with pytest.raises(InputError, match=r"differ by no power of two; next: --to diffusers"):
        convert(source, family, "kohya")
    dora = make(family, lambda name: (2, 2.0) if name.endswith("attn.to_q") else None, dora=True)
    with pytest.raises(InputError, match="only some of them have a DoRA magnitude"):
        convert(dora, family, "kohya")
    assert not (tmp_path / "kohya.safetensors").exists()


def test_a_number_that_outgrows_its_type_is_refused(make, convert, tmp_path):
    source = make("flux", lambda name: (1, 2.0**20 if name.endswith("to_k") else 1.0), "F16")
    with pytest.raises(InputError, match="does not fit into F16"):
        convert(source, "flux", "kohya")
    assert not (tmp_path / "kohya.safetensors").exists()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_choice_of_modules_ranks_and_alphas_survives_a_round_trip(make, convert, data):
    alpha = st.sampled_from([0.1, 0.5, 1.0, 8.0, 12.5])
    chosen, drawn = data.draw(st.sampled_from(["sd15", "sdxl"])), {}

    def keep(name):
        if name not in drawn:
            drawn[name] = data.draw(st.one_of(st.none(), st.tuples(st.integers(1, 5), alpha)))
        return drawn[name] if len(drawn) < 30 else (1, 1.0)

    source = make(chosen, keep)
    kohya = convert(source, chosen, "kohya")
    back = convert(kohya.path, chosen, "diffusers")
    assert same_tensors(back.path, source)
    assert same_tensors(convert(back.path, chosen, "kohya", "again").path, kohya.path)


@pytest.mark.parametrize("key_format", ["diffusers", "peft", "kohya"])
@pytest.mark.parametrize("family", FAMILIES)
def test_alpha_is_stated_once_and_the_bytes_are_determined(make, convert, random_bases, family, key_format):
    source = make(family, lambda name: (2, 4.0) if name.startswith(("unet.", "transformer.")) else None)
    first, second = (convert(source, family, key_format, name) for name in ("one", "two"))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == hash_file(first.path)
    held = read_header(first.path)
    tensors = any(name.endswith(".alpha") for name in held.entries)
    assert tensors is (key_format == "kohya")
    assert ("lora_adapter_metadata" in held.metadata) is not tensors
    assert held.metadata["modelspec.hash_sha256"] == "0x" + data_hash(first.path.read_bytes())
    assert held.metadata.get("sshs_model_hash") == (data_hash(first.path.read_bytes()) if tensors else None)
    assert held.metadata["lifeos.source_sha256"] == hash_file(source)
    for name in ("modelspec.sai_model_spec", "modelspec.architecture", "modelspec.implementation", "modelspec.title"):
        assert held.metadata[name], name
    assert held.metadata["ss_base_model_version"] == get_family(family).base_model_version
    gates = inspect_lora(first.path, random_bases[family], get_family(family)).verdicts
    assert {str(verdict.outcome) for verdict in gates.values()} == {"passed"}


# Names copied from what the loaders document, not from our map: A1111 splits at the first dot and knows these ends.
PUBLISHED = {
    "tiny_base": ["lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0"],
    "sd15": ["lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q", "lora_unet_conv_in",
             "lora_unet_up_blocks_0_upsamplers_0_conv", "lora_unet_mid_block_resnets_1_time_emb_proj",
             "lora_te_text_model_encoder_layers_0_self_attn_q_proj", "lora_te_text_model_encoder_layers_1_mlp_fc2"],
    "sdxl": ["lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q", "lora_unet_input_blocks_2_0_op",
             "lora_unet_middle_block_1_transformer_blocks_0_ff_net_0_proj", "lora_unet_output_blocks_1_2_conv",
             "lora_te1_text_model_encoder_layers_0_self_attn_q_proj", "lora_te2_text_projection"],
    "sd3": ["lora_unet_joint_blocks_0_x_block_attn_qkv", "lora_unet_joint_blocks_0_context_block_mlp_fc1",
            "lora_unet_joint_blocks_1_context_block_adaLN_modulation_1", "lora_unet_final_layer_linear",
            "lora_te1_text_model_encoder_layers_0_mlp_fc1", "lora_te2_text_projection"],
    "flux": ["lora_unet_double_blocks_0_img_attn_qkv", "lora_unet_double_blocks_1_txt_mlp_2",
             "lora_unet_single_blocks_0_linear1", "lora_unet_single_blocks_1_modulation_lin", "lora_unet_img_in",
             "lora_te1_text_model_encoder_layers_1_self_attn_out_proj"],
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_kohya_file_has_the_names_that_its_loaders_document(make, convert, family):
    names = list(read_header(convert(make(family), family, "kohya").path).entries)
    known = re.compile(r"lora_(unet|te[12]?)_\w+\.(lora_down\.weight|lora_up\.weight|alpha)")
    assert not [name for name in names if known.fullmatch(name) is None]
    for stem in PUBLISHED[family]:
        assert {f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"} <= set(names), stem


def test_what_a_source_says_of_its_own_bytes_or_its_judgement_is_not_carried_over(make, convert):
    said = {"sshs_model_hash": "<img>", "sshs_legacy_hash": "0", "modelspec.hash_sha256": "0x0", "lifeos.row": "x",
            "lifeos.verdict": "approved", "lifeos.judged_sha256": "f" * 64, "lifeos.trigger": "zeph"}  # fmt: skip
    source = make("sd15", metadata=said)
    plain = read_header(convert(source, "sd15", "kohya").path).metadata
    assert plain["lifeos.trigger"] == "zeph"
    assert "sshs_legacy_hash" not in plain
    assert not {"lifeos.row", "lifeos.verdict", "lifeos.judged_sha256"} & set(plain)
    assert plain["sshs_model_hash"] not in ("<img>", "0")
    judged = rejected(source)
    stamped = read_header(convert(source, "sd15", "kohya", judgement=judged).path).metadata
    assert (stamped["lifeos.row"], stamped["lifeos.verdict"]) == (judged.row, "rejected")
    assert (stamped["lifeos.judged_sha256"], stamped["lifeos.policy_hash"]) == (judged.lora, "c" * 64)
    assert "hand-over copy" in stamped["lifeos.hand_over"]
    # The judgement of one file is never put on another.
    other = make("sd15", lambda name: (2, 8.0), name="other.safetensors")
    with pytest.raises(InputError, match="got other bytes"):
        convert(other, "sd15", "kohya", "stolen", judgement=judged)


def refused(edit, text):
    return pytest.param(edit, text, id=text.split()[-1])


@pytest.mark.parametrize(("edit", "text"), [
    refused(lambda t: {**t, "unet.conv_in.lokr_w1": t["unet.conv_in.lora_A.weight"]}, "without a place"),
    refused(lambda t: {**t, "unet.conv_in.lora_mid.weight": t["unet.conv_in.lora_A.weight"]}, "without a place.*"),
    refused(lambda t: {n: v for n, v in t.items() if n != "unet.conv_in.lora_B.weight"}, "has no up matrix"),
    refused(lambda t: {n.replace("conv_in", "conv_on"): v for n, v in t.items()}, "is no module of it"),
    refused(lambda t: {n: (d, a[:, :2] if n == "unet.conv_in.lora_A.weight" else a) for n, (d, a) in t.items()},
            "where it has"),
    refused(lambda t: {n: ("F64", a.astype(np.float64)) for n, (_, a) in t.items()}, "in F64"),
    refused(lambda t: {}, "got none"),
])  # fmt: skip
def test_files_that_do_not_fit_are_refused_in_one_line_and_nothing_is_written(make, convert, tmp_path, edit, text):
    source = make("sd15")
    source.write_bytes(encode(edit(tensors_of(source)), {}))
    with pytest.raises(InputError, match=text) as caught:
        convert(source, "sd15", "kohya")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "kohya.safetensors").exists()


def test_pickles_and_files_of_another_base_or_family_are_refused(make, convert, random_bases, tmp_path):
    pickled = tmp_path / "model.safetensors"
    pickled.write_bytes(b"\x80\x04\x95" + bytes(64))
    with pytest.raises(InputError, match="a pickle, refused unread"):
        convert(pickled, "sd15", "kohya")
    with pytest.raises(InputError, match="accepted a LoRA for sd3"):
        convert(make("sd15"), "sd3", "kohya")
    own = make("sd15", metadata={"lifeos.base_hash": base_hash(random_bases["sd15"])})
    assert convert(own, "sd15", "kohya").modules > 60
    foreign = make("sd15", metadata={"lifeos.base_hash": "0" * 64})
    with pytest.raises(InputError, match="trained on base 000000000000"):
        convert(foreign, "sd15", "kohya")


def test_a_peft_file_is_of_one_model(make, convert):
    with pytest.raises(InputError, match="got text_encoder too; next: --to diffusers"):
        convert(make("sd15"), "sd15", "peft")


def test_a_peft_file_without_alpha_is_read_with_the_configuration_beside_it(make, convert, random_bases, tmp_path):
    source = make("sd15", lambda name: by_kind(name) if name.startswith("unet.") else None)
    made = convert(source, "sd15", "peft", "adapter_model")
    made.path.write_bytes(encode(tensors_of(made.path), {}))
    assert same_tensors(convert(made.path, "sd15", "diffusers", "back").path, source)
    back = pairs_of(tmp_path / "back.safetensors", "sd15", random_bases["sd15"])
    pairs = pairs_of(source, "sd15", random_bases["sd15"])
    assert {name: pair.alpha for name, pair in back.items()} == {name: pair.alpha for name, pair in pairs.items()}
    # The judged bytes alone are read with another scale.
    with pytest.raises(InputError, match=r"adapter_config\.json beside it"):
        convert(made.path, "sd15", "diffusers", judgement=rejected(made.path))
    for text, why in (("[]", "got none that can be read"), ('{"use_rslora": true}', "use_rslora"),
                      ('{"alpha_pattern": {".*": 3}}', "regular expression")):  # fmt: skip
        (tmp_path / "adapter_config.json").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=why):
            convert(made.path, "sd15", "diffusers")
