"""How `shared.losses.fused` is computed: one file a backend, each with the function `run` of `terms.Backend`."""
