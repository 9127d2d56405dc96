"""Oracles: fairseq's own criterion, and the distillation loss written out in float64 token by token."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.logging import metrics
from omegaconf import OmegaConf

import nmt_plugin
from nmt_plugin.criterions import SmoothedCrossEntropyCriterion, WordKDCriterion
from nmt_plugin.criterions.smoothed_cross_entropy import SmoothedCrossEntropyConfig
from nmt_plugin.criterions.word_kd import WordKDConfig
from shared.errors import UserError

LENGTHS = [(5, 3, 1), (4, 4), (7,)]


def plain(tiny: ModuleType, alpha: float = 0.1, **options: Any) -> SmoothedCrossEntropyCriterion:
    return SmoothedCrossEntropyCriterion(tiny.task(), alpha, **options)


@pytest.fixture
def distilling(tiny: ModuleType, data: Path, tmp_path: Path) -> Any:
    """`distilling(temperature=..., kd_weight=...)`: the criterion with a saved teacher, and that teacher."""
    teacher = tiny.model(tiny.task(), seed=1)
    checkpoint = tiny.save_checkpoint(tmp_path / "teacher.pt", teacher, {"_name": "cross_entropy"}, data)

    def make(temperature: float = 2.0, kd_weight: float = 0.9, alpha: float = 0.1, **options: Any) -> WordKDCriterion:
        options = {"teacher": str(checkpoint), "temperature": temperature, "kd_weight": kd_weight, **options}
        return WordKDCriterion(tiny.task(data), alpha, **options)

    return make, teacher.eval()


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.3])
def test_smoothed_cross_entropy_is_fairseqs_at_the_stated_epsilon(
    tiny: ModuleType, alpha: float, lengths: tuple[int, ...]
) -> None:
    task, entries = tiny.task(), tiny.ENTRIES
    model, sample = tiny.model(task), tiny.batch(task, lengths)
    theirs = LabelSmoothedCrossEntropyCriterion(task, False, alpha * (entries - 1) / entries)
    ours, size, log = plain(tiny, alpha)(model, sample)
    expected, their_size, their_log = theirs(model, sample)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(log["nll_loss"], their_log["nll_loss"])
    assert size == their_size == sum(lengths)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize(("temperature", "kd_weight"), [(1.0, 1.0), (2.0, 0.9), (64.0, 0.5), (3.0, 0.0)])
def test_word_kd_token_by_token(
    tiny: ModuleType, distilling: Any, temperature: float, kd_weight: float, lengths: tuple[int, ...]
) -> None:
    make, teacher = distilling
    task = tiny.task()
    student, sample = tiny.model(task, seed=2), tiny.batch(task, lengths)
    loss, _, log = make(temperature, kd_weight)(student, sample)
    z_s = student(**sample["net_input"])[0].double()
    z_t = teacher(**sample["net_input"])[0].double()
    kd = hard = 0.0
    for row, length in enumerate(lengths):
        for position in range(length):
            p = torch.softmax(z_t[row, position] / temperature, 0)
            q = torch.softmax(z_s[row, position] / temperature, 0)
            kd += temperature**2 * (p * (p / q).log()).sum().item()
            log_p = torch.log_softmax(z_s[row, position], 0)
            gold = sample["target"][row, position]
            hard -= 0.9 * log_p[gold].item() + 0.1 * log_p.mean().item()
    assert loss.item() == pytest.approx(kd_weight * kd + (1 - kd_weight) * hard, rel=1e-3, abs=1e-4)
    if kd_weight:
        assert log["kd_loss"].item() == pytest.approx(kd, rel=1e-3, abs=1e-4)


def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient(tiny: ModuleType, distilling: Any) -> None:
    make, teacher = distilling
    student = tiny.model(tiny.task(), seed=1)
    student.load_state_dict(teacher.state_dict())
    loss, _, _ = make(temperature=1.0, kd_weight=1.0)(student, tiny.batch(tiny.task()))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert max(p.grad.abs().max().item() for p in student.parameters() if p.grad is not None) < 1e-5


def test_weight_zero_is_smoothed_cross_entropy_to_the_bit(tiny: ModuleType, distilling: Any) -> None:
    make, _ = distilling
    student, sample = tiny.model(tiny.task()), tiny.batch(tiny.task())
    assert torch.equal(make(kd_weight=0.0)(student, sample)[0], plain(tiny)(student, sample)[0])


def test_padding_and_batching_do_not_change_the_sum(tiny: ModuleType, distilling: Any) -> None:
    """One padded batch of two sentences equals the two sentences alone: what --update-freq relies on."""
    make, _ = distilling
    criterion, student = make(), tiny.model(tiny.task()).eval()
    whole = tiny.batch(tiny.task(), (6, 2))
    parts = []
    for row, length in enumerate((6, 2)):
        one = {key: value[row : row + 1] for key, value in whole["net_input"].items()}
        one["prev_output_tokens"] = one["prev_output_tokens"][:, :length]
        parts.append({"net_input": one, "target": whole["target"][row : row + 1, :length], "ntokens": length})
    total = criterion(student, whole)[0].item()
    assert sum(criterion(student, part)[0].item() for part in parts) == pytest.approx(total, rel=1e-5)


def test_an_ignored_prefix_counts_nothing(tiny: ModuleType, distilling: Any) -> None:
    make, _ = distilling
    student, sample = tiny.model(tiny.task()).eval(), tiny.batch(tiny.task(), (6, 4))
    padded = {**sample, "target": sample["target"].clone()}
    padded["target"][:, :2] = tiny.task().target_dictionary.pad()
    with_prefix = make(ignore_prefix_size=2)(student, sample)[0]
    torch.testing.assert_close(with_prefix, make()(student, padded)[0])


def test_bits_per_token_leave_out_the_ignored_prefix(tiny: ModuleType) -> None:
    """Both averages are over 4 + 2 counted tokens, not over the 10 of the batch."""
    sample = tiny.batch(tiny.task(), (6, 4))
    _, _, log = plain(tiny, ignore_prefix_size=2)(tiny.model(tiny.task()).eval(), sample)
    with metrics.aggregate() as aggregated:
        SmoothedCrossEntropyCriterion.reduce_metrics([log])
    bits = log["nll_loss"].item() / 6 / math.log(2)
    assert aggregated.get_smoothed_values()["nll_loss"] == pytest.approx(bits, abs=1e-3)


def test_a_forgotten_teacher_is_named(tiny: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    config = OmegaConf.structured(WordKDConfig(sentence_avg=False))
    with pytest.raises(SystemExit) as stopped:
        WordKDCriterion.build_criterion(config, tiny.task())
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().err == "error: word_kd needs a teacher, one of: --teacher CHECKPOINT, --teacher-cache DIR "
        "(criterion.teacher, criterion.teacher_cache in YAML)\n"
    )


def test_sentence_average_divides_by_sentences(tiny: ModuleType) -> None:
    _, size, _ = plain(tiny, sentence_avg=True)(tiny.model(tiny.task()), tiny.batch(tiny.task(), (5, 3, 1)))
    assert size == 3


def test_the_teacher_is_no_part_of_the_criterion(tiny: ModuleType, distilling: Any) -> None:
    make, _ = distilling
    criterion, student = make(), tiny.model(tiny.task())
    loss, _, _ = criterion(student, tiny.batch(tiny.task()))
    loss.backward()
    assert list(criterion.parameters()) == []
    assert criterion.state_dict() == {}
    (teacher,) = criterion.teacher.models
    assert not teacher.training
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert not criterion.teacher.logits(tiny.batch(tiny.task())).requires_grad


def test_logs_are_bits_per_token(tiny: ModuleType, distilling: Any) -> None:
    """Two workers' sums; the hand-computed averages over all their tokens."""
    make, _ = distilling
    logs = [make(kd_weight=1.0)(tiny.model(tiny.task()), tiny.batch(tiny.task(), n))[2] for n in ((5, 3), (2,))]
    with metrics.aggregate() as aggregated:
        WordKDCriterion.reduce_metrics(logs)
    values = aggregated.get_smoothed_values()
    nll = sum(log["nll_loss"].item() for log in logs) / 10 / math.log(2)
    kd = sum(log["kd_loss"].item() for log in logs) / 10 / math.log(2)
    assert values["nll_loss"] == pytest.approx(nll, abs=1e-3)
    assert values["kd_loss"] == values["loss"] == pytest.approx(kd, abs=1e-3)
    assert values["ppl"] == pytest.approx(2**nll, rel=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": -1.0}, "above 0"),
        ({"kd_weight": 1.5}, "--kd-weight is 1.5"),
        ({"alpha": 1.0}, "alpha (label smoothing) is 1.0"),
        ({"ignore_prefix_size": -1}, "--ignore-prefix-size is -1"),
    ],
)
def test_bad_settings_are_refused(distilling: Any, options: dict[str, float], message: str) -> None:
    make, _ = distilling
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "word_kd needs a teacher, one of: --teacher CHECKPOINT, --teacher-cache DIR"),
        ({"teacher": "BOTH", "teacher_cache": "4"}, "word_kd needs a teacher, one of"),
        ({"teacher": "BOTH", "topk_policy": "renormalize"}, "--topk-policy renormalize is for --teacher-cache"),
        (
            {"teacher_cache": "4", "teacher_dtype": "bf16"},
            "--teacher-dtype bf16 is for --teacher; a cache is in the type",
        ),
        ({"teacher_cache": "4", "kd_loss": "dist"}, r"--kd-loss dist needs every class; .* keeps 4 of 20"),
        (
            {"teacher_cache": "4", "temperature": 0.9},
            r"temperature is 0\.9; .* keeps 4 of 20 classes and serves T >= 1",
        ),
    ],
)
def test_a_teacher_that_cannot_serve_is_refused(
    tiny: ModuleType,
    make_cache: Callable[..., Path],
    teachers: list[Path],
    data_bin: Path,
    options: dict[str, Any],
    message: str,
) -> None:
    options = dict(options)
    if "teacher" in options:
        options["teacher"] = str(teachers[0])
    if "teacher_cache" in options:
        options["teacher_cache"] = str(make_cache("--topk", options["teacher_cache"]))
    with pytest.raises(UserError, match=message):
        WordKDCriterion(tiny.task(data_bin), 0.0, **options)


