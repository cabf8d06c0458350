import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lifeos.errors import InputError
from lifeos.lora.backends.image_server import ImageServer
from lifeos.persona import load_persona
from tests.lifeos.simulated_release import make_persona

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_persona(tmp_path_factory.mktemp("persona"))


def edited(folder, tmp_path, file, old, new):
    for name in ("persona.toml", "prompts.toml"):
        text = (folder / name).read_text(encoding="utf-8")
        assert name != file or old in text
        (tmp_path / name).write_text(text.replace(old, new) if name == file else text, encoding="utf-8")
    return tmp_path


def test_paths_are_resolved_and_prompts_filled(folder):
    persona = load_persona(folder)
    assert persona.base.is_dir()
    assert persona.recipe == folder / "recipe.toml"
    assert persona.champion_file is None
    assert persona.fill(persona.prompts_b[3]) == "photo 3 of a pstch person"


def test_base_and_face_models_are_relative_to_the_root(folder, tmp_path):
    base = load_persona(folder).base.as_posix()
    persona = load_persona(edited(folder, tmp_path, "persona.toml", f'"{base}"', '"models/x"'), root=tmp_path / "root")
    assert persona.base == tmp_path / "root" / "models/x"


def test_a_champion_is_relative_to_the_persona(folder, tmp_path):
    persona = load_persona(edited(folder, tmp_path, "persona.toml", '"none"', '"best.safetensors"'))
    assert persona.champion_file == tmp_path / "best.safetensors"


def test_every_plan_decodes_as_the_persona_says_and_a_calibration_is_bound_to_it(folder, tmp_path):
    from lifeos.base_images import base_plan
    from lifeos.release_inputs import release_domain, release_plan

    usual = load_persona(folder)
    keys = 'vae_dtype = "bfloat16"\nvae_tiling = true\nvae_slicing = true\nbatch = 3'
    persona = load_persona(edited(folder, tmp_path, "persona.toml", "steps = 2", f"steps = 2\n{keys}"))
    for plan in (release_plan(persona), base_plan(persona)):
        assert (plan.vae_dtype, plan.vae_tiling, plan.vae_slicing, plan.batch) == ("bfloat16", True, True, 3)
    before, after = release_domain(usual, "b", (64, 64)), release_domain(persona, "b", (64, 64))
    assert after == {**before, "vae_dtype": "bfloat16", "vae_tiling": True}
    assert set(before) == {"base", "width", "height", "sampler", "steps", "guidance", "dtype"}


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("persona.toml", "far = 0.01", "far = 1.0", "far"),
        ("persona.toml", "far = 0.01", "far = nan", "far"),
        ("persona.toml", 'trigger = "pstch"', 'trigger = "two words"', "trigger"),
        ("persona.toml", "steps = 2", "steps = 2\nspeed = 9", "speed"),
        ("persona.toml", "b = [0, 1, 2]", "b = []", "seeds.b"),
        ("persona.toml", "b = [0, 1, 2]", "b = [-1]", "seeds.b"),
        ("persona.toml", "width = 128", "width = 100", "width"),
        ("persona.toml", "steps = 2", 'steps = 2\nvae_dtype = "float64"', "vae_dtype"),
        ("persona.toml", "steps = 2", "steps = 2\nvae_tiling = 1", "vae_tiling"),
        ("persona.toml", "steps = 2", "steps = 2\nbatch = 0", "batch"),
        ("prompts.toml", '"B01"', '"B00"', "B00 is repeated"),
        ("prompts.toml", "{class}", "{klass}", "klass"),
        ("prompts.toml", '"B01"', '"B 01"', "id"),
    ],
)
def test_a_wrong_value_is_named(folder, tmp_path, file, old, new, named):
    with pytest.raises(InputError, match=named) as caught:
        load_persona(edited(folder, tmp_path, file, old, new))
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder_and_no_prompts(folder, tmp_path):
    with pytest.raises(InputError, match="accepted a persona folder"):
        load_persona(tmp_path / "nobody")
    edited(folder, tmp_path, "persona.toml", "far", "far")
    (tmp_path / "prompts.toml").write_text("b = []", encoding="utf-8")
    with pytest.raises(InputError, match=r"prompts\.toml"):
        load_persona(tmp_path)


