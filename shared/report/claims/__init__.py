"""Verdicts on the claims C1 to C5 of Chandrasegaran et al. (ICML 2022), computed from records."""

from shared.report.claims.blocks import claim_blocks, claim_headlines
from shared.report.claims.comparison import Comparison, Verdict
from shared.report.claims.verdicts import ClaimSet, claim_sets

__all__ = ["ClaimSet", "Comparison", "Verdict", "claim_blocks", "claim_headlines", "claim_sets"]
