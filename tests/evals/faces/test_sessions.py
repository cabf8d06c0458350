import pytest

from evals.errors import InputError
from evals.faces import open_backend
from evals.faces.sessions import open_session


class FakeSession:
    """A session that fell back to the CPU, as onnxruntime does without a word when CUDA's libraries are missing."""

    def __init__(self, model, options, providers):
        self.asked = providers

    def get_providers(self):
        return ["CPUExecutionProvider"]


def test_cuda_that_is_offered_but_does_not_load_is_refused(monkeypatch):
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    with pytest.raises(InputError, match="accepted a loaded CUDAExecutionProvider"):
        open_session(b"", "m.onnx", "cuda")
    session = open_session(b"", "m.onnx", "auto")
    assert session.asked[0][0] == "CUDAExecutionProvider"


def test_cpu_is_never_asked_for_cuda(monkeypatch):
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    assert open_session(b"", "m.onnx", "cpu").asked == ["CPUExecutionProvider"]


def test_auto_says_where_it_runs(face_models):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime offers CUDA")
    assert open_backend("yunet_sface", face_models, provider="auto").provider == "cpu"
    with pytest.raises(InputError, match="provider cuda"):
        open_backend("yunet_sface", face_models, provider="cuda")


@pytest.mark.parametrize("arguments", [{"provider": "tpu"}, {"threads": 0}])
def test_wrong_arguments_are_refused_before_the_model_is_read(arguments):
    with pytest.raises(InputError, match="accepted"):
        open_session(b"", "m.onnx", **arguments)


def test_a_model_that_does_not_open_is_refused():
    with pytest.raises(InputError, match=r"m\.onnx: accepted a model"):
        open_session(b"nonsense", "m.onnx")
