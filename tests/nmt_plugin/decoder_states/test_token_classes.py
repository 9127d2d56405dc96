"""Which target tokens are classes."""

from types import ModuleType

import pytest
import torch

from nmt_plugin.decoder_states.token_classes import TokenClasses
from shared.errors import UserError


def test_word_like_pieces_are_the_default_targets(study: ModuleType, tiny: ModuleType) -> None:
    """A word's start and 4 letters; ties go to the earlier entry; too rare ones are no classes."""
    counts = torch.tensor([0, 0, 99, 5, *([50] * 16)])
    counts[4], counts[7] = 49, 3
    classes = TokenClasses(study.dictionary(tiny), {"train": counts}, floor=10)
    assert classes.frequent_words() == ["\u2581zwei", "\u2581drei", "\u2581eins"]
    assert "\u2581vier" not in classes.names
    assert classes.entries == [4, 5, 6, *range(8, 20)]
    with pytest.raises(UserError, match="occurs 3 times in train; --min-count is 10"):
        classes.place("\u2581vier")
    with pytest.raises(UserError, match="'drei' is not in the target dictionary; did you mean \u2581drei"):
        classes.place("drei")
    with pytest.raises(UserError, match="</s>"):
        classes.place("</s>")
    with pytest.raises(UserError, match="0 tokens occur at least 100 times in train"):
        TokenClasses(study.dictionary(tiny), {"train": counts}, floor=100)
    counts[4:8] = 0
    with pytest.raises(UserError, match="name --targets yourself"):
        TokenClasses(study.dictionary(tiny), {"train": counts}, floor=10).frequent_words()
