"""Are kernels compiled as they are written, and also where no compiled code can be kept?"""

import numba

from cyclekit.jit import kernel


def there_and_back(a, b):
    return (a + b) - a


def test_no_sum_is_reordered():
    # 1 is less than half the distance between doubles at 1e17; fastmath may answer 1
    assert kernel(there_and_back)(1e17, 1.0) == 0.0


def test_a_kernel_is_kept_on_disk():
    assert kernel(there_and_back).stats.cache_path is not None


def test_a_read_only_installation_without_a_home_runs_all_the_same(monkeypatch):
    njit = numba.njit

    def nowhere(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'there_and_back': no locator available for file ...")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", nowhere)
    assert kernel(there_and_back)(1e17, 1.0) == 0.0
