"""The command line: what it promises about speed, statuses, output and options."""

import json
import re
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from support import opened, rows

from plausible import __version__, cli
from plausible.runs import RunFolder

TINY = ["--generator", "8", "8", "--discriminator", "8", "--latent", "4", "--batch", "100"]
VERBS = ("encode", "decode", "reconstruct", "features", "interpolate", "traverse", "complete", "report")
AT_ONCE = [
    ([], 2),
    (["--help"], 0),
    (["train", "--help"], 0),
    (["train"], 2),
    (["models"], 0),
    (["datasets"], 0),
    (["resume", "--help"], 0),
    (["sample", "--help"], 0),
    (["score", "--help"], 0),
    *(([verb, "--help"], 0) for verb in VERBS),
    (["--version"], 0),
    (["evaluate", "--help"], 0),
    (["theory", "--help"], 0),
    (["verify", "--help"], 0),
    (["verify", "nadee"], 2),
    (["trian", "gan"], 2),
    (["train", "gna"], 2),
    (["train", "gan", "--data", "digitz"], 2),
    (["train", "gan", "--data=digits:clas=3"], 2),
    (["train", "gan", "--data", "nowhere.csv", "--epochs", "1"], 2),
    (["score", "run", "--data", "digitz", "--out", "s.csv"], 2),
    (["encode", "run", "--data", "nowhere.csv", "--out", "z.npy"], 2),
]
PROBE = """
import sys
from plausible.cli import main
try:
    status = main()
except SystemExit as leaving:
    status = leaving.code
heavy = {"torch", "numba", "numpy", "sklearn", "matplotlib", "pydantic", "jinja2"}
print("heavy:", sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture(autouse=True)
def warnings_as_before(monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main sets its own


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run"


def trained(run, *more, epochs="0.2", status=0):
    """Train a tiny GAN on digits, or fail."""
    assert cli.main(["train", "gan", *TINY, "--epochs", epochs, "--out", str(run), *more]) == status
    return RunFolder(run)


@pytest.mark.parametrize(
    ("words", "status"), AT_ONCE, ids=[" ".join(words) or "nothing" for words, _ in AT_ONCE]
)
def test_help_lists_and_mistakes_answer_without_torch(words, status):
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True)
    print(f"{time.perf_counter() - began:.2f} s, the interpreter and its probe included")
    assert done.returncode == status, done.stderr
    assert done.stderr.endswith("heavy: []\n")
    assert (done.stdout if status == 0 else done.stderr.partition("heavy")[0]).strip()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "gna"], r"gna.*did you mean gan"),
        (["train", "gan", "--data", "digitz"], r"digitz.*digits"),
        (["train", "gan", "--preset", "goodfelow2014"], r"goodfelow2014.*goodfellow2014"),
        (["train", "gan", "--epochs", "0"], r"--epochs"),
        (["train", "gan", "--epochs=-1"], r"--epochs"),
        (["train", "gan", "--batch", "5000", "--epochs", "1"], r"--batch 5000.*1437"),
        (["train", "gan", "--shards", "300", "--epochs", "1"], r"--shards 300"),
        (["train", "gan", "--k", "0", "--epochs", "1"], r"'k'.*0"),
        (["train", "nowhere_at_all:GAN"], r"nowhere_at_all"),
        (["resume", "nowhere"], r"nowhere is not a run"),
        (["sample", "nowhere", "--out", "x.png"], r"nowhere is not a run"),
        (["traverse", "nowhere", "--out", "x.png"], r"nowhere is not a run"),
        (["interpolate", "nowhere", "0", "1", "--out", "x.png"], r"nowhere is not a run"),
        (["complete", "nowhere", "0", "--out", "x.png"], r"nowhere is not a run"),
        (["decode", "nowhere", "--codes", "z.npy", "--out", "x.png"], r"nowhere is not a run"),
        (["report", "nowhere"], r"nowhere is not a run"),
        (["train", "--like", "nowhere"], r"nowhere is not a run"),
        (["train", "gan", "--weights"], r"--like"),
        (["resume", "nowhere", "--set", "lr"], r"--set lr.*NAME=VALUE"),
        (["score", "nowhere", "--data", "digits", "--out", "s.csv"], r"nowhere is not a run"),
        (["score", "nowhere", "--data", "ringg", "--out", "s.csv"], r"ringg.*ring"),
        (["encode", "nowhere", "--data", "digits", "--out", "z.npy"], r"nowhere is not a run"),
        (["verify", "gan"], r"GAN has no density.*nade"),
        (["verify", "nowhere_at_all:NADE"], r"nowhere_at_all"),
        (["verify", "nowhere"], r"no model 'nowhere'.*nade"),
        (["verify", "runs/nowhere"], r"runs/nowhere is not a run"),
        (["verify", "."], r"\. is not a run"),
        (["verify", "nade", "--at", "3"], r"--at 3.*nade.*no run"),
        (["evaluate", "nowhere"], r"nowhere is not a run"),
        (["evaluate", "nowhere", "--data", "ringg"], r"ringg.*ring"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_status_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("plausible: error: ")
    assert re.search(said, err), err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["train", "gan", "--lattent", "3"],
        ["train", "gan", "--latent", "many"],
        ["train", "gan", "--precision", "float8"],
        ["train", "gan", "--generator-activation", "swish"],
        ["sample"],
        ["sample", "run"],
        ["interpolate", "run"],
        ["score", "run"],
        ["encode", "run", "--data"],
        ["score", "run", "--data", "digits", "--out", "s.csv", "--by", "luck"],
        ["resume"],
    ],
)
def test_a_mistake_in_the_options_is_status_2(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as leaving:
        cli.main(words)
    assert leaving.value.code == 2
    assert words[-1].lstrip("-") in capsys.readouterr().err or len(words) < 3
    assert not list(tmp_path.iterdir())


def test_options_before_the_model_are_answered_with_the_right_order(capsys):
    assert cli.main(["train", "--epochs", "1", "gan"]) == 2
    assert "plausible train gan --epochs 1" in capsys.readouterr().err


def test_help_shows_the_presets_values(capsys):
    def shown(*words):
        with pytest.raises(SystemExit) as leaving:
            cli.main(["train", "gan", *words, "--help"])
        assert leaving.value.code == 0
        return " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())

    default, authors = shown(), shown("--preset", "goodfellow2014")
    assert "(default: 800 800)" in default
    assert "(default: 1200 1200)" in authors
    assert "(default: authors-code)" in authors
    assert "Dimensions of the noise z" in default
    assert all(name in default for name in ("goodfellow2014", "tutorial"))


def test_the_command_line_wins_over_the_preset(run, capsys):
    config = trained(
        run, "--preset", "goodfellow2014", "--lr", "0.03", "--batch", "90", "--ema", "0.5"
    ).config()
    options, training = config.model.options, config.training
    assert (options["generator"], options["latent"]) == ([8, 8], 4)
    assert (config.recipe["lr"], config.recipe["optimizer"]) == (0.03, "sgd")
    assert (options["objective"], options["simultaneous"]) == ("authors-code", True)
    assert (training.batch, training.ema, training.epochs) == (90, 0.5, 0.2)
    assert config.model.preset == "goodfellow2014"


def test_quiet_prints_nothing(run, capfd):
    trained(run, "--quiet")
    assert cli.main(["resume", str(run), "--epochs", "0.4", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_plain_lines_come_where_there_is_no_terminal(run, capfd):
    trained(run)
    out, err = capfd.readouterr()
    assert err.startswith("digits: 1,437 rows to train on, 180 valid, 180 test; pictures of 8 × 8, grey; ")
    assert re.fullmatch(
        r".*unit.*\nlabels: 0 178, .*\ngan: [\d,]+ parameters \(generator [\d,]+, discriminator [\d,]+\); "
        r"batch size 100, 14 ticks an epoch; until 0.2 epochs\n"
        r"(tick \d+  epoch [\d.]+ of 0.2  \d+%  .*D\(G\(z\)\) .*\n)+",
        err,
    )
    assert "\x1b" not in out + err
    assert "\r" not in out + err
    for path in (run, run / "samples" / "000000003.png", run / "report.html"):
        assert re.search(rf" {re.escape(str(path))}$", out, re.MULTILINE), "paths are never cut"


def test_json_is_one_object_a_line(run, capfd):
    trained(run, "--json", epochs="1.5")
    assert cli.main(["resume", str(run), "--epochs", "2", "--json"]) == 0
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    ends = [line for line in lines if "reason" in line]
    assert [(line["run"], line["reason"], line["tick"]) for line in ends] == [
        (str(run), "finished", 21),
        (str(run), "finished", 28),
    ]
    ticks = [line for line in lines if "losses" in line]
    assert [line["tick"] for line in ticks] == [10, 20, 21, 28]
    assert set(ticks[0]) == {"tick", "epoch", "done", "seconds", "cpu_seconds", "rows", "losses", "shown"}
    assert err == ""


def test_a_diverged_training_is_status_2_and_named(run, capsys):
    trained(run, "--lr", "1e30", "--optimizer", "sgd", "--quiet", status=2)
    assert re.search(r"not finite at tick \d+.*--clip", capsys.readouterr().err)


def test_the_data_choose_the_preset_and_what_is_typed_wins(tmp_path):
    """What stands in the help as a default is not handed on: it is of another preset perhaps."""
    words = [
        "train",
        "gan",
        "--data",
        "ring",
        "--generator",
        "8",
        "--batch",
        "64",
        "--epochs",
        "0.001",
        "--quiet",
    ]
    assert cli.main([*words, "--out", str(tmp_path / "a")]) == 0
    config = RunFolder(tmp_path / "a").config()
    assert (config.model.preset, config.model.options["generator"]) == ("vectors", [8])
    assert (config.model.options["discriminator"], config.recipe["lr"]) == ([128, 128, 128], 2e-3)
    assert (
        cli.main(
            [*words, "--preset", "default", "--lr=1e-3", "--no-simultaneous", "--out", str(tmp_path / "b")]
        )
        == 0
    )
    config = RunFolder(tmp_path / "b").config()
    assert (config.model.preset, config.model.options["discriminator"]) == ("default", [800, 800])
    assert config.recipe["lr"] == 1e-3


def test_samples_come_in_every_form(run, tmp_path, capsys):
    trained(run, "--quiet")
    files = {}
    for ending in ("png", "npy", "npz", "csv"):
        file = tmp_path / f"x.{ending}"
        assert cli.main(["sample", str(run), "-n", "5", "--seed", "3", "--out", str(file)]) == 0
        assert capsys.readouterr().out.strip() == str(file)
        files[ending] = file
    x = np.load(files["npy"])
    assert (x.shape, x.dtype) == ((5, 1, 8, 8), np.float32)
    np.testing.assert_array_equal(np.load(files["npz"])["x"], x)
    np.testing.assert_allclose(
        np.loadtxt(files["csv"], delimiter=",", skiprows=1), x.reshape(5, -1), rtol=1e-6
    )
    assert files["png"].read_bytes().startswith(b"\x89PNG")


def test_scores_and_codes_are_files_and_the_score_is_named(run, tmp_path, capsys):
    trained(run, "--quiet")
    words = [str(run), "--data", "digits", "--out"]
    assert cli.main(["score", *words, str(tmp_path / "s.csv"), "--by", "critic"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "critic: the discriminator's logit, of 1,797 rows; not a density: it tells data from the generator's own "
        "samples; far from both it may point either way",
        str(tmp_path / "s.csv"),
    ]
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 1798
    assert cli.main(["features", *words, str(tmp_path / "z.npy")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "z.npy")
    assert np.load(tmp_path / "z.npy").shape == (1797, 8)
    assert cli.main(["score", *words, str(tmp_path / "t.csv"), "--by", "bound"]) == 2
    assert "--by latent or features or critic" in capsys.readouterr().err
    assert cli.main(["score", *words, str(tmp_path / "t.csv")]) == 2
    assert "no score of its own: ask for --by latent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "-n", "0", "--out", "x.png"], r"n must be at least 1, not 0"),
        (["sample", "--out", "x.gif"], r"x\.gif.*\.png"),
        (["score", "--data", "digits", "--out", "s.csv", "--samples", "0"], r"--samples.*0"),
        (["score", "--data", "digits", "--out", "s.png"], r"s\.png.*\.csv or \.npy"),
        (["features", "--data", "digits", "--out", "z.txt"], r"z\.txt.*\.npy"),
        (["encode", "--data", "digits", "--out", "z.npy"], r"GAN has no code.*features"),
        (["sample", "--out", "x.npy", "--model", "os:path"], r"not os:path"),
    ],
)
def test_what_a_run_cannot_do_is_one_line_and_no_file(run, words, said, capsys, tmp_path, monkeypatch):
    trained(run, "--quiet")
    monkeypatch.chdir(tmp_path)
    assert cli.main([words[0], str(run), *words[1:]]) == 2
    err = capsys.readouterr().err
    assert re.search(said, err), err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_is_repeated_changed_and_its_weights_begin_another(run, tmp_path, capsys):
    trained(run, "--quiet", "--seed", "3")
    again, moved = tmp_path / "again", tmp_path / "moved"
    assert cli.main(["train", "--like", str(run), "--out", str(again), "--quiet"]) == 0
    assert (again / "config.json").exists()
    first, second = RunFolder(run), RunFolder(again)
    assert second.config().model == first.config().model
    assert second.config().training == first.config().training
    for point in ("model", "optimizers"):
        name = f"{point}.safetensors"
        assert (first.newest_valid().path / name).read_bytes() == (
            second.newest_valid().path / name
        ).read_bytes()
    words = [
        "train",
        "--like",
        str(run),
        "--weights",
        "--data",
        "digits:class=8",
        "--out",
        str(moved),
        "--quiet",
    ]
    assert cli.main([*words, "--lr", "1e-3"]) == 0
    config = RunFolder(moved).config()
    assert config.recipe["lr"] == 1e-3
    assert config.weights is not None
    assert cli.main(["resume", str(moved), "--set", "lr=1e-4", "--epochs", "3", "--quiet"]) == 0
    assert RunFolder(moved).config().recipe_at()["lr"] == 1e-4
    assert capsys.readouterr().out == ""


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"plausible {__version__}\n"


def test_a_walk_through_the_code_space(run, tmp_path, capsys):
    small = ["--encoder", "8", "--decoder", "8", "--latent", "3", "--batch", "100", "--epochs", "0.2"]
    assert cli.main(["train", "vae", *small, "--out", str(run), "--quiet"]) == 0
    strip, grid = tmp_path / "strip.npy", tmp_path / "grid.npy"
    assert cli.main(["interpolate", str(run), "3", "5", "--out", str(strip)]) == 0
    assert cli.main(["traverse", str(run), "-n", "4", "--out", str(grid)]) == 0
    assert capsys.readouterr().out.split() == [str(strip), str(grid)]
    assert np.load(strip).shape == (12, 1, 8, 8)
    assert np.load(grid).shape == (3 * 4, 1, 8, 8)


def test_an_evaluation_is_a_table_or_json_and_a_file(run, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PLAUSIBLE_CACHE", str(tmp_path / "cache"))
    trained(run, "--quiet")
    capfd.readouterr()
    assert cli.main(["evaluate", str(run), "--metrics", "fidelity", "--json"]) == 0
    out, err = capfd.readouterr()
    assert err.count("training the features") == 1, "a wait of up to a minute is announced, once"
    found = json.loads(out)
    assert found == json.loads((run / "evaluation.json").read_text())
    assert (found["split"], found["data"], found["tick"], found["weights"]) == ("test", "digits", 3, "ema")
    assert cli.main(["evaluate", str(run), "--metrics", "fidelity"]) == 0
    assert found["metrics"][0]["name"] in capfd.readouterr().out


def test_a_verification_is_a_table_or_json_and_its_status_says_whether_all_holds(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["verify", "fvsbn"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"sums to one +1 +1 ± 1e-06 +✓", out)
    assert re.search(r"completes any half +not claimed", out)
    assert "fvsbn: 8 of 8 claims hold" in out
    assert cli.main(["verify", "broken_nades:OffByOne", "--json", "--seed", "2"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "broken_nades:OffByOne"
    assert not found["holds"]
    assert {line["holds"] for line in found["claims"]} == {True, False, None}
    assert cli.main(["verify", "broken_nades:OffByOne"]) == 1
    assert "✗" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_a_warning_in_one_line(run, tmp_path, capfd):
    trained(run, "--quiet")
    (RunFolder(run).checkpoints()[0].path / "state.json").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["sample", str(run), "--out", str(tmp_path / "x.npy")]) == 2
    err = capfd.readouterr().err.splitlines()
    assert err[0].startswith("plausible: warning: checkpoint 000000003 is damaged")
    assert err[1].startswith("plausible: error: ")
    assert len(err) == 2


OWN = '''
from plausible.game import GenerativeModel, Loss, Turn
import torch
from torch import nn

class Mean(GenerativeModel):
    """A Gaussian of learnt mean.

    Args:
        width: its standard deviation.
    """

    def __init__(self, shape, domain="real", *, width: float = 0.5, start: tuple[float, ...] = (0.0,)):
        super().__init__(shape, domain)
        self.width = width
        self.mean = nn.ParameterList([torch.tensor(start).expand(self.shape).clone()])

    def turns(self):
        return [Turn("mean", lambda batch: Loss({"squares": (batch.x - self.mean[0]).square().sum(1)}), [self.mean])]

    def sample(self, n, *, y=None):
        return self.mean[0].detach() + self.width * torch.randn(n, *self.shape)
'''


def test_a_users_own_model_trains_resumes_and_samples(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_model_of_a_test.py").write_text(OWN)
    np.save(tmp_path / "x.npy", rows("points").array())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "own_model_of_a_test:Mean"
    with pytest.raises(SystemExit):
        cli.main(["train", name, "--help"])
    assert "its standard deviation" in " ".join(capsys.readouterr().out.split())
    words = ["train", name, "--data", "x.npy", "--width", "0.25", "--start", "9", "--batch", "8", "--quiet"]
    assert cli.main([*words, "--epochs", "2", "--out", str(run)]) == 0
    assert cli.main(["resume", str(run), "--epochs", "3", "--quiet", "--model", name]) == 0
    assert cli.main(["sample", str(run), "-n", "500", "--out", "y.npy", "--model", name]) == 0
    x, y = np.load("x.npy"), np.load("y.npy")
    assert y.shape == (500, 2)
    assert ((y >= x.min(0)) & (y <= x.max(0))).all(), "new rows keep to the data's range"
    model = opened(run, model=name).model
    assert model.sample(500).numpy().std(0) == pytest.approx([0.25, 0.25], rel=0.2)
    mean = model.mean[0].detach().tolist()
    assert mean == pytest.approx([9, 9], abs=0.05)
    assert mean != [9, 9]


def test_its_run_is_named_after_model_data_and_seed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert (
        cli.main(
            ["train", "gan", *TINY, "--data", "digits:class=3", "--epochs", "1", "--quiet", "--seed", "4"]
        )
        == 0
    )
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["gan-digits-class=3-4"]
