"""The process that launches the others: it hands SIGTERM on to them and ends with their status."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fairseq.distributed import utils
from torch.multiprocessing.spawn import ProcessExitedException

from nmt_plugin.spawned import watch_spawned

Launch = Callable[..., Any]


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Launch:
    """`launch(work, ...)`: the plugin's `call_main` around `work`; settings of distributed_training may be given."""

    def run(work: Callable[[], Any], **settings: Any) -> Any:
        training = {"distributed_init_method": "file://x", "distributed_no_spawn": False, "tpu": False} | settings
        with monkeypatch.context() as patch:
            patch.setattr(utils, "call_main", lambda cfg, main, **others: work())
            watch_spawned()
            return utils.call_main(SimpleNamespace(distributed_training=SimpleNamespace(**training)), None)

    return run


def exited(code: int) -> Callable[[], None]:
    def wait() -> None:
        raise ProcessExitedException("process 1 terminated", 1, 7, code)

    return wait


@pytest.mark.parametrize(("code", "status"), [(2, 2), (143, 143), (-signal.SIGTERM, 143)])
def test_it_ends_with_the_status_of_a_process(launch: Launch, code: int, status: int) -> None:
    with pytest.raises(SystemExit) as stopped:
        launch(exited(code))
    assert stopped.value.code == status


def test_a_process_that_was_killed_is_an_error(launch: Launch) -> None:
    with pytest.raises(ProcessExitedException):
        launch(exited(-signal.SIGKILL))


def test_sigterm_goes_on_to_them(launch: Launch) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> set[int | None]:
        processes = [multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,)) for _ in range(2)]
        for process in processes:
            process.start()
        os.kill(os.getpid(), signal.SIGTERM)
        for process in processes:
            process.join(30)
        return {process.exitcode for process in processes}

    assert launch(work) == {-signal.SIGTERM}
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "settings", [{"distributed_no_spawn": True}, {"distributed_init_method": None, "distributed_world_size": 1}]
)
def test_a_process_that_trains_itself_is_left_alone(launch: Launch, settings: dict[str, Any]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    settings = {"pipeline_model_parallel": False} | settings
    assert launch(lambda: signal.getsignal(signal.SIGTERM), **settings) is before
