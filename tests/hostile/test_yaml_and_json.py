"""YAML and JSON of strangers: nothing is built but plain values, bombs stay small, and every wrong field is named."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt_plugin.compare import _is_comparison
from nmt_plugin.corpora.corpus import read_corpus
from nmt_plugin.decoder_states.token_sets import read_sets
from nmt_plugin.records import TrainedModel
from nmt_plugin.scores.generation import _answered
from shared.report.__main__ import read_document
from shared.results import read_result, write_result
from tests.hostile.outcomes import exit_status, refusal
from tests.hostile.pickle_places import KNOWN, RECORDS, card, claimed
from tests.nmt_plugin import conftest as tiny
from tests.shared import conftest as records
from vision import cli
from vision.checkpoint import load_card
from vision.class_sets.set_file import read_set_file
from vision.networks.open import open_network
from vision.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("bounded")
DEEP = 100_000

JSON: dict[str, bytes] = {
    "lists 100,000 deep": b"[" * DEEP + b"]" * DEEP,
    "objects 100,000 deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "lists 500 deep": b"[" * 500 + b"]" * 500,
    "lists that never end": b"[" * DEEP,
    "a whole number of 5,000 digits": b'{"schema": ' + b"9" * 5000 + b"}",
    "a whole number of 400 digits": b'{"schema": ' + b"9" * 400 + b"}",
    "a number beyond a float": b'{"schema": 1e999}',
    "NaN": b'{"schema": NaN}',
    "an infinity": b'{"schema": -Infinity}',
    "a key twice": b'{"schema": 1, "schema": 2}',
    "a key twice, deep within": b'{"a": [{"b": 1, "b": 1}]}',
    "half a surrogate pair": b'{"schema": "\\ud800"}',
    "half a surrogate pair in a key": b'{"\\udfff": 1}',
    "a NUL": b'{"schema": "\x00"}',
    "a NUL behind it": b'{"schema": 1}\x00',
    "a byte order mark": b'\xef\xbb\xbf{"schema": 1}',
    "UTF-16": '{"schema": 1}'.encode("utf-16"),
    "UTF-32": '{"schema": 1}'.encode("utf-32-le"),
    "Latin-1": '{"schema": "\u00fc"}'.encode("latin-1"),
    "nothing": b"",
    "a comment": b'{"schema": 1} // so',
    "two values": b"{} {}",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "a number": b"17",
}
JSON_PLACES = [place for place in RECORDS if not place.endswith(("sets", "run"))] + ["token sets"]


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize("place", JSON_PLACES)
def test_json_that_is_odd_is_refused(place: str, kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert str(tmp_path) in refused(RECORDS[place], tmp_path, JSON[kind])


@pytest.mark.parametrize("kind", JSON)
def test_json_that_answers_nothing_is_no_answer(kind: str, tmp_path: Path) -> None:
    """What nobody has to mend: an earlier translation is made again, and a file that is no comparison is kept."""
    (tmp_path / "generate-test.json").write_bytes(JSON[kind])
    assert not _answered(tmp_path / "generate-test.txt", {"subset": "test"})
    assert not _is_comparison(tmp_path / "generate-test.json")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 10)
)
MERGED = "a0: &a0 {k0: v}\n" + "".join(
    f"a{k}: &a{k}\n  !!merge <<: [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 10)
)
YAML: dict[str, str] = {
    "object/apply": "coat: !!python/object/apply:os.system ['touch {canary}']",
    "object/new": "coat: !!python/object/new:os.system ['touch {canary}']",
    "object, nested": "coat: {{s1: [!!python/object/apply:pathlib.Path.touch [!!python/object:pathlib.Path {{}}]]}}",
    "python/name": "coat: !!python/name:os.system",
    "python/module": "coat: !!python/module:antigravity",
    "a tag of its own": "coat: !os.system 'touch {canary}'",
    "a tag by its whole name": "coat: !<tag:yaml.org,2002:python/object/apply:os.system> ['touch {canary}']",
    "a tag by another handle": (
        "%TAG !p! tag:yaml.org,2002:python/\n---\ncoat: !p!object/apply:os.system ['touch {canary}']"
    ),
    "an integer that is none": "coat: !!int x",
    "a date that is none": "coat: !!timestamp x",
    "a bool that is none": "coat: !!bool x",
    "a billion laughs": BOMB,
    "a billion laughs as a class": BOMB + "coat: {{s1: [*a9]}}",
    "a billion laughs as a set": BOMB + "coat: {{s1: {{x: *a9}}}}",
    "a billion merged keys": MERGED,
    "a list within itself": "coat: &a [*a]",
    "lists 100,000 deep": "coat: " + "[" * DEEP,
    "mappings 100,000 deep": "{{a: " * DEEP,
    "sequences 5,000 deep": "- " * 5000 + "x",
    "keys 2,000 deep": "? " * 2000 + "x",
    "a key twice": "coat: {{s1: [a]}}\ncoat: {{s1: [b]}}",
    "a list as a key": "? [coat]\n: {{s1: [a]}}",
    "a NUL": "coat: {{s1: [\0]}}",
    "two documents": "coat: {{s1: [a]}}\n--- \nbag: {{s1: [a]}}",
    "an integer of 5,000 digits": "model: {{name: resnet18, kwargs: {{x: " + "9" * 5000 + "}}}}\n[",
}


@pytest.mark.parametrize("kind", YAML)
@pytest.mark.parametrize("place", ["class sets", "config.yaml beside a teacher", "config.yaml of a run to resume"])
def test_yaml_that_is_odd_is_refused(
    place: str, kind: str, canary: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    text = YAML[kind].format(canary=canary) if "{canary}" in YAML[kind] or "{{" in YAML[kind] else YAML[kind]
    if place == "class sets":
        (tmp_path / "sets.yaml").write_text(text)
        assert "sets.yaml" in refused(read_set_file, tmp_path / "sets.yaml")
        return
    run, settings = claimed(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    if place == "config.yaml beside a teacher":
        torch.save({"pytorch-lightning_version": "2.6", "state_dict": {"w": torch.ones(1)}}, tmp_path / "last.ckpt")
        message = refused(open_network, str(tmp_path / "last.ckpt"), KNOWN)
    else:
        (tmp_path / "last.ckpt").write_bytes(b"")
        message = refused(run.check, settings, {})
    assert "config.yaml" in message
    assert "is damaged" in message


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfec\0o\0a\0t\0", "coat: {s1: [caf\u00e9]}".encode("latin-1"), "coat: x".encode("utf-16-be")],
    ids=["UTF-16", "Latin-1", "UTF-16 without a mark"],
)
def test_yaml_in_no_utf8_is_refused(content: bytes, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "sets.yaml").write_bytes(content)
    assert "sets.yaml" in refused(read_set_file, tmp_path / "sets.yaml")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside, lists by their first entry."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, one in inner:
        yield from leaves(one, (*path, key))


def with_value(raw: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(raw)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


WRONG = (None, True, 7, 0.5, -1, "x", "", [], {}, [[]], {"x": {}}, 2**63)


def test_a_record_with_any_wrong_value_is_refused_or_reads_back(tmp_path: Path) -> None:
    """Every field of three records, by every kind of value: 2,000 files."""
    tried = refusals = 0
    for record in (records.projection_record(), *records.demo_records()[1:4:2]):
        folder = tmp_path / str(tried)
        raw = json.loads(write_result(folder, record).read_text())
        if raw["panels"]:
            raw["panels"] = raw["panels"][:1]
        for path in leaves(raw):
            for value in WRONG:
                (folder / "result.json").write_text(json.dumps(with_value(raw, path, value)))
                message = refusal(lambda folder=folder: write_result(folder, read_result(folder / "result.json")))
                tried, refusals = tried + 1, refusals + (message is not None)
                assert message is None or ("result.json" in message and "\n" not in message)
    assert tried > 1000
    assert refusals > tried / 2


def test_the_card_of_an_export_with_any_wrong_value_is_refused_or_read(tmp_path: Path) -> None:
    """Where it says what to build, that is refused or built."""
    weights = tmp_path / "last.safetensors"
    weights.write_bytes(b"weights")
    raw = dataclasses.asdict(card(weights))
    for path in leaves(raw):
        for value in WRONG:
            builds = path[0] in ("arch", "kwargs", "image_shape") and value in (None, "x", [], -1, 2**63)
            weights.with_suffix(".json").write_text(json.dumps(with_value(raw, path, value)))
            message = refusal(lambda builds=builds: load_card(weights).build() if builds else load_card(weights))
            assert message is None or "\n" not in message, (path, value)


CORPUS = {
    **{"format": 1, "request": {"corpus": "text"}, "source_language": "en", "target_language": "de"},
    **{"splits": {"train": {"pairs": 3}, "test": {"pairs": 1}}, "files": {"raw/test.en": "0" * 64}},
}


def test_the_card_of_a_corpus_with_any_wrong_value_is_refused_or_read(tmp_path: Path) -> None:
    """What is read of it can be recorded, and names no file elsewhere."""
    wrong = [*WRONG, "../../etc", "/etc", "a/b", "a\0b", ".", ".."]
    for path in leaves(CORPUS):
        for value in wrong:
            (tmp_path / "card.json").write_text(json.dumps(with_value(CORPUS, path, value)))
            message = refusal(read_corpus, tmp_path)
            if message is not None:
                assert str(tmp_path) in message
                continue
            corpus = read_corpus(tmp_path)
            assert all(isinstance(size, int) for size in corpus.sizes.values())
            assert corpus.dictionary(corpus.source_language).parent.resolve() == (tmp_path / "data-bin").resolve()
            assert refusal(lambda corpus=corpus: corpus.raw_text("test", "en")) is not None


def test_sets_with_any_wrong_value_are_refused_or_read(tmp_path: Path) -> None:
    raw = {"coat": {"s1": ["shirt"], "s2": ["bag"]}}
    for path in leaves(raw):
        for value in WRONG:
            for name, read in (("sets.json", read_sets), ("sets.yaml", read_set_file)):
                (tmp_path / name).write_text(json.dumps(with_value(raw, path, value)))
                message = refusal(lambda read=read, name=name: read(tmp_path / name))
                assert message is None or (name in message and "\n" not in message)


def test_a_study_with_any_wrong_value_is_refused_or_shown(tmp_path: Path) -> None:
    records.write_records(tmp_path, records.demo_records()[1:4])
    raw = {"title": "a", "note": "b", "design": {"alphas": [0.0, 0.1], "temperatures": [1.0], "seeds": [1]}}
    for path in leaves(raw):
        for value in WRONG:
            (tmp_path / "study.json").write_text(json.dumps(with_value(raw, path, value)))
            message = refusal(read_document, tmp_path)
            assert message is None or ("study.json" in message and "\n" not in message), (path, value)
    (tmp_path / "study.json").unlink()
    (tmp_path / "study.json").mkdir()
    assert "study.json: cannot be read" in (refusal(read_document, tmp_path) or "")


WHAT_A_STUDENT_SAYS: dict[str, Any] = {
    "a text": "x",
    "nothing": {},
    "tensors": {"teacher": {"recipe": {"x": torch.ones(1)}}},
    "itself": {},
    "a billion values": {},
}


@pytest.mark.parametrize("kind", WHAT_A_STUDENT_SAYS)
def test_a_student_that_says_odd_things_of_its_teacher_is_refused(
    kind: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    criterion = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    path = tiny.save_checkpoint(tmp_path / "x.pt", tiny.model(tiny.task()), criterion, tmp_path)
    state = torch.load(path, weights_only=True)
    said = copy.deepcopy(WHAT_A_STUDENT_SAYS[kind])
    if kind == "itself":
        said["teacher"] = said
    if kind == "a billion values":
        bomb: list[Any] = ["x"]
        for _ in range(9):
            bomb = [bomb] * 10
        said = {"teacher": {"recipe": {"x": bomb}}}
    state["cfg"]["criterion"] = {"_name": "word_kd", "temperature": 1.0, "kd_weight": 1.0}
    state["task_state"] = {"word_kd": said}
    torch.save(state, path)
    assert "what it says of its teacher is damaged" in refused(TrainedModel(path).card)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]) -> Callable[..., str]:
    """`trained(word, ...)`: the line with which `python -m vision.train word ...` ends, before it trains."""

    def call(*words: str) -> str:
        def task(settings: TrainSettings) -> None:
            raise AssertionError(f"it would train with {settings}")

        monkeypatch.setattr("sys.argv", ["train.py", *words])
        return refused(cli.run, "train", TrainSettings, task)

    return call


def test_settings_on_the_command_line_build_nothing(trained: Callable[..., str], canary: Path, tmp_path: Path) -> None:
    common = ("data=fashion_mnist", f"output={tmp_path / 'out'}")
    for words in (
        [f"+x='!!python/object/apply:os.system [\"touch {canary}\"]'"],
        ["+model.kwargs._target_=os.system", "+model.kwargs.command=x", "alpha=2"],
        ["name=" + "${" * 300],
        ["+x=" + "[" * 300],
    ):
        assert trained(*common, *words)


@pytest.mark.parametrize("word", ["--experimental-rerun", "--experimental", "--exp", "--e"])
def test_a_pickled_job_is_refused(trained: Callable[..., str], canary: Path, tmp_path: Path, word: str) -> None:
    from nmt_plugin.job import main as job
    from tests.hostile import evil

    (tmp_path / "config.pickle").write_bytes(evil.FILES["plain pickle, protocol 4"](canary))
    for words in ([word, str(tmp_path / "config.pickle")], [f"{word}={tmp_path / 'config.pickle'}"]):
        assert "reads a pickle" in trained(*words)
        assert exit_status(job) == 2
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        "x: !!python/object/apply:os.system ['touch {canary}']",
        "x: !!python/name:os.system",
        "x: !!int one",
        "x: [",
        "\0",
    ],
)
def test_a_folder_of_settings_builds_nothing(
    trained: Callable[..., str], text: str, canary: Path, tmp_path: Path
) -> None:
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "theirs.yaml").write_text(text.replace("{canary}", str(canary)))
    words = ["--config-dir", str(tmp_path / "conf"), "recipe=theirs", "data=fashion_mnist", f"output={tmp_path / 'o'}"]
    assert trained(*words)
