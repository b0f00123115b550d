"""Is each card's fused add the published one: how many products, how many bits, from which exponent on?"""

from tensorcore_sim.arithmetic.instructions import FUSED_ADDS

AMPERE, ADA, HOPPER = ("a100", "rtx-3090"), ("l40s", "rtx-4090"), ("h100", "h200", "gh200")
OLD, NEW = (*AMPERE, *ADA), (*HOPPER, "b200", "rtx-5090")
ANY = ("mma", "wgmma", "tcgen05")
E4M3_E5M2 = ("e4m3", "e5m2")

# arXiv 2511.10909 and 2512.07004, as in docs/tensorcore.md: (cards, units, inputs, products of a fused add, F, least
# exponent to f32, to f16, bits of an f32 result)
PUBLISHED = [
    (("v100",), ("mma",), ("f16",), 4, 23, -132, -19, 24),
    (("t4", *OLD), ("mma",), ("f16",), 8, 24, -132, -20, 24),
    (OLD, ("mma",), ("bf16",), 8, 24, -132, None, 24),
    (OLD, ("mma",), ("tf32",), 4, 24, -132, None, 24),
    (ADA, ("mma",), E4M3_E5M2, 16, 13, -133, -133, 14),
    (NEW, ANY, ("f16",), 16, 25, -133, -21, 24),
    (NEW, ANY, ("bf16",), 16, 25, -133, None, 24),
    (NEW, ANY, ("tf32",), 8, 25, -133, None, 24),
    (HOPPER, ("wgmma",), E4M3_E5M2, 32, 13, -133, -133, 14),
    ((*HOPPER, "b200"), ("mma",), E4M3_E5M2, 16, 25, -133, -133, 24),
    (("b200",), ("tcgen05",), E4M3_E5M2, 32, 25, -133, -21, 24),
    (("rtx-5090",), ("mma",), E4M3_E5M2, 32, 25, -133, -21, 24),
]


def test_every_fused_add_is_the_published_one():
    published = {
        (card, unit, kind): (n, f, {out: e for out, e in (("f32", to_f32), ("f16", to_f16)) if e is not None}, bits)
        for cards, units, kinds, n, f, to_f32, to_f16, bits in PUBLISHED
        for card in cards
        for unit in units
        for kind in kinds
    }
    has = {
        (card, unit, kind): (rule.n_products, rule.fraction_bits, rule.min_exponent, rule.significand_bits)
        for rule in FUSED_ADDS
        for card in rule.cards
        for unit in rule.units
        for kind in rule.in_dtypes
        if not kind.startswith("int")
    }
    assert has == published


def test_fp8_by_mma_is_halves_on_hopper_and_b200_and_sparse_to_f32_alone():
    halves = {card for rule in FUSED_ADDS if rule.halves for card in rule.cards}
    assert halves == {*HOPPER, "b200"}
    for rule in FUSED_ADDS:
        assert rule.dense_only == (("f16",) if rule.halves or rule.cards == ADA else ())


def test_integers_are_exact_and_int4_is_of_cards_to_ada():
    exact = {kind: set() for kind in ("int8", "int4")}
    for rule in (rule for rule in FUSED_ADDS if "int8" in rule.in_dtypes):
        assert (rule.fraction_bits, rule.min_exponent) == (0, {"s32": 0})
        for kind in rule.in_dtypes:
            exact[kind] |= set(rule.cards)
    assert exact == {"int8": {"t4", *OLD, *NEW}, "int4": {"t4", *OLD}}
