"""A single-file checkpoint against the folder it was written from, by a mapping that shares nothing with diffusers'."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from lifeos.errors import InputError
from lifeos.lora.families import FAMILIES, base_hash, single_file
from lifeos.lora.families.base_location import locate_base
from lifeos.lora.families.component_files import loaded_components
from lifeos.lora.families.single_file import convert_single_file
from lifeos.lora.sample import sample_plan
from lifeos.lora.store import ImageStore
from tests.lifeos.lora.families.original_layout import tensors_of, write_original
from tests.lifeos.lora.families.test_families import plan_for

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def narrow_flux(monkeypatch):
    """diffusers 0.42 cuts a Flux file at the published width, 3072, whatever the config says; ours is 32 wide."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    row = SINGLE_FILE_LOADABLE_CLASSES["FluxTransformer2DModel"]
    code = row["checkpoint_mapping_fn"].__code__
    assert 3072 in code.co_consts
    narrow = code.replace(co_consts=tuple(32 if each == 3072 else each for each in code.co_consts))
    mapping = types.FunctionType(narrow, row["checkpoint_mapping_fn"].__globals__)
    monkeypatch.setitem(row, "checkpoint_mapping_fn", mapping)


@pytest.fixture(scope="module")
def originals(bases, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    return {family: write_original(family, bases[family], folder / f"{family}.safetensors") for family in FAMILIES}


def without_weights(base: Path, folder: Path) -> Path:
    """What is small of a published base: configs and vocabularies."""
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.safetensors.index.json"))
    return folder


def images(family, base, folder):
    result = sample_plan(plan_for(family), base, None, ImageStore(folder), threads=1)
    return np.stack([np.asarray(Image.open(image.path)) for image in result.images])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_in_its_authors_layout_gives_the_weights_and_images_of_the_folder(
    bases, originals, narrow_flux, family, tmp_path
):
    configs = without_weights(bases[family], tmp_path / "configs")
    done = convert_single_file(originals[family], configs, tmp_path / "artifacts")
    assert done.made
    assert done.family == ("sd15" if family == "tiny_base" else family)
    for component in done.from_file:
        ours, theirs = tensors_of(done.folder, component), tensors_of(bases[family], component)
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            assert ours[name].dtype == array.dtype == np.float16
            np.testing.assert_array_equal(ours[name], array, err_msg=name)
    assert len(done.from_file) == {"sdxl": 4, "sd3": 5, "flux": 4}.get(family, 3)
    np.testing.assert_array_equal(images(family, done.folder, tmp_path / "a"),
                                  images(family, bases[family], tmp_path / "b"))  # fmt: skip
    again = convert_single_file(originals[family], configs, tmp_path / "artifacts")
    assert (again.folder, again.made) == (done.folder, False)


def test_the_written_path_of_the_file_leads_to_its_folder_until_the_file_changes(bases, originals, tmp_path):
    file, artifacts = tmp_path / "models" / "mine.safetensors", tmp_path / "artifacts"
    file.parent.mkdir()
    shutil.copy(originals["sd15"], file)
    assert locate_base(Path("models/mine.safetensors"), [tmp_path], artifacts) == file
    with pytest.raises(InputError, match=r"next: lifeos base convert .*mine\.safetensors --like FOLDER"):
        base_hash(file)
    done = convert_single_file(file, bases["sd15"], artifacts)
    assert locate_base(Path("models/mine.safetensors"), [tmp_path], artifacts) == done.folder
    assert base_hash(done.folder) == base_hash(convert_single_file(file, bases["sd15"], tmp_path / "other").folder)
    os.utime(file, ns=(1, 1))
    assert locate_base(Path("models/mine.safetensors"), [tmp_path], artifacts) == file
    assert not convert_single_file(file, bases["sd15"], artifacts).made
    assert locate_base(Path("models/mine.safetensors"), [tmp_path], artifacts) == done.folder


def test_a_recipe_and_a_persona_name_the_file_alike(bases, originals, tmp_path):
    from lifeos.lora.recipe import load_recipe

    shutil.copy(originals["sd15"], tmp_path / "mine.safetensors")
    (tmp_path / "dataset").mkdir()
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('base = "mine.safetensors"\ndataset = "dataset"\ntrigger = "zeph"\nfamily = "sd15"\nsteps = 1\n',
                      encoding="utf-8")  # fmt: skip
    with pytest.raises(InputError, match="next: lifeos base convert"):
        load_recipe(recipe, tmp_path)
    done = convert_single_file(tmp_path / "mine.safetensors", bases["sd15"], tmp_path / "artifacts")
    assert load_recipe(recipe, tmp_path).base == done.folder


def test_the_types_of_the_file_stay_also_where_they_differ(bases, originals, tmp_path):
    tensors = load_file(originals["sdxl"])
    tensors = {name: array.astype(np.float32) if name.startswith("first_stage_model.") else array
               for name, array in tensors.items()}  # fmt: skip
    save_file(tensors, tmp_path / "mixed.safetensors")
    folder = convert_single_file(tmp_path / "mixed.safetensors", bases["sdxl"], tmp_path / "artifacts").folder
    found = {component: {str(array.dtype) for array in tensors_of(folder, component).values()}
             for component in ("unet", "vae", "text_encoder", "text_encoder_2")}  # fmt: skip
    assert found.pop("vae") == {"float32"}
    assert list(found.values()) == [{"float16"}] * 3


def test_what_the_file_does_not_hold_comes_from_the_folder_or_is_refused(bases, narrow_flux, tmp_path):
    # The authors' own file of Flux holds the transformer alone, without a prefix.
    file = write_original("flux", bases["flux"], tmp_path / "all.safetensors",
                          without=("vae", "text_encoder", "text_encoder_2"))  # fmt: skip
    tensors = {name.removeprefix("model.diffusion_model."): array for name, array in load_file(file).items()}
    save_file(tensors, tmp_path / "flux.safetensors")
    done = convert_single_file(tmp_path / "flux.safetensors", bases["flux"], tmp_path / "artifacts")
    assert done.from_file == ("transformer",)
    assert loaded_components(done.folder) == loaded_components(bases["flux"])
    np.testing.assert_array_equal(images("flux", done.folder, tmp_path / "a"), images("flux", bases["flux"], tmp_path))
    configs = without_weights(bases["flux"], tmp_path / "configs")
    with pytest.raises(InputError, match="accepted a file with text_encoder, or --like a folder that has its weights"):
        convert_single_file(tmp_path / "flux.safetensors", configs, tmp_path / "artifacts")


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.safetensors"])
def test_a_pickle_is_refused_unread_with_the_way_out(bases, tmp_path, name):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    said = r"got a pickle, .* refused unread; next: fetch the \.safetensors file"
    with pytest.raises(InputError, match=said) as caught:
        convert_single_file(tmp_path / name, bases["sd15"], tmp_path / "artifacts")
    assert "\n" not in str(caught.value)
    # Named by a recipe, it is not opened either.
    with pytest.raises(InputError, match=said if name != "model.safetensors" else "lifeos base convert"):
        base_hash(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "artifacts").exists()


def damaged(tensors, damage):
    """(The tensors of an SDXL file with something wrong, how the refusal reads)."""
    lost = "model.diffusion_model.middle_block.1.proj_in.weight"
    first = "model.diffusion_model.input_blocks.0.0.weight"
    of_text = "conditioner.embedders.1.model.ln_final.weight"
    return {
        "no text norm": ({name: array for name, array in tensors.items() if name != of_text},
                         r"got text_encoder_2 without text_model\.final_layer_norm\.weight"),
        "no projection": ({name: array for name, array in tensors.items() if name != lost},
                          "got a file without some of them"),
        "a layer more": ({**tensors, "model.diffusion_model.input_blocks.9.0.in_layers.2.weight": tensors[lost]},
                         r"got unet of \d+ numbers where they make \d+"),
        "inpainting": ({**tensors, first: np.zeros((16, 9, 3, 3), np.float16)}, "accepted the tensors that the"),
        "another width": ({**tensors, lost: tensors[lost][:4]}, "accepted the tensors that the configs of"),
        "a LoRA": ({"lora_unet_x.lora_up.weight": tensors[lost]}, "got a LoRA"),
        "SD2": ({"model.diffusion_model.input_blocks.0.0.weight": tensors[lost],
                 "cond_stage_model.model.ln_final.weight": tensors[lost]}, "accepted a whole model of"),
        "something else": ({"weight": tensors[lost]}, "got tensors such as 'weight'"),
    }[damage]  # fmt: skip


@pytest.mark.parametrize("damage", ["no projection", "no text norm", "a layer more", "inpainting", "another width",
                                    "a LoRA", "SD2", "something else"])  # fmt: skip
def test_a_file_that_is_no_such_model_is_refused_and_leaves_nothing(bases, originals, tmp_path, damage):
    tensors, said = damaged(load_file(originals["sdxl"]), damage)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=said) as caught:
        convert_single_file(tmp_path / "x.safetensors", bases["sdxl"], tmp_path / "artifacts")
    assert "\n" not in str(caught.value)
    left = [path for path in (tmp_path / "artifacts").rglob("*") if path.suffix != ".lock" and path.is_file()]
    assert left == []


