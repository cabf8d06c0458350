import pytest

from lifeos.errors import InputError
from lifeos.settings import Settings, load_project, read_toml, settings_table


def test_a_missing_file_means_defaults(tmp_path):
    project = load_project(tmp_path)
    assert project.settings == Settings()
    assert project.path("policy") == tmp_path / "evals/policy.toml"
    assert {row[2] for row in settings_table(project)} == {"default"}


def test_a_written_value_wins_and_is_said(tmp_path):
    (tmp_path / "lifeos.toml").write_text('artifacts = "elsewhere"\n', encoding="utf-8")
    table = {row[0]: row for row in settings_table(load_project(tmp_path))}
    assert table["artifacts"][1:3] == ("elsewhere", "lifeos.toml")
    assert table["policy"][2] == "default"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("unknown = 1", "unknown"),
        ("release_timeout_minutes = 0", "release_timeout_minutes"),
        ('release_timeout_minutes = "9"', "release_timeout_minutes"),
        ("persona = 7", "persona"),
        ("persona = ", "lifeos.toml"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_it(tmp_path, text, named):
    (tmp_path / "lifeos.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=named) as caught:
        load_project(tmp_path)
    assert "\n" not in str(caught.value)
    assert "next: " in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="accepted TOML"):
        read_toml(tmp_path / "x.toml")


def test_every_key_is_documented():
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(("address", "accepted"), [
    ("", True), ("http://127.0.0.1:8188", True), ("https://images.example/a/b", True), ("http://[::1]:7860", True),
    ("127.0.0.1:8188", False), ("ftp://x", False), ("http://user:secret@x", False), ("http://x?a=b", False),
    ("http://", False), ("http://x\n", False)])  # fmt: skip
def test_the_address_of_an_image_server(tmp_path, address, accepted):
    (tmp_path / "lifeos.toml").write_text(f'sampling_server = """{address}"""\n', encoding="utf-8")
    if accepted:
        assert load_project(tmp_path).settings.sampling_server == address
        return
    with pytest.raises(InputError, match="sampling_server"):
        load_project(tmp_path)
