"""What a finished training leaves: exports, their scores, and what became of every image."""

import shutil
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from shared.outcomes import read_outcomes
from shared.results import read_result
from vision.checkpoint import load_card, load_export
from vision.data import load_data
from vision.training.outcome import _over_ranks, export_and_score
from vision.training.run_folder import RunFolder


def test_recorded_scores_are_those_of_the_exported_weights(study):
    import gzip

    import numpy as np

    model, card = load_export(study.high)
    raw = gzip.decompress((study.data / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = np.frombuffer(gzip.decompress((study.data / "t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    pixels = torch.from_numpy(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28).copy())
    logits = model.eval()((pixels / 255 - card.mean[0]) / card.std[0])
    hits = int((logits.argmax(1).numpy() == labels).sum())
    recorded = read_result(study.high.with_name("result.json")).metrics["last/test/top1"]
    assert recorded.value == pytest.approx(100 * hits / 60)


def test_each_export_is_scored_by_its_own_weights_on_its_own_images(study, compose, tmp_path):
    for name in ("last.ckpt", "best.ckpt"):
        shutil.copy(study.low.with_name(name), tmp_path / name)
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)
    best["state_dict"]["model.fc.bias"] += torch.linspace(0, 3, 10)  # surely not the last's
    torch.save(best, tmp_path / "best.ckpt")
    settings = compose("train", [*study.common, f"output={tmp_path}"])
    data, card = load_data(settings.data, 200), load_card(study.low)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1)
    metrics, _ = export_and_score(settings, RunFolder(settings.output), card.build(), card, data, trainer)
    for which in ("last", "best"):
        network, _ = load_export(tmp_path / f"{which}.safetensors")
        for split in ("val", "test"):
            images = data.splits[split]
            with torch.no_grad():
                logits = network.eval()((images.images / 255 - card.mean[0]) / card.std[0])
            nll = float(F.cross_entropy(logits, images.labels))
            assert metrics[f"{which}/{split}/nll"].value == pytest.approx(nll, rel=1e-4)
        hits = (logits.argmax(1) == images.labels).tolist()  # of test
        assert read_outcomes(tmp_path)[f"{which}/test/top1"][:, 0].tolist() == hits


def test_hits_of_two_processes_interleave():
    trainer = SimpleNamespace(global_rank=1, world_size=2)
    assert _over_ranks(torch.tensor([7, 8]), 5, trainer).tolist() == [0, 7, 0, 8, 0]
