"""A sample of a stream of states."""

import numpy as np
import torch

from nmt_plugin.decoder_states.sample import StateSample


def test_a_sample_is_of_fixed_size_and_fair() -> None:
    """Each of 40 rows, offered in batches of 7, is among 10 kept ones in a quarter of the seeds."""
    stream = torch.arange(40.0).unsqueeze(1)
    times = np.zeros(40)
    for seed in range(400):
        sample = StateSample(10, seed)
        for rows in stream.split(7):
            sample.update(rows)
        assert sample.rows.shape == (10, 1)
        times[sample.rows.flatten().long().numpy()] += 1
    assert times.sum() == 4000
    assert np.abs(times - 100).max() < 40  # 4.6 deviations of the binomial
    few = StateSample(10, 0)
    few.update(stream[:3])
    assert sorted(few.rows.flatten().tolist()) == [0.0, 1.0, 2.0]