def test_what_a_cache_of_the_top_k_does_serve(
    tiny: ModuleType, make_cache: Callable[..., Path], data_bin: Path
) -> None:
    """T below 1 where the tail is left out; everything at K = V."""
    task = tiny.task(data_bin)
    sample, student = tiny.loaded_batch(task, [0, 1]), tiny.model(task)
    some, every = str(make_cache("--topk", "4")), str(make_cache("--topk", "all", output="every"))
    for options in (
        {"teacher_cache": some, "temperature": 0.5, "topk_policy": "renormalize"},
        {"teacher_cache": every, "temperature": 0.5},
        {"teacher_cache": every, "kd_loss": "dist"},
    ):
        loss, _, log = WordKDCriterion(task, 0.0, **options)(student, sample)
        assert loss.item() > 0
        assert ("retained" in log) == (options["teacher_cache"] == some)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_dist_in_the_criterion_is_the_mean_of_correlations(
    tiny: ModuleType, distilling: Any, temperature: float
) -> None:
    """numpy's correlation of every row and of every column; a sum over tokens, so that fairseq divides by them."""
    make, teacher = distilling
    sample, student = tiny.batch(tiny.task(), (6, 2)), tiny.model(tiny.task(), seed=2)
    counted = (sample["target"] != 1).numpy()

    def soft(model: Any) -> "np.ndarray[Any, Any]":
        logits = model(**sample["net_input"])[0].detach().double().numpy()[counted] / temperature
        return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)

    p, q = soft(student), soft(teacher)
    rows = [np.corrcoef(p[i], q[i])[0, 1] for i in range(len(p))]
    columns = [np.corrcoef(p[:, j], q[:, j])[0, 1] for j in range(p.shape[1])]
    scalar = temperature**2 * (2 - np.mean(rows) - np.mean(columns))
    loss, size, log = make(temperature, kd_weight=1.0, kd_loss="dist")(student, sample)
    assert loss.item() / size == pytest.approx(scalar, rel=1e-3)
    assert log["kd_loss"].item() == pytest.approx(loss.item())
    mixed, _, log = make(temperature, kd_weight=0.25, kd_loss="dist", alpha=0.0)(student, sample)
    assert mixed.item() == pytest.approx(0.25 * 8 * scalar + 0.75 * log["nll_loss"].item(), rel=1e-3)


