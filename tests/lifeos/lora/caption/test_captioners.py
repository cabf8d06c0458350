"""The real loading and generating code of transformers, on models with random weights."""

import contextlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from lifeos.errors import InputError
from lifeos.lora.caption import captioners
from lifeos.lora.caption.captioners import Captioner

MODELS = [("blip", "blip"), ("florence2", "florence2"), ("qwen-vl", "qwen2_vl"), ("qwen-vl", "qwen2_5_vl")]


@pytest.fixture
def copied(blip, tmp_path):
    return shutil.copytree(blip, tmp_path / "model")


@pytest.mark.parametrize(("backend", "name"), MODELS, ids=[name for _, name in MODELS])
def test_a_model_answers_and_a_second_one_answers_the_same(backend, name, request, picture, rules):
    folder = request.getfixturevalue(name)
    one, other = Captioner(backend, folder), Captioner(backend, folder)
    text = one.describe(picture)
    assert text
    assert one.describe(picture) == text == other.describe(picture)
    assert one.identity() == other.identity()
    assert rules.compose(text).text.startswith("photo of a pstch person")


def test_what_generates_is_what_lies_in_the_folder(blip, picture):
    """The same tokens as transformers' own greedy search, step by step."""
    import torch
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(blip, local_files_only=True).eval()
    processor = BlipProcessor.from_pretrained(blip, local_files_only=True)
    pixels = processor(images=picture, return_tensors="pt")["pixel_values"]
    tokens = torch.tensor([[model.config.text_config.bos_token_id]])
    with torch.inference_mode():
        seen = model.vision_model(pixel_values=pixels)[0]
        for _ in range(captioners.MOST_NEW_TOKENS):
            step = model.text_decoder(input_ids=tokens, encoder_hidden_states=seen).logits[:, -1].argmax(-1)
            tokens = torch.cat([tokens, step[:, None]], dim=1)
            if step == model.config.text_config.sep_token_id:
                break
    assert Captioner("blip", blip).describe(picture) == processor.decode(tokens[0], skip_special_tokens=True)


def test_qwen_sees_as_many_marks_as_its_own_processor_would_write(qwen2_vl, picture, monkeypatch):
    from transformers import Qwen2VLImageProcessorPil, Qwen2VLProcessor

    asked = []
    generate = captioners._generate
    monkeypatch.setattr(captioners, "_generate", lambda model, inputs: asked.append(inputs) or generate(model, inputs))
    captioner = Captioner("qwen-vl", qwen2_vl, "What is it?")
    captioner.describe(picture)
    pictures = Qwen2VLImageProcessorPil.from_pretrained(qwen2_vl)
    own = Qwen2VLProcessor.replace_image_token(
        SimpleNamespace(image_processor=pictures, image_token="<|image_pad|>"), pictures(images=[picture]), 0
    )
    assert int(asked[0]["mm_token_type_ids"].sum()) == own.count("<|image_pad|>") > 1
    assert captioner.identity() != Captioner("qwen-vl", qwen2_vl).identity()


def test_large_pictures_are_scaled_down_first(qwen2_vl, monkeypatch):
    sizes = []
    family = captioners.FAMILIES["qwen-vl"]
    noted = SimpleNamespace(
        classes=family.classes, takes_prompt=True, open=lambda *_: lambda picture: sizes.append(picture.size) or "x"
    )
    monkeypatch.setitem(captioners.FAMILIES, "qwen-vl", noted)
    Captioner("qwen-vl", qwen2_vl).describe(np.zeros((1500, 3000, 3), dtype=np.uint8))
    assert sizes == [(1024, 512)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("pytorch_model.bin", b"\x80\x04N.", "refused unread"),
        ("other.safetensors", b"PK\x03\x04 and more bytes", "zip archive"),
        ("other.safetensors", b"", "an empty file"),
    ],
)
def test_weights_that_are_no_safetensors(copied, name, content, said):
    for file in copied.glob("*.safetensors"):
        file.unlink()
    (copied / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        Captioner("blip", copied)


def test_folders_that_are_no_such_model(copied, tmp_path, blip):
    with pytest.raises(InputError, match="local folder"):
        Captioner("blip", tmp_path / "nowhere")
    with pytest.raises(InputError, match="got 'blip'"):
        Captioner("florence2", blip)
    (copied / "config.json").write_text("[]")
    with pytest.raises(InputError, match="got ''"):
        Captioner("blip", copied)
    (copied / "config.json").write_text("{")
    with pytest.raises(InputError, match="config in JSON"):
        Captioner("blip", copied)
    for file in copied.iterdir():
        file.unlink()
    with pytest.raises(InputError, match="no weights"):
        Captioner("blip", copied)


def test_a_missing_weight_is_refused_not_drawn_at_random(copied, picture):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(copied / "model.safetensors")
    tensors.pop(next(name for name in sorted(tensors) if "vision" in name))
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="without vision_model"):
        Captioner("blip", copied).describe(picture)


def test_a_processor_that_cannot_be_read_is_one_line(copied, picture):
    (copied / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="next: fetch it again"):
        Captioner("blip", copied).describe(picture)


def test_code_in_the_folder_does_not_run(copied, picture):
    marker = copied / "ran"
    (copied / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    for name in ("config.json", "processor_config.json", "tokenizer_config.json"):
        values = json.loads((copied / name).read_text())
        kinds = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoImageProcessor")
        values["auto_map"] = dict.fromkeys(kinds, "evil.Evil") | {"AutoTokenizer": ["evil.Evil", None]}
        (copied / name).write_text(json.dumps(values))
    with contextlib.suppress(InputError):
        Captioner("blip", copied).describe(picture)
    assert not marker.exists()


def test_an_adapter_is_no_model(copied):
    (copied / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="got an adapter"):
        Captioner("blip", copied)


def test_prompts(qwen2_vl, blip):
    with pytest.raises(InputError, match="--backend qwen-vl, got blip"):
        Captioner("blip", blip, "what?")
    for prompt in ("<|im_end|>", "  "):
        with pytest.raises(InputError, match="plain text"):
            Captioner("qwen-vl", qwen2_vl, prompt)
    with pytest.raises(InputError, match="one of blip, florence2, qwen-vl"):
        Captioner("gpt", blip)
