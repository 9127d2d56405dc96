"""What a distillation step costs here and in timm's own task, step by step in turn.

    python scripts/bench/distillation.py --output runs/bench/distillation.json

Each makes a full training step (teacher, student, loss, backward, SGD) with the same two networks on the same batches,
and they take turns batch by batch, so that whatever else the machine does falls on all. What is printed is the ratio of
our step to timm's of the same batch, and how far the two losses are apart (timm's: `LogitDistillationTask`,
distillation alone; both are T^2 KL per image); then the ratio of our step with DIST's loss to that with KD's.
"""

import argparse
import copy
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from outputs import check_output
from timm.task import LogitDistillationTask
from torch import Tensor, nn

from shared.errors import UserError, check_temperature, exit_on_user_error
from shared.files import write_text
from shared.provenance import package_versions
from vision.settings import DistillSettings, RecipeSettings
from vision.training.distillation import Distillation
from vision.training.frozen_teacher import FrozenTeacher
from vision.training.objective import Objective

Step = Callable[[Tensor, Tensor], float]


def main() -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(description="Cost of our distillation step in multiples of timm's, interleaved.")
    parser.add_argument("--teacher", default="resnet50", help="timm's name (default: resnet50)")
    parser.add_argument("--student", default="resnet18", help="timm's name (default: resnet18)")
    parser.add_argument("--image-size", type=int, default=112, help="default: 112")
    parser.add_argument("--batch-size", type=int, default=16, help="default: 16")
    parser.add_argument("--classes", type=int, default=1000, help="default: 1000")
    parser.add_argument("--temperature", type=float, default=3.0, help="default: 3")
    parser.add_argument("--batches", type=int, default=20, help="batches measured (default: 20)")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    with exit_on_user_error():
        if min(args.image_size, args.classes) < 1 or min(args.batch_size, args.batches) < 2:
            raise UserError("--batch-size and --batches are 2 or more, every other size 1 or more")
        check_temperature(args.temperature)
        for flag, name in (("--teacher", args.teacher), ("--student", args.student)):
            if not timm.is_model(name):
                raise UserError(f"{flag} {name}: timm knows no such model; timm.list_models() names them")
        check_output(args.output)
        bench(args)


def bench(args: argparse.Namespace) -> None:
    """Measure, print the ratio, write the JSON file."""
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher, student = (
        timm.create_model(name, num_classes=args.classes).to(device, memory_format=torch.channels_last)
        for name in (args.teacher, args.student)
    )
    steps = {
        "timm": timm_step(student, teacher, args.temperature),
        "kd": our_step(student, teacher, Objective(temperature=args.temperature)),
        "dist": our_step(student, teacher, Objective(distill=DistillSettings("dist"), temperature=args.temperature)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    difference = 0.0
    names = list(steps)
    for batch in range(args.batches + 2):  # the first two warm up
        images = torch.randn(args.batch_size, 3, args.image_size, args.image_size, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.randint(args.classes, (args.batch_size,), device=device)
        losses = {}
        for name in names[batch % 3 :] + names[: batch % 3]:
            started = time.perf_counter()
            losses[name] = steps[name](images, labels)
            seconds[name] += [time.perf_counter() - started] * (batch > 1)
        difference = max(difference, abs(losses["kd"] - losses["timm"]) / abs(losses["timm"]))
    report(args, seconds, difference, device)


def our_step(student: nn.Module, teacher: nn.Module, objective: Objective) -> Step:
    """A step of `Distillation`."""
    recipe = RecipeSettings(1, 1, "sgd", 0.01, 0.9, 1e-4, "cosine", 0, None)
    module = Distillation(copy.deepcopy(student), recipe, 1, 1, objective, FrozenTeacher([teacher]))
    optimizer = torch.optim.SGD(module.parameters(), 0.01, 0.9)
    module.train()

    def step(images: Tensor, labels: Tensor) -> float:
        loss = module.losses(images, labels)["loss"] / len(labels)
        return trained(loss, optimizer)

    return step


def timm_step(student: nn.Module, teacher: nn.Module, temperature: float) -> Step:
    """A step of timm's task with the weight of the hard labels 0."""
    device = next(student.parameters()).device
    task = LogitDistillationTask(
        copy.deepcopy(student),
        copy.deepcopy(teacher),
        nn.CrossEntropyLoss(),
        distill_loss_weight=1.0,
        task_loss_weight=0.0,
        temperature=temperature,
        device=device,
        verbose=False,
    )
    optimizer = torch.optim.SGD(task.trainable_module.parameters(), 0.01, 0.9)
    task.train()

    def step(images: Tensor, labels: Tensor) -> float:
        return trained(task(images, labels)["loss"], optimizer)

    return step


def trained(loss: Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Backward pass and update; the loss, for which a GPU is waited."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def report(args: argparse.Namespace, seconds: dict[str, list[float]], difference: float, device: torch.device) -> None:
    """Print what was seen and write it to `args.output`."""
    ratios = {
        "kd / timm": [one / other for one, other in zip(seconds["kd"], seconds["timm"], strict=True)],
        "dist / kd": [one / other for one, other in zip(seconds["dist"], seconds["kd"], strict=True)],
    }
    quartiles = {name: statistics.quantiles(values, n=4) for name, values in ratios.items()}
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
    print(
        f"{args.teacher} to {args.student}, {args.batch_size} images of {args.image_size}, T = {args.temperature:g}, "
        f"{machine}, {torch.get_num_threads()} threads, {args.batches} batches; largest relative difference of our "
        f"loss and timm's {difference:.1e}"
    )
    for name, (low, median, high) in quartiles.items():
        print(f"{name}: {median:.3f} (quartiles {low:.3f} to {high:.3f})")
    found = {
        "settings": {name: str(value) for name, value in vars(args).items()},
        "machine": machine,
        "threads": torch.get_num_threads(),
        "ratios": {name: {"median": q[1], "quartiles": [q[0], q[2]]} for name, q in quartiles.items()},
        "seconds": seconds,
        "largest relative difference of the losses": difference,
        "versions": package_versions(["torch", "timm"]),
    }
    write_text(args.output, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
