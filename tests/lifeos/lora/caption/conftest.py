"""Captioners with random weights, small, in the layout of the published ones; built here, nothing is fetched."""

import numpy as np
import pytest

from lifeos.lora.caption.rules import CaptionRules

SIDE = 32


@pytest.fixture
def rules():
    return CaptionRules("pstch", "person", ["pistachio"])


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def _saved(folder, model, *parts):
    import torch

    for number, parameter in enumerate(model.parameters()):
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(number))
    model.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return folder


def _bytes(first):
    from tokenizers.pre_tokenizers import ByteLevel

    return {token: number for number, token in enumerate([*first, *sorted(ByteLevel.alphabet())])}


@pytest.fixture(scope="session")
def blip(tmp_path_factory):
    from transformers import (
        BertTokenizer,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessorPil,
        BlipProcessor,
    )

    words = [
        "a",
        "photo",
        "of",
        "young",
        "woman",
        "with",
        "brown",
        "hair",
        "in",
        "kitchen",
        "smiling",
        "facing",
        "left",
        "wearing",
        "red",
        "dress",
        "beautiful",
    ]
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": len(vocabulary), "encoder_hidden_size": 16, "max_position_embeddings": 256, "bos_token_id": 2,
            "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}  # fmt: skip
    config = BlipConfig(text_config={**small, **text}, vision_config={**small, "image_size": SIDE, "patch_size": 16})
    tokenizer = BertTokenizer(vocab=vocabulary)
    processor = BlipProcessor(BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer)
    return _saved(tmp_path_factory.mktemp("blip"), BlipForConditionalGeneration(config), processor)


@pytest.fixture(scope="session")
def florence2(tmp_path_factory):
    from transformers import (
        BartTokenizer,
        CLIPImageProcessorPil,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    vocabulary = _bytes(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer = BartTokenizer(vocab=vocabulary, merges=[], extra_special_tokens={"image_token": "<image>"})
    ends = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = {"model_type": "bart", "vocab_size": len(tokenizer), "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16,
            "max_position_embeddings": 256, "decoder_start_token_id": 2, **ends}  # fmt: skip
    vision = {"depths": [1], "patch_size": [7], "patch_stride": [4], "patch_padding": [3], "patch_prenorm": [False],
              "embed_dim": [16], "num_heads": [2], "num_groups": [2], "window_size": 4, "projection_dim": 16,
              "max_position_embeddings": 16}  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=tokenizer.image_token_id, **ends)
    pictures = CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    # 8 x 8 patches of four pixels and the one that stands for all.
    pictures.image_seq_length = 65
    processor = Florence2Processor(pictures, tokenizer)
    return _saved(tmp_path_factory.mktemp("florence2"), Florence2ForConditionalGeneration(config), processor)


def _qwen_parts():
    from transformers import Qwen2Tokenizer, Qwen2VLImageProcessorPil

    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
             "<|video_pad|>"]  # fmt: skip
    tokenizer = Qwen2Tokenizer(vocab=_bytes([]), merges=[], additional_special_tokens=marks, unk_token=None)
    ids = dict(zip(marks, tokenizer.convert_tokens_to_ids(marks), strict=True))
    text = {"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 1024,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
            "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"]}  # fmt: skip
    config = {"text_config": text, "image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"],
              "vision_start_token_id": ids["<|vision_start|>"],
              "vision_end_token_id": ids["<|vision_end|>"]}  # fmt: skip
    return config, Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=28 * 28 * 16), tokenizer


@pytest.fixture(scope="session")
def qwen2_vl(tmp_path_factory):
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    config, *parts = _qwen_parts()
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 1}
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**config, vision_config=vision))
    return _saved(tmp_path_factory.mktemp("qwen2"), model, *parts)


@pytest.fixture(scope="session")
def qwen2_5_vl(tmp_path_factory):
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config, *parts = _qwen_parts()
    vision = {"depth": 1, "hidden_size": 16, "out_hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
              "window_size": 56, "fullatt_block_indexes": [0]}  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**config, vision_config=vision))
    return _saved(tmp_path_factory.mktemp("qwen25"), model, *parts)