def test_the_log_says_what_the_teacher_says(tiny: ModuleType, make_cache: Callable[..., Path], data_bin: Path) -> None:
    """Two workers' batches, of 4 and 2 sentences; every figure by hand over all their tokens, one prefix token less."""
    task, student = tiny.task(data_bin), tiny.model(tiny.task(), seed=3).eval()
    teacher = tiny.model(tiny.task(), seed=1).eval()
    criterion = WordKDCriterion(
        task, 0.0, teacher_cache=str(make_cache("--topk", "4")), kd_weight=1.0, ignore_prefix_size=1
    )
    samples = [tiny.loaded_batch(task, ids) for ids in ([0, 3, 5, 9], [1, 2])]
    logs = [criterion(student, sample)[2] for sample in samples]
    tokens, nll, entropy, agreement, retained = 0, 0.0, 0.0, 0, 0.0
    for sample in samples:
        z_t, z_s = (model(**sample["net_input"])[0].detach().double() for model in (teacher, student))
        for row, column in (sample["target"] != task.target_dictionary.pad()).nonzero().tolist():
            if column == 0:
                continue
            p = np.exp(z_t[row, column].numpy())
            p /= p.sum()
            tokens += 1
            nll -= np.log2(p[sample["target"][row, column]])
            entropy -= (p * np.log2(p)).sum()
            agreement += int(p.argmax() == z_s[row, column].argmax())
            retained += np.sort(p)[-4:].sum()
    with metrics.aggregate() as aggregated:
        WordKDCriterion.reduce_metrics(logs)
    values = aggregated.get_smoothed_values()
    assert values["teacher_nll"] == pytest.approx(nll / tokens, abs=2e-3)
    assert values["teacher_entropy"] == pytest.approx(entropy / tokens, abs=2e-3)
    assert values["agreement"] == pytest.approx(agreement / tokens, abs=1e-4)
    assert values["retained"] == pytest.approx(retained / tokens, abs=1e-3)


