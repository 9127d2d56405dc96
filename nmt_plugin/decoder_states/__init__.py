"""Decoder states before the output layer, by target token: what eta and the projection are measured on in translation.

The commands over it are `python -m nmt_plugin.diffusion`, `nmt_plugin.clusters` and `nmt_plugin.project`.
"""
