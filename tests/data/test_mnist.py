"""MNIST: the real one where $PLAUSIBLE_DATA has it, and the download against a server on the loopback."""

import gzip
import hashlib
import os
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from plausible.data import load, mnist
from plausible.errors import PlausibleError

HERE = Path(os.environ.get("PLAUSIBLE_DATA", "")) / "mnist"
real = pytest.mark.skipif(
    not os.environ.get("PLAUSIBLE_DATA") or not HERE.is_dir(),
    reason="needs PLAUSIBLE_DATA with a folder mnist",
)


@real
def test_the_real_one():
    data = load("mnist")
    assert [len(rows) for rows in (data.train, data.valid, data.test, data.rows)] == [
        50_000,
        10_000,
        10_000,
        70_000,
    ]
    assert (data.shape, data.domain) == ((1, 28, 28), "unit")
    assert list(data.train.y[:10]) == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert list(data.test.y[:10]) == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    np.testing.assert_array_equal(data.valid.ids, np.arange(50_000, 60_000))
    assert list(np.bincount(data.test.y)) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    total, pixels = 0.0, 0
    for block in data.rows.blocks(10_000):
        if pixels < 60_000 * 784:
            total, pixels = total + block.sum(dtype=np.float64), pixels + block.size
    assert total / pixels == pytest.approx(0.1306604762738429, abs=1e-6)  # of the training file, well known


@real
def test_the_threes_of_the_real_one():
    data = load("mnist:class=3:binary")
    assert [len(data.test), len(data.train) + len(data.valid)] == [1010, 6131]
    assert data.domain == "binary"


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.tobytes()


@pytest.fixture
def files(monkeypatch):
    """Tiny files in MNIST's form, whose hashes are the expected ones."""
    rng = np.random.default_rng(0)
    content = {
        "train-images-idx3-ubyte": idx(rng.integers(0, 256, (12, 28, 28), dtype=np.uint8)),
        "train-labels-idx1-ubyte": idx(np.arange(12, dtype=np.uint8) % 10),
        "t10k-images-idx3-ubyte": idx(rng.integers(0, 256, (4, 28, 28), dtype=np.uint8)),
        "t10k-labels-idx1-ubyte": idx(np.arange(4, dtype=np.uint8)),
    }
    hashes = {name: hashlib.md5(data, usedforsecurity=False).hexdigest() for name, data in content.items()}
    monkeypatch.setattr(mnist, "_HASHES", hashes)
    monkeypatch.setattr(mnist, "_VALID", 3)
    monkeypatch.delenv("PLAUSIBLE_DATA", raising=False)
    return {f"{name}.gz": gzip.compress(data) for name, data in content.items()}


class Handler(BaseHTTPRequestHandler):
    def __init__(self, served, asked, *args):
        self.served, self.asked = served, asked
        super().__init__(*args)

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        self.asked.append(self.path)
        body, length = self.served.get(name, (None, 0))
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(files, tmp_path, monkeypatch):
    """(what it serves: name → (body, the length it claims); the paths it was asked for; the cache)."""
    served, asked = {name: (body, len(body)) for name, body in files.items()}, []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, served, asked)) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("PLAUSIBLE_MNIST_URL", f"http://127.0.0.1:{http.server_port}/mirror")
        monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "cache"))
        yield served, asked, tmp_path / "cache" / "mnist"
        http.shutdown()
        thread.join()


def kept(cache):
    return sorted(path.name for path in cache.rglob("*")) if cache.exists() else []


def test_downloaded_once_and_read_from_the_cache_after(server, files):
    _, asked, cache = server
    data = load("mnist")
    assert [len(rows) for rows in (data.train, data.valid, data.test)] == [9, 3, 4]
    assert list(data.rows.y) == [*range(10), 0, 1, 0, 1, 2, 3]
    pixels = gzip.decompress(files["t10k-images-idx3-ubyte.gz"])[16:]
    assert np.rint(data.test.array() * 255).astype(np.uint8).tobytes() == pixels
    assert sorted(asked) == sorted(f"/mirror/{name}" for name in files)
    assert kept(cache) == sorted(files)
    assert load("mnist").hash == data.hash
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda body: (body[: len(body) // 2], len(body)), "cannot be downloaded"),  # the line broke
        (
            lambda body: (body[: len(body) // 2], len(body) // 2),
            "cannot be decompressed",
        ),  # the mirror's copy is short
        (lambda body: (gzip.compress(b"other" * 500), len(gzip.compress(b"other" * 500))), "is not MNIST's"),
        (lambda body: (b"<html>log in</html>", 19), "cannot be decompressed"),
        (lambda body: (b"", 0), "is not MNIST's"),
        (lambda body: (None, 0), "404"),
    ],
    ids=["line broke", "truncated", "tampered", "not gzip", "empty", "404"],
)
def test_a_bad_download_is_an_error_and_leaves_nothing(server, files, damage, says):
    served, _, cache = server
    name = "t10k-images-idx3-ubyte.gz"
    served[name] = damage(files[name])
    with pytest.raises(PlausibleError) as caught:
        load("mnist")
    assert says in str(caught.value)
    assert f"/mirror/{name}" in str(caught.value)
    assert "set PLAUSIBLE_DATA" in str(caught.value)
    assert str(cache / ".download-") not in str(caught.value)  # a file that is gone helps nobody
    assert kept(cache) == sorted(file for file in files if file.startswith("train"))
    served[name] = (files[name], len(files[name]))
    assert len(load("mnist").rows) == 16


def test_no_server_at_all(files, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PLAUSIBLE_MNIST_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path))
    with pytest.raises(PlausibleError, match="cannot be downloaded") as caught:
        load("mnist")
    assert "set PLAUSIBLE_DATA" in str(caught.value)
    assert kept(tmp_path / "mnist") == []


def test_a_url_that_is_none(files, tmp_path, monkeypatch):
    monkeypatch.setenv("PLAUSIBLE_MNIST_URL", "nowhere")
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path))
    with pytest.raises(PlausibleError, match="nowhere"):
        load("mnist")


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "file"))
    with pytest.raises(PlausibleError, match="set PLAUSIBLE_CACHE"):
        load("mnist")


def test_a_file_that_spoilt_in_the_cache(server, files):
    _, _, cache = server
    load("mnist")
    bad = cache / "train-labels-idx1-ubyte.gz"
    bad.write_bytes(bad.read_bytes()[:-9])
    with pytest.raises(PlausibleError, match="delete") as caught:
        load("mnist")
    assert str(bad) in str(caught.value)


def test_plausible_data_comes_first_and_is_checked(files, tmp_path, monkeypatch):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, body in files.items():
        (folder / name).write_bytes(body)
    monkeypatch.setenv("PLAUSIBLE_DATA", str(tmp_path))
    monkeypatch.setenv("PLAUSIBLE_MNIST_URL", "nowhere")
    assert len(load("mnist").rows) == 16
    bad = folder / "train-images-idx3-ubyte.gz"
    bad.write_bytes(gzip.compress(gzip.decompress(bad.read_bytes())[:-1] + b"\0"))
    with pytest.raises(PlausibleError, match="is not MNIST's") as caught:
        load("mnist")
    assert str(bad) in str(caught.value)
    bad.unlink()
    with pytest.raises(PlausibleError, match="is missing"):
        load("mnist")
