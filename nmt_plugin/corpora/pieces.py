"""SentencePiece: one model over the training text of both languages, or one for each."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from shared.errors import UserError

MODEL_TYPES = ("bpe", "unigram")
DICTIONARIES = ("joined", "separate")
JOINED = "sentencepiece"  # file name of the one model; a separate one is called `own_model_name(language)`


def own_model_name(language: str) -> str:
    """File name, without its suffix, of a language's own model."""
    return f"{JOINED}.{language}"


def train_model(sentences: Iterable[str], *, vocab_size: int, model_type: str, seed: int, of: str = "") -> bytes:
    """A serialized model that covers every character of the text and restores it exactly (`decode(encode(x)) == x`).

    Without SentencePiece's own normalization: it would turn an ellipsis into three dots, and a decoded hypothesis
    could never equal its reference. UserError if the text (`of` says which, as in " of en") cannot give
    `vocab_size` pieces.
    """
    model, lines = io.BytesIO(), list(sentences)
    sentencepiece.set_random_generator_seed(seed)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,  # not a file: the model would hold its path, and differ from folder to folder
            vocab_size=vocab_size,
            model_type=model_type,
            character_coverage=1.0,
            normalization_rule_name="identity",
            num_threads=1,  # the model holds this number, and unigram sums in its order; one is fast enough
            # In bytes; longer lines would be left out without a word. The model holds this number.
            max_sentence_length=max([1 << 16, *(len(line.encode()) for line in lines)]),
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(f"SentencePiece cannot make {vocab_size} pieces{of}: {_reason(error)}") from None
    return model.getvalue()


def write_model(model: bytes, folder: Path, name: str = JOINED) -> sentencepiece.SentencePieceProcessor:
    """Write {name}.model and {name}.vocab (piece, tab, log-probability or merge rank) into `folder`."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.model").write_bytes(model)
    lines = [f"{processor.id_to_piece(i)}\t{processor.get_score(i):g}\n" for i in range(processor.get_piece_size())]
    (folder / f"{name}.vocab").write_text("".join(lines), encoding="utf-8")
    return processor


def _reason(error: RuntimeError) -> str:
    """The words of SentencePiece's message, without its source line and failed condition."""
    message = re.sub(r"^.*?\[.*?\]\s*", "", " ".join(str(error).split()))
    message = message.partition(" Increase vocab_size")[0]  # its advice names an option that is fixed here
    return message or "it gave no reason"
