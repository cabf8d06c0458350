import pytest

from lifeos.operations.cycle.breaker import open_breaker
from lifeos.operations.cycle.state import CycleState, Options, StageState


def cycle(code=0, reason="done", outcome="ok", admitted=("F-1",), **options):
    stages = {
        "run": StageState(status="done", detail={"outcome": outcome}),
        "promote": StageState(status="done", detail={"admitted": list(admitted)}),
    }
    return CycleState(run="c", as_of="2026-11-27", created="2026-11-27T00:00:00Z", base_commit="unknown",
                      options=Options(**options), stages=stages, exit_code=code, reason=reason)  # fmt: skip


GOOD, IDLE, NOTHING = cycle(), cycle(outcome="no_work", admitted=()), cycle(admitted=())
FAILED, OTHER = cycle(20, "crashed", "crashed", ()), cycle(21, "stalled", "stalled", ())


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([NOTHING] * 3, "admitted nothing"),
        ([GOOD, NOTHING, NOTHING, NOTHING], "admitted nothing"),
        ([NOTHING, IDLE, NOTHING, IDLE, NOTHING], "admitted nothing"),
        ([FAILED, FAILED], "failed alike: crashed"),
        ([GOOD, FAILED, FAILED], "failed alike"),
        ([FAILED, cycle(agent=False), FAILED], "failed alike"),
        ([FAILED, cycle(130, "interrupted"), cycle(70, "STOP"), FAILED], "failed alike"),
        ([cycle(0, close_breaker=True), FAILED, FAILED], "failed alike"),
        ([FAILED, OTHER, NOTHING], "admitted nothing"),
    ],
)
def test_it_opens(states, said):
    assert said in open_breaker(states)


@pytest.mark.parametrize(
    "states",
    [
        [],
        [GOOD] * 5,
        [IDLE] * 5,
        [NOTHING, NOTHING],
        [NOTHING, NOTHING, GOOD],
        [FAILED],
        [FAILED, OTHER],
        [FAILED, GOOD],
        [FAILED, GOOD, FAILED],
        [FAILED, FAILED, cycle(0, close_breaker=True)],
        [NOTHING, NOTHING, NOTHING, cycle(20, "crashed", "crashed", (), close_breaker=True)],
        [cycle(20, "crashed", "crashed", (), agent=False)] * 4,
        [cycle(10, "guard")] * 4,
        [cycle(130, "interrupted")] * 4,
    ],
)
def test_it_stays_closed(states):
    assert open_breaker(states) is None


def test_an_unfinished_cycle_says_nothing():
    assert open_breaker([FAILED, FAILED.model_copy(update={"exit_code": None})]) is None
