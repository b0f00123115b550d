"""Is a number shown in the unit that suits its size?"""

import pytest

from cyclekit.views import amount, scale, scale_of_all, style_of


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (12.9625, "us", "12.96 us"),
        (7.45e6, "pJ", "7.45 uJ"),
        (999.0, "pJ", "999 pJ"),
        (1000.0, "pJ", "1 nJ"),
        (0.0123, "us", "0.0123 us"),
        (3e6, "us", "3 s"),
        (4.2e10, "us", "42,000 s"),
        (0.0, "pJ", "0 pJ"),
        (1e12, "pJ", "1 J"),
        (2500.0, "mW", "2.5 W"),
        (12345.0, "bit", "12,345 bit"),
    ],
)
def test_an_amount_has_four_digits_and_its_unit(value, unit, shown):
    assert amount(value, unit) == shown


def test_an_axis_is_in_the_unit_of_its_largest_value_and_a_column_in_that_of_its_least():
    assert scale("pJ", 5e6) == ("uJ", 1e6)
    assert scale_of_all("pJ", [5e6, 3e3, 0.0, None]) == ("nJ", 1e3)
    assert scale_of_all("us", []) == ("us", 1.0)


def test_a_column_s_longest_number_has_five_digits_before_the_point():
    assert scale_of_all("us", [2.0, 99_999.0]) == ("us", 1.0)
    assert scale_of_all("us", [2.0, 100_000.0]) == ("ms", 1e3)
    assert scale_of_all("B", [262_144, 165e9]) == ("GB", 1e9)  # 165,000 MB
    assert scale_of_all("cycles", [1.0, 1e9]) == ("cycles", 1.0)


def test_what_is_counted_is_whole_in_its_own_unit():
    assert [format(12.5, style_of(step)) for step in ("us", "kB", "cycles")] == ["12.500", "12.500", "12"]