def test_who_draws_comes_from_the_persona_and_where_from_the_settings(folder, tmp_path):
    from lifeos.base_images import base_plan
    from lifeos.release_inputs import release_domain, release_plan

    assert load_persona(folder).image_server is None
    assert "backend" not in release_domain(load_persona(folder), "b", (128, 128))
    there = edited(folder, tmp_path, "persona.toml", "steps = 2",
                   'steps = 2\nbackend = "comfyui"\nserver.checkpoint = "x.safetensors"')  # fmt: skip
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "lifeos.toml").write_text(
        'sampling_server = "http://127.0.0.1:1"\nsampling_known_answer = "always"\n', encoding="utf-8")  # fmt: skip
    persona = load_persona(there, root=tmp_path / "root")
    assert persona.image_server == ImageServer("http://127.0.0.1:1", "x.safetensors", known_answer=True)
    for plan in (release_plan(persona), base_plan(persona)):
        assert (plan.backend, plan.server) == ("comfyui", persona.image_server)
    assert release_domain(persona, "b", (128, 128))["backend"] == "comfyui"
    with pytest.raises(InputError, match=r"sampler\.backend"):
        load_persona(edited(folder, tmp_path, "persona.toml", "steps = 2", 'steps = 2\nbackend = "magic"'))


def test_where_images_are_drawn_reaches_every_plan_and_the_calibration(folder, tmp_path, monkeypatch):
    from lifeos import strangers
    from lifeos.base_images import base_plan, class_plan
    from lifeos.release_inputs import release_domain, release_plan

    usual, text = load_persona(folder), 'steps = 2\ndevice = "cuda"'
    persona = load_persona(edited(folder, tmp_path, "persona.toml", "steps = 2", text))
    makers = (release_plan, base_plan, class_plan)
    assert [(make(usual).device, make(persona).device) for make in makers] == [("cpu", "cuda")] * 3
    drawn = []
    monkeypatch.setattr("lifeos.lora.sample_once.sample_once", lambda plan, *_: drawn.append(plan) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        strangers._sample(persona, tmp_path, None, 4, lambda *_: None)
    assert drawn[0].device == "cuda"
    before = release_domain(usual, "b", (64, 64))
    assert release_domain(persona, "b", (64, 64)) == {**before, "device": "cuda"}
    for wrong in ('device = "gpu"', 'device = "cuda"\nbackend = "comfyui"'):
        with pytest.raises(InputError, match="device"):
            load_persona(edited(folder, tmp_path, "persona.toml", "steps = 2", f"steps = 2\n{wrong}"))


def test_keys_of_the_demo_stay():
    """As they were at cc029a4, before a persona could name a device: images drawn until then are found again."""
    from lifeos.base_images import base_plan
    from lifeos.lora.sample_plan import image_key
    from lifeos.release_inputs import release_plan

    demo = load_persona(ROOT / "personas" / "pistachio")
    plans = [replace(make(demo), dtype="float32") for make in (release_plan, base_plan)]
    keys = [image_key(plan, plan.requests()[0], "b" * 64, "a" * 64)[:16] for plan in plans]
    assert [plan.content_hash[:16] for plan in plans] == ["c51fddc63bb81234", "8b28c4d5d97eee1d"]
    assert keys == ["51e8f76091489eb9", "4c262c1dd2cc75a8"]


def test_reading_a_persona_imports_nothing_heavy():
    code = ("import sys, lifeos.persona, lifeos.lora.sample_plan\n"
            "print([name for name in ('numpy', 'PIL', 'torch', 'diffusers', 'requests') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
