"""Personas that are judged with an insightface pack, which is or is not where it is looked for."""

import json
import zipfile

FILES = ("scrfd_10g_bnkps.onnx", "glintr100.onnx")


def _persona(place, pack):
    persona = place.demo_persona(images=1, references=1)
    path = persona / "persona.toml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('backend = "yunet_sface"', 'backend = "insightface"')
    text = text.replace('folder = "models/faces"', f"folder = {json.dumps(pack.as_posix())}")
    path.write_text(text, encoding="utf-8")
    return persona


def insightface_model_missing(place, unpacked):
    pack = place.folder / "models" / "buffalo_l"
    for name in ("det_10g.onnx", "w600k_r50.onnx") if unpacked else ():
        place.data(f"models/buffalo_l/{name}", b"onnx")
    return {"persona": _persona(place, pack), "machine": place.text("machine.json", "{}")}


def antelopev2_nested_zip(place, unpacked_into):
    archive = place.folder / "antelopev2.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for name in FILES:
            written.writestr(f"antelopev2/{name}", b"onnx")
    with zipfile.ZipFile(archive) as read:
        read.extractall(place.folder / unpacked_into)
    pack = place.folder / "models" / "antelopev2"
    return {"persona": _persona(place, pack), "machine": place.text("machine.json", "{}")}
