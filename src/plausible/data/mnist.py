"""MNIST, from `$PLAUSIBLE_DATA/mnist` or downloaded once into the user's cache, and checked by hash either way.

Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np

from plausible.data.cache import cache_folder
from plausible.data.raw import Raw
from plausible.errors import PlausibleError

__all__ = ["mnist"]

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_HASHES = {  # MD5 of the uncompressed files: the compression differs between mirrors
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_VALID = 10_000
_LIMIT = 1 << 26  # the largest file unpacks to 47 MB
_TIMEOUT = 30.0
_BY_HAND = "or put the four .gz files into a folder mnist and set PLAUSIBLE_DATA to the folder that holds it"


def mnist(name: str = "mnist") -> Raw:
    """70,000 digits, 28 × 28, levels 0 … 255: train, valid (the training file's last 10,000), test.

    Raises:
        PlausibleError: a file is missing, damaged or cannot be downloaded.
    """
    x, y = _idx("train-images-idx3-ubyte"), _idx("train-labels-idx1-ubyte")
    x_test, y_test = _idx("t10k-images-idx3-ubyte"), _idx("t10k-labels-idx1-ubyte")
    n = len(x)
    return Raw.of(
        name,
        np.concatenate([x, x_test])[:, None],
        y=np.concatenate([y, y_test]).astype(np.int64),
        labels=tuple("0123456789"),
        counts={"train": n - _VALID, "valid": _VALID, "test": len(x_test)},
        domain="unit",
        scale=255.0,
    )


def _idx(name: str) -> np.ndarray:
    """One IDX file as an array of bytes: a four-byte type, one 32-bit length per axis, then the values."""
    content = _file(name)
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _file(name: str) -> bytes:
    """The uncompressed content of a file, from disk or from the mirror."""
    own = os.environ.get("PLAUSIBLE_DATA")
    if own and (Path(own) / "mnist").is_dir():
        path = Path(own) / "mnist" / f"{name}.gz"
        if not path.is_file():
            raise PlausibleError(
                f"{path} is missing: put the four .gz files of MNIST there, or unset PLAUSIBLE_DATA"
            )
        return _unpacked(
            path, name, str(path), f"replace {path} by the original, or unset PLAUSIBLE_DATA to download it"
        )
    path = cache_folder() / "mnist" / f"{name}.gz"
    if path.is_file():
        return _unpacked(path, name, str(path), f"delete {path} and it will be downloaded again")
    return _download(path, name)


def _unpacked(path: Path, name: str, source: str, fix: str) -> bytes:
    """The uncompressed content of a file, checked by hash; errors call it `source`."""
    try:
        with gzip.open(path) as stream:
            content = stream.read(_LIMIT)
    except (OSError, EOFError, zlib.error) as error:
        raise PlausibleError(f"{source} cannot be decompressed ({error}): {fix}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != _HASHES[name]:
        raise PlausibleError(f"{source} is not MNIST's {name} (md5 {found}, not {_HASHES[name]}): {fix}")
    return content


def _download(path: Path, name: str) -> bytes:
    """Download one file to a temporary name, check it, and then move it into the cache."""
    import pooch
    import requests

    url = (os.environ.get("PLAUSIBLE_MNIST_URL") or _MIRROR).rstrip("/") + f"/{name}.gz"
    fetch = pooch.HTTPDownloader(
        timeout=_TIMEOUT, stream=False
    )  # streaming, pooch leaves the socket open on 404
    fix = f"try again, {_BY_HAND}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as folder:
            part = Path(folder) / path.name
            fetch(url, str(part), None)
            content = _unpacked(part, name, f"what {url} sent", fix)
            part.replace(path)
    except requests.RequestException as error:
        raise PlausibleError(
            f"MNIST cannot be downloaded from {url} ({error}): check the network, {fix}"
        ) from error
    except OSError as error:
        raise PlausibleError(
            f"the cache {path.parent} cannot be written ({error}): "
            f"set PLAUSIBLE_CACHE to a folder that can, {_BY_HAND}"
        ) from error
    return content
