"""The collector rests only while libraries are imported."""

import gc

import pytest

from lifeos.lora.families.library_imports import import_libraries


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_is_left_as_it_was_and_leaves_out_what_was_imported(running):
    gc.unfreeze()
    try:
        (gc.enable if running else gc.disable)()
        import_libraries.__wrapped__()
        assert (gc.isenabled(), gc.get_freeze_count() > 100_000) == (running, True)
    finally:
        gc.unfreeze()
        gc.enable()
