"""`plausible theory`: the project's own GAN on the line, small in CI and in full under `make reproduce`."""

import copy
import json

import pytest
import torch
from PIL import Image

from plausible import cli
from plausible.course import experiment
from plausible.course.claims import Claim
from plausible.errors import PlausibleError
from plausible.training.trainer import Settings, Trainer

DRAWN = True


@pytest.fixture
def short(monkeypatch):
    for name, value in {
        "_TICKS": 24,
        "_SHORT": 12,
        "_EARLY": 2,
        "_NEAR": 6,
        "_INNER_TICKS": 5,
        "_OUTER_TICKS": 2,
    }.items():
        monkeypatch.setattr(experiment, name, value)


def test_the_page_and_its_files(short, tmp_path):
    parts = []
    run = experiment.theory(tmp_path / "new" / "theory", seed=1, say=lambda words, share: parts.append(share))
    assert sorted(file.name for file in run.folder.iterdir()) == [
        "animation.gif", "figure-1.png", "theory.html", "theory.json"
    ]  # fmt: skip
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    page = (run.folder / "theory.html").read_text(encoding="utf-8")
    for claim in run.claims:
        assert claim.quantity.replace("&", "&amp;") in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert "https:" not in page.replace("https://matplotlib.org", "")
    assert "<script" not in page
    record = json.loads((run.folder / "theory.json").read_text())
    assert [claim["quantity"] for claim in record["claims"]] == [claim.quantity for claim in run.claims]
    with Image.open(run.folder / "animation.gif") as film:
        assert film.n_frames >= 20
    with Image.open(run.folder / "figure-1.png") as still:
        assert still.width > 1200


def test_the_same_seed_gives_the_same_table_and_leaves_torchs_randomness_alone(short):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (experiment.theory(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == again
    assert first.folder is None
    assert first.claims[-1] != other.claims[-1]


def test_branches_leave_the_run_as_it_would_have_been(short, monkeypatch):
    ends = []
    for looked_at in ((2, 6), (3, 9)):
        monkeypatch.setattr(experiment, "_EARLY", looked_at[0])
        monkeypatch.setattr(experiment, "_NEAR", looked_at[1])
        ends.append(experiment._algorithm_1(0).end)
    assert (ends[0].p_g == ends[1].p_g).all()
    assert (ends[0].logit == ends[1].logit).all()


@pytest.mark.parametrize(
    ("turn", "moves", "still"), [(0, "discriminator", "generator"), (1, "generator", "discriminator")]
)
def test_one_player_moves_and_the_other_holds_still(turn, moves, still):
    gan = experiment._as_gan(experiment._players(0, {}).game)
    before = copy.deepcopy(gan.state_dict())
    trainer = Trainer(
        experiment.OnePlayer(gan, turn, 5, 1e-2),
        experiment.NormalSamples(experiment.P_DATA),
        Settings(batch=32),
    )
    rates = []
    for _ in range(5):
        trainer.play()
        rates.append(next(iter(trainer.optimizers.values())).param_groups[0]["lr"])
    changed = {
        name.split(".")[0] for name, value in gan.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {moves}
    assert still not in changed
    assert rates == pytest.approx([1e-2, 8e-3, 6e-3, 4e-3, 2e-3])


def test_samples_are_minibatches_of_p_data():
    x, y = experiment.NormalSamples(experiment.FAR).take(range(50_000), seed=3)
    assert (x.shape, x.dtype.name, y) == ((50_000, 1), "float32", None)
    assert (x.mean(), x.std()) == (pytest.approx(4, abs=0.02), pytest.approx(0.5, abs=0.02))
    assert (x == experiment.NormalSamples(experiment.FAR).take(range(50_000), seed=3)[0]).all()


def test_mistakes_are_named_and_write_nothing(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PlausibleError, match=r"--out .*file"):
        experiment.theory(tmp_path / "file")
    with pytest.raises(PlausibleError, match="--seed must be 0 or more, not -1"):
        experiment.theory(tmp_path / "theory", seed=-1)
    with pytest.raises(PlausibleError, match="--seed must be below 2⁶³"):
        experiment.theory(tmp_path / "theory", seed=1 << 63)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize(("measured", "status"), [(3.5, 0), (3.6, 1)])
def test_the_command_prints_the_table_and_fails_with_a_line_that_does_not_hold(
    measured, status, monkeypatch, capsys
):
    claim = Claim("die", "mean of a throw", 3.5, "Σ x P(x)", measured, "10 samples", 0.01, 0.02)
    monkeypatch.setattr(experiment, "theory", lambda out, seed, say: experiment.TheoryRun([claim], out))
    assert cli.main(["theory"]) == status
    shown = capsys.readouterr().out
    assert "mean of a throw" in shown
    assert f"{1 - status} of 1" in shown
    assert cli.main(["theory", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["claims"][0]["measured"] == measured


def test_ctrl_c_ends_the_command_without_a_traceback(monkeypatch, capsys):
    def interrupted(out, seed, say):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "theory", interrupted)
    assert cli.main(["theory"]) == 130
    assert capsys.readouterr() == ("", "plausible: stopped by Ctrl-C\n")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_theory_holds_in_a_full_run(seed):
    run = experiment.theory(seed=seed)
    assert [claim.quantity for claim in run.claims if not claim.holds] == []
    distances = [claim for claim in run.claims if claim.quantity.startswith("E|D − D*|")]
    assert len(distances) == 3
    print(seed, [(claim.quantity, claim.measured) for claim in run.claims[-8:]])
