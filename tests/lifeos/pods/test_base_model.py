import json
import logging

import pytest

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.pods import base_model
from lifeos.pods.base_model import (
    GIB,
    HubProblemError,
    HubRepository,
    HubUnreachableError,
    HuggingFaceHub,
    base_verdict,
    folder_base,
    loaded_bytes,
    named_bases,
    storage,
)
from lifeos.pods.spec import load_pod
from lifeos.settings import project_root

A40 = load_pod("a40")
NAME = "hub:somebody/sd15"
FILES = {"model_index.json": 500, "unet/diffusion_pytorch_model.safetensors": 3 * GIB, "unet/config.json": 700}


class Hub:
    """A hub that knows one repository."""

    def __init__(self, repository=None, token=False, problem=None, access=None):
        self.known, self.token, self.problem, self.access = repository, token, problem, access
        self.asked = []

    def has_token(self):
        return self.token

    def repository(self, name, revision):
        self.asked.append((name, revision))
        if self.problem is not None:
            raise self.problem
        return self.known

    def check_access(self, name):
        self.asked.append(name)
        if self.access is not None:
            raise self.access


class SilentHub:
    """A hub that must not be asked."""

    def __getattr__(self, name):
        raise AssertionError(name)


def judged(bases, hub=None, pod=A40):
    return base_verdict(lambda: list(bases), lambda: pod, hub or SilentHub())


def make_base(folder):
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text("{}", encoding="utf-8")
    (folder / "unet" / "model.safetensors").write_bytes(b"x" * 1000)
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "Unet"], "safety_checker": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def test_the_demo_base_is_here_and_fits():
    bases = named_bases(read_inputs({}))
    assert bases == [project_root() / "models" / "tiny-base"]
    verdict = judged(bases)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.value < 0.1
    assert "the volume of pod a40" in verdict.reason


def test_a_recipe_may_name_the_hub(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'base = "{NAME}@main"\ndataset = "dataset"\ntrigger = "pstch"\nfamily = "sd15"\nsteps = 1\n', encoding="utf-8"
    )
    bases = named_bases(read_inputs({"recipe": path}))
    assert bases[0] == f"{NAME}@main"
    hub = Hub(HubRepository(False, FILES))
    assert judged(bases[:1], hub).outcome is Outcome.PASSED
    assert hub.asked == [("somebody/sd15", "main")]


def test_finished_images_load_no_base(tmp_path):
    assert named_bases(read_inputs({"images": tmp_path})) == []
    assert judged([]).outcome is Outcome.PASSED


def test_a_recipe_whose_folder_is_nowhere_is_not_evaluated(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('base = "models/none"\ndataset = "d"\ntrigger = "x"\nsteps = 1\n', encoding="utf-8")
    verdict = base_verdict(lambda: named_bases(read_inputs({"recipe": path})), lambda: A40, SilentHub())
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "models/none" in verdict.reason


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda base: (base / "model_index.json").unlink(), "model_index.json"),
        (lambda base: (base / "model_index.json").write_text("[", encoding="utf-8"), "model_index.json"),
        (lambda base: (base / "model_index.json").write_text("[]", encoding="utf-8"), "model_index.json"),
        (lambda base: [path.unlink() for path in (base / "unet").iterdir()], "component unet"),
        (lambda base: (base / "unet" / "model.safetensors").unlink(), "safetensors weights"),
        (
            lambda base: (base / "unet" / "model.safetensors").write_text(
                "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", encoding="utf-8"
            ),
            "git-lfs pointer",
        ),
    ],
)
def test_a_folder_that_is_not_whole_fails(tmp_path, damage, says):
    base = make_base(tmp_path / "base ä")
    assert folder_base(base).size > 1000
    damage(base)
    verdict = judged([base])
    assert verdict.outcome is Outcome.FAILED
    assert says in verdict.reason


def test_a_repository_without_a_licence_needs_no_token():
    assert judged([NAME], Hub(HubRepository(False, FILES))).outcome is Outcome.PASSED


