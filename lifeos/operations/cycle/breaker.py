"""The circuit breaker: an agent that brings nothing, or fails the same way again, is not paid another time."""

from collections.abc import Sequence

from lifeos.operations.cycle.state import CycleState, Exit

FRUITLESS, ALIKE = 3, 2
# Ends that say nothing about the agent.
_NOT_ITS_FAULT = {Exit.USAGE, Exit.GUARD, Exit.LOCKED, Exit.STOP, Exit.INTERRUPT}


def open_breaker(states: Sequence[CycleState]) -> str | None:
    """Return why no further agent is run, or None.

    Open after 3 cycles in a row whose agent had something to say and nothing of it was admitted, or 2 in a row that
    failed alike. A cycle that was told to close the breaker ends both rows; one whose agent declared that there was
    nothing to do counts for neither.

    Args:
        states: cycles, oldest first; those without an agent, unfinished or ended by a person are left out.
    """
    counted: list[CycleState] = []
    for state in states:
        if state.options.close_breaker:
            counted = []
        if state.options.agent and state.exit_code is not None and state.exit_code not in _NOT_ITS_FAULT:
            counted.append(state)
    spoke = [state for state in counted if state.detail("run").get("outcome") != "no_work"]
    fruitless = spoke[-FRUITLESS:]
    if len(fruitless) == FRUITLESS and not any(state.detail("promote").get("admitted") for state in fruitless):
        return f"the last {FRUITLESS} cycles with an agent admitted nothing"
    alike = counted[-ALIKE:]
    ends = {(state.exit_code, state.reason) for state in alike}
    if len(alike) == ALIKE and len(ends) == 1 and alike[0].exit_code != Exit.DONE:
        return f"the last {ALIKE} cycles failed alike: {alike[0].reason}"
    return None