def test_a_part_that_the_folder_does_without_stays_out(originals, tmp_path):
    from lifeos.lora.families.random_base import write_stable_diffusion_3

    like = write_stable_diffusion_3(tmp_path / "without", 0, with_t5=False)
    done = convert_single_file(originals["sd3"], like, tmp_path / "artifacts")
    assert done.from_file == ("transformer", "vae", "text_encoder", "text_encoder_2")
    assert loaded_components(done.folder) == loaded_components(like)


def test_a_denoiser_without_its_prefix_is_not_taken_from_the_folder_instead(bases, originals, tmp_path):
    tensors = load_file(originals["sdxl"])
    tensors = {name.removeprefix("model.diffusion_model."): array for name, array in tensors.items()}
    save_file(tensors, tmp_path / "bare.safetensors")
    with pytest.raises(InputError, match=r"accepted a unet under model\.diffusion_model\., got none"):
        convert_single_file(tmp_path / "bare.safetensors", bases["sdxl"], tmp_path / "artifacts")


def test_eight_bits_are_refused(bases, tmp_path):
    header = json.dumps({"double_blocks.0.x": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"abcd")
    with pytest.raises(InputError, match="of unknown type 'F8_E4M3'"):
        convert_single_file(tmp_path / "x.safetensors", bases["flux"], tmp_path / "artifacts")


@pytest.mark.parametrize(("like", "said"), [
    ("sd15", r"accepted the configs of sdxl \(StableDiffusionXLPipeline\), which .* is, got StableDiffusionPipeline"),
    ("nothing", "got none"), ("half", "accepted a diffusers config"), ("index", "accepted a folder"),
])
def test_configs_of_another_family_or_not_all_of_them_are_refused(bases, originals, tmp_path, like, said):
    folder = {"sd15": bases["sd15"], "nothing": tmp_path / "nothing"}.get(like, tmp_path / "configs")
    if like in ("half", "index"):
        without_weights(bases["sdxl"], folder)
        (folder / "text_encoder_2" / "config.json").unlink()
        if like == "index":
            shutil.rmtree(folder / "text_encoder_2")
    with pytest.raises(InputError, match=said):
        convert_single_file(originals["sdxl"], folder, tmp_path / "artifacts")


def test_the_width_of_flux_in_diffusers_is_told_where_it_does_not_fit(bases, originals, tmp_path):
    with pytest.raises(InputError, match=r"accepted the tensors that the configs of .* describe"):
        convert_single_file(originals["flux"], bases["flux"], tmp_path / "artifacts")


def test_a_kill_leaves_no_half_folder_and_the_next_run_is_whole(bases, originals, tmp_path, monkeypatch):
    whole = convert_single_file(originals["sd15"], bases["sd15"], tmp_path / "whole").folder
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from lifeos.lora.families import single_file\n"
        "def killed(*_): os._exit(9)\n"
        "single_file._take_own_projection = killed\n"
        "single_file.convert_single_file(*map(Path, sys.argv[1:]))\n"
    )
    artifacts = tmp_path / "artifacts"
    done = subprocess.run([sys.executable, "-c", program, str(originals["sd15"]), str(bases["sd15"]), str(artifacts)],
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)  # fmt: skip
    assert done.returncode == 9
    assert not (artifacts / "bases" / whole.name).exists()
    assert (artifacts / "bases" / f".{whole.name}.part" / "unet").is_dir()
    again = convert_single_file(originals["sd15"], bases["sd15"], artifacts)
    assert (again.made, base_hash(again.folder)) == (True, base_hash(whole))
    assert sorted(path.name for path in (artifacts / "bases").iterdir() if path.is_dir()) == [whole.name, "files"]


