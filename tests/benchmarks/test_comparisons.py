"""The one command: what is run, in which order, what is said of it, what is kept. Nothing is timed."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.comparison import SHARE, Outcome, Pair, Target, UnmeasuredError, all_met, target_words
from benchmarks.generation_speed.pairs import sampled_pair
from benchmarks.generation_speed.profile import LOAD
from benchmarks.machine import machine, machine_words, processor_name, without_paths
from benchmarks.needs import unmet
from benchmarks.paired_runs import run_comparison, run_of
from benchmarks.registry import APART, COMPARISONS, chosen
from benchmarks.results import SCHEMA, append, read, record
from benchmarks.table import format_table, markdown_table, number
from lifeos.errors import InputError
from tests.benchmarks.synthetic import MACHINE, context, line, row

ROOT = Path(__file__).resolve().parents[2]
PAIRS = (Pair(1.0, 2.0), Pair(2.0, 8.0), Pair(4.0, 4.0))


class TestOutcome:
    def test_ratios_are_taken_pair_by_pair(self):
        outcome = Outcome(row(), PAIRS)
        assert outcome.ratios == (2.0, 4.0, 1.0)
        assert (outcome.ratio, outcome.spread) == (2.0, (1.0, 4.0))
        assert (outcome.our_median, outcome.alternative_median) == (2.0, 4.0)
        assert Outcome(row(direction=SHARE), PAIRS).ratios == (0.5, 0.25, 1.0)

    @given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=9))
    def test_the_ratio_lies_within_its_spread(self, sides):
        outcome = Outcome(row(), tuple(Pair(*each) for each in sides))
        assert outcome.spread[0] <= outcome.ratio <= outcome.spread[1]

    @pytest.mark.parametrize(
        ("target", "verdict"),
        [
            (None, "no target"),
            (Target("ratio", low=2.0), "met"),
            (Target("ratio", low=2.0001), "MISSED"),
            (Target("ours", high=2.0), "met"),
            (Target("ours", high=1.9999), "MISSED"),
            (Target("every pair", 1.0, 4.0), "met"),
            (Target("every pair", 1.0, 3.9), "MISSED"),
        ],
    )
    def test_a_target_is_judged_before_rounding(self, target, verdict):
        assert Outcome(row(target=target), PAIRS).verdict == verdict

    def test_what_was_not_measured_has_met_nothing(self):
        assert Outcome(row(target=Target("ratio", low=0.0)), PAIRS, "it broke").verdict == "unmeasured"
        assert Outcome(row(target=Target("ratio", low=0.0)), ()).verdict == "unmeasured"
        met, informs = Outcome(row(target=Target("ratio", low=1.0)), PAIRS), Outcome(row(), PAIRS)
        assert all_met([met, informs])
        assert not all_met([met, Outcome(row(), (), "no GPU")])
        assert not all_met([informs])
        assert not all_met([met, Outcome(row(target=Target("ratio", low=9.0)), PAIRS)])

    @pytest.mark.parametrize("sides", [(math.nan, 1.0), (1.0, math.inf), (-1.0, 1.0)])
    def test_a_pair_takes_no_number_that_is_none(self, sides):
        with pytest.raises(ValueError, match="finite"):
            Pair(*sides)
        with pytest.raises(ValueError, match="details"):
            Pair(1.0, details={"cosine": math.nan})

    def test_targets_in_words(self):
        assert target_words(Target("ratio", low=1.5), "s") == ">= 1.5 x"
        assert target_words(Target("ours", high=0.3), "s") == "<= 0.3 s"
        assert target_words(Target("every pair", 0.97, 1.03), "GiB") == "0.97 to 1.03 x each"


class TestRun:
    def test_pairs_are_counted_and_the_first_is_warmed_up(self, tmp_path):
        outcome = run_comparison(row(warms_up=True), context(tmp_path))
        assert [pair.alternative for pair in outcome.pairs] == [2.0, 3.0, 4.0]
        assert (tmp_path / "calls").read_text(encoding="utf-8") == "-1 0 1 2 "
        assert outcome.reason is None

    def test_the_caller_chooses_how_many_unless_they_are_cases(self, tmp_path):
        assert len(run_comparison(row(), context(tmp_path), 5).pairs) == 5
        assert len(run_comparison(row(fixed_pairs=True), context(tmp_path), 5).pairs) == 3
        with pytest.raises(ValueError, match="3 or more"):
            run_comparison(row(), context(tmp_path), 2)

    def test_a_failure_keeps_what_was_measured_counts_nothing_and_names_no_path(self, tmp_path):
        outcome = run_comparison(row(run="tests.benchmarks.synthetic:breaks"), context(tmp_path))
        assert (len(outcome.pairs), outcome.verdict) == (1, "unmeasured")
        assert str(tmp_path) not in outcome.reason
        assert "file.png are not there" in outcome.reason
        assert "/srv" not in outcome.reason

    def test_a_side_of_zero_has_no_ratio(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tests.benchmarks.synthetic.pair", lambda *_: Pair(0.0, 2.0))
        assert run_comparison(row(), context(tmp_path)).reason == "one side is 0, so there is no ratio"
        assert run_comparison(row(direction=SHARE), context(tmp_path)).ratio == 0.0

    def test_a_row_and_its_pairs_agree_on_whether_there_is_an_alternative(self, tmp_path):
        assert "disagree" in run_comparison(row(alternative=""), context(tmp_path)).reason

    def test_an_error_of_the_benchmark_itself_is_not_hidden_and_measures_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tests.benchmarks.synthetic.pair", lambda *_: 1 / 0)
        told = []
        outcome = run_comparison(row(), context(tmp_path), told=told.append)
        assert (outcome.verdict, outcome.reason) == ("unmeasured", "ZeroDivisionError: division by zero")
        assert "lambda *_: 1 / 0" in told[0]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"needs": ("gpu",)}, "needs an NVIDIA GPU"),
            ({"needs": ("script",)}, "needs --script FILE"),
            ({"needs": ("package:no_such_package",)}, "package no_such_package, which is not installed"),
            ({"run": "benchmarks.no_such_module:pair"}, "benchmarks/no_such_module.py is not in this checkout"),
            ({"run": "benchmarks.no.such:pair"}, "is not in this checkout"),
        ],
    )
    def test_a_need_that_is_not_met_is_the_reason(self, changes, reason, tmp_path, monkeypatch):
        monkeypatch.setattr("benchmarks.needs.gpu_names", list)
        outcome = run_comparison(row(**changes), context(tmp_path))
        assert outcome.verdict == "unmeasured"
        assert reason in outcome.reason
        assert not (tmp_path / "calls").exists()

    def test_another_checkout_is_measured_by_commands_alone(self, tmp_path):
        other = Path(tmp_path / "other")
        moved = type(context(tmp_path))(tmp_path, other, tmp_path, tmp_path)
        assert "--checkout" in unmet(row(), moved)
        assert unmet(row(of_any_checkout=True), moved) is None

    def test_an_unknown_need_is_an_error(self, tmp_path):
        with pytest.raises(ValueError, match="must be gpu"):
            unmet(row(needs=("a pony",)), context(tmp_path))


class TestRegistry:
    def test_ids_are_unique_and_every_function_is_there(self):
        assert len({each.id for each in COMPARISONS}) == len(COMPARISONS)
        for each in COMPARISONS:
            assert callable(run_of(each)), each.id

    def test_cases_are_as_many_as_their_tables_have(self):
        from benchmarks.vram.pairs import SAMPLING, TRAINING
        from lifeos.pods.vram.published import published_rows

        pairs = {each.id: each.pairs for each in COMPARISONS if each.fixed_pairs}
        assert pairs == {
            "vram-published": len(published_rows()), "vram-training": len(TRAINING), "vram-sampling": len(SAMPLING),
            "vram-training-reserved": len(TRAINING), "vram-sampling-reserved": len(SAMPLING),
        }  # fmt: skip

    def test_every_command_of_a_module_is_a_row_or_named_apart(self):
        folder = ROOT / "benchmarks"
        commands = {
            "benchmarks." + ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__main__")
            for path in folder.rglob("*.py")
            if "\ndef main(" in path.read_text(encoding="utf-8")
        }
        assert commands - {"benchmarks.__main__", "benchmarks.page"} == {module for module, _ in APART}

    def test_a_group_is_named_by_its_first_words(self):
        named, left_out = chosen(["operations", "help", "help"])
        assert [each.id for each in named] == [
            "help", "operations-preflight", "operations-status", "operations-promotion",
        ]  # fmt: skip
        assert left_out == []
        quick, slow = chosen([], quick=True)
        assert {each.id for each in quick} | {each.id for each in slow} == {each.id for each in COMPARISONS}
        assert all(each.is_quick for each in quick)
        assert not any(each.is_quick for each in slow)

    def test_every_row_is_in_the_readme(self):
        page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
        assert [each.id for each in COMPARISONS if f"`{each.id}`" not in page] == []


class TestGenerationSpeed:
    def test_images_that_differ_measure_nothing(self):
        ours = {"stages": {LOAD: 5.0, "draw": 2.0}, "images": 12}
        theirs = {"stages": {LOAD: 1.0, "draw": 3.0}, "images": 12, "difference": {"largest": 1.0, "mean": 0.1}}
        assert (sampled_pair(ours, theirs).ours, sampled_pair(ours, theirs).alternative) == (2.0, 3.0)
        with pytest.raises(UnmeasuredError, match="not the same images"):
            sampled_pair(ours, {**theirs, "difference": {"largest": 40.0, "mean": 9.0}})
        with pytest.raises(UnmeasuredError, match="not compared"):
            sampled_pair(ours, ours)


class TestTable:
    def test_a_row_shows_both_sides_and_a_reason_stands_below(self):
        text = format_table([
            Outcome(row(target=Target("ratio", low=2.5)), PAIRS), Outcome(row(id="other"), (), "needs an NVIDIA GPU"),
        ], [row(id="slow-one")])  # fmt: skip
        assert "2.00 s" in text
        assert "1.00 to 4.00" in text
        assert ">= 2.5 x" in text
        assert "MISSED [1]" in text
        assert "unmeasured [2]" in text
        assert "[2] needs an NVIDIA GPU" in text
        assert "--quick did not run: slow-one" in text

    def test_markdown_has_as_many_cells_in_every_row(self):
        lines = markdown_table([Outcome(row(), PAIRS), Outcome(row(), (), "no")]).splitlines()
        assert {each.count("|") for each in lines} == {8}

    @pytest.mark.parametrize(
        ("value", "text"),
        [(0.3014, "0.301"), (5.417, "5.42"), (-12.34, "-12.3"), (361.4, "361"), (1234.5, "1234"), (0.0, "0")],
    )
    def test_numbers_show_three_digits(self, value, text):
        assert number(value) == text

    def test_a_note_stands_below_and_one_pair_has_no_spread_and_ratios_near_one_show_their_distance(self):
        rows = [Outcome(row(id=name), (Pair(1.0, 1.0149),), note="of another day") for name in "ab"]
        text = format_table(rows)
        assert " to " not in text
        assert text.count("1.0149 x") == 2
        assert text.endswith("\n[1] sum against a <loop>; ratio: alternative / ours; 1 pair; of another day")


class TestMachine:
    def test_it_names_no_host_no_user_and_no_folder(self):
        import getpass
        import platform

        text = json.dumps(machine())
        assert str(Path.home()) not in text
        assert platform.node() not in text or not platform.node()
        assert getpass.getuser() not in text.lower().split('"')
        assert set(machine()) == set(MACHINE)

    def test_the_processor_is_named_as_the_system_does(self, tmp_path):
        file = tmp_path / "cpuinfo"
        file.write_text("processor\t: 0\nmodel name\t: Some  Chip @ 2.0GHz\n", encoding="utf-8")
        assert processor_name(file) == "Some Chip @ 2.0GHz"
        assert processor_name(tmp_path / "missing")

    def test_fewer_threads_than_cores_are_another_machine(self):
        assert "1 of 2 cores" in machine_words({**MACHINE, "threads": 1})
        assert machine_words({**MACHINE, "gpus": ["NVIDIA T4"]}) != machine_words(MACHINE)

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("cannot read /srv/people/ana/file.toml: gone", "cannot read file.toml: gone"),
            (r"cannot read C:\Users\ana\file.toml: gone", "cannot read file.toml: gone"),
            ("see https://example.org/a/b and 24.1 / 58.4 s", "see https://example.org/a/b and 24.1 / 58.4 s"),
            ("lifeos/lora/train.py line 3", "lifeos/lora/train.py line 3"),
        ],
    )
    def test_paths_become_names(self, text, left):
        assert without_paths(text) == left

    def test_known_folders_may_hold_spaces(self, tmp_path):
        folder = tmp_path / "lifeos benchmark x"
        assert without_paths(f"no {folder / 'a.png'}", folder) == "no lifeos benchmark x/a.png".replace("/", os.sep)


class TestResults:
    def test_a_line_holds_every_raw_number_and_where_it_comes_from(self, tmp_path):
        outcome = Outcome(row(packages=("numpy", "no-such-package")), PAIRS, load=(0.1, 0.4))
        made = record([outcome], context(tmp_path), "2026-11-29T05:00:00Z", MACHINE, (0.1, 0.5))
        assert (made["schema"], made["time"], made["commit"]) == (SCHEMA, "2026-11-29T05:00:00Z", None)
        (one,) = made["comparisons"]
        assert [(pair["ours"], pair["alternative"]) for pair in one["pairs"]] == [(1.0, 2.0), (2.0, 8.0), (4.0, 4.0)]
        assert (one["ratio"], one["spread"], one["verdict"]) == (2.0, [1.0, 4.0], "no target")
        assert one["versions"]["numpy"]
        assert one["versions"]["no-such-package"] is None
        assert one["load"] == {"before": 0.1, "after": 0.4}
        assert str(tmp_path) not in json.dumps(made)

    def test_a_line_torn_at_any_byte_loses_none_before_it(self, tmp_path):
        path = tmp_path / "results.jsonl"
        first = append(path, line())
        whole = path.read_bytes()
        append(path, line(commit="b" * 40))
        second = path.read_bytes()[len(whole) :]
        for cut in (1, len(second) // 2, len(second) - 2):
            path.write_bytes(whole + second[:cut])
            assert [each["hash"] for each in read(path)] == [first["hash"]]
            append(path, line(commit="c" * 40))
            assert [each["commit"][0] for each in read(path)] == ["a", "c"]

    def test_other_files_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="got none"):
            read(tmp_path / "missing.jsonl")
        append(tmp_path / "other.jsonl", {"schema": "lifeos.other/1"})
        with pytest.raises(InputError, match=r"lifeos\.other/1"):
            read(tmp_path / "other.jsonl")


class TestCommand:
    @pytest.mark.parametrize(
        "arguments",
        [["--only", "helpp"], ["help", "--runs", "2"], ["help", "--images", "0"], ["overhead", "--quick"],
         ["help", "--checkout", "no-such-folder"], ["--list", "helpp"], ["help", "--lora", "no-such-file"],
         ["help", "--script", "."], ["help", "--persona", "no-such-folder"], ["help", "--results", "."],
         ["help", "--results", "other.jsonl"], ["help", "--results", "other.jsonl/results.jsonl"]],
    )  # fmt: skip
    def test_a_wrong_command_is_one_line_and_status_2_before_anything_is_run(
        self, arguments, capsys, tmp_path, monkeypatch
    ):
        append(tmp_path / "other.jsonl", {"schema": "lifeos.scorecard/1"})
        arguments = [str(tmp_path / each) if each.startswith("other.jsonl") else each for each in arguments]
        monkeypatch.setattr("benchmarks.__main__.run_comparison", lambda *_: pytest.fail("it was run"))
        assert main(arguments) == 2
        error = capsys.readouterr().err.strip()
        assert "accepted" in error
        assert "\n" not in error

    def test_the_list_names_every_comparison_and_what_it_needs(self, capsys):
        assert main(["--list"]) == 0
        shown, apart = capsys.readouterr().out.split("\n\n")
        shown = shown.splitlines()
        assert [each.split()[0] for each in shown] == [each.id for each in COMPARISONS]
        assert all(f"python -m {module}: " in apart for module, _ in APART)
        assert main(["--list", "operations", "--quick"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 3
        assert "needs gpu" in next(each for each in shown if each.startswith("vram-training"))

    def test_a_run_is_shown_and_kept_and_says_why_a_row_is_not_measured(self, tmp_path, capsys, monkeypatch):
        rows = (row(target=Target("ratio", low=2.5)), row(id="gpu-row", needs=("gpu",)))
        monkeypatch.setattr("benchmarks.registry.COMPARISONS", rows)
        monkeypatch.setattr("benchmarks.needs.gpu_names", list)
        results = tmp_path / "results.jsonl"
        assert main(["--results", str(results), "--only", "sums"]) == 0
        assert "met [1]" in capsys.readouterr().out
        assert main(["--results", str(results), "--json"]) == 1
        shown = json.loads(capsys.readouterr().out)
        assert [each["verdict"] for each in shown["comparisons"]] == ["met", "unmeasured"]
        assert "needs an NVIDIA GPU" in shown["comparisons"][1]["reason"]
        kept = read(results)
        assert [len(each["comparisons"]) for each in kept] == [1, 2]

    def test_an_interrupt_keeps_what_was_measured(self, tmp_path, capsys, monkeypatch):
        def interrupts(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("tests.benchmarks.synthetic.breaks", interrupts)
        rows = (row(), row(id="cut", run="tests.benchmarks.synthetic:breaks"))
        monkeypatch.setattr("benchmarks.registry.COMPARISONS", rows)
        assert main(["--results", str(tmp_path / "results.jsonl")]) == 130
        (kept,) = read(tmp_path / "results.jsonl")
        assert [each["reason"] for each in kept["comparisons"]] == [None, "interrupted"]

    def test_a_comparison_that_breaks_takes_no_other_with_it(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("tests.benchmarks.synthetic.breaks", lambda *_: {}["no such key"])
        rows = (row(id="first"), row(id="broken", run="tests.benchmarks.synthetic:breaks"), row(id="last"))
        monkeypatch.setattr("benchmarks.registry.COMPARISONS", rows)
        assert main(["--results", str(tmp_path / "results.jsonl")]) == 1
        (kept,) = read(tmp_path / "results.jsonl")
        assert [each["reason"] for each in kept["comparisons"]] == [None, "KeyError: 'no such key'", None]
        assert "Traceback" in capsys.readouterr().err

    @pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
    def test_a_run_that_is_told_to_end_keeps_what_it_measured(self, tmp_path):
        code = ("import os, runpy, signal, sys, benchmarks.registry as all, tests.benchmarks.synthetic as made\n"
                "made.breaks = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
                "all.COMPARISONS = (made.row(), made.row(id='cut', run='tests.benchmarks.synthetic:breaks'))\n"
                "runpy.run_module('benchmarks', run_name='__main__')")  # fmt: skip
        results = tmp_path / "results.jsonl"
        command = [sys.executable, "-c", code, "--results", str(results)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 130, done.stderr
        (kept,) = read(results)
        assert [each["reason"] for each in kept["comparisons"]] == [None, "interrupted"]

    def test_the_list_imports_nothing_heavy(self):
        code = ("import sys; from benchmarks.__main__ import main; main(['--list']); "
                "print(sorted({'torch', 'numpy', 'cv2'} & set(sys.modules)), file=sys.stderr)")  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]"
