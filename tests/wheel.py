"""Build the wheel, install it in a fresh environment, and use it from another folder: `make wheel`.

The environment holds what `pip install plausible` brings, in the pinned versions, and nothing else: no extra, no test
tool, no checkout on the path. Needs a package registry, as `make install` does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Environment variables that would let the checkout or this environment in."""
ABSENT = ("numba", "pytest", "pandas", "polars", "pyarrow")
"""What only extras bring."""


def main(extras: str = "") -> None:
    """All of it, in a temporary folder.

    Args:
        extras: to install too, such as "fast".

    Raises:
        SystemExit: the first thing that is not as it should be.
    """
    with tempfile.TemporaryDirectory(prefix="plausible-wheel-") as name:
        folder = Path(name)
        wheel = _build(folder / "dist")
        _check_files(wheel)
        commands = _install(wheel, folder / "venv", extras)
        away = folder / "away"
        away.mkdir()
        _use(commands, away)
        if not extras:
            _check_absent(commands / "python", away)
        print(
            f"{wheel.name}: installed, trained and sampled; site-packages {_megabytes(folder / 'venv')} MiB"
        )


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done


def _expect(holds: object, what: str) -> None:
    if not holds:
        raise SystemExit(f"wheel: {what}")


def _build(folder: Path) -> Path:
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=ROOT)
    (wheel,) = folder.glob("plausible-*.whl")
    return wheel


def _check_files(wheel: Path) -> None:
    """Every file of the package is in the wheel, and its metadata are whole."""
    source = ROOT / "src"
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "plausible").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
        info = metadata.removesuffix("METADATA")
        commands = archive.read(f"{info}entry_points.txt").decode()
    _expect(not expected - names, f"the wheel lacks {sorted(expected - names)}")
    strangers = sorted(name for name in names - expected if not name.startswith(info))
    _expect(not strangers, f"the wheel holds {strangers}")
    _expect("plausible/py.typed" in names, "py.typed is missing")
    _expect(f"{info}licenses/LICENSE" in names, "the license is missing")
    _expect("plausible = plausible.cli:main" in commands, "the command is missing")
    for field in (
        "Summary",
        "License-Expression",
        "Requires-Python",
        "Description-Content-Type",
        "Classifier",
    ):
        _expect(f"\n{field}: " in text, f"the metadata lack {field}")
    _expect("# plausible" in text, "the metadata lack the README")


def _install(wheel: Path, venv: Path, extras: str) -> Path:
    _run(sys.executable, "-m", "venv", venv, cwd=ROOT)
    what = f"{wheel}[{extras}]" if extras else str(wheel)
    _run(venv / "bin/pip", "install", "--quiet", "-c", ROOT / "constraints.txt", what, cwd=venv)
    return venv / "bin"


def _use(commands: Path, away: Path) -> None:
    """What a user does first, and a model whose compiled kernel is an extra."""
    plausible = commands / "plausible"
    where = _run(commands / "python", "-c", "import plausible; print(plausible.__file__)", cwd=away).stdout
    _expect("site-packages" in where, f"plausible was imported from {where}")
    _expect(_run(plausible, "--version", cwd=away).stdout.startswith("plausible "), "no version")
    _expect("vae" in _run(plausible, "models", cwd=away).stdout, "no models are listed")
    _run(
        plausible,
        "train",
        "gan",
        "--data",
        "digits",
        "--minutes",
        "0.034",
        "--out",
        "run",
        "--quiet",
        cwd=away,
    )
    _run(plausible, "sample", "run", "--out", "samples.png", cwd=away)
    _run(plausible, "evaluate", "run", cwd=away)
    for name in ("samples.png", "run/report.html"):
        _expect((away / name).is_file(), f"{name} was not written")
    _run(
        plausible, "train", "nade", "--data", "digits:binary", "--epochs", "1", "--hidden", "20", "--out", "nade",
        "--quiet", cwd=away,
    )  # fmt: skip


def _check_absent(python: Path, away: Path) -> None:
    """Nothing was there that the wheel does not ask for."""
    code = f"import importlib.util as u; print([n for n in {ABSENT} if u.find_spec(n)])"
    found = _run(python, "-c", code, cwd=away).stdout.strip()
    _expect(found == "[]", f"{found} are there without any extra")


def _megabytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >> 20


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--extras", default="", help="extras to install too, such as fast")
    main(parser.parse_args().extras)
