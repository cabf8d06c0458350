import tomllib
from dataclasses import replace

import pytest

from lifeos.lora.dataset_lint.words import WordCheck, word_book
from lifeos.lora.recipe import load_recipe, read_recipe
from lifeos.new_persona.plan import Request, plan_persona
from lifeos.new_persona.scaffold import scaffold
from lifeos.persona import load_persona
from lifeos.settings import project_root

ROOT = project_root()


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "photographs").mkdir()
    return Request(tmp_path / "photographs", into=tmp_path, name='Än"n\'a 人', class_word="woman")


def written(plan, count=24):
    plan.folder.mkdir()
    (plan.folder / "dataset").mkdir()
    for name, text in scaffold(plan, count).items():
        (plan.folder / name).write_text(text, encoding="utf-8")
    return plan.folder


def test_quotes_are_no_folder_name(request_):
    from lifeos.errors import InputError

    with pytest.raises(InputError, match="--name"):
        plan_persona(request_, ROOT)


def test_on_the_shipped_base_it_is_sampled_and_trained_as_the_demo(request_):
    plan = plan_persona(replace(request_, name="Än'a 人"), ROOT)
    folder = written(plan)
    persona, recipe = load_persona(folder), load_recipe(folder / "recipe.toml")
    demo = load_persona(ROOT / "personas/pistachio")
    assert persona.name == "Än'a 人"
    assert (persona.sampler, persona.seeds, persona.prompts_b) == (demo.sampler, demo.seeds, demo.prompts_b)
    assert recipe.settings() | {"trigger": "", "name": ""} == load_recipe(demo.recipe).settings() | {
        "trigger": "", "name": ""
    }  # fmt: skip
    assert (recipe.trigger, persona.trigger) == (plan.trigger, plan.trigger)
    assert recipe.base.resolve() == persona.base.resolve()
    assert recipe.dataset == folder / "dataset"
    assert persona.champion_file is None


def test_a_flow_is_sampled_as_one(request_):
    folder = written(plan_persona(replace(request_, name="Anna", base="somebody/flux", family="flux"), ROOT))
    sampler = load_persona(folder).sampler
    assert (sampler.name, sampler.guidance, sampler.width) == ("flow_euler", 3.5, 1024)
    assert read_recipe(folder / "recipe.toml").min_snr_gamma is None


def test_on_another_base_prompts_are_for_photographs(request_):
    plan = plan_persona(replace(request_, name="Anna", base="somebody/some-base", size=(512, 640)), ROOT)
    folder = written(plan, 30)
    persona, recipe = load_persona(folder), read_recipe(folder / "recipe.toml")
    assert (persona.sampler.width, persona.sampler.height) == (512, 640)
    assert persona.sampler.name in ("dpmsolver++",)
    assert (len(persona.prompts_a), len(persona.prompts_b)) == (8, 24)
    assert len({prompt.text for prompt in [*persona.prompts_a, *persona.prompts_b]}) == 32
    check = WordCheck(word_book(), "woman", plan.trigger)
    for prompt in [*persona.prompts_a, *persona.prompts_b]:
        assert persona.fill(prompt).startswith(f"photo of a {plan.trigger} woman, ")
        assert check.banned(persona.fill(prompt)) == []
    assert recipe.steps == 1500
    assert "each of 30 pictures about 100 times" in (folder / "recipe.toml").read_text(encoding="utf-8")
    assert recipe.base.as_posix() == "somebody/some-base"


def test_a_gpu_is_proposed_where_a_base_may_need_one(request_):
    demo = scaffold(plan_persona(replace(request_, name="Anna"), ROOT), 10)
    assert not any("device =" in text for text in demo.values())
    folder = written(plan_persona(replace(request_, name="Anna", base="somebody/sdxl", family="sdxl"), ROOT))
    devices = []
    for start in ("# device", "device"):
        devices.append((load_persona(folder).sampler.device, read_recipe(folder / "recipe.toml").device))
        for name in ("persona.toml", "recipe.toml"):
            text = (folder / name).read_text(encoding="utf-8")
            assert f'\n{start} = "cuda"' in text
            (folder / name).write_text(text.replace("# device", "device"), encoding="utf-8")
    assert devices == [("cpu", "cpu"), ("cuda", "cuda")]


def test_pictures_of_people_stay_out_of_commits(request_):
    ignored = scaffold(plan_persona(replace(request_, name="Anna"), ROOT), 10)[".gitignore"].splitlines()
    assert {"dataset/", "references/", "photographs.json"} <= set(ignored)
    assert "calibration.json" not in ignored


def test_every_file_is_toml(request_):
    for base in ("models/tiny-base", "somebody/some-base"):
        texts = scaffold(plan_persona(replace(request_, name="Anna", base=base), ROOT), 10)
        for name, text in texts.items():
            if name.endswith(".toml"):
                assert tomllib.loads(text)
