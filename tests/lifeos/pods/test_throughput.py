import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.pods.spec import load_gpus
from lifeos.pods.throughput import ANY, load_throughput

GPUS = load_gpus()
TABLE = load_throughput()
FORMULA = """[formula]
utilisation = 0.5
utilisation_source = "here"
operator_seconds = 1e-5
operator_source = "here"
"""
ESTIMATED = """
[[row]]
id = "x-train"
family = "x"
operation = "train"
gpu = "any"
kind = "estimated"
source = "a guess"
seconds = { a_call = 1.0, an_image = 0.5, side = 512 }
"""
MEASURED = """
[[row]]
id = "x-train-a40"
family = "x"
operation = "train"
gpu = "A40"
kind = "measured"
device = "NVIDIA A40"
date = 2026-11-24
commit = "0123456789012345678901234567890123456789"
command = "lifeos retrain-lora recipe.toml -o x.safetensors"
seconds = { a_call = 0.0, an_image = 0.1, side = 512 }
"""


def table(tmp_path, text):
    path = tmp_path / "throughput.toml"
    path.write_text(text, encoding="utf-8")
    return load_throughput(path)


def test_families_of_this_version_can_be_estimated():
    assert TABLE.families == ["sd15", "tiny_base"]
    for family in TABLE.families:
        for operation in ("start", "train", "denoise", "decode", "encode", "judge"):
            row = TABLE.row(family, operation, "A40")
            for gpu in GPUS.values():
                assert TABLE.seconds(row, gpu, images=1, side=row.side, dtype="bfloat16") >= 0
    with pytest.raises(InputError, match=r"sd15, tiny_base, got 'flux' for train"):
        TABLE.row("flux", "train", "A40")


@pytest.mark.parametrize("known", TABLE.published, ids=lambda known: f"{known.gpu} {known.images}")
def test_the_formula_errs_upwards_from_what_was_published(known):
    # Published in float16, whose peak a T4 has too; the recipe's own types would put it into float32.
    gpu = GPUS[known.gpu].model_copy(update={"bf16": True})
    row = TABLE.row(known.family, known.operation, known.gpu)
    seconds = TABLE.seconds(row, gpu, images=known.images, side=known.side, dtype="bfloat16")
    assert 0.99 <= seconds / known.seconds <= 1.9


def test_the_constants_are_those_of_the_published_rows():
    busy = [known.gpu for known in TABLE.published if known.images >= 8]
    lowest = min(TABLE.utilisation(GPUS[name]) for name in busy)
    assert TABLE.formula.utilisation <= lowest <= TABLE.formula.utilisation + 0.01
    assert TABLE.utilisation(GPUS["B200"]) == TABLE.formula.utilisation
    single = next(known for known in TABLE.published if known.gpu == "A100 80GB" and known.images == 2)
    operators = TABLE.row("sd15", "denoise", ANY).work.operators
    assert TABLE.formula.operator_seconds == pytest.approx(single.seconds / operators, rel=0.01)


def test_float32_and_size_cost_more():
    row = TABLE.row("sd15", "train", "A40")

    def seconds(gpu="A40", images=8, side=512, dtype="bfloat16"):
        return TABLE.seconds(row, GPUS[gpu], images=images, side=side, dtype=dtype)

    assert seconds(dtype="float32") > seconds()
    assert seconds(images=16) == pytest.approx(2 * seconds())
    # Attention grows with the square of the area, so that twice the side is more than four times the work.
    assert seconds(side=1024) > 4 * seconds()
    # A T4 has no bfloat16.
    assert seconds("T4") == seconds("T4", dtype="float32")
    # The autoencoder stays in float32.
    decode = TABLE.row("sd15", "decode", "A40")
    one, other = (TABLE.seconds(decode, GPUS["A40"], images=1, side=512, dtype=t) for t in ("float32", "bfloat16"))
    assert one == other


def test_a_measured_row_of_the_gpu_wins(tmp_path):
    rows = table(tmp_path, FORMULA + ESTIMATED + MEASURED)
    assert rows.row("x", "train", "A40").id == "x-train-a40"
    assert rows.row("x", "train", "H100 80GB").id == "x-train"
    row = rows.row("x", "train", "H100 80GB")
    assert rows.seconds(row, GPUS["H100 80GB"], images=4, side=1024, dtype="bfloat16") == 1.0 + 4 * 0.5 * 4


@pytest.mark.parametrize("name", ["device", "date", "commit", "command"])
def test_a_measured_row_without_its_provenance_is_refused(tmp_path, name):
    whole = FORMULA + ESTIMATED + MEASURED
    line = next(line for line in MEASURED.splitlines() if line.startswith(name))
    assert table(tmp_path, whole).rows
    with pytest.raises(InputError, match=f"measured row x-train-a40 needs {name}"):
        table(tmp_path, whole.replace(line, ""))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('source = "a guess"', "", "needs a source"),
        ('source = "a guess"', 'source = "a guess"\ndevice = "A40"', "takes no device"),
        ('gpu = "A40"', 'gpu = "any"', "x-train"),
        ('commit = "0123', 'commit = "HEAD', "commit"),
        ("date = 2026-11-24", 'date = "yesterday"', "date"),
        ("an_image = 0.5", "an_image = -0.5", "an_image"),
        ("an_image = 0.5", "an_image = nan", "an_image"),
        ('kind = "estimated"', 'kind = "guessed"', "kind"),
        ("seconds = { a_call = 1.0, an_image = 0.5, side = 512 }", "", "either seconds or work"),
        ('operation = "train"', 'operation = "dream"', "operation"),
        ('id = "x-train-a40"', 'id = "x-train"', "says again"),
        ("utilisation = 0.5", "utilisation = 1.5", "utilisation"),
        ("[formula]", "[formula", "accepted TOML"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_refused(tmp_path, old, new, says):
    whole = FORMULA + ESTIMATED + MEASURED
    assert old in whole
    with pytest.raises(InputError, match=says) as caught:
        table(tmp_path, whole.replace(old, new))
    assert "; next: " in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=40)
@given(text=st.text(max_size=150))
def test_no_text_ends_in_anything_but_a_table_or_an_input_error(tmp_path_factory, text):
    with pytest.raises(InputError):
        table(tmp_path_factory.mktemp("table"), text)
