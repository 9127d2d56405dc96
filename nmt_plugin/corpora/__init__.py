"""Text in, fairseq data-bin out: `python -m nmt_plugin.corpora --help`.

Stages, one per file: pairs of sentences with the page they stand on (`libreoffice`), cleaned (`cleaning`), divided into
train, valid and test (`splits`), cut into SentencePiece pieces (`pieces`), binarized by fairseq-preprocess (`databin`).
`build` runs the stages that every corpus shares and `folder` keeps the result whole or absent.
"""
