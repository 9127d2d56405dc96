"""`python -m nmt_plugin.cache`: write a teacher's distributions to disk, once for every temperature."""

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from fairseq import utils
from fairseq.data import data_utils
from torch import Tensor
from tqdm import tqdm

from nmt_plugin.arguments import positive
from nmt_plugin.checkpoints import (
    check_one_pair,
    checkpoint_config,
    checkpoint_paths,
    dictionary_digest,
    read_checkpoint,
    set_up_task,
)
from nmt_plugin.data_folder import check_data_folder
from nmt_plugin.outputs import writable_folder
from nmt_plugin.records import teacher_card
from nmt_plugin.teachers.batch import row_statistics
from nmt_plugin.teachers.checksums import data_digests, load_whole, one_data_folder, sample_checksums
from nmt_plugin.teachers.live import DTYPES, LiveTeacher
from nmt_plugin.teachers.store import MANIFEST, STORED, Manifest, Store, read_manifest, token_dtype
from nmt_plugin.teachers.writer import Writer
from shared.errors import UserError, exit_on_user_error
from shared.losses import top_k

EXAMPLES = """examples:
  python -m nmt_plugin.cache --teacher runs/teacher/checkpoint_last.pt --data data/nmt/libreoffice.en-de/data-bin \\
      --topk 64 --output runs/cache
  fairseq-train ... --criterion word_kd --teacher-cache runs/cache --temperature 1
"""
_FLUSH_SECONDS = 20