def test_a_full_disk_is_one_line_and_leaves_nothing(bases, originals, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(single_file.shutil, "copyfile", full)
    with pytest.raises(InputError, match="got No space left on device; next: make room"):
        convert_single_file(originals["sd15"], bases["sd15"], tmp_path / "artifacts")
    assert not [path for path in (tmp_path / "artifacts" / "bases").iterdir() if path.is_dir()]
    def full_in_the_library(*_, **__):
        from safetensors import SafetensorError

        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.undo()
    monkeypatch.setattr("safetensors.torch.save_file", full_in_the_library)
    with pytest.raises(InputError, match=r"got .*No space left on device.*; next: make room"):
        convert_single_file(originals["sd15"], bases["sd15"], tmp_path / "artifacts")
    assert not [path for path in (tmp_path / "artifacts" / "bases").iterdir() if path.is_dir()]
    usage = types.SimpleNamespace(free=10)
    monkeypatch.setattr(single_file.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"accepted 0\.0 GiB free for the converted base, got 0\.0"):
        convert_single_file(originals["sd15"], bases["sd15"], tmp_path / "artifacts")


def test_the_record_of_a_conversion_is_only_believed_whole(bases, originals, tmp_path):
    from lifeos.lora.families.base_location import conversion_record, converted_folder

    file, artifacts = originals["tiny_base"], tmp_path / "artifacts"
    done = convert_single_file(file, bases["tiny_base"], artifacts)
    record = conversion_record(file, artifacts)
    text = record.read_text(encoding="utf-8")
    assert converted_folder(file, artifacts) == done.folder
    for damage in ("", "[]", "{}", text[:-20], json.dumps({**json.loads(text), "folder": "elsewhere"})):
        record.write_text(damage, encoding="utf-8")
        assert converted_folder(file, artifacts) is None
