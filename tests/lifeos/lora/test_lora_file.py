"""What a LoRA file's tensors are read as, beyond what ``test_weights`` judges of them."""

import numpy as np
import pytest

from lifeos.lora.families import get_family
from lifeos.lora.lora_file import read_lora
from lifeos.lora.safetensors_file import encode

pytestmark = pytest.mark.filterwarnings("ignore")  # the base is built by torch and friends

FAMILY = get_family("tiny_base")
LINEAR = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
CONVOLUTION = "unet.mid_block.resnets.0.conv1"


def with_magnitude(name, ending, shape):
    def edit(tensors):
        stem = next(key for key in tensors if key.startswith(name)).removesuffix(".lora_A.weight")
        values = np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape)
        return {**tensors, f"{stem}{ending}": ("F32", values)}

    return edit


@pytest.mark.parametrize(("name", "ending", "shape"), [
    (LINEAR, ".lora_magnitude_vector", (32,)),
    (LINEAR, ".lora_magnitude_vector.weight", (32,)),
    (LINEAR, ".lora_magnitude_vector.default.weight", (32,)),
    (CONVOLUTION, ".lora_magnitude_vector", (1, 32, 1, 1)),
])  # fmt: skip
def test_a_dora_magnitude_of_diffusers_or_peft_is_one_number_an_output(base, write_lora, name, ending, shape):
    read = read_lora(write_lora(edit=with_magnitude(name, ending, shape)), FAMILY, FAMILY.modules(base))
    assert (read.keys.unknown, read.broken) == ((), {})
    np.testing.assert_array_equal(read.modules[name].magnitude, np.arange(1, 33, dtype=np.float32))
    assert sum(module.magnitude is not None for module in read.modules.values()) == 1


@pytest.mark.parametrize(("shape", "accepted"), [((32, 1), True), ((1, 32), False), ((32,), False), ((16, 1), False)])
def test_kohyas_magnitude_is_taken_as_a_column_only(base, write_lora, shape, accepted):
    """A row is a norm of each input, which no layer of peft has, and looks alike where a weight is square."""
    stem = "lora_" + LINEAR.replace(".", "_")
    lora = write_lora("kohya", edit=lambda tensors: {**tensors, f"{stem}.dora_scale": ("F32", np.ones(shape))})
    read = read_lora(lora, FAMILY, FAMILY.modules(base))
    assert (LINEAR in read.modules) is accepted
    assert (LINEAR in read.broken) is not accepted
    if accepted:
        np.testing.assert_array_equal(read.modules[LINEAR].magnitude, np.ones(32))


def test_a_magnitude_is_not_left_out_in_silence(base, write_lora):
    lora = write_lora(edit=with_magnitude(LINEAR, ".lora_magnitude_vector", (32,)))
    module = read_lora(lora, FAMILY, FAMILY.modules(base)).modules[LINEAR]
    with pytest.raises(ValueError, match="got a magnitude"):
        module.delta()


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_text_encoders_are_found_by_both_names_of_their_modules(base, tmp_path, prefix):
    """diffusers 0.42.1 beside transformers 5.6 writes the first; everything before, and kohya, the second."""
    family = get_family("tiny_base")
    module = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
    shape = family.modules(base)[module]
    stem = f"text_encoder.{prefix}encoder.layers.0.self_attn.q_proj"
    tensors = {f"{stem}.lora_A.weight": ("F32", np.ones((2, shape[1]), np.float32)),
               f"{stem}.lora_B.weight": ("F32", np.ones((shape[0], 2), np.float32))}
    path = tmp_path / "flat.safetensors"
    path.write_bytes(encode(tensors, {}))
    read = read_lora(path, family, family.modules(base))
    assert (list(read.modules), read.keys.unknown, read.keys.formats) == ([module], (), ("diffusers",))
