"""Translations and their scores: fairseq-generate, sacreBLEU, paired tests, averaged checkpoints.

The commands over it are `python -m nmt_plugin.evaluate` and `python -m nmt_plugin.compare`.
"""
