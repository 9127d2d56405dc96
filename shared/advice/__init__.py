"""Which temperature and loss to distil a teacher with: how smoothed it is, and what the records of studies say."""

from shared.advice.advice import Advice, Teacher, advise, write_advice
from shared.advice.evidence import Evidence, check_evidence, read_evidence
from shared.advice.measurement import Measurement, measure
from shared.advice.smoothness import Smoothness, SmoothnessAccumulator
from shared.advice.text import advice_lines

__all__ = [
    "Advice",
    "Evidence",
    "Measurement",
    "Smoothness",
    "SmoothnessAccumulator",
    "Teacher",
    "advice_lines",
    "advise",
    "check_evidence",
    "measure",
    "read_evidence",
    "write_advice",
]
