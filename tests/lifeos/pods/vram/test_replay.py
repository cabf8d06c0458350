"""Traces through the allocator model: peaks, what they are made of, phases."""

import pytest

from lifeos.pods.vram.replay import Usage, replay
from lifeos.pods.vram.tracer import ACTIVATIONS, WEIGHTS, WORKSPACE, Trace

MIB = 2**20


def small_trace():
    trace = Trace()
    workspace = trace.allocate(1, WORKSPACE, "", "cublas")
    trace.begin("load")
    trace.allocate(20 * MIB, WEIGHTS, "", "to")
    trace.begin("step")
    first = trace.allocate(30 * MIB, ACTIVATIONS, "unet.down_blocks.0", "mul")
    second = trace.allocate(40 * MIB, ACTIVATIONS, "unet.up_blocks.0", "convolution")
    trace.free(first)
    trace.free(second)
    return trace, workspace


def test_the_peak_and_its_parts_add_up():
    usage = replay(small_trace()[0], {"cublas": 8 * MIB})
    assert usage.peak_bytes == 98 * MIB == sum(usage.parts.values())
    assert usage.parts == {WORKSPACE: 8 * MIB, WEIGHTS: 20 * MIB, ACTIVATIONS: 70 * MIB}
    assert list(usage.blocks) == ["unet.up_blocks.0", "unet.down_blocks.0"]
    assert (usage.peak_phase, usage.peak_operator) == ("step", "convolution")
    assert [(phase.name, phase.peak_bytes) for phase in usage.phases] == [("load", 28 * MIB), ("step", 98 * MIB)]
    assert max(usage.timeline) == usage.peak_bytes


def test_an_operators_size_can_be_given_later():
    trace, _ = small_trace()
    assert replay(trace, {"cublas": 32 * MIB}).peak_bytes - replay(trace, {"cublas": 8 * MIB}).peak_bytes == 24 * MIB


def test_an_emptied_cache_lowers_what_is_reserved_not_its_peak():
    trace, _ = small_trace()
    trace.release()
    trace.begin("after")
    trace.allocate(MIB // 2, ACTIVATIONS)
    usage = replay(trace)
    assert usage.reserved_bytes > 90 * MIB
    assert usage.phases[-1].reserved_bytes < 30 * MIB


def test_a_repeated_part_ends_only_what_it_began():
    trace, _ = small_trace()
    start = trace.phases[1][1]
    trace.repeat([*trace.events[start:], -1])
    assert replay(trace).peak_bytes == replay(small_trace()[0]).peak_bytes
    assert trace.events.count(-1) == 0


def test_it_survives_json():
    usage = replay(small_trace()[0])
    assert Usage.from_json(usage.to_json()) == usage


def test_what_cannot_be_replayed():
    trace = Trace()
    with pytest.raises(ValueError, match="at least one event"):
        replay(trace)
    trace.allocate(1, WEIGHTS)
    trace.free(0)
    trace.free(0)
    with pytest.raises(ValueError, match="not live"):
        replay(trace)
