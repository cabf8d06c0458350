from dataclasses import replace

import pytest

from evals.atomic import write_json
from lifeos.errors import InputError
from lifeos.new_persona.plan import Request, plan_persona
from lifeos.settings import project_root

ROOT = project_root()


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "Anna Müller").mkdir()
    (tmp_path / "into").mkdir()
    return Request(tmp_path / "Anna Müller", into=tmp_path / "into")


def test_every_default_has_a_value(request_):
    plan = plan_persona(request_, ROOT)
    assert plan.name == "Anna Müller"
    assert plan.folder == request_.into / "Anna Müller"
    assert plan.trigger == "ohwx"
    assert (plan.base, plan.face_folder) == ("models/tiny-base", "models/faces")
    assert plan.size == (128, 128)
    assert plan.caption == "photo of a ohwx person"
    assert plan.demo["recipe"]["trigger"]


def test_without_a_place_it_goes_to_personas(request_):
    assert plan_persona(replace(request_, into=None), ROOT).folder == ROOT / "personas" / "Anna Müller"


def test_a_base_elsewhere_is_named_whole_and_asked_for_its_size(request_, tmp_path):
    elsewhere = tmp_path / "my base"
    write_json(elsewhere / "model_index.json", {"_class_name": "StableDiffusionPipeline"})
    for component, config in (("unet", {"sample_size": 12}), ("vae", {"block_out_channels": [1, 2, 3, 4]})):
        write_json(elsewhere / component / "config.json", config)
    plan = plan_persona(replace(request_, base=str(elsewhere)), ROOT)
    assert (plan.base, plan.base_folder, plan.size) == (elsewhere.as_posix(), elsewhere, (96, 96))
    assert plan.demo == {}
    assert any("not checked" in note for note in plan.notes)


def test_a_base_that_is_not_here_leaves_size_and_trigger_unchecked(request_):
    plan = plan_persona(replace(request_, base="somebody/some-base"), ROOT)
    assert (plan.base, plan.base_folder, plan.size) == ("somebody/some-base", None, (512, 512))
    assert any("not checked" in note for note in plan.notes)
    assert any("is a guess" in note for note in plan.notes)
    large = plan_persona(replace(request_, base="somebody/some-base", family="flux"), ROOT)
    assert large.size == (1024, 1024)
    sized = plan_persona(replace(request_, base="somebody/some-base", size=(512, 768)), ROOT)
    assert sized.size == (512, 768)
    assert not any("is a guess" in note for note in sized.notes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "a/b"}, "--name"),
        ({"family": "sd2"}, "family: accepted tiny_base, sd15"),
        ({"family": "flux"}, "accepted a base of family flux"),
        ({"family": "flux", "size": (512, 512)}, "accepted a base of family flux"),
        ({"size": (100, 128)}, "--size"),
        ({"size": (32, 32)}, "--size"),
        ({"references": 0}, "--references"),
        ({"references": 4}, "--references: accepted 5 or more"),
        ({"trigger": "photo"}, "exactly once"),
        ({"base": ""}, "--base"),
        ({"face_folder": " "}, "--face-folder"),
        ({"class_word": "pretty girl"}, "beauty"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(request_, changes, named):
    with pytest.raises(InputError, match=named) as caught:
        plan_persona(replace(request_, **changes), ROOT)
    assert "\n" not in str(caught.value)
    assert "; next: " in str(caught.value)


def test_folders_that_are_none(request_, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for wrong in ("nowhere", "file"):
        with pytest.raises(InputError, match="accepted a folder of photographs"):
            plan_persona(replace(request_, photographs=tmp_path / wrong), ROOT)
        with pytest.raises(InputError, match=r"--into .*accepted an existing folder"):
            plan_persona(replace(request_, into=tmp_path / wrong), ROOT)


def test_a_taken_name_is_refused_even_where_it_is_a_dangling_link(request_):
    (request_.into / "Anna Müller").mkdir()
    (request_.into / "gone").symlink_to(request_.into / "nothing")
    for name in ("", "gone"):
        with pytest.raises(InputError, match="accepted a free name"):
            plan_persona(replace(request_, name=name), ROOT)
