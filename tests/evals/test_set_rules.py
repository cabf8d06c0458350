"""Statistics of whole sets against numpy and scipy, and what is refused."""

import hashlib
import re

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.evidence import CannotJudgeError, Evidence
from evals.image_rows import parse_rows
from evals.rule import Reference, Rule
from evals.set_rules import SET_RULES
from evals.verdict import Outcome

PROMPTS, SEEDS = [f"B{number:02}" for number in range(8)], range(3)


def made(values, reason="no face found", seeds=SEEDS, name="own"):
    """Rows of 8 prompts by as many seeds as it takes; ``values`` by metric, None where missing."""
    cells = [(prompt, seed) for prompt in PROMPTS for seed in seeds]
    rows = []
    for number, (prompt, seed) in enumerate(cells):
        metrics = {metric: list(column)[number] for metric, column in values.items()}
        rows.append(
            {
                "image": hashlib.sha256(f"{name} {prompt} {seed}".encode()).hexdigest(),
                "file": "a.png",
                "prompt": prompt,
                "seed": seed,
                "strength": 1.0,
                "metrics": {k: None if v is None else float(v) for k, v in metrics.items()},
                "reasons": {metric: reason for metric, value in metrics.items() if value is None},
            }
        )
    return parse_rows(rows)


def rule(statistic, metric="likeness", direction="at_least", threshold=0.0, **more):
    given = {"compares": "point", "minimum_images": 12, "minimum_prompts": 4, **more}
    return Rule("made", statistic, metric, direction, Reference(threshold), **given)


def verdict(asked, rows, base=None, calibration=None):
    def number(reference):
        return reference.number + (0.0 if reference.key is None else (calibration or {})[reference.key])

    return SET_RULES[asked.statistic](Evidence(rows, asked, 0.95, number, base))


def noise(seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=24)


def by_prompt(column):
    return np.asarray(column, float).reshape(8, -1).mean(axis=1)


class TestWorstBin:
    RULE = rule("worst_bin_gap", threshold=-0.15, missing_value=0.0, by="yaw", edges=(-10.0, 10.0), minimum_bin=4)

    def test_it_is_the_lowest_mean_over_prompts_less_the_mean_of_all(self):
        likeness, yaw = 0.7 + noise(1, 0.05), noise(2, 15)
        likeness[yaw >= 10] -= 0.3
        found = verdict(self.RULE, made({"likeness": likeness, "yaw": yaw}))
        prompts = np.repeat(np.arange(8), 3)
        means = [
            np.mean([likeness[inside & (prompts == p)].mean() for p in range(8) if (inside & (prompts == p)).any()])
            for inside in (yaw < -10, (yaw >= -10) & (yaw < 10), yaw >= 10)
        ]
        assert found.value == pytest.approx(min(means) - by_prompt(likeness).mean())
        assert found.outcome is Outcome.FAILED
        assert "yaw is 10 or more" in found.reason

    def test_small_bins_and_bins_of_one_prompt_are_not_compared(self):
        yaw = np.zeros(24)
        yaw[:3] = -30  # one prompt
        yaw[[3, 6, 9]] = 30  # three images
        with pytest.raises(CannotJudgeError, match="1 bins of yaw hold 4 images"):
            verdict(self.RULE, made({"likeness": np.full(24, 0.7), "yaw": yaw}))
        yaw[12] = 30
        found = verdict(self.RULE, made({"likeness": np.full(24, 0.7), "yaw": yaw}))
        assert found.value == pytest.approx(0.0)
        assert "1 bins hold too few images" in found.reason

    def test_a_face_without_likeness_counts_as_nothing_and_one_without_a_yaw_is_left_out(self):
        yaw = np.where(np.arange(24) % 2, -30.0, 30.0)
        likeness = [None if number in (1, 3) else 0.7 for number in range(24)]
        found = verdict(self.RULE, made({"likeness": likeness, "yaw": yaw}))
        assert found.value < 0
        unknown = verdict(self.RULE, made({"likeness": [0.7] * 24, "yaw": [None, *yaw[1:]]}))
        assert "1 of 24 images are left out (1 no face found)" in unknown.reason
        with pytest.raises(CannotJudgeError, match="11 distinct images with yaw"):
            verdict(self.RULE, made({"likeness": [0.7] * 24, "yaw": [None] * 13 + list(yaw[13:])}))


