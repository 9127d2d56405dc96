"""Text in, fairseq data-bin out: `python -m nmt_plugin.corpora --help`.

Stages, one per file: pairs of sentences with the page they stand on (`libreoffice`, `iwslt14`, `parallel`), cleaned
(`cleaning`), divided into train, valid and test (`splits`), cut into SentencePiece pieces (`pieces`), binarized by
fairseq-preprocess (`databin`). `commands` has one file per corpus, `build` runs the stages that every corpus shares,
`folder` keeps the result whole or absent, `card` says what it was made from, and `corpus` reads it again.
"""
