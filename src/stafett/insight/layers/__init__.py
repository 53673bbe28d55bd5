"""Layers of variability: biological, operational and institutional shares of one outcome."""

from stafett.insight.layers.design import (
    LAYERS,
    Design,
    Factor,
    NotIdentifiableError,
    design,
)
from stafett.insight.layers.fit import Fit, fit
from stafett.insight.layers.shares import (
    BoundaryTest,
    Share,
    bootstrap_shares,
    boundary_tests,
    factor_shares,
    layer_shares,
    profile_share,
)

__all__ = [
    "LAYERS",
    "BoundaryTest",
    "Design",
    "Factor",
    "Fit",
    "NotIdentifiableError",
    "Share",
    "bootstrap_shares",
    "boundary_tests",
    "design",
    "factor_shares",
    "fit",
    "layer_shares",
    "profile_share",
]
