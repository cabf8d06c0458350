"""Training pictures with one fault: copies of the demo persona's, saved as somebody's camera or tool would."""

from PIL import Image

ORIENTATION = 0x0112


def exif_orientation_ignored(place, orientation):
    persona = place.demo_persona()
    path = persona / "dataset" / "0001.png"
    with Image.open(path) as image:
        exif = image.getexif()
        exif[ORIENTATION] = orientation
        image.save(path, exif=exif)
    return {"persona": persona}
