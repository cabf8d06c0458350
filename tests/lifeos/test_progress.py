"""Progress through a file: whole lines only, each once."""

from lifeos.progress import progress_writer, show_new


def test_what_is_written_is_shown_once(tmp_path):
    path, seen = tmp_path / "progress.jsonl", []
    assert show_new(path, 0, lambda *event: seen.append(event)) == 0
    write = progress_writer(path)
    for done in range(4):
        write("training", done, 3)
    offset = show_new(path, 0, lambda *event: seen.append(event))
    assert seen[0] == ("training", 0, 3)
    assert seen[-1] == ("training", 3, 3)
    count = len(seen)
    with path.open("ab") as file:
        file.write(b'no progress\n[1]\n{"stage": "sampling", "done": 1,')
    offset = show_new(path, offset, lambda *event: seen.append(event))
    assert len(seen) == count
    with path.open("ab") as file:
        file.write(b' "total": 2}\n')
    assert show_new(path, offset, lambda *event: seen.append(event)) == path.stat().st_size
    assert seen[count:] == [("sampling", 1, 2)]


def test_without_a_file_it_is_silent(tmp_path):
    progress_writer(None)("training", 0, 1)
    assert list(tmp_path.iterdir()) == []
