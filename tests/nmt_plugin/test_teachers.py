"""Live and cached teachers: what they answer, and what they refuse. Oracles: numpy, and the live teacher."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from nmt_plugin.criterions import WordKDCriterion
from nmt_plugin.teachers.cached import CachedTeacher
from nmt_plugin.teachers.live import LiveTeacher
from shared.errors import UserError
from shared.losses import Head, TopK, head_terms, top_k, topk_kd_loss

MakeCache = Callable[..., Path]


def softmax(logits: torch.Tensor) -> "np.ndarray[Any, Any]":
    powers = np.exp(logits.detach().double().numpy())
    return powers / powers.sum(axis=-1, keepdims=True)


def saved_models(tiny: ModuleType) -> list[Any]:
    """What the fixture `teachers` saved."""
    return [tiny.model(tiny.task(), seed).eval() for seed in (1, 2)]


def counted_in(tiny: ModuleType, sample: dict[str, Any]) -> torch.Tensor:
    return sample["target"] != tiny.dictionary().pad()


def test_an_ensemble_is_the_log_of_the_mean_probability(tiny: ModuleType, teachers: list[Path]) -> None:
    sample = tiny.batch(tiny.task())
    counted = counted_in(tiny, sample)
    answer = LiveTeacher(":".join(map(str, teachers)), tiny.task())(sample, counted)
    mean = np.mean([softmax(m(**sample["net_input"])[0][counted]) for m in saved_models(tiny)], axis=0)
    np.testing.assert_allclose(answer.distribution, np.log(mean), atol=1e-5)
    np.testing.assert_array_equal(answer.top1, mean.argmax(axis=-1))
    gold = mean[np.arange(len(mean)), sample["target"][counted]]
    assert answer.nll.item() == pytest.approx(-np.log(gold).sum(), rel=1e-5)
    assert answer.entropy.item() == pytest.approx(-(mean * np.log(mean)).sum(), rel=1e-5)
    assert answer.retained is None


def test_one_checkpoint_gives_its_own_logits(tiny: ModuleType, teachers: list[Path]) -> None:
    sample = tiny.batch(tiny.task())
    answer = LiveTeacher(str(teachers[1]), tiny.task()).logits(sample)
    torch.testing.assert_close(answer, saved_models(tiny)[1](**sample["net_input"])[0].detach())


def test_a_checkpoint_named_twice_is_refused(tiny: ModuleType, teachers: list[Path]) -> None:
    other_name = teachers[0].parent / ".." / teachers[0].parent.name / teachers[0].name
    for twice in (f"{teachers[0]}:{teachers[0]}", f"{teachers[0]}:{other_name}"):
        with pytest.raises(UserError, match="names a checkpoint twice"):
            LiveTeacher(twice, tiny.task())


@pytest.mark.parametrize(("name", "dtype", "error"), [("fp16", torch.float16, 5e-3), ("bf16", torch.bfloat16, 5e-2)])
def test_a_teacher_in_half_precision(
    tiny: ModuleType, teachers: list[Path], name: str, dtype: torch.dtype, error: float
) -> None:
    sample = tiny.batch(tiny.task())
    teacher = LiveTeacher(str(teachers[0]), tiny.task(), name)
    half, full = teacher.logits(sample), LiveTeacher(str(teachers[0]), tiny.task()).logits(sample)
    assert {p.dtype for model in teacher.models for p in model.parameters()} == {half.dtype} == {dtype}
    assert 0 < (half.float() - full).abs().max() < error * full.abs().max()
    both = LiveTeacher(":".join(map(str, teachers)), tiny.task(), name).logits(sample)
    assert both.dtype == torch.float32  # the mean of probabilities is taken in fp32
    torch.testing.assert_close(both.exp().sum(dim=-1), torch.ones(both.shape[:-1]))


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_a_teacher_keeps_its_precision_in_the_autocast_of_its_student(
    tiny: ModuleType, teachers: list[Path], name: str
) -> None:
    """fairseq runs the criterion in it too in training with --amp, though not in validation."""
    sample = tiny.batch(tiny.task())
    teacher = LiveTeacher(str(teachers[0]), tiny.task(), name)
    target = sample["target"]

    def seen() -> list[torch.Tensor]:
        head = teacher.head(sample)
        student = Head(torch.ones(*target.shape, 4), torch.ones(len(head.weight), 4))
        terms = head_terms(student, head, target, temperature=1.0)
        return [teacher.logits(sample), head.hidden, terms.teacher_nll, terms.teacher_entropy]

    alone = seen()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = seen()
    for one, other in zip(alone, within, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(("temperature", "prefix"), [(0.5, 0), (1.0, 2), (64.0, 0)])
def test_a_cache_of_every_class_is_the_live_teacher(
    tiny: ModuleType,
    make_cache: MakeCache,
    teachers: list[Path],
    data_bin: Path,
    temperature: float,
    prefix: int,
) -> None:
    """Value, log and the gradient of every student parameter; in batches that the cache was not written in."""
    folder = make_cache("--topk", "all", "--dtype", "fp32")
    task = tiny.task(data_bin)
    common = {"temperature": temperature, "kd_weight": 1.0, "ignore_prefix_size": prefix}
    live = WordKDCriterion(task, 0.0, teacher=str(teachers[0]), **common)
    cached = WordKDCriterion(task, 0.0, teacher_cache=str(folder), **common)
    for ids in ([7, 0, 3, 11], [5]):
        sample = tiny.loaded_batch(task, ids)
        gradients, logs = [], []
        for criterion in (live, cached):
            student = tiny.model(task, seed=3)
            loss, _, log = criterion(student, sample)
            loss.backward()
            gradients.append({name: p.grad for name, p in student.named_parameters()})
            logs.append(log)
        assert gradients[0]["decoder.embed_tokens.weight"].abs().max() > 1e-3
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)
        assert logs[0].keys() == logs[1].keys()
        for key in logs[0]:
            assert float(logs[1][key]) == pytest.approx(float(logs[0][key]), rel=1e-4, abs=1e-4), key


@pytest.mark.parametrize(("policy", "temperature"), [("tail", 1.0), ("tail", 64.0), ("renormalize", 2.0)])
def test_a_cache_of_the_top_k_is_the_live_teachers_top_k(
    tiny: ModuleType, make_cache: MakeCache, teachers: list[Path], data_bin: Path, policy: str, temperature: float
) -> None:
    """Up to fp16, in which its logits are stored."""
    folder, task = make_cache("--topk", "4"), tiny.task(data_bin)
    sample = tiny.loaded_batch(task, [7, 0, 3, 11])
    counted, student = counted_in(tiny, sample), tiny.model(task, seed=3)
    criterion = WordKDCriterion(
        task, 0.0, teacher_cache=str(folder), temperature=temperature, kd_weight=1.0, topk_policy=policy
    )
    logits = student(**sample["net_input"])[0][counted]
    teacher = LiveTeacher(str(teachers[0]), task).logits(sample)[counted]
    expected = topk_kd_loss(logits, top_k(teacher, 4), temperature, policy=policy)
    loss, _, log = criterion(student, sample)
    assert loss.item() == pytest.approx(expected.item(), rel=2e-3)
    ours = torch.autograd.grad(loss, tiny.own_parameters(student))
    theirs = torch.autograd.grad(expected, tiny.own_parameters(student))
    largest = max(float(gradient.abs().max()) for gradient in theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3 * largest)
    top = np.sort(softmax(teacher), axis=-1)[:, -4:]
    assert float(log["retained"]) == pytest.approx(top.sum(), rel=1e-3)


def test_an_answer_does_not_depend_on_the_batch(tiny: ModuleType, make_cache: MakeCache, data_bin: Path) -> None:
    """Every sentence alone, then all together in another order: padded on the left and on the right."""
    task = tiny.task(data_bin)
    teacher = CachedTeacher(str(make_cache("--topk", "4")), task)
    together = tiny.loaded_batch(task, [9, 2, 5, 0, 11, 7])
    pad = tiny.dictionary().pad()
    assert (together["net_input"]["src_tokens"][:, 0] == pad).any()
    assert (together["target"][:, -1] == pad).any()
    whole = teacher(together, together["target"] != pad)
    parts = []
    for index in together["id"].tolist():
        one = tiny.loaded_batch(task, [index])
        parts.append(teacher(one, one["target"] != pad))
    assert isinstance(whole.distribution, TopK)
    assert torch.equal(whole.distribution.logits, torch.cat([part.distribution.logits for part in parts]))
    assert torch.equal(whole.top1, torch.cat([part.top1 for part in parts]))
    for name in ("nll", "entropy", "retained"):
        total = sum(float(getattr(part, name)) for part in parts)
        assert float(getattr(whole, name)) == pytest.approx(total, rel=1e-5)


def test_the_nll_and_entropy_of_a_cache_are_the_teachers_over_every_class(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path
) -> None:
    task = tiny.task(data_bin)
    sample = tiny.loaded_batch(task, [1, 4, 6])
    counted = counted_in(tiny, sample)
    answer = CachedTeacher(str(make_cache("--topk", "2")), task)(sample, counted)
    p = softmax(saved_models(tiny)[0](**sample["net_input"])[0][counted])
    gold = p[np.arange(len(p)), sample["target"][counted]]
    assert answer.nll.item() == pytest.approx(-np.log(gold).sum(), rel=1e-4)
    assert answer.entropy.item() == pytest.approx(-(p * np.log(p)).sum(), rel=1e-4)
    np.testing.assert_array_equal(answer.top1, p.argmax(axis=-1))


def test_data_with_one_token_changed_is_refused(tiny: ModuleType, make_cache: MakeCache, data_bin: Path) -> None:
    folder = make_cache("--topk", "4")
    pairs = tiny.sentences(12, seed=1)
    pairs[3][1][0] = 4 if pairs[3][1][0] != 4 else 5
    sizes = {path.name: path.stat().st_size for path in data_bin.iterdir()}
    tiny.write_split(data_bin, "train", pairs)
    assert {path.name: path.stat().st_size for path in data_bin.iterdir()} == sizes
    with pytest.raises(UserError, match=r"cache of other data: train\.en-de\.de\.bin in .* is not what its teacher"):
        CachedTeacher(str(folder), tiny.task(data_bin))


@pytest.mark.parametrize("side", ["src_tokens", "target"])
def test_a_batch_that_the_teacher_did_not_see_is_refused(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path, side: str
) -> None:
    task = tiny.task(data_bin)
    teacher = CachedTeacher(str(make_cache("--topk", "4")), task)
    sample = tiny.loaded_batch(task, [2, 8])
    tokens = sample["target"] if side == "target" else sample["net_input"][side]
    tokens[1, -1 if side == "src_tokens" else 0] = 17 if tokens[1, 0] != 17 else 18
    with pytest.raises(UserError, match="holds sentences that the teacher did not see in train or valid"):
        teacher(sample, counted_in(tiny, sample))


def test_another_dictionary_is_refused(tiny: ModuleType, make_cache: MakeCache, data_bin: Path) -> None:
    folder = make_cache("--topk", "4")
    with pytest.raises(UserError, match="its teacher has another source dictionary"):
        CachedTeacher(str(folder), tiny.task(data_bin, entries=21))


@pytest.mark.parametrize(("split", "name"), [("train", "tokens.bin"), ("valid", "sentences.bin")])
def test_a_truncated_cache_is_refused(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path, split: str, name: str
) -> None:
    path = make_cache("--topk", "4") / split / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{split}/{name} has [\d,]+ bytes, not [\d,]+: the cache is damaged"):
        CachedTeacher(str(path.parent.parent), tiny.task(data_bin))
    path.unlink()
    with pytest.raises(UserError, match="has 0 bytes"):
        CachedTeacher(str(path.parent.parent), tiny.task(data_bin))


def test_a_flipped_byte_is_refused_at_use(tiny: ModuleType, make_cache: MakeCache, data_bin: Path) -> None:
    folder, task = make_cache("--topk", "4"), tiny.task(data_bin)
    tokens = folder / "train" / "tokens.bin"
    content = bytearray(tokens.read_bytes())
    content[3] ^= 1  # in sentence 0
    tokens.write_bytes(content)
    teacher = CachedTeacher(str(folder), task)
    whole = tiny.loaded_batch(task, [1, 2])
    teacher(whole, counted_in(tiny, whole))
    damaged = tiny.loaded_batch(task, [1, 0])
    with pytest.raises(UserError, match=r"tokens\.bin: sentence 0 is damaged"):
        teacher(damaged, counted_in(tiny, damaged))


def test_a_manifest_that_is_none_is_refused(tiny: ModuleType, make_cache: MakeCache, data_bin: Path) -> None:
    folder, task = make_cache("--topk", "4"), tiny.task(data_bin)
    path = folder / "train" / "manifest.json"
    good = path.read_text()
    for content in (b"", b"no JSON", b"[]", b"{}", b"\xff\xfe", b'{"split": 3}', good[: len(good) // 2].encode()):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"train/manifest\.json: not the manifest of a teacher cache"):
            CachedTeacher(str(folder), task)
    for change in ({"dtype": "int8"}, {"k": 5}, {"k": 0}, {"k": 99}, {"tokens": 1_000_000}, {"files": {}}):
        path.write_text(json.dumps(json.loads(good) | change))
        with pytest.raises(UserError, match="its figures disagree"):
            CachedTeacher(str(folder), task)
    path.write_text(json.dumps(json.loads(good) | {"format": 2}))
    with pytest.raises(UserError, match="cache format 2; this version reads 1"):
        CachedTeacher(str(folder), task)


def test_a_folder_that_is_no_cache_is_refused(tiny: ModuleType, data_bin: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", data_bin):
        with pytest.raises(UserError, match="holds no teacher cache"):
            CachedTeacher(str(folder), tiny.task(data_bin))


def test_splits_must_be_alike(tiny: ModuleType, make_cache: MakeCache, teachers: list[Path], data_bin: Path) -> None:
    folder = make_cache("--topk", "4", "--split", "train")
    make_cache("--topk", "5", "--split", "valid")
    with pytest.raises(UserError, match="different teachers or different K"):
        CachedTeacher(str(folder), tiny.task(data_bin))
    make_cache("--topk", "4", "--split", "valid", "--fresh", "--teacher", str(teachers[1]))
    with pytest.raises(UserError, match="different teachers or different K"):
        CachedTeacher(str(folder), tiny.task(data_bin))
    make_cache("--topk", "4", "--split", "valid", "--fresh")
    assert CachedTeacher(str(folder), tiny.task(data_bin)).manifest.k == 4


def test_a_sentence_too_long_for_the_teacher_is_named_at_use(
    tiny: ModuleType, make_cache: MakeCache, data_bin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not pass for the validation sentence of the same number either."""
    pairs = tiny.sentences(12, seed=1)
    pairs[2] = ([5] * 70, [6])
    tiny.write_split(data_bin, "train", pairs)
    folder, task = make_cache("--topk", "4"), tiny.task(data_bin)
    assert "1 sentences too long for the teacher" in capsys.readouterr().out
    teacher = CachedTeacher(str(folder), task)
    for split, ids in (("train", [1, 3]), ("valid", [2])):
        sample = tiny.loaded_batch(task, ids, split)
        assert len(teacher(sample, counted_in(tiny, sample)).top1) == sample["ntokens"]
        teacher._latest = "train"
    sample = tiny.loaded_batch(task, [1, 2])
    with pytest.raises(UserError, match="train: sentence 2 was too long for the teacher; leave it out of training"):
        teacher(sample, counted_in(tiny, sample))
