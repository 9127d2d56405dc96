"""A validation part in which every class has its share, cut from the training images."""

import numpy as np
import torch

from vision.data.image_data import Split, validation_rows


def cut_validation_by_class(given: Split, validation_size: int, train_size: int | None) -> dict[str, Split]:
    """The splits `train` and `val` of the training images, as by `cut_validation`, but each class gives its share.

    Sainte-Laguë's rounding: of 200 classes with 30 images each, a plain draw of 600 would leave about ten without any,
    and those without a centroid. What is drawn is fixed, and the validation part does not depend on `train_size`.
    Raises UserError where the images do not suffice.
    """
    validation_rows(len(given), validation_size, train_size)  # for its checks
    order = torch.cat(validation_rows(len(given), validation_size, None))
    labels = given.labels[order].numpy()
    by_class, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    rank = np.empty(len(labels), np.int64)  # of an image among those of its class, in the fixed random order
    rank[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    held_out = np.zeros(len(labels), bool)
    held_out[np.argsort((rank + 0.5) / counts[labels], kind="stable")[:validation_size]] = True
    mask = torch.from_numpy(held_out)
    return {"train": given.subset(order[~mask][:train_size]), "val": given.subset(order[mask])}