class TestLargestShare:
    RULE = rule("largest_share", "nearest_photo", "at_most", 0.25, kinds="training_photos", even_factor=3.0)

    def run(self, nearest, photos=32.0):
        photos = [photos] * 24 if isinstance(photos, float) else photos
        return verdict(self.RULE, made({"nearest_photo": nearest, "training_photos": photos}))

    def test_it_is_the_share_of_the_commonest_value(self):
        nearest = [7] * 7 + list(range(17))
        found = self.run(nearest)
        assert found.value == pytest.approx(scipy.stats.mode(nearest).count / 24)
        assert found.outcome is Outcome.FAILED
        assert "nearest_photo is 7 in 8 of 24 images, of 32 training_photos" in found.reason
        assert self.run([7] * 6 + list(range(8, 26))).outcome is Outcome.PASSED

    def test_few_photos_may_each_have_three_times_their_share(self):
        assert self.run([0] * 9 + [1, 2, 3] * 5, 8.0).outcome is Outcome.PASSED
        assert self.run([0] * 9 + [1, 2, 3] * 5, 8.0).threshold == pytest.approx(3 / 8)
        assert self.run([0] * 10 + [1, 2] * 7, 8.0).outcome is Outcome.FAILED

    def test_what_has_no_answer(self):
        with pytest.raises(CannotJudgeError, match="too few for a share"):
            self.run([0, 1, 2] * 8, 3.0)
        with pytest.raises(CannotJudgeError, match="one number for all images"):
            self.run([0] * 24, [4.0] * 23 + [5.0])
        with pytest.raises(CannotJudgeError, match="11 distinct images"):
            self.run([None] * 13 + [0] * 11)
        assert "2 of 24 images are left out" in self.run([None] * 2 + list(range(22))).reason


class TestDifferenceFromBase:
    RULE = rule("difference_from_base", "clip_score", threshold=-0.05, missing_value=0.0, unscorable_share=0.25)

    def test_it_is_the_mean_over_prompts_with_an_interval_of_scipy(self):
        own, other = noise(3, 0.1), np.random.default_rng(4).normal(0.1, 0.1, 32)
        base = made({"clip_score": other}, seeds=range(70, 74), name="base")
        found = verdict(self.RULE, made({"clip_score": own}), base)
        differences = by_prompt(own) - by_prompt(other)
        assert found.value == pytest.approx(differences.mean())
        expected = scipy.stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))

    def test_where_noise_is_shared_only_that_is_compared(self):
        own, shared = noise(5), noise(6)
        base = made({"clip_score": shared}, name="base") + made({"clip_score": noise(7) + 50}, seeds=range(9, 12))
        found = verdict(self.RULE, made({"clip_score": own}), sorted(base, key=lambda row: row.cell))
        assert found.value == pytest.approx((own - shared).mean())

    def test_a_scale_divides(self):
        asked = rule(
            "difference_from_base", "likeness", "at_most", 0.3, scale=(Reference(0, "null_mean"), Reference(0, "g"))
        )
        own, other = made({"likeness": noise(8, 0.1)}), made({"likeness": noise(9, 0.1)}, name="base")
        found = verdict(asked, own, other, {"null_mean": 0.3, "g": 0.8})
        assert found.value == pytest.approx((noise(8, 0.1) - noise(9, 0.1)).mean() / 0.5)
        with pytest.raises(CannotJudgeError, match="does not rise"):
            verdict(asked, own, other, {"null_mean": 0.8, "g": 0.8})

    def test_unscorable_is_left_out_up_to_a_share_and_missing_counts(self):
        base = made({"clip_score": [1.0] * 24}, name="base")
        few = made({"clip_score": [None] * 6 + [1.0] * 18}, "unscorable: nothing to read")
        assert verdict(self.RULE, few, base).value == pytest.approx(0.0)
        many = made({"clip_score": [None] * 7 + [1.0] * 17}, "unscorable: nothing to read")
        with pytest.raises(CannotJudgeError, match="7 of 24 images are unscorable for clip_score"):
            verdict(self.RULE, many, base)
        missing = made({"clip_score": [None] * 3 + [1.0] * 21})
        assert verdict(self.RULE, missing, base).value == pytest.approx(-1 / 8)
        with pytest.raises(CannotJudgeError, match="unscorable"):
            verdict(self.RULE, base, made({"clip_score": [None] * 24}, "unscorable: nothing to read", name="base"))

    def test_without_a_base_or_with_that_of_other_prompts_there_is_no_answer(self):
        rows = made({"clip_score": [1.0] * 24})
        with pytest.raises(CannotJudgeError, match="nothing of the base"):
            verdict(self.RULE, rows)
        with pytest.raises(CannotJudgeError, match="not measured on 1 prompts, first B07"):
            verdict(self.RULE, rows, made({"clip_score": [1.0] * 24}, name="base")[:21])
        with pytest.raises(CannotJudgeError, match="clip_score was not measured"):
            verdict(self.RULE, rows, made({"yaw": [1.0] * 24}, name="base"))
        with pytest.raises(CannotJudgeError):
            verdict(self.RULE, rows, [])


