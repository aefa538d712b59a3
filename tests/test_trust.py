"""A run is data: reading one never executes code that the user did not name."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import opened, train

import plausible
from plausible.errors import PlausibleError

MODEL = """
from pathlib import Path
import torch
from plausible.models.independent import Independent

Path(__file__).with_name("was-imported").touch()


class Mine(Independent):
    "A model of the user's own."
"""
NAMES_OF_MODULES = ("torch", "numpy", "json", "safetensors", "mine", "pydantic", "tyro", "rich")


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory):
    """A folder with a model in mine.py, and a run of it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "mine.py").write_text(MODEL)
    done = command("train", "mine:Mine", "--data", "digits:fixed", "--out", "run", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "was-imported").unlink()
    return folder


@pytest.fixture
def home(trained_home, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    monkeypatch.chdir(shutil.copytree(trained_home, tmp_path / "home"))
    return Path.cwd()


def command(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "plausible", *words], capture_output=True, text=True, cwd=cwd
    )


VERBS = {
    "sample": ["sample", "run", "--out", "s.npy"],
    "score": ["score", "run", "--data", "digits:fixed", "--out", "s.npy"],
    "evaluate": ["evaluate", "run"],
    "resume": ["resume", "run", "--epochs", "2"],
    "verify": ["verify", "run"],
    "report": ["report", "run"],
}


ALWAYS = ("sample",)
"""A process each: the other verbs in `make test-all`, and in this process in tests/jobs/test_changes.py."""


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=() if verb in ALWAYS else pytest.mark.slow) for verb in VERBS]
)
def test_what_a_run_names_is_not_imported(home, verb):
    done = command(*VERBS[verb])
    assert not Path("was-imported").exists()
    if verb != "report":
        assert done.returncode == 2
        assert "--model mine:Mine" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_user_names_is(home):
    done = command("sample", "run", "--out", "s.npy", "--model", "mine:Mine")
    assert done.returncode == 0, done.stderr
    assert Path("was-imported").exists()


@pytest.mark.slow
def test_another_model_than_the_runs_is_refused(home):
    done = command("sample", "run", "--out", "s.npy", "--model", "plausible.models.nade:NADE")
    assert done.returncode == 2
    assert "mine:Mine" in done.stderr


def test_from_python_the_class_is_given(home, monkeypatch):
    monkeypatch.syspath_prepend(str(home))
    with pytest.raises(PlausibleError, match="model="):
        plausible.load("run").sample(2)
    assert "mine" not in sys.modules
    import mine

    assert plausible.load("run", model=mine.Mine).sample(2).shape == (2, 1, 8, 8)
    del sys.modules["mine"]


def test_a_class_trains_and_comes_back(tmp_path):
    from plausible.models.independent import Independent

    class Here(Independent):
        pass

    run = plausible.train(Here, "digits:fixed", out=tmp_path / "run", progress=False)
    assert isinstance(run.model, Here)
    with pytest.raises(PlausibleError, match="model="):
        opened(run.folder).sample(1)


def test_the_current_folder_is_not_on_the_path_while_a_run_is_read(tmp_path, monkeypatch):
    train("independent", "digits:fixed", out=tmp_path / "run")
    trap = tmp_path / "downloaded"
    trap.mkdir()
    for name in NAMES_OF_MODULES:
        (trap / f"{name}.py").write_text("raise SystemExit('executed')")
    monkeypatch.chdir(trap)
    done = command("sample", "../run", "--out", "s.npy")
    assert (done.returncode, "executed" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("name", ["os:system", "mine:Mine", "../x:Y", "plausible.models.gan:GAN", "a:b:c"])
def test_a_config_that_names_any_code_is_refused(tmp_path, name):
    run = train("independent", "digits:fixed", out=tmp_path / "run")
    config = json.loads(run.config_file.read_text())
    config["model"]["name"] = name
    run.config_file.write_text(json.dumps(config))
    before = set(sys.modules)
    with pytest.raises(PlausibleError, match="not part of plausible"):
        opened(run).sample(1)
    assert not {module for module in set(sys.modules) - before if not module.startswith("plausible")}


def test_no_reader_of_ours_unpickles():
    import plausible as package

    root = Path(package.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text()
        assert "pickle.load" not in text, path
        assert "torch.load(" not in text, path
        assert "allow_pickle=True" not in text, path
