"""Which images come when: a function of seed and epoch alone, whatever the ranks, workers or interruptions."""

import numpy as np
import numpy.typing as npt


def epoch_order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order of `count` training images in one epoch: a permutation of their indices."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


def image_seed(seed: int, epoch: int, index: int) -> int:
    """The seed, 64 bits, of all that is random about one training image in one epoch."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0])
