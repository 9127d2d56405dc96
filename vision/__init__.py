"""Image classification: label smoothing in the teacher, temperature in the student; Lightning, Hydra and timm.

Commands: `python -m vision.train`, `vision.evaluate`, `vision.diffusion`, `vision.clusters`,
`vision.project` and `vision.advise`; each has `--help`.
"""
