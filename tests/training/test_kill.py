"""kill -9 costs at most an epoch: the resumed training ends with the files of the uninterrupted one."""

import pytest
from kill import kills


@pytest.mark.slow
def test_three_kills_change_nothing():
    assert kills(3, seed=1) == 3
