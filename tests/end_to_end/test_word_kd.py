"""word_kd in fairseq's own commands with a live teacher: what must train alike, validation, a Hydra sweep."""

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import torch

from nmt_plugin.checkpoints import read_checkpoint
from tests.end_to_end.fairseq_runs import assert_same_weights, away, last_line, trained, updates, valid, weights

pytestmark = pytest.mark.e2e

Command = Callable[..., "CompletedProcess[str]"]


def test_validation_finds_a_teacher_that_has_moved(fork: Command, corpus: Path, teacher: Path, student: Path) -> None:
    validate = (
        *("fairseq-validate", corpus / "data-bin", "--user-dir", "nmt_plugin", "--task", "translation"),
        *("--path", student / "checkpoint_last.pt", "--max-tokens", "1000", "--log-format", "json"),
    )
    with away(teacher):
        assert "no such checkpoint" in last_line(fork(*validate))
        moved = teacher.with_name(f"{teacher.name}-away") / "checkpoint_last.pt"
        checked = fork(*validate, "--model-overrides", f"{{'teacher': '{moved}'}}")
    assert valid(trained(checked))["valid_kd_loss"] > 0


def test_a_student_that_starts_as_its_teacher_stays_it(train: Command, teacher: Path, tmp_path: Path) -> None:
    """kd_weight 1, T = 1: the loss is 0 in every update, and no weight moves."""
    checkpoint = teacher / "checkpoint_last.pt"
    flags = ("--criterion", "word_kd", "--teacher", checkpoint, "--kd-weight", "1", "--temperature", "1")
    done = trained(train(tmp_path, *flags, "--finetune-from-model", checkpoint, "--dropout", "0", "--max-update", "6"))
    assert [update["loss"] for update in updates(done)] == [0.0] * 6
    assert valid(done)["valid_kd_loss"] == 0.0
    assert_same_weights(tmp_path, teacher)


def test_weight_zero_trains_to_the_bits_of_smoothed_cross_entropy(
    train: Command, teacher: Path, tmp_path: Path
) -> None:
    """The teacher's own training, over again with a teacher that has no say."""
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", "--kd-weight", "0")
    trained(train(tmp_path, *flags, "--label-smoothing", "0.1", "--temperature", "3"))
    assert_same_weights(tmp_path, teacher)


def test_a_fused_head_trains_alike(train: Command, teacher: Path, tmp_path: Path) -> None:
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", "--temperature", "2")
    logs = [trained(train(tmp_path / name, *flags, *more)) for name, more in (("a", ()), ("b", ("--fused-head",)))]
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=0, atol=1e-4, msg=name)
    first, second = (valid(log) for log in logs)
    for key in ("valid_loss", "valid_kd_loss", "valid_teacher_entropy", "valid_agreement"):
        assert float(second[key]) == pytest.approx(float(first[key]), abs=2e-3), key


def test_a_training_that_is_scored_by_bleu_goes_on_and_teaches(train: Command, teacher: Path, tmp_path: Path) -> None:
    """fairseq's own recipe for IWSLT; the checkpoints hold the counts of the last BLEU."""
    bleu = ("--eval-bleu", "--eval-bleu-args", '{"beam": 1, "max_len_b": 5}', "--best-checkpoint-metric", "bleu")
    flags = ("--criterion", "word_kd", "--teacher", teacher / "checkpoint_last.pt", *bleu, "--max-update")
    trained(train(tmp_path / "scored", *flags, "1"))
    trained(train(tmp_path / "scored", *flags, "2"))
    taught = ("--criterion", "word_kd", "--teacher", tmp_path / "scored" / "checkpoint_last.pt", "--max-update", "1")
    trained(train(tmp_path / "taught", *taught))


