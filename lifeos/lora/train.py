"""Training a LoRA: the same inputs give the same bytes, also across a kill at any moment."""

import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes, write_json
from evals.content_hash import hash_bytes, hash_file
from lifeos.errors import InputError
from lifeos.lora.checkpoint import Checkpoint, load_newest_checkpoint, remove_checkpoints, save_checkpoint
from lifeos.lora.conditioning import Conditioning, prepare_conditioning
from lifeos.lora.families import Family, get_family
from lifeos.lora.families.library_imports import import_libraries
from lifeos.lora.lora_metadata import lora_metadata
from lifeos.lora.loss_scale import LossScale
from lifeos.lora.optimizer import build_optimizer, learning_rate_factor, learning_rates, parameter_groups
from lifeos.lora.placement import Placement, compiling, place
from lifeos.lora.recipe import Recipe
from lifeos.lora.safetensors_file import encode
from lifeos.lora.shortages import disk_told, memory_told
from lifeos.lora.training_inputs import TrainingInputs, derived_seed, read_inputs
from lifeos.lora.training_log import LogEntry, TrainingLog, prodigy_d, require_healthy
from lifeos.lora.watching import Ending, Watcher
from lifeos.progress import Progress, silent

RESULT_NAME = "result.json"
FINISHED_NAME = "lora.safetensors"
_FILE_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


@dataclass(frozen=True)
class TrainingResult:
    """A finished LoRA.

    Args:
        path: the file.
        sha256: of its bytes.
        key: training key: recipe, dataset and base in one hash.
        base_hash, dataset_hash, recipe_hash: the parts of it.
        steps: optimizer steps of the whole run, done.
        resumed_from: steps that were not repeated because a checkpoint held them.
        final_loss: mean training loss of the last tenth of the steps this process ran; None when it ran none.
        seconds: wall time of the process that finished the run.
        reused: True when this call trained nothing.
        kept_step: after how many of the steps the file lay there; None: after the last.
        stopped: why a watcher ended the run or kept an earlier step; None where it did neither.
    """

    path: Path
    sha256: str
    key: str
    base_hash: str
    dataset_hash: str
    recipe_hash: str
    steps: int
    resumed_from: int
    final_loss: float | None
    seconds: float
    reused: bool
    kept_step: int | None = None
    stopped: str | None = None


def train_lora(
    recipe: Recipe, out: Path, run_folder: Path, progress: Progress = silent, date: str | None = None, *,
    watcher: Watcher | None = None,
) -> TrainingResult:  # fmt: skip
    """Train a LoRA in this process and write it to ``out``.

    Args:
        recipe: what to train.
        out: file to write, ``.safetensors``; what ``save_every`` keeps lies beside it as ``STEM-step-00000100``.
        run_folder: where checkpoints, cached latents and the finished copy lie; a second call with the same inputs and
            folder trains nothing.
        progress: called with ("latents" | "training", done, total).
        date: ISO 8601 date to record; None records none.
        watcher: looks on while a run is trained, and may end it; a finished one is not looked at again.

    Raises:
        InputError: dataset, base, family or device cannot be used, a caption is too long, the loss is not finite,
            memory or disk run out, or what the watcher raises.
    """
    out, run_folder = Path(out), Path(run_folder)
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: accepted a file name ending in .safetensors, got {out.suffix!r}; next: rename OUT")
    inputs = read_inputs(recipe, None if watcher is None else watcher.identity)
    done = finished_result(run_folder, inputs)
    with disk_told(run_folder, run_folder):
        run_folder.mkdir(parents=True, exist_ok=True)
        if done is None or date is not None:
            done = _run(inputs, run_folder, progress, date, watcher)
    hand_out(done, recipe, out)
    return replace(done, path=out)


def hand_out(done: TrainingResult, recipe: Recipe, out: Path) -> list[Path]:
    """Write a finished LoRA to ``out``, and beside it what ``save_every`` kept, whose paths are returned.

    Raises:
        InputError: there is no room for it.
    """
    if out.resolve() == done.path.resolve():
        return []
    steps = {out.with_name(f"{out.stem}-{step_name(step)}"): step for step in saved_steps(recipe, done.steps)}
    with disk_told(out.parent, done.path.parent, f"the finished LoRA is whole at {done.path}"):
        write_bytes(out, done.path.read_bytes())
        for path, step in steps.items():
            write_bytes(path, done.path.with_name(step_name(step)).read_bytes())
    return list(steps)


