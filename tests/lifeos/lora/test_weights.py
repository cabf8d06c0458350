import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.lora_file import LoraModule
from lifeos.lora.weights import GATES, inspect_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # the base is built by torch and friends

FAMILY = get_family("tiny_base")


def outcomes(report):
    return {gate: str(verdict.outcome) for gate, verdict in report.verdicts.items()}


def failing(report):
    return {gate for gate, outcome in outcomes(report).items() if outcome == "failed"}


@pytest.mark.parametrize("style", ["diffusers", "diffusers_old", "peft", "kohya"])
@pytest.mark.parametrize("preset", ["attention", "attention_feedforward", "full"])
def test_good_files_of_every_format_pass(base, write_lora, style, preset):
    report = inspect_lora(write_lora(style, preset, rank=3), base, FAMILY)
    assert outcomes(report) == dict.fromkeys(GATES, "passed")
    assert (report.preset, report.rank) == (preset, 3)
    assert report.alpha == (1.0 if style == "kohya" else 3.0)
    assert report.expected == report.found == len(FAMILY.expected_modules(base, preset))
    assert report.formats == (style.removesuffix("_old"),)


def keep(condition):
    return lambda tensors: {name: value for name, value in tensors.items() if condition(name)}


def rename(before, after):
    return lambda tensors: {name.replace(before, after): value for name, value in tensors.items()}


def change(find, function):
    def edit(tensors):
        return {name: (dtype, function(array) if find in name else array) for name, (dtype, array) in tensors.items()}

    return edit


def half_of_the_modules(tensors):
    modules = sorted({name.split(".lora_")[0] for name in tensors})[::2]
    return {name: value for name, value in tensors.items() if name.split(".lora_")[0] in modules}


def with_nan(array):
    array = array.copy()
    array.flat[-1] = np.nan
    return array


PLANTED = {
    "NaN": (change("conv1.lora_A", with_nan), {"weights_finite"}),
    "infinity": (change("to_q.lora_B", lambda array: array * np.inf), {"weights_finite"}),
    "half of the modules": (half_of_the_modules, {"weights_keys"}),
    "no cross attention": (keep(lambda name: ".attn2." not in name), {"weights_keys"}),
    "no up matrices in one kind": (keep(lambda name: "to_v.lora_B" not in name), {"weights_keys"}),
    "a key of another kind": (lambda tensors: tensors | {"unet.conv_in.dora_scale": ("F32", np.ones(3))},
                              {"weights_keys"}),
    "wrong prefix": (rename("unet.", "transformer."), {"weights_base", "weights_keys"}),
    "modules that do not exist": (rename("unet.", "unet.model."), {"weights_base", "weights_keys"}),
    "all zero": (change("lora_B", np.zeros_like), {"weights_effect"}),
    "one dead module": (change("mid_block.resnets.0.conv1.lora_B", np.zeros_like), {"weights_effect"}),
    "wrong width": (change("to_q.lora_A", lambda array: np.concatenate([array, array], axis=1)), {"weights_base"}),
    "no tensor": (lambda tensors: {}, {"weights_base", "weights_keys"}),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_fails_exactly_its_gates(base, write_lora, fault):
    edit, expected = PLANTED[fault]
    report = inspect_lora(write_lora(edit=edit), base, FAMILY)
    assert failing(report) == expected
    assert all("\n" not in verdict.reason for verdict in report.verdicts.values())


def test_another_base_is_refused_by_shape_and_by_name(base, other_base, write_lora):
    assert "weights_base" in failing(inspect_lora(write_lora(), other_base, FAMILY))
    honest = write_lora(metadata={"lifeos.base_hash": "0" * 64})
    assert failing(inspect_lora(honest, base, FAMILY)) == {"weights_base"}
    named = write_lora(metadata={"lifeos.base_hash": base_hash(base)})
    assert not failing(inspect_lora(named, base, FAMILY))


def test_metadata_tells_what_is_expected(base, write_lora):
    only_attention = {"edit": keep(lambda name: ".to_" in name)}
    assert not failing(inspect_lora(write_lora(**only_attention), base, FAMILY))
    recipe = {"lifeos.recipe": json.dumps({"targets": "full"})}
    assert failing(inspect_lora(write_lora(**only_attention, metadata=recipe), base, FAMILY)) == {"weights_keys"}
    adapter = {"lora_adapter_metadata": json.dumps({"unet.target_modules": ["to_q", "ff.net.2"]})}
    assert failing(inspect_lora(write_lora(**only_attention, metadata=adapter), base, FAMILY)) == {"weights_keys"}


def test_alpha_comes_from_where_a_loader_takes_it(base, write_lora):
    adapter = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8, "unet.alpha_pattern": {}}),
               "ss_network_alpha": "1"}
    report = inspect_lora(write_lora(metadata=adapter), base, FAMILY)
    assert (report.alpha, report.scale) == (8.0, 4.0)
    assert report.notes == ("ss_network_alpha says 1, a loader will take 8",)