def test_a_live_teacher_logs_no_retained_mass(tiny: ModuleType, distilling: Any) -> None:
    make, teacher = distilling
    _, _, log = make(kd_weight=1.0)(teacher, tiny.batch(tiny.task()))
    with metrics.aggregate() as aggregated:
        WordKDCriterion.reduce_metrics([log])
    values = aggregated.get_smoothed_values()
    assert values["agreement"] == 1.0
    assert values["teacher_nll"] == values["nll_loss"]
    assert "retained" not in values


def test_building_a_criterion_with_a_mistake_exits_with_status_2(
    tiny: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SmoothedCrossEntropyConfig(label_smoothing=2.0, sentence_avg=False)
    with pytest.raises(SystemExit) as stopped:
        SmoothedCrossEntropyCriterion.build_criterion(config, tiny.task())
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: alpha")


def test_the_plugin_registers_both_criteria() -> None:
    from fairseq.criterions import CRITERION_REGISTRY

    assert nmt_plugin.criterions
    assert CRITERION_REGISTRY["word_kd"] is WordKDCriterion
    assert CRITERION_REGISTRY["smoothed_cross_entropy"] is SmoothedCrossEntropyCriterion


def test_an_interval_in_which_nothing_counts_logs_nothing(tiny: ModuleType, distilling: Any) -> None:
    """A prefix longer than every sentence: no average to give, and no division by zero."""
    make, _ = distilling
    _, _, log = make(ignore_prefix_size=9)(tiny.model(tiny.task()), tiny.batch(tiny.task(), (4, 2)))
    with metrics.aggregate() as aggregated:
        WordKDCriterion.reduce_metrics([log])
    assert "nll_loss" not in aggregated.get_smoothed_values()


def test_loading_the_teacher_leaves_the_students_dropout_alone(tiny: ModuleType, distilling: Any) -> None:
    make, _ = distilling
    student, sample = tiny.model(tiny.task()), tiny.batch(tiny.task())
    torch.manual_seed(5)
    make()(student, sample)
    after_loading = torch.rand(1)
    torch.manual_seed(5)
    make(kd_weight=0.0)(student, sample)
    assert torch.equal(after_loading, torch.rand(1))


def test_a_teacher_of_an_unknown_criterion_teaches_but_is_not_recorded(
    tiny: ModuleType, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task(), seed=1), {"_name": "ctc"}, data)
    task = tiny.task(data)
    loss, _, _ = WordKDCriterion(task, 0.0, teacher=str(checkpoint))(tiny.model(task), tiny.batch(task))
    assert loss.item() > 0
    assert "cannot be recorded by nmt_plugin.evaluate: trained with the criterion 'ctc'" in caplog.text
    assert task.state_dict() == {}
