"""What the block leaves behind: nothing."""

import subprocess
import sys

from lifeos.settings import project_root

SCRIPT = """
import warnings
warnings.filterwarnings("ignore")
import torch
own = {name: getattr(torch.nn.init, name) for name in dir(torch.nn.init)}
from lifeos.pods.vram.cuda_semantics import cuda_semantics
with cuda_semantics(lambda _: None, lambda _: None):
    import diffusers.models.modeling_utils, transformers.initialization
kept = [*diffusers.models.modeling_utils.TORCH_INIT_FUNCTIONS.items(),
        *transformers.initialization.TORCH_INIT_FUNCTIONS.items()]
assert len(kept) > 10, kept
wrong = [name for name, function in kept if function is not own[name]]
assert not wrong, wrong
assert all(getattr(torch.nn.init, name) is function for name, function in own.items())
"""


def test_libraries_first_imported_in_the_block_keep_torchs_own_initialisation():
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
