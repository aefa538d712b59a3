"""The precision that a training takes where none is given: bfloat16 where model and processor gain from it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import torch

from plausible.errors import PlausibleError
from plausible.game import Domain, GenerativeModel

__all__ = ["multiplies_bfloat16", "usual_precision"]

CPUINFO = Path("/proc/cpuinfo")


def usual_precision(
    kind: type[GenerativeModel], shape: tuple[int, ...], domain: Domain
) -> Literal["float32", "bfloat16"]:
    """The precision of a training on such data where the user gives none.

    A function of model, data and processor, not of a measurement at the start: two trainings with the same seed on the
    same machine must give the same weights, however busy it is. The run records it, so that resuming keeps it.
    """
    return "bfloat16" if kind.gains_from_bfloat16(shape, domain) and multiplies_bfloat16() else "float32"


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor has units for products of bfloat16 matrices (AMX).

    Instructions for dot products alone (AVX512-BF16) are not enough: with AMX switched off the same processor trained
    the U-Net of flow-matching at .74 to .88 times the speed of float32. Where a GPU is used nothing was measured: no.
    """
    if torch.cuda.is_available():
        return False
    known = getattr(torch.cpu, "get_capabilities", None)
    if known is not None:
        return bool(known().get("amx_bf16", False))
    try:
        return "amx_bf16" in CPUINFO.read_text().split()
    except FileNotFoundError:  # another system than Linux
        return False
    except OSError as error:
        raise PlausibleError(f"{CPUINFO} cannot be read: {error}: give --precision") from error
