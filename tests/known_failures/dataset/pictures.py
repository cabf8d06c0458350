"""Training pictures with one fault: copies of the demo persona's, saved as somebody's camera or tool would."""

from PIL import Image, ImageDraw

ORIENTATION = 0x0112


def exif_orientation_ignored(place, orientation):
    persona = place.demo_persona()
    path = persona / "dataset" / "0001.png"
    with Image.open(path) as image:
        exif = image.getexif()
        exif[ORIENTATION] = orientation
        image.save(path, exif=exif)
    return {"persona": persona}


def rgba_converted_badly(place, mode):
    persona = place.demo_persona()
    path = persona / "dataset" / "0001.png"
    with Image.open(path) as image:
        cut_out = image.convert("RGBA")
    # What was cut away keeps a colour that no viewer shows.
    drawing = ImageDraw.Draw(cut_out)
    for corner in ((0, 0, 24, 24), (104, 0, 127, 24)):
        drawing.rectangle(corner, fill=(255, 0, 255, 0))
    white = Image.new("RGBA", cut_out.size, "white")
    (cut_out if mode == "RGBA" else Image.alpha_composite(white, cut_out).convert("RGB")).save(path)
    return {"persona": persona}


def insightface_closeup_no_face(place, side):
    persona = place.demo_persona()
    path = persona / "dataset" / "0001.png"
    with Image.open(path) as image:
        corner = [(size - side) // 2 for size in image.size]
        middle = image.crop((*corner, corner[0] + side, corner[1] + side))
    # Large, as a camera's: the detector looks at it in its larger size.
    middle.resize((512, 512), Image.Resampling.LANCZOS).save(path)
    return {"persona": persona}