def test_a_gated_repository_needs_a_token_that_opens_it():
    gated = HubRepository(True, FILES)
    without = judged([NAME], Hub(gated))
    assert without.outcome is Outcome.FAILED
    assert "set HF_TOKEN" in without.reason
    refused = judged([NAME], Hub(gated, token=True, access=HubProblemError("accept the licence")))
    assert refused.outcome is Outcome.FAILED
    allowed = judged([NAME], Hub(gated, token=True))
    assert allowed.outcome is Outcome.PASSED
    assert "set HF_TOKEN on the pod too" in allowed.reason
    offline = judged([NAME], Hub(gated, token=True, access=HubUnreachableError("ConnectError")))
    assert offline.outcome is Outcome.NOT_EVALUATED


def test_without_a_network_nothing_is_decided():
    verdict = judged([NAME], Hub(problem=HubUnreachableError("ConnectError")))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "next: run again with a network" in verdict.reason


def test_a_repository_that_is_not_there_fails():
    verdict = judged([NAME], Hub(problem=HubProblemError("somebody/sd15: no such repository")))
    assert verdict.outcome is Outcome.FAILED


@pytest.mark.parametrize("files", [{}, {"model.ckpt": GIB}, {"model_index.json": 5, "unet/model.bin": GIB}])
def test_a_repository_that_diffusers_cannot_load_fails(files):
    files = {name: size for name, size in files.items() if name != "model_index.json"}
    assert judged([NAME], Hub(HubRepository(False, files))).outcome is Outcome.FAILED


@pytest.mark.parametrize("name", ["hub:", "hub:a", "hub:a/b/c", "hub:../b", "hub:a/b@", "hub:a b/c"])
def test_a_name_that_is_none_is_not_asked_for(name):
    assert judged([name]).outcome is Outcome.FAILED


def test_it_must_fit_beside_everything_else():
    small = A40.model_copy(update={"volume_gib": 7.0})
    verdict = judged([NAME], Hub(HubRepository(False, FILES)), small)
    assert verdict.outcome is Outcome.FAILED
    assert "too little" in verdict.reason
    assert storage(A40) == (95.0, "the volume")
    assert storage(A40.model_copy(update={"volume_gib": 0.0})) == (33.0, "the disk")


def test_what_diffusers_does_not_load_is_not_counted():
    others = {
        "v1-5-pruned.safetensors": 7 * GIB, "unet/diffusion_pytorch_model.bin": 3 * GIB,
        "unet/diffusion_pytorch_model.fp16.safetensors": GIB, "unet/diffusion_pytorch_model.non_ema.safetensors": GIB,
        "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors": GIB, "README.md": 10,
    }  # fmt: skip
    assert loaded_bytes({**FILES, **others}) == loaded_bytes(FILES) == 3 * GIB + 1200


def test_a_pod_that_cannot_be_read_is_not_evaluated():
    def unknown():
        raise InputError("pod: accepted a40, got b")

    assert base_verdict(lambda: [], unknown, SilentHub()).outcome is Outcome.NOT_EVALUATED


class Response:
    """As much of an HTTP answer as the client's errors read."""

    status_code = 401
    headers: dict[str, str] = {}  # noqa: RUF012
    request = None


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        ("GatedRepoError", HubProblemError),
        ("RepositoryNotFoundError", HubProblemError),
        ("RevisionNotFoundError", HubProblemError),
        ("OfflineModeIsEnabled", HubUnreachableError),
    ],
)
def test_the_real_client_s_errors_are_sorted_and_say_no_secret(error, becomes, monkeypatch, caplog):
    from huggingface_hub import errors

    caplog.set_level(logging.DEBUG)
    kind = getattr(errors, error)

    def ask():
        raised = kind.__new__(kind)
        raised.args = ("https://hub/api Authorization: Bearer hf_secret",)
        raise raised

    with pytest.raises(becomes) as caught:
        HuggingFaceHub()._ask(ask, "somebody/sd15")
    assert "hf_secret" not in str(caught.value)
    assert "hf_secret" not in caplog.text
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert HuggingFaceHub().has_token()


def test_the_real_client_offline_is_not_evaluated(monkeypatch):
    def no_network(*_, **__):
        raise OSError("hf_secret: no route to host")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", no_network)
    verdict = judged([NAME], HuggingFaceHub())
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "hf_secret" not in verdict.reason
    assert base_model.HUB_PREFIX == "hub:"
