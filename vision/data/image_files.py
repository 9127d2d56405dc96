"""Images on disk, one split of a data set."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ImageFiles:
    """`paths` of n encoded images and their `labels`, int64 [n]."""

    paths: list[str]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, rows: Tensor) -> "ImageFiles":
        """The images of these rows [n] (int64), in this order."""
        return ImageFiles([self.paths[row] for row in rows.tolist()], self.labels[rows])
