"""Features and centroids of an exported model, by the shortest way through its own layers and numpy."""

from typing import Any

import numpy as np
import torch

from vision.checkpoint import load_export
from vision.data import load_data


def features_and_labels(path: Any, settings: Any, split: str, train_size: int | None = 200) -> tuple[Any, Any]:
    """Numpy arrays of a whole split in memory, through the network's own average pooling."""
    network, card = load_export(path)
    images = load_data(settings.data, train_size).splits[split]
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (card.mean, card.std))
    with torch.no_grad():
        features = network.eval().forward_features((images.images / 255 - mean) / std).mean((2, 3)).numpy()
    return features, images.labels.numpy()


def brute_force_centroids(path: Any, settings: Any, split: str) -> Any:
    """Means of numpy arrays, class by class."""
    features, labels = features_and_labels(path, settings, split)
    return np.stack([features[labels == k].astype(np.float64).mean(0) for k in range(10)])