class TestSpreadRatio:
    RULE = rule("spread_ratio", "yaw", threshold=0.7)

    def test_it_is_a_ratio_of_standard_deviations(self):
        own, other = noise(1, 5), noise(2, 12)
        found = verdict(self.RULE, made({"yaw": own}), made({"yaw": other}, seeds=range(5, 8), name="base"))
        assert found.value == pytest.approx(np.std(own, ddof=1) / np.std(other, ddof=1))
        assert found.outcome is Outcome.FAILED
        assert verdict(self.RULE, made({"yaw": other}), made({"yaw": other}, name="base")).value == pytest.approx(1.0)

    def test_a_base_that_does_not_vary_is_no_measure(self):
        with pytest.raises(CannotJudgeError, match="does not vary"):
            verdict(self.RULE, made({"yaw": noise(1)}), made({"yaw": [3.0] * 24}, name="base"))
        with pytest.raises(CannotJudgeError, match="nothing of the base"):
            verdict(self.RULE, made({"yaw": noise(1)}))
        with pytest.raises(CannotJudgeError, match="11 distinct images"):
            verdict(self.RULE, made({"yaw": [None] * 13 + [1.0] * 11}), made({"yaw": noise(1)}, name="base"))


class TestRankCorrelation:
    RULE = rule("rank_correlation", threshold=0.3, by="likeness_second")

    @given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=24, max_size=24))
    @settings(max_examples=40)
    def test_it_is_that_of_scipy(self, pairs):
        one, other = np.array(pairs, float).T / 10
        rows = made({"likeness": one, "likeness_second": other})
        if np.ptp(one) == 0 or np.ptp(other) == 0:
            with pytest.raises(CannotJudgeError, match="does not vary"):
                verdict(self.RULE, rows)
            return
        found = verdict(self.RULE, rows)
        assert found.value == pytest.approx(scipy.stats.spearmanr(one, other).statistic, abs=1e-9)
        told = float(re.search(r"correlate by (\S+),", found.reason)[1])
        assert told == pytest.approx(scipy.stats.pearsonr(one, other).statistic, abs=1e-3)

    def test_images_without_the_second_are_left_out(self):
        one = noise(1, 0.1)
        rows = made({"likeness": one, "likeness_second": [None, *one[1:]]}, "the second finds no face")
        found = verdict(self.RULE, rows)
        assert found.value == pytest.approx(1.0)
        assert "1 of 24 images are left out (1 the second finds no face)" in found.reason
