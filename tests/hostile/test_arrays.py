"""Files of arrays from strangers: zip bombs, headers that ask for terabytes, tensors that claim what is not there."""

import dataclasses
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt_plugin.checkpoints import read_checkpoint
from nmt_plugin.teachers.live import LiveTeacher
from nmt_plugin.teachers.store import SENTENCE, Manifest, Store, file_sizes, token_dtype
from shared.outcomes import read_outcomes
from shared.predictions import read_predictions
from shared.results import Model
from tests.hostile.pickle_places import KNOWN, claimed
from tests.nmt_plugin import conftest as tiny
from vision.data.cifar5m import cifar5m
from vision.networks.open import open_network
from vision.settings import DataSettings

pytestmark = pytest.mark.usefixtures("bounded")
MIB = 1 << 20


def npy(header: str, data: bytes = b"") -> bytes:
    """A .npy file with this header, as it stands."""
    text = header.encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def array_header(dtype: str = "|u1", shape: str = "(3,)") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"


def archive(members: list[tuple[str, bytes]], sizes: int | None = None) -> bytes:
    """A zip of these members; `sizes`: what its directory says of the size of each, for a lie."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
        if sizes is not None:
            for info in file.filelist:
                info.file_size = sizes
    return made.getvalue()


def overlapping() -> bytes:
    """Seventy entries for the same 16 MiB of zeros: 1.1 GiB of 20 kB."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ids.npy", npy(array_header(shape=f"({16 * MIB},)"), bytes(16 * MIB)))
        for number in range(69):
            again = zipfile.ZipInfo(f"x{number}.npy")
            for field in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(again, field, getattr(file.filelist[0], field))
            file.filelist.append(again)
    return made.getvalue()


