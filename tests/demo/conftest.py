"""The shipped demo, for real: tiny-base, the persona, the face models. What is made once is kept under artifacts/."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
PERSONA = ROOT / "personas" / "pistachio"


@pytest.fixture(scope="session")
def demo_artifacts():
    """One data folder for all workers and all runs: the good LoRA is trained once."""
    folder = ROOT / "artifacts" / "demo-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def few_prompts(demo_artifacts):
    """The persona with 8 prompts and 3 seeds: the least that the policy lets be judged, a quarter of the images."""
    folder = demo_artifacts / "few-prompts" / "pistachio"
    with FileLock(str(demo_artifacts / "few-prompts.lock")):
        shutil.copytree(PERSONA, folder, dirs_exist_ok=True)
        prompts = (PERSONA / "prompts.toml").read_text(encoding="utf-8")
        blocks = re.findall(r"\[\[b\]\]\n.*?(?=\n\[\[|\Z)", prompts, flags=re.DOTALL)[:8]
        (folder / "prompts.toml").write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
        persona = (PERSONA / "persona.toml").read_text(encoding="utf-8")
        (folder / "persona.toml").write_text(re.sub(r"(?m)^b = .*$", "b = [100, 101, 102]", persona), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def gate(demo_artifacts):
    """Run ``lifeos gate release --json`` and return its exit status and its answer."""

    def run(history, *arguments):
        command = [sys.executable, "-m", "lifeos", "gate", "release", "--json", "--history", str(history),
                   "--artifacts", str(demo_artifacts), *map(str, arguments)]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stdout.strip(), done.stderr
        return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def good_lora(demo_artifacts, testrun_uid):
    """The LoRA of the persona's recipe, trained once for all workers, on one thread: the other core is another's."""
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train_once import train_once

    recipe = load_recipe(PERSONA / "recipe.toml").model_copy(update={"threads": 1})
    return train_once(recipe, demo_artifacts, attempt=testrun_uid).path
