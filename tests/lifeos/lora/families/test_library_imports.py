"""The collector rests only while libraries are imported."""

import gc

import pytest

from lifeos.lora.families.library_imports import import_libraries


@pytest.mark.parametrize("running", [True, False])
def test_the_collector_is_left_as_it_was_and_leaves_out_what_was_imported(running):
    before = gc.isenabled()
    gc.unfreeze()
    try:
        (gc.enable if running else gc.disable)()
        import_libraries.__wrapped__()
        assert gc.isenabled() == running
        assert gc.get_freeze_count() > 100_000
    finally:
        gc.unfreeze()
        (gc.enable if before else gc.disable)()


def test_a_failed_import_leaves_it_running(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ImportError):
        import_libraries.__wrapped__()
    assert gc.isenabled()