def step_name(step: int) -> str:
    """Return the name of the LoRA that ``save_every`` keeps after ``step`` steps; beside OUT, its stem comes first."""
    return f"step-{step:08d}.safetensors"


def saved_steps(recipe: Recipe, done: int | None = None) -> range:
    """Return after which steps ``save_every`` keeps a LoRA, the finished one apart; ``done``: of a run that ended."""
    end = recipe.steps if done is None else done
    return range(0) if recipe.save_every is None else range(recipe.save_every, end, recipe.save_every)


def finished_result(run_folder: Path, inputs: TrainingInputs) -> TrainingResult | None:
    """Return the result that lies in a run folder when it belongs to these inputs and its file is whole."""
    try:
        stored = json.loads((Path(run_folder) / RESULT_NAME).read_text(encoding="utf-8"))
        path = Path(run_folder) / FINISHED_NAME
        if stored["key"] != inputs.key or hash_file(path) != stored["sha256"]:
            return None
        kept = saved_steps(inputs.recipe, stored["steps"])
        if not all((Path(run_folder) / step_name(step)).is_file() for step in kept):
            return None
        return TrainingResult(**{**stored, "path": path, "reused": True})
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Let torch use ``threads`` CPU threads inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(
    inputs: TrainingInputs, run_folder: Path, progress: Progress, date: str | None, watcher: Watcher | None
) -> TrainingResult:
    started = time.monotonic()
    import_libraries()
    recipe, family = inputs.recipe, get_family(inputs.recipe.family)
    with limited_threads(recipe.effective_threads):
        with memory_told(recipe, run_folder, "while the base was loaded and the dataset encoded", "encoding"):
            placement = place(recipe)
            components = family.load(recipe.base, placement.load_dtype)
            family.place_autoencoder(components, placement.device)
            family.place_text_encoders(components, placement.device)
            conditioning = prepare_conditioning(inputs, family, components, run_folder, progress)
            if placement.offload and recipe.caches_latents:
                family.place_autoencoder(components, "cpu")
            if placement.offload and recipe.caches_text:
                family.place_text_encoders(components, "cpu")
            placement.release()
        with memory_told(recipe, run_folder, "before the first step", "training"):
            run = _prepare(inputs, family, components, conditioning, placement)
        resumed_from, losses, ending = _optimise(run, run_folder, date, progress, watcher)
    data = _encode_file(run, date, recipe.steps) if ending is None else ending.lora
    path = run_folder / FINISHED_NAME
    write_bytes(path, data)
    tail = losses[-max(1, recipe.steps // 10):]
    result = TrainingResult(
        path=path, sha256=hash_bytes(data), key=inputs.key, base_hash=inputs.base_hash,
        dataset_hash=inputs.dataset_hash, recipe_hash=recipe.content_hash, steps=resumed_from + len(losses),
        resumed_from=resumed_from, final_loss=sum(tail) / len(tail) if tail else None,
        seconds=time.monotonic() - started, reused=False, kept_step=None if ending is None else ending.step,
        stopped=None if ending is None else ending.reason,
    )
    # Last: a run without it is unfinished and goes on from its checkpoint.
    write_json(run_folder / RESULT_NAME, {**asdict(result), "path": FINISHED_NAME})
    remove_checkpoints(run_folder / "checkpoints")
    if watcher is not None:
        watcher.close()
    return result


@dataclass(frozen=True)
class _Run:
    inputs: TrainingInputs
    family: Family
    components: Any
    conditioning: Conditioning
    parameters: dict[str, Any]
    optimizer: Any
    average: dict[str, Any]
    placement: Placement
    loss_scale: LossScale | None


def _prepare(
    inputs: TrainingInputs, family: Family, components: Any, conditioning: Conditioning, placement: Placement
) -> _Run:
    recipe = inputs.recipe
    family.prepare_training(components, placement.dtype, recipe.channels_last, device=placement.device,
                            checkpointing=recipe.gradient_checkpointing, text_encoders=recipe.train_text_encoder,
                            attention=recipe.attention)  # fmt: skip
    parameters = family.add_lora(components, rank=recipe.rank, alpha=recipe.effective_alpha, preset=recipe.targets,
                                 seed=derived_seed(recipe.seed, "initial"), text_encoders=recipe.train_text_encoder,
                                 dora=recipe.dora)
    if recipe.full_float16:
        for parameter in parameters.values():
            parameter.data = parameter.data.half()
    if recipe.compile:
        # In place: a wrapper would put "_orig_mod." into every name.
        getattr(components, family.lora_components[0]).compile()
    groups = parameter_groups(recipe.optimizer, parameters, family.text_components)
    optimizer = build_optimizer(recipe.optimizer, groups, placement.device, family.keeps_rounding)
    average = {}
    if recipe.ema is not None:
        average = {name: each.detach().float().clone() for name, each in parameters.items()}
    loss_scale = LossScale() if placement.dtype == "float16" else None
    return _Run(inputs, family, components, conditioning, parameters, optimizer, average, placement, loss_scale)


def _optimise(
    run: _Run, folder: Path, date: str | None, progress: Progress, watcher: Watcher | None
) -> tuple[int, list[float], Ending | None]:
    recipe, key = run.inputs.recipe, run.inputs.key
    first_d = prodigy_d(run.optimizer)
    start = _resume(folder, key, run, watcher)
    log, losses = TrainingLog(folder, start), []
    if watcher is not None:
        watcher.begin(folder, start)
    progress("training", start, recipe.steps)
    for step in range(start, recipe.steps):
        where = f"at step {step + 1} of {recipe.steps}"
        with memory_told(recipe, folder, where, "training"), compiling(recipe.compile):
            entry = _step(run, step)
        log.add(entry)
        require_healthy(entry, recipe, first_d)
        losses.append(entry.loss)
        progress("training", step + 1, recipe.steps)
        done, ended = step + 1, step + 1 == recipe.steps
        if recipe.save_every is not None and done % recipe.save_every == 0 and not ended:
            write_bytes(folder / step_name(done), _encode_file(run, date, done))
        # Before the checkpoint: whoever resumes from it finds every look that lies behind it.
        encode = partial(_encode_file, run, date, done)
        if watcher is not None and (ending := watcher.after(done, encode)) is not None:
            return start, losses, ending
        if done % recipe.checkpoint_every == 0 and not ended:
            state = run.optimizer.state_dict()
            scale = {} if run.loss_scale is None else run.loss_scale.state()
            save_checkpoint(folder / "checkpoints", Checkpoint(key, done, run.parameters, state, run.average, scale))
    return start, losses, None


def _resume(folder: Path, key: str, run: _Run, watcher: Watcher | None) -> int:
    import torch

    checkpoint = load_newest_checkpoint(folder / "checkpoints", key)
    if checkpoint is None or (watcher is not None and not watcher.holds(folder, checkpoint.step)):
        return 0
    passed = [step for step in saved_steps(run.inputs.recipe) if step <= checkpoint.step]
    if not all((folder / step_name(step)).is_file() for step in passed):
        # save_every came or changed since: what it asks for lies behind this checkpoint.
        return 0
    with torch.no_grad():
        for name, parameter in run.parameters.items():
            parameter.copy_(checkpoint.parameters[name])
        for name, mean in run.average.items():
            mean.copy_(checkpoint.average[name])
    run.optimizer.load_state_dict(dict(checkpoint.optimizer))
    if run.loss_scale is not None:
        run.loss_scale.resume(checkpoint.loss_scale)
    return checkpoint.step


def _step(run: _Run, step: int) -> LogEntry:
    import torch

    started, recipe, optimizer = time.monotonic(), run.inputs.recipe, run.optimizer
    factor = learning_rate_factor(recipe.optimizer, step, recipe.steps)
    for group, rate in zip(optimizer.param_groups, learning_rates(recipe.optimizer), strict=True):
        group["lr"] = rate * factor
    losses = _gradients(run, step)
    limit = math.inf if recipe.gradient_clip is None else recipe.gradient_clip
    gradient_norm = torch.nn.utils.clip_grad_norm_(run.parameters.values(), limit)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if recipe.ema is not None:
        for name, mean in run.average.items():
            mean.lerp_(run.parameters[name].detach().float(), 1.0 - recipe.ema.decay)
    weight_norm = run.placement.norm([each.detach() for each in run.parameters.values()])
    # Fetched together and last: each number that is asked for earlier lets a GPU run out of work.
    numbers = torch.stack([each.double() for each in (*losses, gradient_norm, weight_norm)]).cpu()
    *means, of_gradient, of_weights = (float(each) for each in numbers)
    return LogEntry(step + 1, sum(means) / len(means), optimizer.param_groups[0]["lr"], of_gradient, of_weights,
                    prodigy_d(optimizer), time.monotonic() - started)


def _gradients(run: _Run, step: int) -> list[Any]:
    """Leave the mean gradient of a step's batches on the parameters; returns the batches' losses, on the device."""
    recipe, scale = run.inputs.recipe, run.loss_scale
    place_in_run = f"at step {step + 1} of {recipe.steps} (known failure loss-nan-run-completes)"
    while True:
        losses = []
        for batch in range(step * recipe.gradient_accumulation, (step + 1) * recipe.gradient_accumulation):
            loss = _batch_loss(run, batch)
            losses.append(loss.detach())
            loss = loss / recipe.gradient_accumulation
            (loss if scale is None else loss * scale.factor).backward()
        if scale is None:
            return losses
        bad = next((loss for loss in map(float, losses) if not math.isfinite(loss)), None)
        if bad is not None:
            # No smaller scale would mend it. Without one ``require_healthy`` finds it after the step.
            raise InputError(f"training: accepted a finite loss, got {bad} {place_in_run}; next: lower "
                             "optimizer.learning_rate or use dtype = \"float32\" in the recipe")
        if scale.restore(run.parameters.values()):
            return losses
        if scale.factor < 1.0:
            raise InputError(f"training: accepted gradients that float16 holds, got an overflow without any loss scale "
                             f"{place_in_run}; next: dtype = \"bfloat16\" or \"float32\" in the recipe")
        # Every draw is a function of the step, so the same step is computed again.
        run.optimizer.zero_grad(set_to_none=True)


def _batch_loss(run: _Run, number: int) -> Any:
    import torch

    recipe, family, placement = run.inputs.recipe, run.family, run.placement
    batch = run.conditioning.batch(number)
    generator = torch.Generator().manual_seed(derived_seed(recipe.seed, "step", number))
    latents = batch.latents
    noise = torch.randn(latents.shape, generator=generator)
    timesteps = family.draw_timesteps(run.components, len(latents), tuple(latents.shape[1:]), generator,
                                      recipe.timestep_sampling, recipe.discrete_flow_shift)
    dropped = torch.rand(len(latents), generator=generator) < recipe.caption_dropout
    # Encoders that learn compute as the denoiser does, others as they do where their text is kept.
    with placement.autocast() if recipe.train_text_encoder else contextlib.nullcontext():
        text = run.conditioning.captions.of(batch.batch, dropped.tolist())
    if recipe.noise_offset > 0.0:
        # https://www.crosslabs.org/blog/diffusion-with-offset-noise: one number a channel, so that its mean can move.
        noise = noise + recipe.noise_offset * torch.randn((*latents.shape[:2], 1, 1), generator=generator)
    drawn = {"latents": latents, "noise": noise, "timesteps": timesteps, "weight": batch.weight}
    with placement.autocast():
        losses = family.loss(run.components, text=placement.bring(text), **placement.bring(drawn),
                             gamma=recipe.min_snr_gamma if family.weighs_by_snr else None)
        return batch.scale * losses.mean()


def _encode_file(run: _Run, date: str | None, steps: int) -> bytes:
    inputs, weights = run.inputs, run.average or run.parameters
    dtype = _FILE_DTYPES[inputs.recipe.save_dtype]
    arrays = {name: each.detach().float().cpu().contiguous().numpy() for name, each in weights.items()}
    bad = [name for name, array in arrays.items() if not math.isfinite(float(abs(array).max()))]
    if bad:
        raise InputError(f"training: accepted finite weights, got NaN or infinity in {bad[0]}; "
                         "next: lower optimizer.learning_rate in the recipe")
    try:
        metadata = lora_metadata(inputs, run.family, date, steps)
        return encode({name: (dtype, array) for name, array in arrays.items()}, metadata)
    except ValueError as error:
        raise InputError(f"training: {error}; next: set save_dtype = \"float32\" in the recipe") from error