def main(argv: list[str] | None = None) -> None:
    """Command line; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.cache",
        description="Write a teacher's top-K log-probabilities and a sketch of the rest for every target token. One "
        "cache serves every temperature of word_kd. Killed, it goes on where it was.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--teacher", required=True, help="fairseq checkpoint, or several, A.pt:B.pt (mean probability)")
    parser.add_argument("--data", required=True, help="data-bin that the student will be trained on")
    parser.add_argument("--source-lang", help="default: as the teacher was trained")
    parser.add_argument("--target-lang", help="default: as the teacher was trained")
    parser.add_argument("--split", nargs="+", default=["train", "valid"], help="splits (default: train valid)")
    parser.add_argument("--topk", type=_topk, default=64, metavar="K", help="classes kept, or `all` (default: 64)")
    parser.add_argument("--dtype", choices=list(STORED), default="fp16", help="of what is kept (default: fp16)")
    parser.add_argument("--teacher-dtype", choices=list(DTYPES), default="fp32", help="of the teacher (default: fp32)")
    parser.add_argument("--max-tokens", type=positive, help="tokens in a batch (default: 1000, on a GPU 8000)")
    parser.add_argument("--output", required=True, type=Path, help="folder of the cache, one folder in it for a split")
    parser.add_argument("--fresh", action="store_true", help="make it again even if it is there")
    parser.add_argument("--cpu", action="store_true", help="do not use a GPU")
    args = parser.parse_args(argv)
    with exit_on_user_error():
        cache(args)


def cache(args: argparse.Namespace) -> None:
    """Cache every split that `args` asks for and that is not there yet."""
    task = _task(args)
    for split in args.split:
        if not data_digests(args.data, split):
            raise UserError(f"{args.data}: holds no split {split}; fairseq-preprocess names them train, valid, test")
    writable_folder(args.output)
    teacher = LiveTeacher(args.teacher, task, args.teacher_dtype)
    device = torch.device("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")
    max_tokens = args.max_tokens or (8000 if device.type == "cuda" else 1000)
    card = teacher_card(args.teacher)
    classes = len(task.target_dictionary)
    if args.topk is not None and args.topk > classes:
        raise UserError(f"--topk {args.topk} is more than the {classes} classes; choose fewer, or `all`")
    for split in args.split:
        dataset = load_whole(task, split)
        lengths = dataset.tgt_sizes.tolist()
        manifest = Manifest(
            split=split,
            k=args.topk or classes,
            classes=classes,
            dtype=args.dtype,
            sentences=len(lengths),
            tokens=sum(lengths),
            too_long=0,
            teacher=card,
            dictionaries={
                side: dictionary_digest(getattr(task, f"{side}_dictionary")) for side in ("source", "target")
            },
            data=data_digests(args.data, split),
            teacher_dtype=args.teacher_dtype,
        )
        if _is_there(args.output / split, manifest, fresh=args.fresh):
            print(f"{args.output / split} is already there; --fresh makes it again")
            continue
        with Writer(args.output / split, manifest, lengths, fresh=args.fresh) as writer:
            _write(writer, manifest, task, teacher, max_tokens, device)
        print(_summary(Store(args.output / split)))


def _task(args: argparse.Namespace) -> Any:
    """The first teacher's task on the student's data."""
    one_data_folder(args.data)
    check_data_folder(args.data)
    path = checkpoint_paths(args.teacher)[0]
    config = checkpoint_config(read_checkpoint(path))
    check_one_pair(config.task)
    config.task.data = args.data
    for language, given in (("source_lang", args.source_lang), ("target_lang", args.target_lang)):
        if given is not None:
            setattr(config.task, language, given)
        name = getattr(config.task, language, None)
        if name and not (Path(args.data) / f"dict.{name}.txt").is_file():
            raise UserError(f"{args.data}: holds no dict.{name}.txt, and the teacher's {language} is {name!r}")
    return set_up_task(path, config.task)


def _is_there(folder: Path, wanted: Manifest, *, fresh: bool) -> bool:
    """Whether the finished cache is what was asked for. Raises UserError where it is another."""
    if fresh or not (folder / MANIFEST).exists():
        return False
    found = dataclasses.asdict(read_manifest(folder))
    asked = dataclasses.asdict(wanted)
    for one in (found, asked):  # the file is the teacher; its recipe is told as the version that wrote it knew it
        one["teacher"] = one["teacher"] | {"recipe": {}}
    differing = [key for key in asked if key not in ("files", "too_long") and asked[key] != found[key]]
    if differing:
        raise UserError(f"{folder} holds another cache ({', '.join(differing)}); choose another --output, or --fresh")
    Store(folder)  # refuses a damaged one
    return True


def _write(
    writer: Writer, manifest: Manifest, task: Any, teacher: LiveTeacher, max_tokens: int, device: torch.device
) -> None:
    dataset = task.dataset(manifest.split)
    limits = utils.resolve_max_positions(task.max_positions(), *(m.max_positions() for m in teacher.models))
    with data_utils.numpy_seed(1):  # fairseq shuffles sentences of one length
        fitting, too_long = dataset.filter_indices_by_size(dataset.ordered_indices(), limits)
    for index in too_long:
        writer.leave_out(index, *(sums[0] for sums in _checksums(dataset.collater([dataset[index]]), task)))
    batches = _batches(dataset, fitting, max_tokens)
    missing = writer.missing
    todo = [batch for batch in batches if np.isin(batch, missing).any()]
    flushed = time.monotonic()
    done = len(fitting) - sum(map(len, todo))
    with tqdm(
        total=len(fitting), initial=done, unit=" sentences", desc=f"cache {manifest.split}", mininterval=1
    ) as bar:
        for batch in todo:
            sample = dataset.collater([dataset[index] for index in batch])
            if device.type == "cuda":
                sample = utils.move_to_cuda(sample)
            for sentence in _sentences(sample, manifest, task, teacher):
                writer.put(*sentence)
            bar.update(len(batch))
            if time.monotonic() - flushed > _FLUSH_SECONDS:
                writer.flush()
                flushed = time.monotonic()
    writer.finish()


def _batches(dataset: Any, indices: npt.NDArray[np.int64], max_tokens: int) -> list[Any]:
    """All batches of a split; the same ones however much of it is done, because another batch rounds in another way.

    A sentence longer than `max_tokens` has a batch of its own.
    """
    if not len(indices):
        return []
    longest = max(dataset.num_tokens(index) for index in indices)
    batches: list[Any] = dataset.batch_by_size(
        indices, max_tokens=max(max_tokens, longest), required_batch_size_multiple=1
    )
    return batches


def _sentences(
    sample: dict[str, Any], manifest: Manifest, task: Any, teacher: LiveTeacher
) -> Iterator[tuple[int, int, int, npt.NDArray[Any]]]:
    """(id, source checksum, target checksum, token records) of every sentence of a batch."""
    target, pad = sample["target"], task.target_dictionary.pad()
    kept = target != pad
    records = pack(teacher.logits(sample)[kept], target[kept], manifest)
    ends = kept.sum(dim=1).cumsum(dim=0).tolist()
    checksums = _checksums(sample, task)
    for index, source, own, start, end in zip(sample["id"].tolist(), *checksums, [0, *ends], ends, strict=False):
        if np.isnan(records["gold"][start:end]).any():
            raise UserError(f"the teacher's outputs for sentence {index} are not numbers: its training diverged")
        yield index, source, own, records[start:end]


def _checksums(sample: dict[str, Any], task: Any) -> tuple[list[int], list[int]]:
    return sample_checksums(sample, task.source_dictionary.pad(), task.target_dictionary.pad())


def pack(logits: Tensor, target: Tensor, manifest: Manifest) -> npt.NDArray[Any]:
    """Token records of `logits` [n, V] and `target` [n]; see `token_dtype`."""
    records = np.empty(len(target), token_dtype(manifest.k, manifest.classes, manifest.dtype))
    records["gold"] = torch.stack(row_statistics(logits, target), dim=-1).cpu().numpy()
    if manifest.k == manifest.classes:
        records["logits"] = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
        return records
    topk = top_k(logits, manifest.k)
    records["logits"], records["ids"] = topk.logits.cpu().numpy(), topk.ids.cpu().numpy()
    records["tail"] = torch.stack([part.float() for part in topk.tail], dim=-1).cpu().numpy()
    return records


def _summary(store: Store) -> str:
    m = store.manifest
    size = sum(m.files.values())
    left_out = f"; {m.too_long:,} sentences too long for the teacher" if m.too_long else ""
    return (
        f"{store.folder}: {m.sentences:,} sentences, {m.tokens:,} target tokens, K = {m.k:,} of {m.classes:,}, "
        f"{size / 1e6:,.1f} MB{left_out}"
    )


def _topk(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is neither a number above 0 nor `all`")
    return int(text)


if __name__ == "__main__":
    main()
