"""Which gates of phase pod the files of a run declare."""

import pytest

from lifeos.errors import InputError
from lifeos.pods.probe.declared import pod_needs, recipe_file, required_distributions

EVERY = {"xformers", "bitsandbytes", "insightface", "training_smoke"}


def test_a_run_that_declares_everything(pod):
    assert pod_needs(pod.inputs()) == EVERY


def test_what_is_not_named_is_not_declared(pod):
    pod.requirements.write_text('torch==2.10.0\nxformers==1 ; sys_platform == "nowhere"\n', encoding="utf-8")
    persona = pod.persona / "persona.toml"
    persona.write_text(persona.read_text(encoding="utf-8").replace("insightface", "yunet_sface"), encoding="utf-8")
    recipe = pod.persona / "recipe.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + 'family = "another"\n', encoding="utf-8")
    assert pod_needs(pod.inputs()) == set()
    other = pod.folder / "other.toml"
    other.write_text('family = "tiny_base"\n', encoding="utf-8")
    assert pod_needs(pod.inputs(recipe=other)) == {"training_smoke"}
    assert recipe_file(pod.inputs(recipe=other)) == other


def test_what_cannot_be_read_is_declared_so_that_it_blocks(pod):
    inputs = pod.inputs()
    pod.requirements.unlink()
    (pod.persona / "persona.toml").write_text("speed = 9\n", encoding="utf-8")
    assert pod_needs(inputs) == EVERY
    with pytest.raises(InputError, match="requirements"):
        required_distributions(pod.requirements)
