"""What fairseq-train lacks where machines fail: whole checkpoints, one training in a folder, a good end.

fairseq copies `checkpoint_last.pt` over the old one in place, so that a kill in between leaves neither; where a write
fails, it writes again behind what it has written; SIGTERM loses all since the last checkpoint; and several processes
cannot go on from one. It has no hooks for this: the plugin takes the places of two functions that write, and wraps
four that training calls (and one that launches it: spawned.py).
"""

import math
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.data import iterators
from fairseq.file_io import PathManager

from nmt_plugin.same_training import check_same_training
from shared.errors import UserError, exit_on_user_error, lost_worker
from shared.files import atomic_path
from shared.locks import lock_folder
from shared.ranks import leave_group_at_exit
from shared.sigterm import STATUS, Sigterm

_SHOWN = 200  # letters of torch's own words
_READING_SECONDS = 1.0  # more than it takes to put a batch together


def write_whole_checkpoints() -> None:
    """Let fairseq write and copy local checkpoints beside their names, synced and renamed once they are whole.

    A disk without room ends in one line and status 2, with the checkpoint that was there as it was.
    """
    save, copy = checkpoint_utils.torch_persistent_save, PathManager.copy

    def save_whole(state: Any, filename: str, async_write: bool = False) -> None:
        if async_write or PathManager.path_requires_pathmanager(filename):
            save(state, filename, async_write=async_write)
            return
        with exit_on_user_error(), atomic_path(filename) as beside, beside.open("wb") as file:
            torch.save(state, file)

    def copy_whole(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
        if any(map(PathManager.path_requires_pathmanager, (src_path, dst_path))):
            return copy(src_path, dst_path, overwrite)
        with exit_on_user_error(), atomic_path(dst_path) as beside:
            shutil.copyfile(src_path, beside)
        return dst_path

    checkpoint_utils.torch_persistent_save = save_whole
    PathManager.copy = staticmethod(copy_whole)


def watch_training() -> None:
    """Let a training of this process lock its folder before it reads what is there, which must be its own, and end as
    `_Loop` says.

    Each of several processes reads the checkpoint itself: the first would send it to the others as a pickle of
    OmegaConf objects, which torch refuses since 2.6.
    """
    load, verify = checkpoint_utils.load_checkpoint, checkpoint_utils.verify_checkpoint_directory

    def verify_checkpoint_directory(save_dir: str) -> None:
        with exit_on_user_error():
            try:
                verify(save_dir)
            except OSError as error:
                raise UserError(
                    f"--save-dir {save_dir} cannot be written ({error.strerror}); name a folder that you may write"
                ) from None

    def load_checkpoint(cfg: Any, trainer: Any, **others: Any) -> Any:
        if trainer.data_parallel_world_size > 1:
            leave_group_at_exit()
        if trainer.should_save_checkpoint_on_current_rank and not cfg.no_save:
            with exit_on_user_error():
                lock_folder(Path(cfg.save_dir), "training in")  # to the end of the process
        with exit_on_user_error():
            check_same_training(cfg, trainer)
        _forget(checkpoint_utils.save_checkpoint)
        for name in ("fairseq_cli.train", "__main__"):  # the second: python -m fairseq_cli.train
            module = sys.modules.get(name)
            found = getattr(module, "validate_and_save", None)
            if module is None or found is None:
                continue
            _forget(module.should_stop_early)
            if not isinstance(getattr(found, "__self__", None), _Loop):  # a sweep trains again
                _Loop(module)
        if trainer.data_parallel_world_size > 1:
            trainer.cfg.checkpoint.load_checkpoint_on_all_dp_ranks = True
        with exit_on_user_error():
            try:
                return load(cfg, trainer, **others)
            except Exception as error:
                if told := _does_not_fit(error):
                    raise told from None
                raise

    checkpoint_utils.load_checkpoint = load_checkpoint
    checkpoint_utils.verify_checkpoint_directory = verify_checkpoint_directory


def _does_not_fit(error: Exception) -> UserError | None:
    """What to tell the user where fairseq met weights of another size or kind of model; else None."""
    said = " ".join(str(error).split())
    if not said.startswith("Cannot load model parameters"):
        return None
    reason = " ".join(str(error.__context__).split())[:_SHOWN]
    return UserError(f"{said} ({reason})")


def _forget(function: Callable[..., Any]) -> None:
    """Drop the best score and the patience used up, which fairseq keeps as attributes of two functions.

    Hydra's basic launcher runs the jobs of a sweep in one process; each has its own best, or that of its checkpoint.
    """
    for name in ("best", "num_runs"):
        vars(function).pop(name, None)


class _Loop:
    """fairseq's `train` (an epoch) and, of it, `validate_and_save` (after each update), in place of their module's own.

    SIGTERM lets the update at work, and the validation or checkpoint that is due after it, come to their end; then
    `checkpoint_last.pt` is written and the process exits with 143, as do the others of a distributed training. What no
    update can mend, a lost data loader or gradients that are not finite, ends in one line and status 2.
    """

    def __init__(self, module: ModuleType) -> None:
        self._sigterm = Sigterm()
        self._train: Callable[..., Any] = module.train
        self._validate_and_save: Callable[..., Any] = module.validate_and_save
        module.train, module.validate_and_save = self.train, self.validate_and_save  # type: ignore[attr-defined]
        self._sigterm.watch()

    def train(self, cfg: Any, trainer: Any, *arguments: Any) -> Any:
        """fairseq's own, with failures in one line; nothing once --max-update is reached."""
        if trainer.get_num_updates() >= (cfg.optimization.max_update or math.inf):
            return [None], True
        try:
            with exit_on_user_error():
                try:
                    return self._train(cfg, trainer, *arguments)
                except Exception as error:
                    if told := _diverged(error) or lost_worker(error):
                        raise told from None
                    raise
        except SystemExit:
            _let_reading_end()
            raise

    def validate_and_save(self, cfg: Any, trainer: Any, task: Any, epoch_itr: Any, *arguments: Any) -> Any:
        """fairseq's own; then, where SIGTERM has come, a checkpoint unless that wrote one, and the end."""
        before = _written(cfg)
        losses, should_stop = self._validate_and_save(cfg, trainer, task, epoch_itr, *arguments)
        if not should_stop and self._sigterm.has_come(trainer.device):
            if _written(cfg) == before:
                checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
            then = "call it again to go on"
            if cfg.checkpoint.no_save or cfg.checkpoint.no_last_checkpoints:
                then = "without a checkpoint_last.pt (--no-save, --no-last-checkpoints), so another call begins anew"
            self._sigterm.has_come(trainer.device)  # to meet: what launched them may end all once one has exited
            print(f"stopped by SIGTERM after update {trainer.get_num_updates()}: {then}", flush=True)
            raise SystemExit(STATUS)
        return losses, should_stop


def _let_reading_end() -> None:
    """Wait for fairseq's daemon thread that reads batches ahead: an exit while it is in C++ would abort the process."""
    for thread in threading.enumerate():
        if isinstance(thread, iterators.BackgroundConsumer):
            thread.join(_READING_SECONDS)  # it may also wait for ever, for somebody to take its batches; it can be left


def _diverged(error: BaseException | None) -> UserError | None:
    """What to tell the user where fairseq met gradients that are not finite; else None.

    It then looks for the layer that they come from, which on today's torch fails with an error of its own.
    """
    while error is not None and not isinstance(error, FloatingPointError):
        error = error.__context__
    if error is None:
        return None
    reason = str(error).strip().partition("\n")[0]
    return UserError(
        f"{reason}: training has diverged, and this update was not made; crash.pt is of the one before it; try a "
        "smaller --lr or --clip-norm 1, and look whether the teacher's outputs are finite"
    )


def _written(cfg: Any) -> int:
    """When `checkpoint_last.pt` was written; 0: there is none."""
    path = Path(cfg.checkpoint.save_dir) / "checkpoint_last.pt"
    return path.stat().st_mtime_ns if path.exists() else 0
