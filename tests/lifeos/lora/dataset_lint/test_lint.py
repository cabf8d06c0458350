import shutil

import numpy as np
import pytest
from PIL import Image

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.lora.dataset_lint import GATES
from tests.lifeos.lora.dataset_lint.conftest import one_face, rules


def failing(lint):
    return {gate for gate in GATES if lint.verdict(gate).blocks}


def test_a_sound_persona(lint):
    found = lint()
    assert found.findings == []
    assert found.outcome is Outcome.PASSED
    assert failing(found) == set()


def test_a_second_look_decodes_nothing(lint, monkeypatch):
    lint()
    monkeypatch.setattr("lifeos.lora.dataset_lint.image_facts.image_facts", None)
    assert lint().outcome is Outcome.PASSED


def test_buckets_are_an_argument(lint):
    assert rules(lint(buckets=[(256, 256)])) == ["image_small"]
    assert lint(buckets=[(64, 64), (96, 128)]).outcome is Outcome.PASSED


def test_a_reference_under_another_name_and_encoding(persona, lint):
    with Image.open(persona.dataset / "0003.png") as image:
        image.save(persona.references / "0009.png", compress_level=0)
    found = lint()
    assert rules(found) == ["reference_trained"]
    assert "references/0009.png" in found.verdict("persona_sane").reason
    assert failing(found) == {"persona_sane"}


def test_a_broken_training_image_leaves_nothing_passed_that_needs_it(persona, lint):
    (persona.dataset / "0001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = lint()
    assert found.verdict("dataset_images").outcome is Outcome.FAILED
    for gate in ("dataset_faces", "dataset_duplicates", "persona_sane"):
        assert found.verdict(gate).outcome is Outcome.NOT_EVALUATED
    assert found.verdict("dataset_captions").outcome is Outcome.PASSED


def test_faces(lint):
    two = lint(lambda path: {**one_face(path), "faces": 2 if path.name == "0002.png" else 1})
    assert rules(two) == ["face_several"]
    assert failing(two) == {"dataset_faces", "persona_sane"}


def test_face_models_that_are_not_there(lint):
    def broken(path):
        raise InputError("models: accepted face models, got none; next: fetch them")

    found = lint(broken)
    assert failing(found) == {"dataset_faces", "persona_sane"}
    assert found.outcome is Outcome.NOT_EVALUATED
    assert "models" in found.verdict("dataset_faces").reason


def test_a_base_without_tokenizer(persona, lint, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    persona = persona.model_copy(update={"base": base})
    from lifeos.lora.dataset_lint import lint_dataset

    found = lint_dataset(persona, one_face, tmp_path / "artifacts")
    assert failing(found) == {"dataset_captions"}
    assert found.verdict("dataset_captions").outcome is Outcome.NOT_EVALUATED


@pytest.mark.parametrize("name", ["dataset", "references"])
def test_an_empty_folder_is_not_evaluated(persona, lint, name):
    shutil.rmtree(persona.folder / name)
    found = lint()
    assert found.outcome is Outcome.NOT_EVALUATED
    assert failing(found) >= ({"persona_sane"} if name == "references" else set(GATES))


def test_the_recipe_must_train_the_trigger(lint):
    found = lint(trained_trigger="zeph")
    assert rules(found) == ["recipe_trigger"]
    assert failing(found) == {"dataset_captions"}


def test_another_training_folder(persona, lint, tmp_path):
    other = tmp_path / "other set"
    shutil.copytree(persona.dataset, other)
    (other / "0001.txt").write_text("a beautiful pstch", encoding="utf-8")
    assert rules(lint(dataset=other)) == ["banned_word"]


def test_advice_blocks_nothing(persona, lint):
    wide = np.random.default_rng(5).integers(0, 255, (128, 400, 3), dtype=np.uint8)
    Image.fromarray(wide).save(persona.dataset / "0001.png")
    found = lint()
    assert rules(found) == ["image_cropped"]
    assert failing(found) == {"dataset_advice"}
    assert found.outcome is Outcome.PASSED


def test_progress_ends_with_all(lint):
    seen = {}
    lint(progress=lambda stage, done, total: seen.update({stage: (done, total)}))
    assert set(seen) == {"reading images", "comparing images", "measuring faces"}
    assert all(done == total for done, total in seen.values())


def test_every_finding_has_its_gate_and_the_answer_is_json(persona, lint):
    (persona.dataset / "0001.txt").unlink()
    answer = lint().to_json()
    assert answer["schema"] == "lifeos.dataset/1"
    assert answer["verdict"] == "failed"
    assert [gate["id"] for gate in answer["gates"]] == list(GATES)
    (finding,) = answer["findings"]
    assert set(finding) == {"rule", "gate", "file", "accepted", "got", "fix"}


def test_ten_thousand_images_do_not_fill_the_memory(lint, monkeypatch, persona):
    """What is kept of a picture is a signature of 2,400 bytes and its name, whatever its size."""
    from lifeos.lora.dataset_lint.duplicates import Signatures

    kept = []
    add = Signatures.add
    monkeypatch.setattr(Signatures, "add", lambda self, path, facts: (add(self, path, facts), kept.append(self))[0])
    lint()
    assert {row.nbytes for made in kept for row in made._rows} == {2400}
    assert not [name for name, value in vars(lint()).items() if isinstance(value, np.ndarray)]
