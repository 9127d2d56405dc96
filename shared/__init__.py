"""Mathematics of label smoothing, distillation and diffusion that both halves of lskd use.

Needs torch and numpy only; the report additionally needs matplotlib.
"""

__version__ = "0.1.0"
