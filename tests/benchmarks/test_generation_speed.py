"""The comparison with public diffusers code: equal work, its accounting, records and table; no speed is asserted."""

import json
import shlex
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.generation_speed import measure
from benchmarks.generation_speed.__main__ import main
from benchmarks.generation_speed.bases import SIZES, configs, random_base
from benchmarks.generation_speed.measure import chosen_parts, jobs, obstacle, run_missing
from benchmarks.generation_speed.processes import watched
from benchmarks.generation_speed.records import Records
from benchmarks.generation_speed.report import outcomes_of
from benchmarks.generation_speed.stages import Stages
from benchmarks.generation_speed.work import (
    TRIGGER,
    Work,
    recipe_values,
    sampled,
    script_arguments,
    usual_work,
    write_pictures,
)
from lifeos.errors import InputError
from lifeos.lora.recipe import parse_recipe
from lifeos.lora.recipe_import import import_recipe

WORK = usual_work("tiny", "cpu", 1, rounds=2)
SCRIPT = Path(measure.__file__)


def found_runs(work=WORK, ours=10.0, theirs=20.0, difference=1.0, memory=(900, 1000)):
    """Records in which a long run of ours takes ``ours`` seconds and a short one 4 less."""
    found = {}
    for number in range(work.rounds):
        for side, seconds, peak in (("ours", ours, memory[0]), ("theirs", theirs, memory[1])):
            for length, less in (("short", 4.0), ("long", 0.0)):
                found[f"train-{side}-{number}-{length}"] = {
                    "seconds": seconds - less * seconds / ours, "processor_seconds": seconds, "memory_bytes": peak,
                    "gpu_bytes": None,
                }  # fmt: skip
            stages = {"load": 3.0, "images": seconds}
            found[f"sample-{side}-{number}-float32"] = {"images": 4, "stages": stages, "processor_stages": stages}
        found[f"sample-theirs-{number}-float32"]["difference"] = {"largest": difference, "mean": difference / 10}
    found["profile-train"] = {"stages": {"load": 1.0}, "processor_stages": {"load": 2.0, "forward": 3.0}}
    found["profile-sample"] = {"stages": {"load": 1.0}, "processor_stages": {"decode": 1.0}}
    return found


def table(found, work=WORK, why=None):
    return {outcome.comparison.id: outcome for outcome in outcomes_of(work, found, lambda part: why)}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_both_sides_are_told_the_same(device, checkpointing):
    work = usual_work("full", device, 1, checkpointing=checkpointing)
    values = recipe_values(work, Path("base"), Path("pictures"), "long")
    ours = parse_recipe({**values, "offload": False}, Path("recipe.toml"))
    command = ["train_dreambooth_lora_sdxl.py",
               *script_arguments(work, Path("base"), Path("pictures"), Path("out"), "long")]  # fmt: skip
    said = {"trigger": TRIGGER, "device": device, "threads": 1, "seed": 0}
    report = import_recipe([shlex.join(command)], source="diffusers", said=said, out=Path("recipe.toml"),
                           subfolders=lambda name: None)  # fmt: skip
    theirs = parse_recipe(tomllib.loads(report.text), Path("recipe.toml"))
    assert theirs.resolution.sides == (1024,)
    assert ours.model_dump() == theirs.model_copy(update={"resolution": None}).model_dump()


@pytest.mark.parametrize("changes", [{"short": 3, "long": 3}, {"short": 0}, {"rounds": 0}, {"pictures": 6}])
def test_work_that_cannot_be_is_refused_in_one_line(changes):
    with pytest.raises(InputError, match=r"accepted .* got .*; next: "):
        replace(WORK, **changes)


def test_work_comes_back_from_json_and_counts_its_images():
    assert Work.from_json(json.loads(json.dumps(WORK.to_json()))) == WORK
    assert WORK.trained_images("long") == WORK.long * 4
    assert sampled(5) == (sampled(4)[0], 2)
    assert len(sampled(2)[0]) == 2


def test_the_script_finds_pictures_only(tmp_path):
    ours, theirs = write_pictures(WORK, tmp_path)
    assert {path.suffix for path in theirs.iterdir()} == {".png"}
    assert [path.read_bytes() for path in sorted(theirs.iterdir())] == [
        path.read_bytes() for path in sorted(ours.glob("*.png"))
    ]
    assert len(list(ours.glob("*.txt"))) == WORK.pictures


def test_widths_of_the_small_base_fit_together():
    parts = configs("small")
    unet, first, second = parts["unet"], parts["text_encoder"], parts["text_encoder_2"]
    assert unet["cross_attention_dim"] == first["hidden_size"] + second["hidden_size"]
    assert unet["projection_class_embeddings_input_dim"] == (
        second["projection_dim"] + 6 * unet["addition_time_embed_dim"]
    )
    for width, heads in zip(unet["block_out_channels"], unet["attention_head_dim"], strict=True):
        assert width % heads == width % unet["norm_num_groups"] == 0
    assert configs("full")["unet"]["block_out_channels"] == [320, 640, 1280]
    with pytest.raises(ValueError, match="small or full"):
        configs("tiny")