NPZ: dict[str, Callable[[], bytes]] = {
    "a bomb of 2 GiB by its directory": lambda: archive([("ids.npy", b"x")], sizes=2 << 30),
    "one member seventy times": overlapping,
    "a shape of a petabyte": lambda: archive([("ids.npy", npy(array_header(shape="(1000000000000000,)")))]),
    "a shape beyond 64 bits": lambda: archive([("ids.npy", npy(array_header(shape=f"({10**30},)")))]),
    "a negative shape": lambda: archive([("ids.npy", npy(array_header(shape="(-3,)")))]),
    "letters of a gigabyte each": lambda: archive([("ids.npy", npy(array_header("<U1000000000")))]),
    "a dtype that is none": lambda: archive([("ids.npy", npy(array_header("os.system")))]),
    "a header that is code": lambda: archive([("ids.npy", npy("__import__('os').system('touch canary')"))]),
    "a header of 9,000 minus signs": lambda: archive([("ids.npy", npy("-" * 9000 + "1"))]),
    "a header of 9,000 brackets": lambda: archive([("ids.npy", npy("(" * 9000))]),
    "a header of 60,000 letters": lambda: archive([("ids.npy", npy(array_header().rstrip() + " " * 60_000))]),
    "a header that ends within a string": lambda: archive([("ids.npy", npy("{'descr': '''"))]),
    "members named ../x and /x": lambda: archive([("../x.npy", npy(array_header(), b"abc")), ("/x.npy", b"x")]),
    "one name twice": lambda: archive([("ids.npy", npy(array_header(), b"abc")), ("ids", b"x")]),
    "members that are no arrays": lambda: archive([("ids.npy", b"text"), ("schema", b"\0")]),
    "a damaged directory": lambda: archive([("ids.npy", b"x")])[:-10],
    "a damaged member": lambda: archive([("ids.npy", npy(array_header(), b"abc"))]).replace(
        b"PK\x03\x04", b"PK\x03\x05"
    ),
    "one array, no archive": lambda: npy(array_header(), b"abc"),
    "one array of a petabyte, no archive": lambda: npy(array_header(shape="(1000000000000000,)")),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("kind", NPZ)
def test_archives_of_arrays_are_refused(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    for name in ("predictions.npz", "outcomes.npz"):
        (tmp_path / name).write_bytes(NPZ[kind]())
    assert "predictions" in refused(read_predictions, tmp_path / "predictions.npz")
    assert str(tmp_path / "outcomes.npz") in refused(read_outcomes, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["outcomes.npz", "predictions.npz"]


NPY = {
    kind: NPZ[f"one array{kind}, no archive"]() if kind else npy(array_header(), b"abc")
    for kind in ("", " of a petabyte")
} | {
    "a header of 9,000 minus signs": npy("-" * 9000 + "1"),
    "a header of 9,000 brackets": npy("(" * 9000),
    "a header that ends within a string": npy("{'descr': '''"),
    "a shape beyond 64 bits": npy(array_header(shape=f"({10**30}, 32, 32, 3)")),
    "a negative shape": npy(array_header(shape="(-1, 32, 32, 3)"), bytes(3072)),
    "objects": npy(array_header("|O", "(1, 32, 32, 3)"), b"cposix\nsystem\n"),
    "an archive": archive([("x.npy", npy(array_header(), b"abc"))]),
    "nothing": b"",
}


@pytest.mark.parametrize("kind", NPY)
def test_mapped_arrays_are_refused(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    for label in range(10):
        (tmp_path / f"class{label}.npy").write_bytes(NPY[kind])
    settings = DataSettings("cifar5m", [0.5] * 3, [0.5] * 3, 1, data_dir=str(tmp_path))
    assert "want uint8 [n, 32, 32, 3]" in refused(cifar5m, settings)


def teacher() -> Model:
    return Model("teacher", "transformer", 1, "0" * 64, 1, 0.1)


def cache(folder: Path, **changes: Any) -> Path:
    """A teacher cache of one sentence of two tokens, K = 2 of 10 classes; `changes` of its manifest, or of `ids`."""
    ids = changes.pop("ids", [[3, 1], [9, 0]])
    manifest = Manifest("train", 2, 10, "fp16", 1, 2, 0, teacher(), {"source": "a", "target": "b"}, {})
    records = np.zeros(2, token_dtype(2, 10, "fp16"))
    records["ids"] = np.array(ids)
    sentence = np.array([(0, 2, 1, 0, 0, zlib.crc32(records.tobytes()))], SENTENCE)
    (folder / "sentences.bin").write_bytes(sentence.tobytes())
    (folder / "tokens.bin").write_bytes(records.tobytes())
    raw = dataclasses.asdict(dataclasses.replace(manifest, files=file_sizes(manifest)))
    (folder / "manifest.json").write_text(json.dumps({**raw, **changes}))
    return folder


def test_a_good_cache_is_read(tmp_path: Path) -> None:
    records = Store(cache(tmp_path)).records(np.array([0]))
    assert records["ids"].tolist() == [[3, 1], [9, 0]]


@pytest.mark.parametrize(
    "changes",
    [
        {"k": 10**12, "classes": 10**12},
        {"k": 0},
        {"k": -1},
        {"k": 11},
        {"classes": 10**18},
        {"sentences": 0, "tokens": 0, "files": {"sentences.bin": 0, "tokens.bin": 0}},
        {"sentences": -1, "files": {"sentences.bin": -28, "tokens.bin": 40}},
        {"sentences": 10**15},
        {"tokens": 2**63},
        {"dtype": "O"},
        {"dtype": "fp64"},
        {"dictionaries": {}},
        {"files": {}},
        {"files": {"../../etc/passwd": 1}},
        {"format": 2},
    ],
    ids=str,
)
def test_a_manifest_of_impossible_figures_is_refused(
    changes: dict[str, Any], tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "manifest" in refused(Store, cache(tmp_path, **changes)).partition(":")[0]


def test_a_cache_with_classes_that_do_not_exist_is_refused_at_use(tmp_path: Path, refused: Callable[..., str]) -> None:
    """Its checksums fit: who wrote the classes wrote them too."""
    store = Store(cache(tmp_path, ids=[[3, 1], [10, 0]]))
    assert "a class that does not exist" in refused(store.records, np.array([0]))


def test_a_cache_whose_files_are_shorter_than_said_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    (cache(tmp_path) / "tokens.bin").write_bytes(b"x")
    assert "the cache is damaged" in refused(Store, tmp_path)


HUGE = {
    "expanded": lambda: torch.ones(1).expand(10**12),
    "expanded rows": lambda: torch.ones(1, 8).expand(10**11, 8),
    "sparse": lambda: torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (10**12,)),
    "meta": lambda: torch.empty(10**12, device="meta"),
}


@pytest.mark.parametrize("kind", HUGE)
def test_weights_that_claim_terabytes_are_refused(kind: str, tmp_path: Path, refused: Callable[..., str]) -> None:
    torch.save({"state_dict": {"fc.weight": HUGE[kind]()}}, tmp_path / "x.pt")
    assert "fc.weight" in refused(open_network, str(tmp_path / "x.pt"), KNOWN)


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    (tmp_path / "data-bin").mkdir()
    for language in ("en", "de"):
        tiny.dictionary().save(str(tmp_path / "data-bin" / f"dict.{language}.txt"))
    criterion = {"_name": "smoothed_cross_entropy", "label_smoothing": 0.1}
    return tiny.save_checkpoint(tmp_path / "t.pt", tiny.model(tiny.task()), criterion, tmp_path / "data-bin")


def within_itself() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["again"] = made
    return made


def a_billion() -> list[Any]:
    made: list[Any] = ["x"]
    for _ in range(9):
        made = [made] * 10
    return made


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{f"{kind} weight": lambda state, of=of: state["model"].update(x=of()) for kind, of in HUGE.items()},
    "no weights": lambda state: state.update(model={}),
    "weights that are a list": lambda state: state.update(model=[1]),
    "a weight that is a text": lambda state: state["model"].update({"decoder.embed_tokens.weight": "x"}),
    "a weight of another shape": lambda state: state["model"].update({"decoder.embed_tokens.weight": torch.ones(2)}),
    "a configuration within itself": lambda state: state["cfg"].update(task=within_itself()),
    "a configuration of a billion values": lambda state: state["cfg"].update(extra=a_billion()),
    "a configuration 300 lists deep": lambda state: state["cfg"].update(extra=nested(300)),
    "a model's name that is a list": lambda state: setattr(state["cfg"]["model"], "_name", ["x"]),
    "layers that are a text": lambda state: setattr(state["cfg"]["model"], "encoder_layers", "many"),
    "a billion layers' width": lambda state: setattr(state["cfg"]["model"], "encoder_ffn_embed_dim", 10**15),
    "a history that is a text": lambda state: state.update(optimizer_history="x"),
    "a history of texts": lambda state: state.update(optimizer_history=["x"]),
    "updates that are a text": lambda state: state["optimizer_history"][0].update(num_updates="many"),
    "a state that is a list": lambda state: state.update(extra_state=[1]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_translation_teacher_of_wrong_parts_is_refused(kind: str, trained: Path, refused: Callable[..., str]) -> None:
    state = torch.load(trained, weights_only=True)
    WRONG[kind](state)
    torch.save(state, trained)
    message = refused(lambda: LiveTeacher(str(trained), tiny.task(trained.parent / "data-bin")).models)
    assert message.startswith(f"{trained}: ")


def test_the_teacher_that_they_spoil_is_read(trained: Path) -> None:
    assert read_checkpoint(str(trained))["model"]
    assert len(LiveTeacher(str(trained), tiny.task(trained.parent / "data-bin")).models) == 1


ENTRIES = {"callbacks": {}, "state_dict": {}, "loops": {}, "optimizer_states": [], "epoch": 1, "global_step": 1}


@pytest.mark.parametrize("wrong", [[], "x", 1.5, None], ids=repr)
@pytest.mark.parametrize("entry", [*ENTRIES, ""])
def test_a_checkpoint_to_resume_of_other_entries_is_refused(
    entry: str, wrong: Any, tmp_path: Path, refused: Callable[..., str]
) -> None:
    if entry == "optimizer_states" and wrong == []:
        wrong = {}
    run, settings = claimed(tmp_path)
    torch.save({**ENTRIES, entry: wrong} if entry else wrong, run.resume_from)
    assert "last.ckpt is damaged" in refused(run.check, settings, {})


def test_the_checkpoint_that_they_spoil_is_taken(tmp_path: Path) -> None:
    run, settings = claimed(tmp_path)
    torch.save(ENTRIES, run.resume_from)
    run.check(settings, {})
