"""Against transformers' own processor and model, on a CLIP of random weights: the real classes, nothing downloaded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evals.clip_score_eval import SCALE, ClipScorer, clip_hash
from evals.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ["photo of a person, smiling", "photo of a person facing left, blue background"]


def write_clip(folder, seed=0, side=32):
    """A CLIPModel of random weights with tiny-base's tokenizer, as `save_pretrained` leaves it."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(ROOT / "models" / "tiny-base" / "tokenizer"), local_files_only=True)
    width = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(seed)
    model = CLIPModel(
        CLIPConfig(
            text_config={**width, "vocab_size": len(tokenizer), "max_position_embeddings": 32,
                         "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id},
            vision_config={**width, "image_size": side, "patch_size": 8},
            projection_dim=8,
        )
    ).eval()  # fmt: skip
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    processor = {"crop_size": {"height": side, "width": side}, "size": {"shortest_edge": side}}
    (Path(folder) / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def scorer(clip):
    return ClipScorer(clip)


def pictures(count, shape=(40, 56)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for _ in range(count)]


@pytest.mark.parametrize("shape", [(32, 32), (40, 56), (96, 33)])
def test_pixels_are_what_the_processor_of_transformers_makes(scorer, shape):
    from PIL import Image
    from transformers import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    (image,) = pictures(1, shape)
    theirs = processor(Image.fromarray(image), return_tensors="np")["pixel_values"][0]
    ours = scorer.pixels(image)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 0.02  # one grey level is .014


def test_scores_are_the_cosines_of_the_model(clip, scorer):
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(str(clip), local_files_only=True).eval()
    images = pictures(2)
    found = scorer.scores(images, TEXTS)
    for image, text, score in zip(images, TEXTS, found, strict=True):
        tokens = scorer._tokenizer([text], return_tensors="pt")
        with torch.inference_mode():
            out = model(**tokens, pixel_values=torch.from_numpy(scorer.pixels(image)[None]))
        one, other = (e[0].numpy() / np.linalg.norm(e[0].numpy()) for e in (out.image_embeds, out.text_embeds))
        assert score == pytest.approx(SCALE * max(float(one @ other), 0.0), abs=1e-5)
    assert all(0.0 <= score <= SCALE for score in found)


def test_a_score_does_not_depend_on_its_batch(scorer):
    images = pictures(18)
    texts = [TEXTS[number % 2] for number in range(18)]
    alone = [scorer.scores([image], [text])[0] for image, text in zip(images, texts, strict=True)]
    assert scorer.scores(images, texts) == pytest.approx(alone, abs=1e-5)
    assert len({round(score, 6) for score in alone}) > 2


def test_a_long_text_is_cut_and_numbers_must_agree(scorer):
    assert scorer.scores(pictures(1), ["red " * 500])[0] >= 0.0
    with pytest.raises(ValueError, match="as many"):
        scorer.scores(pictures(2), TEXTS[:1])


def test_the_hash_is_of_weights_words_and_configs(clip, tmp_path):
    copy = Path(shutil.copytree(clip, tmp_path / "copy"))
    assert clip_hash(copy) == clip_hash(clip)
    (copy / "note.md").write_text("no part of the model", encoding="utf-8")
    assert clip_hash(copy) == clip_hash(clip)
    (copy / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    assert clip_hash(copy) != clip_hash(clip)
    assert clip_hash(write_clip(tmp_path / "other", seed=1)) != clip_hash(clip)


def test_a_pickle_is_refused_unread(clip, tmp_path):
    folder = Path(shutil.copytree(clip, tmp_path / "pickled"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    for read in (clip_hash, ClipScorer):
        with pytest.raises(InputError, match="safetensors") as refused:
            read(folder)
        assert "next:" in str(refused.value)


@pytest.mark.parametrize("spoil", ["absent", "file", "cut", "config", "mean", "crop"])
def test_what_is_no_model_gives_one_line(clip, tmp_path, spoil):
    folder = tmp_path / "clip"
    if spoil == "file":
        folder.write_text("no folder", encoding="utf-8")
    elif spoil != "absent":
        shutil.copytree(clip, folder)
    if spoil == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
    elif spoil == "config":
        (folder / "config.json").write_text("{", encoding="utf-8")
    elif spoil == "mean":
        (folder / "preprocessor_config.json").write_text('{"image_mean": [0.5]}', encoding="utf-8")
    elif spoil == "crop":
        (folder / "preprocessor_config.json").write_text('{"crop_size": {"width": 3}}', encoding="utf-8")
    with pytest.raises(InputError) as refused:
        ClipScorer(folder)
    assert "\n" not in str(refused.value)
    assert "next:" in str(refused.value)