def test_ratios_are_of_rounds_with_caching_and_loading_in_them():
    rows = table(found_runs())
    assert (rows["training-speed"].ratio, rows["training-speed"].verdict) == (2.0, "met")
    assert len(rows["training-speed"].pairs) == WORK.rounds
    assert "12 images, 1.20 against 0.600 images/s" in rows["training-speed"].note
    # 4 of ours' 10 seconds are the steps by which the runs differ, 8 of the script's 20.
    step = 4.0 / (WORK.long - WORK.short)
    assert rows["training-speed-step"].our_median == pytest.approx(step)
    assert rows["training-speed-step"].ratio == pytest.approx(2.0)
    fixed = rows["training-speed-fixed"]
    assert fixed.our_median == pytest.approx(10.0 - WORK.long * step)
    assert fixed.alternative_median == pytest.approx(20.0 - WORK.long * 2 * step)
    assert rows["training-speed-500-steps"].our_median == pytest.approx(fixed.our_median + 500 * step)
    assert (rows["training-speed-memory"].ratio, rows["sampling-speed-loading"].our_median) == (0.9, 3.0)
    assert (rows["sampling-speed"].ratio, rows["sampling-speed"].verdict) == (2.0, "met")
    assert rows["sampling-speed-with-loading"].ratio == pytest.approx(23.0 / 13.0)
    assert (rows["profile-train"].our_median, rows["profile-train-forward"].our_median) == (5.0, 3.0)


def test_targets_are_missed_where_they_are():
    rows = table(found_runs(ours=16.0, memory=(1001, 1000)))
    missed = {name for name, row in rows.items() if row.verdict == "MISSED"}
    assert missed == {"training-speed", "sampling-speed", "training-speed-memory"}


def test_other_images_measure_nothing():
    rows = table(found_runs(difference=2.5))
    assert "differ by 2.5" in rows["sampling-speed"].reason
    assert rows["sampling-speed-difference"].verdict == "MISSED"
    uncompared = found_runs()
    del uncompared["sample-theirs-1-float32"]["difference"]
    assert "not compared" in table(uncompared)["sampling-speed"].reason


def test_what_failed_or_is_missing_is_not_measured():
    failed = found_runs() | {"train-theirs-1-long": {"failed": "it ended with status 1: no module named x"}}
    rows = table(failed)
    assert rows["training-speed"].reason == "train-theirs-1-long: it ended with status 1: no module named x"
    assert rows["sampling-speed"].verdict == "met"
    for why, expected in ((None, "the same command again"), ("no GPU answers", "no GPU answers")):
        rows = table({}, why=why)
        assert {row.verdict for row in rows.values()} == {"unmeasured"}
        assert all(expected in row.reason for row in rows.values())


def test_steps_that_took_no_time_are_no_rate():
    found = found_runs()
    found["train-ours-0-long"]["seconds"] = 1.0
    rows = table(found)
    assert "0 s or less" in rows["training-speed-step"].reason
    assert "training-speed-fixed" not in rows
    assert rows["training-speed"].verdict == "met"


def test_a_gpu_has_rows_and_memory_of_its_own():
    work = replace(WORK, device="cuda")
    rows = table(found_runs(work), work)
    assert "did not tell" in rows["training-speed-gpu-memory"].reason
    assert rows["sampling-speed-gpu"].ratio == 2.0


def test_each_obstacle_says_what_to_do(monkeypatch, tmp_path):
    assert "--script FILE" in obstacle(WORK, None, "train-theirs")
    assert "is no file" in obstacle(WORK, tmp_path / "absent.py", "train-theirs")
    assert obstacle(WORK, None, "sample") is None
    monkeypatch.setattr(measure.importlib.util, "find_spec", lambda name: None if name == "torchvision" else object())
    assert obstacle(WORK, SCRIPT, "train-theirs").endswith("-m pip install torchvision")
    monkeypatch.setattr(measure, "gpu_name", lambda: None)
    assert "no GPU answers" in obstacle(replace(WORK, device="cuda"), SCRIPT, "sample")


def test_sides_take_turns_and_parts_are_words():
    order = [(job.side, job.round, job.length) for job in jobs(WORK) if job.part.startswith("train")]
    assert order == [(side, number, length) for number, sides in enumerate((("ours", "theirs"), ("theirs", "ours")))
                     for length in ("short", "long") for side in sides]  # fmt: skip
    assert len({job.name for job in jobs(WORK)}) == len(jobs(WORK))
    assert chosen_parts("table") == ()
    assert {job.part for job in jobs(WORK)} == set(chosen_parts("all"))
    with pytest.raises(InputError, match="--part: accepted all"):
        chosen_parts("everything")


