"""What makes a judged LoRA the champion, and everything that keeps it from becoming one."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.atomic import write_text
from evals.content_hash import hash_file, hash_folder
from evals.history import Verification, find, read, verify
from lifeos.champion import CHAMPION_FILE, Champion, keep_copy, read_champion, write_champion
from lifeos.errors import InputError
from lifeos.git import git_output

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.persona import Persona


@dataclass(frozen=True)
class Promotion:
    """What came of asking.

    Args:
        champion: what was asked for, as ``champion.json`` holds it or would.
        refusals: why it was refused, one line each; empty where it was not.
        replaced: the champion before, or None.
        unchanged: it was the champion already.
        persona_edited: whether ``persona.toml`` names ``champion.json`` now and did not before.
    """

    champion: Champion | None
    refusals: tuple[str, ...]
    replaced: Champion | None
    unchanged: bool = False
    persona_edited: bool = False


def promote(
    inputs: "Inputs", row: str, *, time: str, location: str | None = None, allow_dirty: bool = False,
    dry_run: bool = False,
) -> Promotion:  # fmt: skip
    """Make the LoRA of a row the persona's champion, or say everything that speaks against it.

    Args:
        inputs: persona, policy and history.
        row: start of the row's id or hash.
        time: UTC, ``"2026-11-23T20:29:00Z"``.
        location: where the file lies; None keeps the one that was set for the same LoRA.
        allow_dirty: take a row whose checkout had changes; they are named in ``champion.json``.
        dry_run: write nothing.

    Raises:
        InputError: no such row, or a history, persona or ``champion.json`` that cannot be read.
    """
    from filelock import FileLock

    from lifeos.persona import load_persona

    persona = load_persona(inputs.persona, inputs.project.root)
    path = persona.folder / CHAMPION_FILE
    found = find(inputs.history, row)
    inputs.artifacts.mkdir(parents=True, exist_ok=True)
    with FileLock(str(inputs.artifacts / "champion.lock")):
        now = read_champion(path) if path.exists() else None
        facts = Facts.of(inputs, persona, now)
        against = refusals(found, facts, allow_dirty=allow_dirty)
        if location is not None and not against:
            against += of_location(path, location, found["hashes"]["lora"])
        if against:
            return Promotion(None, tuple(against), now)
        if now is not None and now.approved and (now.lora, now.row_hash) == (found["hashes"]["lora"], found["hash"]):
            return Promotion(now, (), now, unchanged=True)
        kept = now.location if now is not None and now.lora == found["hashes"]["lora"] else None
        champion = champion_of(found, approved=True, time=time, location=location or kept, replaced=now)
        if dry_run:
            return Promotion(champion, (), now)
        _keep_copy(found, inputs.artifacts)
        write_champion(path, champion)
        return Promotion(champion, (), now, persona_edited=name_champion(persona.folder))


def champion_of(
    row: Mapping[str, Any], *, approved: bool, time: str, location: str | None, replaced: Champion | None
) -> Champion:
    """Return what ``champion.json`` says of a row's LoRA."""
    hashes = row["hashes"]
    return Champion(
        schema="lifeos.champion/1", persona=row["persona"], lora=hashes["lora"], row=row["id"], row_hash=row["hash"],
        policy=hashes["policy"], calibration=hashes["calibration"], base=hashes["base"], approved=approved,
        promoted=time, dirty=list(row["git"]["changed"]), location=location,
        previous=None if replaced is None or replaced.lora == hashes["lora"] else replaced.lora,
    )  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a row is held against.

    Args:
        persona: name of the persona.
        hashes: of policy, calibration, references and base as they are now, by the scorecard's names.
        champion: that stands now, or None.
        verification: of the history.
        rows: of the history, in file order.
    """

    persona: str
    hashes: Mapping[str, str | None]
    champion: Champion | None
    verification: Verification
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, inputs: "Inputs", persona: "Persona", champion: Champion | None) -> "Facts":
        """Read and hash what is there now.

        Raises:
            InputError: policy, references, base or history cannot be read.
        """
        from lifeos.lora.families import base_hash

        hashes = {
            "policy": hash_file(inputs.policy),
            "calibration": hash_file(persona.calibration) if persona.calibration.exists() else None,
            "references": hash_folder(persona.references, "*"),
            "base": base_hash(persona.base),
        }
        tip = committed_tip(inputs.project.root, inputs.history)
        found = verify(inputs.history, [] if tip is None else [tip])
        return cls(persona.name, hashes, champion, found, read(inputs.history))


def refusals(row: Mapping[str, Any], facts: Facts, *, allow_dirty: bool = False) -> list[str]:
    """Return everything that keeps a row's LoRA from being promoted; nothing is held back behind the first."""
    if row.get("schema") != "lifeos.scorecard/1":
        return [f"row {row.get('id')} is no scorecard"]
    hashes, environment, git = row["hashes"], row["environment"], row["git"]
    found = [f"the history does not verify: {facts.verification.problems[0]}"] if facts.verification.problems else []
    if len(facts.verification.tips) > 1:
        found.append("the history has a fork, so which row is the latest is unknown; next: lifeos history merge FILE")
    if row["phase"] != "release":
        found.append(f"it is a row of phase {row['phase']}; next: lifeos gate release --lora FILE")
    if row["verdict"] != "approved":
        failed = [gate["id"] for gate in row["gates"] if gate["severity"] == "hard" and gate["verdict"] == "failed"]
        why = f" ({', '.join(failed)} failed)" if failed else ""
        found.append(f"it is {row['verdict'].replace('_', ' ')}, not approved{why}")
    if row["narrowed"]:
        found.append("the run was narrowed: gates were left out")
    if row["persona"] != facts.persona:
        found.append(f"it judges persona {row['persona']}, not {facts.persona}")
    if environment.get("source") == "images":
        found.append("finished images were judged (--images), nobody knows which LoRA drew them")
    if environment.get("source") == "simulation":
        found.append("a simulation was judged")
    if not hashes.get("lora"):
        found.append("it names no LoRA file")
    else:
        later = _later_rows(row, facts.rows)
        if later:
            found.append(f"a later row judges the same file: {later[-1]['id']} ({later[-1]['verdict']})")
    for name, now in facts.hashes.items():
        if hashes.get(name) != now:
            found.append(f"it was made with another {name} than there is now; next: lifeos gate release --lora FILE")
    if git["dirty"] is not False and not allow_dirty:
        named = ", ".join(git["changed"]) or "git did not answer"
        found.append(f"its checkout had changes ({named}); next: commit and judge again, or pass --allow-dirty")
    return found + _against_champion(row, facts.champion)


