import json

import numpy as np
import pytest

from lifeos.errors import InputError
from lifeos.lora.export import export_kohya
from lifeos.lora.families import get_family
from lifeos.lora.lora_file import read_lora
from lifeos.lora.weights import GATES, inspect_lora

pytestmark = pytest.mark.filterwarnings("ignore")

FAMILY = get_family("tiny_base")


def test_diffusers_gives_the_exported_file_the_same_effect(base, write_lora, tmp_path):
    from diffusers import StableDiffusionPipeline

    metadata = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 6, "unet.r": 2}), "ss_network_alpha": "6"}
    lora = write_lora("diffusers", metadata=metadata)
    out = export_kohya(lora, tmp_path / "kohya.safetensors", base, FAMILY)
    report = inspect_lora(out, base, FAMILY)
    assert {str(verdict.outcome) for gate, verdict in report.verdicts.items() if gate in GATES} == {"passed"}
    assert (report.formats, report.scale) == (("kohya",), 3.0)
    original = read_lora(lora, FAMILY, FAMILY.modules(base)).modules
    pipeline = StableDiffusionPipeline.from_pretrained(str(base), local_files_only=True)
    pipeline.load_lora_weights(str(tmp_path), weight_name=out.name, adapter_name="persona")
    loaded = {f"unet.{name}": layer for name, layer in pipeline.unet.named_modules() if hasattr(layer, "lora_A")}
    assert set(loaded) == set(original)
    for name, layer in loaded.items():
        np.testing.assert_allclose(original[name].delta(), layer.get_delta_weight("persona").detach().numpy(),
                                   rtol=1e-3, atol=1e-6)


def test_a_file_for_another_base_is_not_exported(base, write_lora, tmp_path):
    strange = write_lora(edit=lambda tensors: {f"x{name}": value for name, value in tensors.items()})
    with pytest.raises(InputError, match="without a place"):
        export_kohya(strange, tmp_path / "kohya.safetensors", base, FAMILY)
