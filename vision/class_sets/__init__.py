"""Which classes are semantically similar to a target (S1) and which are not (S2), and how a class may be named."""

from vision.class_sets.choice import WAYS, check_s1_size, check_way, class_sets
from vision.class_sets.families import families
from vision.class_sets.published import FIGURES
from vision.class_sets.references import ClassNames, resolve

__all__ = ["FIGURES", "WAYS", "ClassNames", "check_s1_size", "check_way", "class_sets", "families", "resolve"]
