"""Names of records: the same for the same inputs, another for any other."""

from types import ModuleType

from shared.naming import unique_name


def test_the_name_tells_weights_and_settings_apart(sample: ModuleType) -> None:
    one, other = sample.teacher(0.1), sample.teacher(0.1, seed=2)
    names = [unique_name(["a", "b"], [model], setting) for model in (one, other) for setting in (1, [2])]
    assert len(set(names)) == 4
    assert all(name.startswith("a-b-") for name in names)
    assert unique_name(["a", "b"], [one], 1) == names[0]
