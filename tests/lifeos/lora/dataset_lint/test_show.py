import io

from lifeos.lora.dataset_lint.show import MOST_ROWS, show_lint


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(lint, stream):
    show_lint(lint, stream)
    return stream.getvalue()


def test_plain_lines_elsewhere(persona, lint):
    (persona.dataset / "0001.txt").write_text("a beautiful pstch", encoding="utf-8")
    lines = shown(lint(), io.StringIO()).splitlines()
    assert lines[0].startswith("dataset/0001.txt: accepted ")
    assert lines[0].endswith("[banned_word]")
    assert "dataset_captions: FAILED: 1 finding" in lines
    assert lines[-1].startswith("FAILED  ")
    assert "1 finding blocks" in lines[-1]


def test_a_table_on_a_terminal(persona, lint, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    (persona.dataset / "0001 [red].txt").write_text("a pstch \x1b[31m", encoding="utf-8")
    text = shown(lint(), Terminal())
    assert "0001 [red].txt" in text
    assert "\x1b[31m[31m" not in text
    assert "FAILED" in text


def test_a_long_table_says_what_it_leaves_out(persona, lint, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    found = lint()
    (persona.dataset / "0001.txt").unlink()
    found.findings = lint().findings * (MOST_ROWS + 3)
    assert "and 3 more: lifeos lint-dataset --json" in shown(found, Terminal())


def test_nothing_to_say(lint):
    text = shown(lint(), io.StringIO())
    assert text.splitlines()[-1].startswith("PASSED  ")
    assert "dataset_advice, soft: PASSED" in text
