"""Networks from anywhere, opened in one way: `vision.networks.open.open_network`.

This file imports nothing, so that `vision.settings` can take `vision.networks.settings` in.
"""
