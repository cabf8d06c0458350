"""Captions and triggers with one fault, beside copies of the demo persona's pictures."""

import re


def caption_extension_ignored(place, ending):
    persona = place.demo_persona()
    for path in (persona / "dataset").glob("*.txt"):
        path.replace(path.with_suffix(ending))
    return {"persona": persona}


def trigger_token_has_prior(place, trigger):
    persona = place.demo_persona()
    for path in [persona / "persona.toml", persona / "recipe.toml", *(persona / "dataset").glob("*.txt")]:
        path.write_text(path.read_text(encoding="utf-8").replace("pstch", trigger), encoding="utf-8")
    return {"persona": persona}


def prompt_over_77_tokens(place, clauses):
    persona = place.demo_persona()
    path = persona / "dataset" / "0001.txt"
    said = path.read_text(encoding="utf-8").strip()
    path.write_text(said + "".join(f", light {number}" for number in range(clauses)), encoding="utf-8")
    return {"persona": persona}


def class_leakage(place, trigger_in):
    persona = place.demo_persona()
    if trigger_in == "some captions":
        path = persona / "dataset" / "0001.txt"
        path.write_text(re.sub(r"pstch ", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    return {"persona": persona}
