"""Damaged files of a run are an answer or one clear line; `make torture` tries many more."""

import pytest
from torture import main


@pytest.mark.slow  # and `.ci/run` runs `make torture`
def test_a_few_damaged_files_end_in_no_raw_error():
    assert main(seconds=60, seed=1, most=60) == 0
