"""Are the values right? The tensor core's sums beside float64 within a derived bound, integers exactly."""

from __future__ import annotations

import numpy as np

from tensorcore_sim.arithmetic.instructions import FusedAdd
from tensorcore_sim.format.formats import FORMATS
from tensorcore_sim.format.operand import to_reals


def check(a_bits: np.ndarray, b_bits: np.ndarray, sums: np.ndarray, in_dtype: str, rule: FusedAdd) -> dict:
    """Compare sums [m, n] (f32 or s32) with the product of the operands' values, patterns [m, k] and [k, n].

    Returns {"passed", "largest_error", "largest_error_over_bound"}; an integer format's bound is 0.
    """
    a, b = to_reals(a_bits, in_dtype), to_reals(b_bits, in_dtype)
    exact = a @ b
    errors = np.abs(sums.astype(np.float64) - exact)
    if not FORMATS[in_dtype].is_float:
        return {"passed": not errors.any(), "largest_error": float(errors.max()), "largest_error_over_bound": 0.0}
    limits = bound(np.abs(a) @ np.abs(b), a.shape[1], rule)
    share = np.divide(errors, limits, out=np.zeros_like(errors), where=limits > 0)
    passed = bool((errors <= limits).all())
    return {
        "passed": passed,
        "largest_error": float(errors.max()),
        "largest_error_over_bound": float(share.max()),
    }


def bound(sizes: np.ndarray, k: int, rule: FusedAdd) -> np.ndarray:
    """Return what a chain of fused adds to f32 may be off by: sizes are the sums of |a b|, f64[m, n].

    No term of an element, product or running sum, exceeds its size S by more than the error itself, for which the
    factor 1.01 stands. A fused add cuts each of its products and C by less than 2**-F of the largest term, or of the
    least exponent, and its result by less than 2**-(significand bits - 1). float64 adds k roundings of S.
    """
    n_adds = -(-k // rule.n_products)
    terms = (rule.n_products + 1) * 2.0**-rule.fraction_bits
    least = n_adds * (rule.n_products + 1) * 2.0 ** (rule.min_exponent["f32"] - rule.fraction_bits)
    in_f64 = (k + 2) * np.finfo(np.float64).eps * sizes
    return 1.01 * n_adds * (terms + 2.0 ** (1 - rule.significand_bits)) * sizes + least + in_f64
