from lifeos.operations.stop_file import STOP_FILE, stop_asked


def test_whatever_has_that_name_says_stop(tmp_path):
    assert STOP_FILE == "STOP"
    place = tmp_path / STOP_FILE
    assert not stop_asked(tmp_path)
    place.touch()
    assert stop_asked(tmp_path)
    place.unlink()
    place.mkdir()
    assert stop_asked(tmp_path)
    place.rmdir()
    place.symlink_to("nowhere")
    assert not place.exists()
    assert stop_asked(tmp_path)