def test_a_refusal_while_batches_are_read_ahead_is_one_line(
    run: Command, corpus: Path, teacher: Path, tmp_path: Path
) -> None:
    """With --num-workers 0 a thread puts them together; an exit in the midst of it would abort the process."""
    cache = tmp_path / "cache"
    words = ("-m", "nmt_plugin.cache", "--teacher", teacher / "checkpoint_last.pt", "--data", corpus / "data-bin")
    trained(run(sys.executable, *words, "--topk", "4", "--split", "valid", "--output", cache))
    flags = ("--optimizer", "adam", "--max-tokens", "1000", "--num-workers", "0", "--save-dir", tmp_path / "student")
    for _ in range(2):
        done = run(
            *(
                "fairseq-train",
                corpus / "data-bin",
                "--user-dir",
                "nmt_plugin",
                "--arch",
                "transformer_iwslt_de_en_tiny",
            ),
            *("--criterion", "word_kd", "--teacher-cache", cache, "--share-all-embeddings", *flags),
        )
        assert "holds no train split" in last_line(done)


def test_a_teacher_with_an_adaptive_softmax(fork: Command, train: Command, corpus: Path, tmp_path: Path) -> None:
    """Its log-probabilities are logits too; it is trained by fairseq's own criterion, without shared embeddings."""
    teacher = tmp_path / "teacher" / "checkpoint_last.pt"
    adaptive = ("--adaptive-softmax-cutoff", "100,300", "--max-update", "1")
    trained(
        fork(
            *("fairseq-train", corpus / "data-bin", "--user-dir", "nmt_plugin", "--save-dir", teacher.parent),
            *("--criterion", "adaptive_loss", "--ddp-backend", "legacy_ddp", *adaptive),
            *("--arch", "transformer_iwslt_de_en_tiny", "--optimizer", "adam", "--max-tokens", "1000"),
        )
    )
    distil = ("--criterion", "word_kd", "--teacher", teacher)
    done = trained(train(tmp_path / "student", *distil, "--max-update", "2"))
    assert valid(done)["valid_kd_loss"] > 0
    refused = train(tmp_path / "other", *distil, *adaptive)
    assert "leave --adaptive-softmax-cutoff out" in last_line(refused)


def test_smoothed_cross_entropy_trains_as_fairseqs_criterion_at_the_stated_epsilon(
    train: Command, teacher: Path, tmp_path: Path
) -> None:
    """alpha of the teacher's training is 0.1; V entries."""
    ours = weights(teacher)
    entries = len(ours["decoder.embed_tokens.weight"])
    flags = ("--criterion", "label_smoothed_cross_entropy", "--label-smoothing", 0.1 * (entries - 1) / entries)
    trained(train(tmp_path, *flags))
    for name, weight in weights(tmp_path).items():
        torch.testing.assert_close(weight, ours[name], rtol=0, atol=1e-4)


def test_a_hydra_sweep_trains_a_student_for_each_temperature(
    fork: Command, corpus: Path, teacher: Path, tmp_path: Path
) -> None:
    """Whole numbers, as one types them, and the folders that the head of the file promises.

    The losses of these rise from job to job; each job keeps its own best.
    """
    trained(
        fork(
            *("fairseq-hydra-train", "--config-dir", "nmt_plugin/conf", "--config-name", "word_kd", "-m"),
            *("criterion.temperature=64,3,2,1", f"task.data={corpus / 'data-bin'}"),
            *(f"criterion.teacher={teacher / 'checkpoint_last.pt'}", "optimization.max_update=2"),
            *(f"checkpoint.save_dir={tmp_path}/${{hydra:job.override_dirname}}", f"hydra.sweep.dir={tmp_path}/logs"),
        )
    )
    folders = [tmp_path / f"criterion.temperature={t},optimization.max_update=2" for t in (1, 2, 3, 64)]
    assert {path for path in tmp_path.iterdir() if path.name != "logs"} == set(folders)
    states = [read_checkpoint(str(folder / "checkpoint_last.pt")) for folder in folders]
    assert [state["cfg"]["criterion"]["temperature"] for state in states] == [1, 2, 3, 64]
    assert [state["optimizer_history"][-1]["num_updates"] for state in states] == [2] * 4
    kept = [read_checkpoint(str(folder / "checkpoint_best.pt"))["extra_state"] for folder in folders]
    assert all(state["best"] == state["val_loss"] for state in kept)
    tables = [state["model"]["decoder.embed_tokens.weight"] for state in states]
    assert not any(torch.equal(tables[0], table) for table in tables[1:])
