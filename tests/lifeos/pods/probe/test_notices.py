"""Which lines matter: as libraries wrote them, and what must not be mistaken for them."""

import pytest

from lifeos.pods.probe.notices import all_notices, blocking_notice, told_notices

SEEN = {
    "xformers-torch-abi-mismatch": "WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions. xFormers was "
    "built for:",
    "ort-cuda-provider-absent": "UserWarning: Specified provider 'CUDAExecutionProvider' is not in available provider "
    "names.Available providers: 'AzureExecutionProvider, CPUExecutionProvider'",
    "ort-cuda-major-mismatch-silent-cpu": "[W:onnxruntime:Default, onnxruntime_pybind_state.cc:965 "
    "CreateExecutionProviderInstance] Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 12.*",
    "bnb-no-binary-for-cuda": "UserWarning: The installed version of bitsandbytes was compiled without GPU support. "
    "8-bit optimizers, 8-bit multiplication, and GPU quantization are unavailable.",
    "driver-too-old-for-wheel": "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found "
    "version 11040).",
    "cuda-error-804-consumer-gpu": "Error 804: forward compatibility was attempted on non supported HW",
    "torch-lacks-gpu-architecture": "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the "
    "current PyTorch installation.",
    "numpy2-abi-1x-wheel": "A module that was compiled using NumPy 1.x cannot be run in",  # and breaks the line
    "ort-pip-cudnn-not-on-path": "Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: "
    "cannot open shared object file: No such file or directory",
    "ort-uninstall-one-breaks-both": "AttributeError: module 'onnxruntime' has no attribute 'InferenceSession'",
    "opencv-libgl-missing": "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
    "torchvision-nms": "RuntimeError: operator torchvision::nms does not exist",
    "xformers-no-operator": "NotImplementedError: No operator found for `memory_efficient_attention_forward` with "
    "inputs:",
    "transformers-without-torch": "Disabling PyTorch because PyTorch >= 2.6 is required but found 2.4.1",
    "insightface-providers-not-passed": "Applied providers: ['CPUExecutionProvider'], with options: "
    "{'CPUExecutionProvider': {}}",
    "random-weights-after-load": "Some weights of CLIPTextModel were not initialized from the model checkpoint",
}
HARMLESS = (
    "[transformers] `CLIPImageProcessor` requires torchvision (not installed); falling back to `CLIPImageProcessorPil`",
    "FutureWarning: The configuration file of this scheduler: DDPMScheduler is outdated",
    "Writing model shards: 100%|##########| 1/1 [00:00<00:00, 459.75it/s]",
    "Applied providers: ['CUDAExecutionProvider', 'CPUExecutionProvider'], with options: {}",
)


def test_every_row_is_seen_as_a_library_wrote_it():
    assert {notice.id for notice in all_notices()} == set(SEEN)
    for row, text in SEEN.items():
        found = blocking_notice(["import went well", text])
        assert found is not None
        assert (found[0].id, found[1]) == (row, text)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_does_not_block(text):
    assert blocking_notice([text]) is None


def test_only_warnings_are_told():
    assert told_notices([]) == ""
    assert told_notices([HARMLESS[2]]) == ""
    assert told_notices([HARMLESS[1]]).startswith("1 unlisted warning, first: FutureWarning")
    assert told_notices([HARMLESS[1], "UserWarning: x"]).startswith("2 unlisted warnings")