def name_champion(folder: Path) -> bool:
    """Let ``persona.toml`` name ``champion.json`` where it said ``champion = "none"``; every other byte stays.

    Returns:
        Whether the file was changed. Where the line is not there exactly once, nothing is.
    """
    path = folder / "persona.toml"
    text = path.read_bytes().decode("utf-8")
    pattern = re.compile(r'^champion[ \t]*=[ \t]*(?:"none"|\'none\')[ \t]*(?:#[^\r\n]*)?(?=\r?$)', re.MULTILINE)
    if len(pattern.findall(text)) != 1:
        return False
    write_text(path, pattern.sub(f'champion = "{CHAMPION_FILE}"', text))
    return True


def committed_tip(root: Path, history: Path) -> str | None:
    """Return the hash of the last row of the history as it was last committed; None where git does not know it."""
    try:
        name = history.absolute().relative_to(root.absolute()).as_posix()
        return str(json.loads(git_output(root, "show", f"HEAD:{name}").splitlines()[-1])["hash"])
    except (ValueError, OSError, subprocess.SubprocessError, IndexError, KeyError, TypeError):
        return None


def _keep_copy(row: Mapping[str, Any], artifacts: Path) -> None:
    """Copy the judged file to where the next release looks for its champion, if it is still where it was judged."""
    from lifeos.child import read_result

    result = read_result(artifacts / "runs" / str(row.get("release")))
    sha256 = row["hashes"]["lora"]
    if result is not None and result.get("lora") and keep_copy(Path(result["lora"]), sha256, artifacts):
        return
    # What came back from a pod lies by its hash.
    keep_copy(artifacts / "loras" / f"{sha256}.safetensors", sha256, artifacts)


def _later_rows(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    place = next((number for number, each in enumerate(rows) if each["hash"] == row["hash"]), len(rows))
    return [
        each
        for number, each in enumerate(rows)
        if each.get("phase") == "release"
        and each["hash"] != row["hash"]
        and each.get("hashes", {}).get("lora") == row["hashes"]["lora"]
        # Histories that were merged stand behind each other: time decides there too.
        and (number > place or each["time"] > row["time"])
    ]


def _against_champion(row: Mapping[str, Any], champion: Champion | None) -> list[str]:
    if champion is None or champion.lora == row["hashes"].get("lora"):
        return []
    compared = row["champion"] or {}
    if compared.get("lora") != champion.lora:
        return [f"it was not compared with the champion there is now ({champion.lora[:12]}); next: "
                "lifeos gate release --lora FILE"]  # fmt: skip
    decision = compared.get("decision") or {}
    if decision.get("verdict") != "approve":
        return [f"the decision against the champion is {decision.get('verdict', 'missing')}, not approve"]
    return []


def of_location(path: Path, location: str, sha256: str) -> list[str]:
    """Return what speaks against a location: a path at which other bytes or none lie; an address is asked when fetched.

    Args:
        path: the ``champion.json``, which paths are relative to.
        location: as the user gave it.
        sha256: of the LoRA.

    Raises:
        InputError: it is neither a path nor an https address.
    """
    if location.startswith("https://"):
        return []
    if "://" in location:
        raise InputError(f"--location: accepted a path or https://, got {location!r}; next: name one of these")
    file = path.parent / location
    if not file.is_file():
        return [f"--location {location} names no file (paths are relative to {path.parent})"]
    held = hash_file(file)
    return [] if held == sha256 else [f"--location {location} holds other bytes ({held[:12]}) than the row's LoRA"]
