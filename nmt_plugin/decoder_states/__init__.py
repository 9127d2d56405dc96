"""Decoder states before the output layer, by target token: what eta and the projection are measured on in translation.

The commands over it are `python -m nmt_plugin.diffusion` and `python -m nmt_plugin.project`.
"""
