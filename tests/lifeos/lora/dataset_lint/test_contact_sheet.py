import re

import pytest
from PIL import Image

from lifeos.lora.dataset_lint import contact_sheet
from lifeos.lora.dataset_lint.contact_sheet import write_contact_sheet


@pytest.fixture
def sheet(tmp_path):
    def write(lint):
        write_contact_sheet(lint, tmp_path / "sheet é.html")
        return (tmp_path / "sheet é.html").read_text(encoding="utf-8")

    return write


def test_every_picture_stands_on_it(lint, sheet):
    text = sheet(lint())
    assert text.count('<article class="card clean">') == 14
    assert text.count("data:image/jpeg;base64,") == 14
    assert "photo of a pstch person, in a wood" in text


def test_it_needs_no_other_file(lint, sheet):
    text = sheet(lint())
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert "<script" not in text
    assert "http" not in text


def test_names_and_captions_are_data(persona, lint, sheet):
    evil = '<img src=x onerror="x">&'
    (persona.dataset / "0001.txt").write_text(f"pstch {evil}", encoding="utf-8")
    (persona.dataset / "a' b=c &lt;.png").write_bytes(b"x")
    text = sheet(lint())
    assert evil not in text
    assert "&lt;img src=x onerror=" in text
    assert "&amp;lt;" in text


def test_findings_stand_at_their_picture_or_by_themselves(persona, lint, sheet):
    (persona.dataset / "0001.txt").write_text("beautiful pstch", encoding="utf-8")
    (persona.dataset / "left over.txt").write_text("pstch", encoding="utf-8")
    (persona.dataset / "0002.png").write_bytes(b"")
    text = sheet(lint())
    card = text.split('<div class="name">0001.png</div>')[1].split("</article>")[0]
    assert "banned_word" in card
    assert "left over.txt" in text.split("<section>")[0]
    broken = text.split('<div class="name">0002.png</div>')[0].rsplit("<article", 1)[1]
    assert "no picture" in broken
    assert "image_unreadable" in text


def test_thumbnails_are_small_and_upright(persona, tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", (900, 300), (200, 10, 10)).save(tmp_path / "a.jpg", exif=exif)
    import base64
    import io

    encoded = contact_sheet._thumbnail(tmp_path / "a.jpg", 90).split(",", 1)[1]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        assert image.size == (30, 90)


def test_a_sheet_that_breaks_leaves_the_old_one(lint, tmp_path, monkeypatch):
    out = tmp_path / "sheet.html"
    out.write_text("old", encoding="utf-8")
    found = lint()
    monkeypatch.setattr(contact_sheet, "_thumbnail", lambda path, side: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_contact_sheet(found, out)
    assert out.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.glob(".contact*")] == []
