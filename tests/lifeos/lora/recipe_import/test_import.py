"""What became of each argument, trainer by trainer; defaults were read in the trainers' own sources."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe, parse_recipe, recipe_keys
from lifeos.lora.recipe_import import SOURCES, import_recipe, parse_said
from lifeos.lora.recipe_import.conversions import CONVERSIONS
from lifeos.lora.recipe_import.tables import load_table, typed

OUT = Path("recipe.toml")


def imported(*texts, source=None, folders=None, **said):
    said = {key.replace("__", "."): value for key, value in said.items()}
    return import_recipe(texts, source=source, said=said, out=OUT, subfolders=(folders or {}).get)


def recipe_of(report):
    assert report.text is not None, report.lines()
    return parse_recipe(tomllib.loads(report.text), OUT)


def lost(report):
    return {each.argument for each in report.not_mapped if each.matters is not False}


KOHYA = "accelerate launch sdxl_train_network.py --pretrained_model_name_or_path base --caption_extension .txt "
DIFFUSERS = "--pretrained_model_name_or_path base --instance_data_dir pictures --center_crop --max_train_steps 500 "


@pytest.mark.parametrize("source", SOURCES)
def test_the_tables_agree_with_the_recipe_and_the_conversions(source):
    table = load_table(source)
    rows = {**table.arguments}
    for variants in table.nested.values():
        for variant in variants.values():
            rows |= variant
    fields = {row.field for row in rows.values()} - {None}
    for script in table.scripts.values():
        fields |= set(script.fields)
        assert set(script.defaults) <= set(table.arguments)
        for name, value in script.defaults.items():
            assert typed(table.arguments[name], value) == value
    assert fields | set(table.fields) <= set(recipe_keys())
    for name, row in rows.items():
        assert (row.field is not None) + (row.convert is not None) + (row.reason is not None) == 1, name
        assert row.convert is None or row.convert in CONVERSIONS, name
        assert row.only_with is None or row.only_with in rows, name
        if row.default is not None and row.kind != "texts":
            assert typed(row, row.default) == row.default, name
    assert table.default_script in table.scripts


def test_every_conversion_is_used():
    used = {row.convert for name in SOURCES for row in load_table(name).arguments.values()}
    used |= {row.convert for variants in load_table("kohya").nested.values() for rows in variants.values()
             for row in rows.values()}  # fmt: skip
    assert set(CONVERSIONS) == used - {None}


def test_a_kohya_command_keeps_its_meaning():
    report = imported(
        KOHYA + "--train_data_dir img --network_dim 32 --network_alpha 16 --optimizer_type AdamW8bit --xformers "
        "--learning_rate 1e-4 --unet_lr 2e-4 --text_encoder_lr 5e-5 --max_train_steps 1500 --lr_scheduler cosine "
        "--lr_warmup_steps 0.1 --mixed_precision bf16 --shuffle_caption --keep_tokens 2 --seed 42 --cache_latents",
        folders={"img": ["10_zeph woman", "3_zeph woman hat", ".cache"]},
    )
    assert report.is_faithful, report.lines()
    recipe = recipe_of(report)
    assert (recipe.family, recipe.rank, recipe.alpha, recipe.seed, recipe.steps) == ("sdxl", 32, 16.0, 42, 1500)
    assert (recipe.batch_size, recipe.min_snr_gamma, recipe.save_dtype) == (1, None, "float32")  # kohya's defaults
    assert recipe.repeats == {"10_zeph woman": 10, "3_zeph woman hat": 3}
    assert (recipe.trigger, recipe.train_text_encoder, recipe.targets) == ("zeph", True, "attention_feedforward")
    assert (recipe.device, recipe.dtype, recipe.attention) == ("cuda", "bfloat16", "xformers")
    assert (recipe.caption_shuffle.separator, recipe.caption_shuffle.keep_first) == (",", 2)
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.text_encoder_learning_rate) == ("adamw8bit", 2e-4, 5e-5)
    assert (optimizer.betas, optimizer.schedule, optimizer.warmup_steps) == ((0.9, 0.999), "cosine", 150)
    assert report.hash == recipe.content_hash


def test_kohyas_own_defaults_are_written_out():
    report = imported(KOHYA + "--train_data_dir img --resolution 512", folders={"img": ["1_zeph"]})
    recipe = recipe_of(report)
    assert (recipe.rank, recipe.alpha, recipe.steps, recipe.optimizer.learning_rate) == (4, 1.0, 1600, 2e-6)
    written = {each.argument: each.fields for each in report.defaults}
    assert written["network_alpha"] == {"alpha": 1.0}
    assert written["min_snr_gamma"] == {"min_snr_gamma": "none"}
    assert written["network_train_unet_only"] == {"train_text_encoder": True}


PRODIGY = KOHYA + "--image_dir x --optimizer_type Prodigy --network_train_unet_only "


def test_prodigy_without_arguments_is_prodigyopts_own():
    optimizer = recipe_of(imported(PRODIGY + "--learning_rate 1", trigger="zeph")).optimizer
    assert (optimizer.weight_decay, optimizer.bias_correction, optimizer.safeguard_warmup) == (0.0, False, False)
    said = PRODIGY + '--learning_rate 1 --optimizer_args "weight_decay=0.01" "betas=(0.9, 0.99)" d_coef=2 decouple=True'
    report = imported(said, trigger="zeph")
    assert report.is_faithful, report.lines()
    optimizer = recipe_of(report).optimizer
    assert (optimizer.weight_decay, optimizer.betas, optimizer.d_coefficient) == (0.01, (0.9, 0.99), 2.0)


def test_a_contradiction_is_told_and_nothing_is_written():
    report = imported(PRODIGY + "--learning_rate 1e-4", trigger="zeph")
    assert report.text is None
    assert "Prodigy multiplies" in report.problem
    meant = imported(PRODIGY + "--learning_rate 1e-4", trigger="zeph", optimizer__learning_rate_is_deliberate=True)
    assert recipe_of(meant).optimizer.learning_rate == 1e-4


@pytest.mark.parametrize(("written", "steps"), [("100", 100), ("0.05", 50), ("5%", 50), ("0", 0)])
def test_a_warm_up_is_steps_or_a_share(written, steps):
    text = KOHYA + f"--image_dir x --max_train_steps 1000 --lr_scheduler linear --lr_warmup_steps {written}"
    assert recipe_of(imported(text, trigger="zeph")).optimizer.warmup_steps == steps


@pytest.mark.parametrize(("more", "left"), [
    ("--optimizer_args 'weight_decay=0.5,'", "optimizer_args weight_decay"),
    ("--optimizer_args d0=1e-5", "optimizer_args d0"),
    ("--optimizer_args nonsense", "optimizer_args nonsense"),
    ("--network_args conv_alpha=1", "network_args conv_alpha"),
    ("--network_args algo=lokr", "network_args algo"),
    ("--clip_skip 2", "clip_skip"),
    ("--lerning_rate 3", "lerning_rate"),
    ("--multires_noise_iterations 6", "multires_noise_iterations"),
    ("--max_train_steps many", "max_train_steps"),
    ("--cache_latents yes", "cache_latents"),
    ("--output_name $NAME", "$NAME"),
    ("--dataset_config data.toml", "dataset_config"),
])
def test_what_has_no_place_is_told(more, left):
    report = imported(PRODIGY + "--learning_rate 1 " + more, trigger="zeph", steps=100)
    assert left in lost(report), report.lines()
    assert not report.is_faithful


def test_what_has_no_effect_is_told_and_is_no_loss():
    quiet = "--output_dir o --clip_skip 1 --max_data_loader_n_workers 2 --network_dropout 0 --keep_tokens 3 "
    report = imported(PRODIGY + "--learning_rate 1 " + quiet, trigger="zeph")
    assert report.is_faithful, report.lines()
    assert {"output_dir", "clip_skip", "keep_tokens"} <= {each.argument for each in report.not_mapped}


def test_a_misspelt_name_is_suggested_and_a_beginning_is_taken():
    report = imported(PRODIGY + "--learning_rate 1 --max_train_step 20 --lerning_rate 3", trigger="zeph")
    assert recipe_of(report).steps == 20
    assert any("did you mean learning_rate" in each.reason for each in report.not_mapped)


def test_secrets_are_not_repeated():
    text = PRODIGY + "--learning_rate 1 --wandb_api_key S3CR3T --huggingface_token=S3CR3T --my_api_key S3CR3T"
    report = imported(text, trigger="zeph")
    assert {"wandb_api_key", "huggingface_token", "my_api_key"} <= {each.argument for each in report.not_mapped}
    assert "S3CR3T" not in str(report.to_json("x")) + "".join(report.lines())


def test_a_script_is_read_and_not_run(tmp_path):
    text = f'''#!/bin/bash
# --rank 3
export BASE="my base"
touch {tmp_path}/run; $(touch {tmp_path}/run)
accelerate launch --num_processes 2 "C:\\sd\\sd3_train_network.py" \\
  --pretrained_model_name_or_path="$BASE" --image_dir=x --metadata_trigger_phrase zeph \\
  --caption_extension .txt --network_train_unet_only && rm -rf "{tmp_path}"
'''
    report = imported(text)
    recipe = recipe_of(report)
    assert (recipe.base, recipe.family, recipe.trigger) == (Path("my base"), "sd3", "zeph")
    assert (recipe.timestep_sampling, recipe.discrete_flow_shift) == ("uniform", 1.0)
    assert lost(report) == {"accelerate num_processes"}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("sampling", "became"), [
    ("", ("uniform", 3.0)),
    ("--timestep_sampling sigma --weighting_scheme logit_normal", ("logit_normal", 3.0)),
    ("--timestep_sampling uniform", ("uniform", 1.0)),
    ("--timestep_sampling sigmoid", ("logit_normal", 1.0)),
    ("--timestep_sampling shift --discrete_flow_shift 1.5", ("logit_normal", 1.5)),
    ("--timestep_sampling flux_shift", ("flux_shift", None)),
])
def test_noise_levels_of_flux(sampling, became):
    text = "flux_train_network.py --pretrained_model_name_or_path b --image_dir x --min_snr_gamma 5 " + sampling
    recipe = recipe_of(imported(text, trigger="zeph"))
    assert (recipe.timestep_sampling, recipe.discrete_flow_shift, recipe.min_snr_gamma) == (*became, None)


CONFIG = '''
[model]
pretrained_model_name_or_path = "base"
[training]
network_module = "networks.lora"
network_dim = 8
optimizer_type = "AdamW"
learning_rate = 1e-4
text_encoder_lr = 0
caption_extension = ".txt"
masked_loss = true
max_grad_norm = 0.0
'''
DATASET = '''
[general]
flip_aug = true
batch_size = 4
[[datasets]]
resolution = 512
enable_bucket = true
[[datasets.subsets]]
image_dir = "data/close"
num_repeats = 3
class_tokens = "zeph woman"
[[datasets.subsets]]
image_dir = "data/far"
[[datasets.subsets]]
image_dir = "others"
is_reg = true
class_tokens = "woman"
[[datasets]]
resolution = [768, 768]
enable_bucket = true
[[datasets.subsets]]
image_dir = "data/close"
num_repeats = 3
class_tokens = "zeph woman"
conditioning_data_dir = "masks"
'''


def test_kohyas_configuration_and_dataset_files():
    report = imported(CONFIG, DATASET)
    several = {"class_tokens", "conditioning_data_dir", "masked_loss", "resolution"}
    assert lost(report) == {"(script)", *several}, report.lines()
    report = imported(CONFIG, DATASET, family="sdxl", trigger="zeph")
    recipe = recipe_of(report)
    assert (recipe.family, recipe.dataset, recipe.batch_size, recipe.rank) == ("sdxl", Path("data"), 4, 8)
    assert recipe.repeats == {"close": 3, "far": 1}
    assert recipe.resolution.sides == (512, 768)
    assert (recipe.resolution.buckets, recipe.flip, recipe.train_text_encoder) == (True, True, False)
    assert (recipe.prior.folder, recipe.prior.caption, recipe.gradient_clip) == (Path("others"), "woman", None)


def test_what_a_section_cannot_do_without_is_asked_for():
    text = KOHYA + "--image_dir x --enable_bucket --min_bucket_reso 128"
    assert imported(text, trigger="zeph").missing == {
        "resolution.sides": "other arguments speak of resolution, and none that can be read says this"}  # fmt: skip


def test_text_is_cached_where_no_encoder_is_trained():
    text = "flux_train_network.py --pretrained_model_name_or_path b --image_dir x --cache_text_encoder_outputs "
    assert recipe_of(imported(text, trigger="zeph")).cache_text is None  # T5 alone: CLIP is trained
    assert recipe_of(imported(text + "--network_train_unet_only", trigger="zeph")).cache_text is True


def test_folders_of_windows_lie_side_by_side_too():
    data = "".join(f"[[datasets.subsets]]\nimage_dir = 'C:\\data\\{name}'\n" for name in ("close", "far"))
    recipe = recipe_of(imported(CONFIG.replace("masked_loss = true", ""), "[[datasets]]\n" + data, trigger="zeph"))
    assert (str(recipe.dataset), recipe.repeats) == ("C:\\data", {"close": 1, "far": 1})


def test_a_masked_loss_with_its_masks():
    one = 'image_dir = "x"\nclass_tokens = "zeph"\nconditioning_data_dir = "masks"\n'
    recipe = recipe_of(imported(CONFIG, "[[datasets]]\n[[datasets.subsets]]\n" + one))
    assert (recipe.dataset, recipe.trigger) == (Path("x"), "zeph")
    assert (recipe.mask.folder, recipe.mask.outside_weight) == (Path("masks"), 0.0)


@pytest.mark.parametrize(("script", "expected"), [
    ("train_dreambooth_lora", ("sd15", 4, None, 5e-4, 0.01, "attention", 512, "float32")),
    ("train_dreambooth_lora_sdxl", ("sdxl", 4, None, 1e-4, 1e-4, "attention", 1024, "float32")),
    ("train_dreambooth_lora_sd3", ("sd3", 4, None, 1e-4, 1e-4, "attention", 512, "float16")),
    ("train_dreambooth_lora_flux", ("flux", 4, 4.0, 1e-4, 1e-4, "attention_feedforward", 512, "float16")),
])
def test_each_diffusers_script_has_its_own_defaults(script, expected):
    report = imported(f"accelerate launch --mixed_precision fp16 {script}.py {DIFFUSERS}", trigger="zeph")
    recipe = recipe_of(report)
    optimizer = recipe.optimizer
    assert report.is_faithful, report.lines()
    assert expected == (recipe.family, recipe.rank, recipe.alpha, optimizer.learning_rate, optimizer.weight_decay,
                        recipe.targets, recipe.resolution.sides[0], recipe.save_dtype)  # fmt: skip
    assert (optimizer.name, optimizer.betas, recipe.dtype, recipe.batch_size) == ("adamw", (0.9, 0.999), "float16", 4)
    assert (recipe.min_snr_gamma, recipe.checkpoint_every, optimizer.warmup_steps) == (None, 500, 0)


def test_what_a_diffusers_script_does_otherwise():
    text = ("train_dreambooth_lora_sdxl.py --pretrained_model_name_or_path b --instance_data_dir d --use_dora "
            "--instance_prompt 'a photo of sks dog' --with_prior_preservation --class_data_dir dogs --class_prompt "
            "'a dog' --optimizer prodigy --learning_rate 1 --prodigy_safeguard_warmup False --lr_scheduler cosine "
            "--num_train_epochs 4 --train_text_encoder --text_encoder_lr 1")  # fmt: skip
    report = imported(text, trigger="sks")
    assert report.missing == {"steps": "epochs are counted there: pictures x repeats / batch steps each"}
    report = imported(text, trigger="sks", steps=600)
    recipe = recipe_of(report)
    assert lost(report) == {"instance_prompt", "center_crop"}
    assert (recipe.prior.folder, recipe.prior.caption, recipe.dora) == (Path("dogs"), "a dog", True)
    # argparse's type=bool makes True of the text "False".
    assert recipe.optimizer.safeguard_warmup is True
    assert (recipe.optimizer.warmup_steps, recipe.optimizer.text_encoder_learning_rate) == (500, None)


def test_whose_arguments_they_are():
    assert imported("--instance_data_dir x --rank 4", trigger="x").source == "diffusers"
    assert imported("--network_dim 4 --unet_lr 1").source == "kohya"
    assert imported("--seed 1", source="kohya").source == "kohya"
    for text in ("", "--seed 1", "hello world"):
        with pytest.raises(InputError, match="--from kohya"):
            imported(text)


@pytest.mark.parametrize("text", [
    "--a 'open", "train_network.py --a\ntrain_network.py --b", "datasets = 3", "datasets = [{subsets = 3}]",
    "datasets = []\ngeneral = 3", "x" * 1_000_001,
], ids=range(6))
def test_what_is_no_call_is_one_line(text):
    with pytest.raises(InputError) as caught:
        imported(text)
    assert "; next: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_person_says_is_checked():
    with pytest.raises(InputError, match=r"--set stepz: .*did you mean steps"):
        imported(KOHYA, stepz=3)
    assert parse_said(["steps=10", "trigger=zeph", "flip=true", 'name="a=b"']) == {
        "steps": 10, "trigger": "zeph", "flip": True, "name": "a=b"}  # fmt: skip
    with pytest.raises(InputError, match="got no ="):
        parse_said(["steps"])
    assert "steps" in imported(KOHYA + "--image_dir x", trigger="z", steps="many").problem


NAMES = sorted({name for source in SOURCES for name in load_table(source).arguments})
WORDS = st.one_of(st.sampled_from(["0", "1", "-1", "0.5", "nan", "1e999", "9" * 5000, "true", "a=b", "betas=((", "$X",
                                   "512,768", "prodigy", "constant_with_warmup", "1%", "\x1b[2J", "\\", "'", "\""]),
                  st.text(max_size=12))  # fmt: skip
SIGNS = st.sampled_from(["train_network.py", "train_dreambooth_lora_flux.py", "\n", "\\\n", "&&", "#"])
PIECES = st.one_of(st.sampled_from(NAMES).map(lambda name: f"--{name}"), WORDS, SIGNS)


def check_never_crashes(text):
    try:
        report = imported(text, source="kohya", trigger="x", base="b", dataset="d", steps=100)
    except InputError:
        return
    report.to_json("x")
    assert all("\x1b" not in line for line in report.lines())
    if report.text is not None:
        assert isinstance(recipe_of(report), Recipe)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12))
def test_any_command_line_is_a_report_or_one_line(pieces):
    check_never_crashes(" ".join(pieces))


VALUES = st.recursive(st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
                      lambda inner: st.lists(inner, max_size=3), max_leaves=4)  # fmt: skip


def toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return repr(value) if isinstance(value, int | float) else '"' + "".join(f"\\U{ord(s):08X}" for s in value) + '"'


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*NAMES, "image_dir", "is_reg", "strange"]), VALUES, max_size=6), st.booleans())
def test_any_toml_is_a_report_or_one_line(values, is_dataset):
    body = "".join(f"{name} = {toml(value)}\n" for name, value in values.items())
    check_never_crashes(f"[[datasets]]\n[[datasets.subsets]]\n{body}" if is_dataset else f"a = 1\n{body}")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_report_or_one_line(text):
    check_never_crashes(text)
