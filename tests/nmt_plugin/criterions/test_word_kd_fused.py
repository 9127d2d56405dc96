"""word_kd over all logits in one go, in place where that is safe, and over heads: against the losses one by one."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from fairseq.models import build_model
from torch import nn

from nmt_plugin.criterions import word_kd
from nmt_plugin.last_layer import is_matrix_product
from shared.errors import UserError
from shared.losses import kd_loss, label_smoothing_terms
from tests.nmt_plugin.test_architectures import parse

# Decoders of fairseq that end in different ways.
ARCHITECTURES = {
    "transformer": ("transformer_iwslt_de_en_tiny",),
    "shared embeddings": ("transformer_iwslt_de_en_tiny", "--share-all-embeddings"),
    "recurrent": ("lstm_wiseman_iwslt_de_en",),
    "convolutional": ("fconv_iwslt_de_en",),
    "lightweight convolutions": ("lightconv_iwslt_de_en",),
}


def built(name: str, task: Any) -> nn.Module:
    """In eval mode: without dropout."""
    args = parse(*ARCHITECTURES[name])
    args.max_source_positions, args.max_target_positions, args.criterion = 64, 64, "word_kd"
    torch.manual_seed(3)
    return build_model(args, task).eval()


def gradients(model: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    loss.backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    for parameter in model.parameters():
        parameter.grad = None
    return found


def one_by_one(model: nn.Module, teacher: nn.Module, sample: dict[str, Any], pad: int, t: float) -> torch.Tensor:
    counted = sample["target"] != pad
    with torch.no_grad():
        given = teacher(**sample["net_input"])[0][counted]
    logits = model(**sample["net_input"])[0][counted]
    return 0.9 * kd_loss(logits, given, t) + 0.1 * label_smoothing_terms(logits, sample["target"][counted], 0.1).loss


def check_same(student: nn.Module, criterion: Callable[..., Any], expected: torch.Tensor, sample: Any) -> None:
    wanted = gradients(student, expected)
    loss, _, _ = criterion(student, sample)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    found = gradients(student, loss)
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_decoder_gets_the_same_gradient(
    name: str, tiny: ModuleType, distilling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the teacher's memory, and in the student's where that may be."""
    make, teacher = distilling
    task = tiny.task()
    student, sample = built(name, task), tiny.batch(task)
    expected = one_by_one(student, teacher, sample, task.target_dictionary.pad(), 2.0)
    check_same(student, make(2.0), expected, sample)
    monkeypatch.setattr(word_kd, "_spare", lambda student, _: "student" if is_matrix_product(student) else None)
    expected = one_by_one(student, teacher, sample, task.target_dictionary.pad(), 2.0)
    check_same(student, make(2.0), expected, sample)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("name", ["transformer", "shared embeddings"])
def test_heads_get_the_same_gradient(name: str, temperature: float, tiny: ModuleType, distilling: Any) -> None:
    make, teacher = distilling
    task = tiny.task()
    student, sample = built(name, task), tiny.batch(task)
    expected = one_by_one(student, teacher, sample, task.target_dictionary.pad(), temperature)
    check_same(student, make(temperature, fused_head=True), expected, sample)


def test_heads_and_logits_log_the_same(tiny: ModuleType, distilling: Any) -> None:
    make, _ = distilling
    student, sample = tiny.model(tiny.task(), seed=2), tiny.batch(tiny.task())
    one, other = (make(fused_head=value)(student, sample)[2] for value in (False, True))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert float(value) == pytest.approx(float(other[name]), rel=1e-5), name


@pytest.mark.parametrize(("teacher_dtype", "overwritten"), [("fp32", "teacher"), ("bf16", "student")])
def test_whose_logits_are_overwritten(
    teacher_dtype: str, overwritten: str, tiny: ModuleType, distilling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the tests of gradients here are of such. A teacher of another type has no room for the student's gradient."""
    make, _ = distilling
    real, asked = word_kd.fused_terms, []
    monkeypatch.setattr(word_kd, "fused_terms", lambda *a, **k: asked.append(k["overwrite"]) or real(*a, **k))
    student, sample = tiny.model(tiny.task(), seed=2), tiny.batch(tiny.task())
    make(teacher_dtype=teacher_dtype)(student, sample)[0].backward()
    assert asked == [overwritten]


def test_what_counts_as_a_matrix_product() -> None:
    hidden, layer = torch.randn(2, 3, 4, requires_grad=True), nn.Linear(4, 5, bias=False)
    assert is_matrix_product(layer(hidden))
    assert is_matrix_product(layer(hidden[0]))
    assert is_matrix_product(nn.Linear(4, 5)(hidden[0]))
    assert not is_matrix_product(layer(hidden).softmax(-1))  # keeps its result
    assert not is_matrix_product(layer(hidden)[0])  # a part of something
    assert not is_matrix_product(layer(hidden.detach()).detach())
    assert not is_matrix_product(layer.weight)


@pytest.mark.parametrize("name", ["recurrent", "convolutional"])
def test_a_decoder_without_a_plain_last_layer_is_refused(
    name: str, tiny: ModuleType, distilling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make, _ = distilling
    student = built(name, tiny.task())
    with pytest.raises(SystemExit) as stopped:
        make(fused_head=True)(student, tiny.batch(tiny.task()))
    assert stopped.value.code == 2
    assert "--fused-head: the student's decoder does not end in a plain linear layer" in capsys.readouterr().err


def test_ddp_that_looks_for_unused_parameters_is_refused(
    tiny: ModuleType, distilling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make, _ = distilling

    class Wrapper(nn.Module):
        find_unused_parameters = True

        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module
            self.decoder = module.decoder

    with pytest.raises(SystemExit) as stopped:
        make(fused_head=True)(Wrapper(built("transformer", tiny.task())), tiny.batch(tiny.task()))
    assert stopped.value.code == 2
    assert "--fused-head: not with --find-unused-parameters" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"kd_loss": "dist"}, {"kd_weight": 0.0}, {"teacher": "a.pt:b.pt"}])
def test_heads_are_for_one_live_teacher_and_kl(options: dict[str, Any], distilling: Any) -> None:
    make, _ = distilling
    with pytest.raises(UserError, match="--fused-head is for one live --teacher"):
        make(fused_head=True, **options)
