"""Configs of bases: shipped ones against published parameter counts, folders, and what is refused before tracing."""

import json
import tomllib
from pathlib import Path

import pytest

from lifeos.errors import InputError
from lifeos.lora.families import get_family
from lifeos.lora.families.base_location import hub_name
from lifeos.lora.families.component_files import built_by
from lifeos.pods.vram.architecture import Architecture, architecture_of, checked, published, published_names
from lifeos.pods.vram.builders import BlankTokenizer, ConfigBuilder

ROOT = Path(__file__).resolve().parents[4]
BASES = {path.stem: path for path in (ROOT / "lifeos" / "pods" / "vram" / "bases").glob("*.toml")}


@pytest.mark.parametrize("stem", sorted(BASES))
def test_shipped_configs_have_the_published_number_of_parameters(stem):
    import torch

    values, architecture = tomllib.loads(BASES[stem].read_text(encoding="utf-8")), published(stem)
    with torch.device("meta"), built_by(ConfigBuilder()), architecture.folder() as folder:
        components = get_family(architecture.family).load(folder)
    for name, entry in values.items():
        if isinstance(entry, dict) and "parameters" in entry:
            built = sum(parameter.numel() for parameter in getattr(components, name).parameters())
            assert built == entry["parameters"], name


def test_a_hub_base_is_known_by_name_or_taken_for_its_family():
    assert architecture_of(hub_name("hub:stabilityai/stable-diffusion-3.5-large@main"), "sd3").assumed == ""
    fine_tune = architecture_of(hub_name("somebody/portraits-xl"), "sdxl")
    assert fine_tune.configs == published("sdxl").configs
    assert "stabilityai/stable-diffusion-xl-base-1.0" in fine_tune.assumed


@pytest.mark.parametrize(("base", "family", "reason"), [
    # Medium or large: nobody can tell by the family.
    ("hub:somebody/portraits-3.5", "sd3", "an architecture that is known"),
    ("hub:black-forest-labs/FLUX.1-dev", "sdxl", "accepted family flux"),
    ("hub:somebody/anything", "tiny_base", "an architecture that is known"),
])  # fmt: skip
def test_an_unknown_architecture_is_refused(base, family, reason):
    with pytest.raises(InputError, match=reason):
        architecture_of(hub_name(base), family)


def test_a_folder_is_read_without_weights(tmp_path):
    whole = architecture_of(ROOT / "models" / "tiny-base", "tiny_base")
    with whole.folder() as folder:
        assert not list(folder.rglob("*.safetensors"))
        assert architecture_of(folder, "tiny_base").configs == whole.configs
    with pytest.raises(InputError, match=r"model_index\.json"):
        architecture_of(tmp_path, "tiny_base")


@pytest.mark.parametrize(("config", "reason"), [
    ({"layers_per_block": 100_000}, "layers_per_block: accepted 0 to 512"),
    ({"num_layers": -1}, "num_layers: accepted 0 to 512"),
    ({"cross_attention_dim": 2**40}, "numbers up to"),
    ({"block_out_channels": [8] * 1000}, "at most 512 entries"),
    ({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}, "8 levels deep"),
])  # fmt: skip
def test_absurd_sizes_are_refused_before_anything_is_built(config, reason):
    with pytest.raises(InputError, match=reason):
        checked(Architecture("x", "sdxl", {"unet/config.json": config}))


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
def test_an_unknown_key_is_refused(component):
    import torch

    configs = json.loads(json.dumps(published("sd15").configs))
    configs[f"{component}/config.json"]["hidden_layers_of_mine"] = 3
    with built_by(ConfigBuilder()), Architecture("x", "sd15", configs).folder() as folder, torch.device("meta"), \
            pytest.raises(InputError, match=rf"{component}/config\.json: .*hidden_layers_of_mine"):  # fmt: skip
        get_family("sd15").load(folder)


def test_a_config_that_builds_nothing_is_one_line():
    configs = json.loads(json.dumps(published("sd15").configs))
    configs["unet/config.json"]["block_out_channels"] = [3, 5, 7, 11]
    reason = r"unet/config\.json: accepted a config of UNet2DConditionModel"
    with built_by(ConfigBuilder()), Architecture("x", "sd15", configs).folder() as folder, \
            pytest.raises(InputError, match=reason):  # fmt: skip
        get_family("sd15").load(folder)


def test_a_blank_tokenizer_is_called_as_a_real_one_is():
    tokenizer = BlankTokenizer(77)
    assert len(tokenizer("a").input_ids) == 2
    assert tokenizer(["a", "b"]).input_ids.shape == (2, 77)
    assert tokenizer(["a"], padding="max_length", max_length=9).input_ids.shape == (1, 9)


def test_published_names_are_repositories():
    assert all(name.count("/") == 1 for name in published_names())
