from evals.history import append
from lifeos.operations.briefing import item_id, parse_briefing, render_briefing
from lifeos.operations.findings.gate_findings import gate_briefings, write_gate_briefings


def gate(name, verdict="failed", severity="hard"):
    return {"id": name, "verdict": verdict, "severity": severity}


def row(path, number, *gates, **changes):
    content = {
        "id": f"2026112{number}T070000Z-abcdef0{number}", "time": f"2026-11-2{number}T07:00:00Z", "phase": "release",
        "persona": "pistachio", "verdict": "rejected", "gates": list(gates), "git_commit": "a" * 40,
        "environment": None,
    }  # fmt: skip
    return append(path, content | changes)


def briefings(tmp_path, *rows):
    path = tmp_path / "history.jsonl"
    made = [row(path, number, *gates, **changes) for number, (gates, changes) in enumerate(rows, 1)]
    return gate_briefings(made, "history.jsonl")


def test_a_rejected_run_becomes_a_briefing_that_the_parser_takes(tmp_path):
    gates = [gate("likeness_tail"), gate("drift", severity="soft"), gate("likeness", "passed")]
    [found] = briefings(tmp_path, (gates, {}))
    read = parse_briefing(render_briefing(found).encode(), "b.md")
    assert read.id == "gate-r20261121t070000z-abcdef01"
    assert [(item.key, item.text) for item in read.items] == [
        ("pistachio.release.likeness_tail", "A LoRA of pistachio was rejected by the gate likeness_tail")
    ]
    assert read.items[0].confidence == "measured"
    assert read.created == "2026-11-21T07:00:00Z"


def test_the_same_gate_in_another_run_is_the_same_finding(tmp_path):
    first, second = briefings(tmp_path, ([gate("likeness")], {}), ([gate("likeness")], {}))
    assert first.id != second.id
    ids = {item_id(item.kind, item.key, item.text) for each in (first, second) for item in each.items}
    assert len(ids) == 1
    assert first.items[0].evidence != second.items[0].evidence


def test_only_real_rejections_enter(tmp_path):
    assert not briefings(
        tmp_path,
        ([gate("likeness", "passed")], {"verdict": "approved"}),
        ([gate("likeness", "not_evaluated")], {"verdict": "not_evaluated"}),
        ([gate("likeness")], {"environment": {"source": "simulation"}}),
        ([], {"verdict": "rejected"}),
    )


def test_names_of_any_kind_and_many_gates_stay_a_briefing(tmp_path):
    odd = briefings(
        tmp_path,
        ([gate(f"known_failure_{n}") for n in range(30)], {"persona": "../Ünï <b>@x `1`", "phase": "predeploy"}),
        ([gate("9[x-y]")], {"persona": None, "git_commit": None}),
    )
    first, second = (parse_briefing(render_briefing(each).encode(), "b.md") for each in odd)
    assert len(first.items) == 20
    assert first.items[0].text.startswith("Phase predeploy of ")
    assert second.items[0].key == "project.release.r9-x-y"
    assert second.base_commit == "unknown"


def test_briefings_are_written_once_and_not_again_when_the_ledger_has_them(tmp_path):
    from evals.content_hash import hash_file

    found = briefings(tmp_path, ([gate("likeness")], {}), ([gate("likeness_tail")], {}))
    folder = tmp_path / "briefings"
    paths = write_gate_briefings(found, folder, ())
    assert [path.name for path in paths] == [f"{each.id}.md" for each in found]
    assert write_gate_briefings(found, folder, ()) == []
    known = [hash_file(path) for path in paths]
    for path in paths:
        path.unlink()
    assert write_gate_briefings(found, folder, known[:1]) == paths[1:]
