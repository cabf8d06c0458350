"""Release: the LoRA is trained or loaded, sampled and judged once; each gate asserts one verdict of that."""

import pytest

from lifeos.policy_gates import policy_gates

pytestmark = pytest.mark.release


def test_weights_whole(gate, release):
    gate(release.verdict("weights_whole"))


def test_weights_finite(gate, release):
    gate(release.verdict("weights_finite"))


def test_weights_base(gate, release):
    gate(release.verdict("weights_base"))


def test_weights_keys(gate, release):
    gate(release.verdict("weights_keys"))


def test_weights_effect(gate, release):
    gate(release.verdict("weights_effect"))


def test_instrument(gate, release):
    gate(release.verdict("instrument"))


def test_face_rate(gate, release):
    gate(release.verdict("face_rate"))


def test_likeness(gate, release):
    gate(release.verdict("likeness"))


def test_likeness_tail(gate, release):
    gate(release.verdict("likeness_tail"))


def test_likeness_norm(gate, release):
    gate(release.verdict("likeness_norm"))


def test_worst_prompt(gate, release):
    gate(release.verdict("worst_prompt"))


def test_ceiling(gate, release):
    gate(release.verdict("ceiling"))


def test_skin_realism(gate, release):
    gate(release.verdict("skin_realism"))


def test_copy_image(gate, release):
    gate(release.verdict("copy_image"))


def test_copy_face(gate, release):
    gate(release.verdict("copy_face"))


def test_image_flat(gate, release):
    gate(release.verdict("image_flat"))


def test_clip_score(gate, release):
    gate(release.verdict("clip_score"))


def test_repro(gate, release):
    gate(release.verdict("repro"))


def test_champion(gate, release):
    gate(release.verdict("champion"))


# What the manifest leaves to the policy: one function test_<gate id> for each.
globals().update(policy_gates())