def test_kohya_convolutions_for_linear_layers_fit(base, write_lora):
    def widen(tensors):
        return {name: (dtype, array.reshape(*array.shape, 1, 1) if array.ndim == 2 else array)
                for name, (dtype, array) in tensors.items()}

    assert not failing(inspect_lora(write_lora("kohya", edit=widen), base, FAMILY))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 whatever", b"\x80\x02}q\x00."])
def test_an_unreadable_file_fails_one_gate_and_leaves_the_rest_open(base, tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    report = inspect_lora(path, base, FAMILY)
    assert outcomes(report) == dict.fromkeys(GATES, "not_evaluated") | {"weights_whole": "failed"}
    assert all("cannot be read" in report.verdicts[gate].reason for gate in GATES[1:])


def test_an_absent_file_leaves_all_gates_open(base, tmp_path):
    assert outcomes(inspect_lora(tmp_path / "none", base, FAMILY)) == dict.fromkeys(GATES, "not_evaluated")


def test_a_base_that_cannot_be_read_is_an_error_of_the_user(tmp_path, write_lora):
    with pytest.raises(InputError, match="next:"):
        inspect_lora(write_lora(), tmp_path, FAMILY)


def test_every_cut_of_a_good_file_is_refused(base, write_lora):
    path = write_lora(preset="attention")
    data = path.read_bytes()
    for length in [*range(0, 200, 7), len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        assert outcomes(inspect_lora(path, base, FAMILY))["weights_whole"] == "failed", length


@given(seed=st.integers(0, 1000), rank=st.integers(1, 5), size=st.integers(1, 9), conv=st.booleans())
def test_the_norm_is_that_of_the_product(seed, rank, size, conv):
    generator = np.random.default_rng(seed)
    kernel = (3, 3) if conv else ()
    module = LoraModule("unet.x", generator.normal(size=(rank, size, *kernel)).astype(np.float32),
                        generator.normal(size=(size + 1, rank, *kernel[:0])).astype(np.float32), alpha=3.0)
    assert module.delta().shape == (size + 1, size, *kernel)
    assert module.delta_norm() == pytest.approx(float(np.linalg.norm(module.delta())), rel=1e-4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(position=st.integers(0, 20_000), value=st.integers(0, 255))
def test_one_wrong_byte_in_the_header_never_raises(base, write_lora, position, value):
    path = write_lora(preset="attention")
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    data[position % (8 + length)] = value
    path.write_bytes(bytes(data))
    assert set(outcomes(inspect_lora(path, base, FAMILY))) == set(GATES)


def test_a_large_rank_is_inspected_whole(base, write_lora):
    path = write_lora(rank=230)
    assert path.stat().st_size > 5_000_000
    assert not failing(inspect_lora(path, base, FAMILY))


def with_magnitudes(names):
    """Edit that gives modules whose name holds one of ``names`` the magnitude 1."""

    def edit(tensors):
        stems = {key.removesuffix(".lora_B.weight"): array.shape[0] for key, (_, array) in tensors.items()
                 if key.endswith(".lora_B.weight") and any(name in key for name in names)}  # fmt: skip
        return {**tensors, **{f"{stem}.lora_magnitude_vector": ("F32", np.ones(out, np.float32))
                              for stem, out in stems.items()}}

    return edit


@pytest.mark.parametrize(("names", "declared", "failed"), [
    (["unet"], True, False), (["unet"], False, False), ([], False, False), (["to_q"], False, True), ([], True, True),
])
def test_a_dora_has_a_magnitude_in_every_module_of_a_component(base, write_lora, names, declared, failed):
    adapter = {"unet.r": 2, "unet.lora_alpha": 2, **({"unet.use_dora": True} if declared else {})}
    lora = write_lora(preset="attention", edit=with_magnitudes(names),
                      metadata={"lora_adapter_metadata": json.dumps(adapter)})  # fmt: skip
    report = inspect_lora(lora, base, FAMILY)
    assert failing(report) == ({"weights_keys"} if failed else set())
    if failed:
        assert "have no magnitude, first unet." in report.verdicts["weights_keys"].reason


def test_a_dora_whose_direction_is_unchanged_is_dead(base, write_lora):
    def edit(tensors):
        return change("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B", np.zeros_like)(
            with_magnitudes(["unet"])(tensors)
        )

    report = inspect_lora(write_lora(preset="attention", edit=edit), base, FAMILY)
    assert failing(report) == {"weights_effect"}