def test_a_cut_comparison_goes_on_and_a_failure_is_kept(monkeypatch, tmp_path):
    records, ran = Records(tmp_path / "records", {"commit": "a"}), []

    def run(work, script, base, folder, place, root, records, job):
        ran.append(job.name)
        if job.name == "train-ours-0-long":
            raise subprocess.SubprocessError("status 1")
        return {"seconds": 1.0}

    monkeypatch.setattr(measure, "_run", run)
    monkeypatch.setattr(measure, "obstacle", lambda work, script, part: None)
    monkeypatch.setattr(measure, "_base", lambda work, folder, root: folder)
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr(measure, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    everything = [job.name for job in jobs(WORK)]
    left = run_missing(WORK, SCRIPT, tmp_path, tmp_path, records, chosen_parts("all"), 60.0)
    assert ran == everything[: len(everything) - left]
    assert 0 < left < len(everything)
    assert run_missing(WORK, SCRIPT, tmp_path, tmp_path, records, chosen_parts("all"), None) == 0
    assert ran == everything
    assert records.read("train-ours-0-long") == {"failed": "SubprocessError: status 1"}
    assert run_missing(WORK, SCRIPT, tmp_path, tmp_path, records, chosen_parts("all"), None) == 0
    assert ran == everything


def test_records_of_another_commit_or_half_of_one_do_not_count(tmp_path):
    records = Records(tmp_path, {"commit": "a"})
    records.write("x", {"seconds": 1.0})
    assert records.read("x") == {"seconds": 1.0}
    assert replace(records, identity={"commit": "b"}).read("x") is None
    (tmp_path / "x.json").write_text('{"identity"', encoding="utf-8")
    assert records.read("x") is None
    assert records.read("y") is None


def test_a_command_is_watched_with_its_children(tmp_path):
    inner = "x = bytearray(60_000_000)\nimport time\ntime.sleep(.3)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    run = watched([sys.executable, "-c", outer], tmp_path, 1, tmp_path / "log.txt", 30.0)
    assert 0.3 <= run.seconds < 30.0
    assert run.memory_bytes > 60_000_000
    assert run.processor_seconds > 0.0


def test_a_command_that_fails_is_told_by_its_last_line(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('the base is not there')"]
    with pytest.raises(subprocess.SubprocessError, match="ended with status 1: the base is not there"):
        watched(command, tmp_path, 1, tmp_path / "log.txt", 30.0)
    with pytest.raises(subprocess.TimeoutExpired):
        watched([sys.executable, "-c", "import time; time.sleep(20)"], tmp_path, 1, tmp_path / "log.txt", 0.2)


def test_a_stage_within_a_stage_is_not_in_it(monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 10.0])
    monkeypatch.setattr("benchmarks.generation_speed.stages.time",
                        SimpleNamespace(perf_counter=lambda: next(clock), process_time=lambda: 0.0))  # fmt: skip

    class Room:
        @staticmethod
        def inner():
            return 7

    stages, before = Stages(), vars(Room)["inner"]
    with stages.of({(Room, "inner"): "inner"}), stages.stage("outer"):
        assert Room.inner() == 7
    assert stages.seconds == {"inner": 3.0, "outer": 7.0}
    assert vars(Room)["inner"] is before


def test_a_stage_of_nothing_is_an_error_and_inherited_ones_are_given_back():
    class Parent:
        def load(self):
            return 1

    class Child(Parent):
        pass

    with pytest.raises(AttributeError), Stages().of({(Child, "absent"): "x"}):
        pass
    stages = Stages()
    with stages.of({(Child, "load"): "load"}):
        assert Child().load() == 1
    assert list(stages.seconds) == ["load"]
    assert "load" not in vars(Child)


# diffusers' Euler sampler hands a tensor to numpy, which warns of a keyword that torch's arrays lack.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_both_sides_draw_the_same_images_with_the_lora(tmp_path):
    from benchmarks.generation_speed.profile import sampling_places, training_places
    from benchmarks.generation_speed.sampling import difference, draw_ours, draw_theirs, plan_of, write_random_lora

    base = random_base("tiny", tmp_path / "base")
    assert random_base("tiny", base) == base
    lora = write_random_lora(base, 4, tmp_path / "lora.safetensors")
    work = usual_work("tiny", "cpu", 1, images=2)
    plan, stages = plan_of(work, "float32"), Stages()
    ours = draw_ours(work, plan, base, lora, tmp_path / "ours", stages, sampling_places())
    theirs = draw_theirs(plan, base, lora, tmp_path / "theirs", Stages())
    without = draw_ours(work, plan, base, None, tmp_path / "plain", Stages(), {})
    assert ours.shape == theirs.shape == (2, 32, 32, 3)
    assert difference(ours, theirs)["largest"] <= 2.0
    assert difference(ours, without)["largest"] > 2.0
    assert {"load", "encode text", "denoise", "decode", "PNG", "images"} == set(stages.seconds)
    assert training_places()


def test_without_a_script_the_table_says_so_and_status_is_1(tmp_path, capsys):
    assert main(["--size", "tiny", "--part", "table", "--work", str(tmp_path), "--json", str(tmp_path / "x.json")]) == 1
    assert "--script FILE" in capsys.readouterr().out
    written = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert {row["verdict"] for row in written["comparisons"]} == {"unmeasured"}
    assert main(["--part", "nothing"]) == 2
    assert main(["--size", "tiny", "--rounds", "0"]) == 2
    assert SIZES == ("tiny", "small", "full")
