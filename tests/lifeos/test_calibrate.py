"""From a persona folder to its calibration, with simulated face models and a simulated base."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from evals.atomic import write_bytes
from evals.images import read_image
from lifeos.base_images import base_plan
from lifeos.calibrate import calibrate
from lifeos.errors import InputError
from lifeos.lora.sample import encode_png
from lifeos.persona import load_persona
from lifeos.strangers import IMPOSTORS_FILE
from tests.lifeos import simulated_release as simulation

RATE = 0.05  # 59 comparisons carry it
QUICK = {"far": RATE, "null_seeds": 64}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return simulation.make_persona(tmp_path_factory.mktemp("made")).parent


@pytest.fixture(scope="module")
def artifacts(made_once):
    """Measurements are those of equal pictures, whichever test asks."""
    return made_once / "artifacts"


@pytest.fixture
def persona(made_once, tmp_path, monkeypatch):
    folder = shutil.copytree(made_once / "persona one", tmp_path / "persona one")
    text = (folder / "persona.toml").read_text(encoding="utf-8")
    faces = shutil.copytree(made_once / "faces", tmp_path / "faces")
    text = text.replace((made_once / "faces").as_posix(), faces.as_posix())
    (folder / "persona.toml").write_text(text, encoding="utf-8")
    (folder / "calibration.json").unlink()
    (folder / IMPOSTORS_FILE).unlink(missing_ok=True)
    monkeypatch.setattr("evals.faces.open_backend", simulation.open_faces)
    monkeypatch.setattr("lifeos.lora.sample.round_trip", lambda images, *_: np.stack(images))
    return load_persona(folder)


@pytest.fixture
def base(monkeypatch, tmp_path):
    """A base that draws another stranger for each seed; ``faceless`` tells which seeds show none."""
    bare = SimpleNamespace(drawn=[], faceless=lambda seed: False)

    def sample_once(plan, base, lora, artifacts, progress):
        assert lora is None
        images = []
        for request in plan.requests():
            path = tmp_path / "drawn" / f"{request.seed}.png"
            if not path.exists():
                bare.drawn.append((request.prompt.text, request.seed))
                drawn = simulation.picture(
                    simulation.direction(request.seed), request.seed, face=not bare.faceless(request.seed)
                )
                write_bytes(path, encode_png(drawn))
            images.append(SimpleNamespace(path=path, request=request))
            progress("sampling", len(images), len(plan.seeds))
        return SimpleNamespace(images=images)

    monkeypatch.setattr("lifeos.lora.sample_once.sample_once", sample_once)
    return bare


def keep(persona, references):
    """Bring the references to a number: away with the last, or more portraits of the same person."""
    for path in sorted(persona.references.iterdir())[references:]:
        path.unlink()
    for number in range(len(list(persona.references.iterdir())), references):
        write_bytes(persona.references / f"{number:04}.png", encode_png(simulation.portrait(1, 600 + number)))


def others(folder, count):
    folder.mkdir()
    for number in range(count):
        drawn = simulation.picture(simulation.direction(5000 + number), number)
        write_bytes(folder / f"{number:04}.png", encode_png(drawn))
    return folder


def test_null_seeds_alone_are_sampled_until_they_carry_the_rate(persona, base, artifacts, tmp_path):
    base.faceless = lambda seed: seed % 10 == 3
    calibration, similarities = calibrate(persona, artifacts, far=0.02)
    assert calibration.counts["impostors"] == 0
    assert calibration.counts["nulls"] >= 149
    assert calibration.counts["null_seeds"] > 152
    # Each picture of this base depends on its seed alone, and is drawn once.
    assert len(base.drawn) == calibration.counts["null_seeds"] + len(base_plan(persona).seeds)
    assert len(similarities.nulls) == calibration.counts["nulls"]
    assert len(similarities.impostors) == 0
    assert all(text.startswith("photo ") and "pstch" not in text for text, _ in base.drawn)
    assert len({seed for _, seed in base.drawn}) == len(base.drawn)
    # Kept beside the persona: the same calibration again draws nothing.
    drawn = len(base.drawn)
    assert calibrate(persona, artifacts, far=0.02)[0] == calibration
    assert len(base.drawn) == drawn


@pytest.mark.parametrize("count", [4, 5, 8, 20, 50])
def test_references_of_any_number_from_four_calibrate(persona, base, artifacts, tmp_path, count):
    keep(persona, count)
    calibration, similarities = calibrate(persona, artifacts, **QUICK)
    assert calibration.counts["references"] == count
    assert calibration.thresholds["genuine_p95"] >= max(similarities.genuine) - 1e-9 or count > 18
    assert (calibration.thresholds["skin_z_low"] is None) == (count == 4)


def test_fewer_references_band_wider(persona, base, artifacts, tmp_path):
    widths = []
    for count in (20, 8, 5):
        keep(persona, count)
        thresholds = calibrate(persona, artifacts, **QUICK)[0].thresholds
        widths.append(thresholds["genuine_p95"] - thresholds["genuine_p05"])
    assert widths == sorted(widths)


def test_three_references_are_refused_before_anything_is_sampled(persona, base, artifacts, tmp_path):
    keep(persona, 3)
    with pytest.raises(InputError, match=r"at least 4 pictures .*got 3; next: add 2"):
        calibrate(persona, artifacts)
    assert base.drawn == []


def test_a_rate_that_asks_for_hours_of_sampling_is_refused_with_the_command(persona, base, artifacts, tmp_path):
    with pytest.raises(InputError, match=r"at least 2995 .*got 0 identities and 96 seeds; next: .*--nulls 2995"):
        calibrate(persona, artifacts, far=0.001)
    with pytest.raises(InputError, match=r"got 0 identities and 50 seeds; .*--nulls 299, or --far 0.06"):
        calibrate(persona, artifacts, null_seeds=50)
    assert base.drawn == []
    made = calibrate(persona, artifacts, far=0.06, null_seeds=50)[0]
    assert made.counts["null_seeds"] == 56  # as many for each of 8 prompts
    for far in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="above 0 and below 1"):
            calibrate(persona, artifacts, far=far)


def test_other_people_at_hand_leave_the_default_number_of_nulls(persona, base, artifacts, tmp_path):
    pictures = others(tmp_path / "others", 30)
    made = calibrate(persona, artifacts, far=RATE, impostor_images=pictures)[0]
    assert (made.counts["impostors"], made.counts["null_seeds"]) == (30, 96)
    assert made.counts["comparisons"] == 126
    # The embeddings are kept, the pictures need not be.
    again = calibrate(persona, artifacts, far=RATE)[0]
    assert again == made
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="accepted a folder of pictures of others, got none"):
        calibrate(persona, artifacts, impostor_images=tmp_path / "empty")


def test_other_face_models_never_overwrite_people_who_cannot_be_measured_again(persona, base, artifacts, tmp_path):
    calibrate(persona, artifacts, **QUICK, impostor_images=others(tmp_path / "others", 3))
    kept = (persona.folder / IMPOSTORS_FILE).read_bytes()
    (persona.face_folder / "x.onnx").write_bytes(b"y")
    with pytest.raises(InputError, match=r"of other face models; next: .*--impostors PICTURES"):
        calibrate(persona, artifacts)
    assert (persona.folder / IMPOSTORS_FILE).read_bytes() == kept


def test_another_way_of_sampling_draws_the_nulls_again(persona, base, artifacts, tmp_path):
    calibrate(persona, artifacts, **QUICK)
    before = load_file(persona.folder / IMPOSTORS_FILE)["nulls"]
    slower = persona.model_copy(update={"sampler": persona.sampler.model_copy(update={"steps": 9})})
    for path in (tmp_path / "drawn").iterdir():
        path.unlink()
    base.faceless = lambda seed: seed == 700_001
    calibrate(slower, artifacts, **QUICK)
    assert len(load_file(persona.folder / IMPOSTORS_FILE)["nulls"]) != len(before)


def test_a_base_without_faces_is_named(persona, base, artifacts, tmp_path, monkeypatch):
    monkeypatch.setattr("lifeos.strangers.MOST_UNASKED", 64)
    base.faceless = lambda seed: seed % 50 != 0
    with pytest.raises(InputError, match="accepted 59 faces of the base without a LoRA"):
        calibrate(persona, artifacts, far=RATE)


def test_a_reference_without_a_face_is_named(persona, base, artifacts, tmp_path):
    path = persona.references / "0007.png"
    write_bytes(path, encode_png(simulation.picture(simulation.direction(1), 1, face=False)))
    with pytest.raises(InputError, match=r"0007\.png: accepted exactly one face, got no face"):
        calibrate(persona, artifacts)


def test_photographs_of_any_size_are_brought_into_the_domain(tmp_path):
    """Real face models; sizes differ, one photograph is too small to be drawn without enlarging it."""
    import skimage

    from evals.faces import inter_ocular_distance, measure_face, open_backend
    from lifeos.calibrate import references_in_domain
    from lifeos.settings import project_root

    backend = open_backend("yunet_sface", project_root() / "models/faces")
    astronaut = Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png").convert("RGB")
    paths = [tmp_path / f"{side}.png" for side in (1024, 512, 200)]
    for path, size in zip(paths, ((1024, 1024), (512, 512), (200, 200)), strict=True):
        astronaut.resize(size).save(path)
    persona = SimpleNamespace(sampler=SimpleNamespace(width=256, height=320))
    drawable, embeddings = references_in_domain(persona, paths, backend)
    assert [None if image is None else image.shape for image in drawable] == [(320, 256, 3), (320, 256, 3), None]
    whole = measure_face(backend, read_image(paths[1])).embedding
    assert all(embeddings @ whole > 0.8)
    eyes = inter_ocular_distance(measure_face(backend, drawable[0]).faces[0].points)
    assert eyes == pytest.approx(0.25 * 256, rel=0.1)


def test_pictures_of_the_domains_own_size_are_taken_as_they_are(persona, base, artifacts, tmp_path):
    made = calibrate(persona, artifacts, **QUICK)[0]
    vectors = [simulation.portrait_embedding(path) for path in sorted(persona.references.glob("*.png"))]
    centre = np.mean(vectors, axis=0)
    assert np.dot(centre / np.linalg.norm(centre), made.centroid) == pytest.approx(1.0, abs=1e-6)
    assert made.domain["width"] == simulation.SIDE
    assert replace(made, persona="renamed").content_hash == made.content_hash
