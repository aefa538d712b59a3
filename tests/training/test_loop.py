"""Budgets are totals over all sessions; reports and checkpoints come when they should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tiny_options, trainer_of

from plausible import jobs
from plausible.errors import PlausibleError
from plausible.training import loop
from plausible.training.loop import Budget, Clock, checkpoint_ticks, fit, log_ticks

TINY = tiny_options("gan", "default") | {"batch": 100}  # 14 ticks an epoch of digits


@given(epoch=st.integers(1, 100_000))
def test_checkpoints_lie_at_whole_epochs_near_500_ticks(epoch):
    ticks = checkpoint_ticks(epoch)
    assert ticks % epoch == 0
    assert ticks == epoch or abs(ticks - 500) <= epoch / 2


@given(epoch=st.integers(1, 100_000))
def test_reports_come_every_10_to_100_ticks(epoch):
    assert 10 <= log_ticks(epoch) <= 100
    assert log_ticks(500) == 50


def test_a_share_of_a_budget_is_the_larger_of_its_parts():
    budget = Budget(ticks=100, seconds=10.0)
    idle = {"cpu_seconds": 1e9}
    parts = [budget.spent(tick, seconds=s, **idle) for tick, s in ((50, 1.0), (10, 9.0), (500, 0.0))]
    assert parts == [0.5, 0.9, 1.0]
    assert Budget(seconds=10.0, cpu_seconds=20.0).spent(0, seconds=1.0, cpu_seconds=15.0) == 0.75
    assert Budget().spent(10**9, seconds=1e9, cpu_seconds=1e9) == 0.0


@pytest.mark.parametrize(
    ("tick", "seconds", "cpu_seconds", "reason"),
    [(9, 4.9, 6.9, ""), (10, 0, 0, "finished"), (0, 5, 0, "minutes"), (0, 0, 7, "core-minutes")],
)
def test_the_total_that_is_reached_is_named(tick, seconds, cpu_seconds, reason):
    budget = Budget(ticks=10, seconds=5.0, cpu_seconds=7.0)
    assert budget.used_up(tick, seconds=seconds, cpu_seconds=cpu_seconds) == reason
    assert Budget().used_up(tick, seconds=seconds, cpu_seconds=cpu_seconds) == ""


def fitted(ticks, *, log=10, every=6, monkeypatch):
    trainer, reports, saves = trainer_of("gan", "default", "image"), [], []
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: every)
    reason = fit(
        trainer,
        Budget(ticks=ticks),
        Clock(),
        report=reports.append,
        save=lambda _: saves.append(trainer.tick),
    )
    return trainer, reason, reports, saves


@pytest.mark.parametrize(
    ("ticks", "saves", "reports"), [(13, [6, 12, 13], [10, 13]), (12, [6, 12], [10, 12]), (10, [6, 10], [10])]
)
def test_the_end_is_saved_and_reported_once(ticks, saves, reports, monkeypatch):
    trainer, reason, reported, saved = fitted(ticks, monkeypatch=monkeypatch)
    assert (reason, trainer.tick, saved) == ("finished", ticks, saves)
    assert [progress.tick for progress in reported] == reports
    assert reported[-1].done == 1.0


def test_a_report_is_the_mean_since_the_last_one(monkeypatch):
    played = []
    trainer = trainer_of("gan", "default", "image", k=2)
    inner = trainer.play
    trainer.play = lambda: played.append(inner()) or played[-1]
    reports = []
    fit(trainer, Budget(ticks=15), Clock(), report=reports.append, save=lambda _: None)
    for progress, ticks in zip(reports, (played[:10], played[10:]), strict=True):
        for name, value in (progress.losses | progress.shown).items():
            found = [float(seen[name]) for seen in ticks if name in seen]
            assert value == pytest.approx(sum(found) / len(found), rel=1e-5), name
        assert any(name.startswith("generator/") for name in progress.losses)
        assert progress.rows == progress.tick * 16
        assert progress.epoch == progress.tick / 2


class Steps(Clock):
    """A clock on which every look takes a hundredth of a second."""

    def now(self):
        self.seconds += 0.01
        return {"seconds": self.seconds, "cpu_seconds": self.seconds}


@pytest.mark.parametrize(("before", "ticks"), [(0.0, 9), (0.05, 4), (0.3, 0)])
def test_seconds_of_earlier_sessions_count(before, ticks):
    trainer = trainer_of("gan", "default", "image")
    budget, clock = Budget(seconds=0.0999), Steps(seconds=before)
    assert fit(trainer, budget, clock, report=lambda _: None, save=lambda _: None) == "minutes"
    assert trainer.tick == ticks


class Working(Steps):
    """Two threads at work: two seconds of processor time pass in each second."""

    def now(self):
        now = super().now()
        return now | {"cpu_seconds": self.cpu_seconds + 2 * now["seconds"]}


@pytest.mark.parametrize(("before", "ticks"), [(0.0, 4), (0.05, 2), (0.3, 0)])
def test_processor_time_of_all_threads_and_sessions_counts(before, ticks):
    trainer = trainer_of("gan", "default", "image")
    budget, clock = Budget(seconds=60, cpu_seconds=0.0999), Working(cpu_seconds=before)
    assert fit(trainer, budget, clock, report=lambda _: None, save=lambda _: None) == "core-minutes"
    assert trainer.tick == ticks


@pytest.mark.parametrize(("budget", "clock"), [("minutes", "seconds"), ("core_minutes", "cpu_seconds")])
def test_minutes_are_a_total_over_sessions(budget, clock, tmp_path):
    run = jobs.train("gan", out=tmp_path / "run", **{budget: 0.7 / 60}, **TINY)
    first, reason = run.stopped(), budget.replace("_", "-")
    assert first["reason"] == reason
    spent = [event for event in run.events() if event["event"] == "ticks"][-1][clock]
    jobs.resume(run, **{budget: (spent + 0.5) / 60})
    ticks = [event for event in run.events() if event["event"] == "ticks"]
    assert (run.stopped()["tick"] > first["tick"], run.stopped()["reason"]) == (True, reason)
    assert [event[clock] for event in ticks] == sorted(event[clock] for event in ticks)
    with pytest.raises(PlausibleError, match="has spent its budget"):
        jobs.resume(run, **{budget: spent / 60})


def test_epochs_are_a_total_over_sessions(tmp_path):
    run = jobs.train("gan", out=tmp_path / "run", epochs=1, **TINY)
    assert run.stopped()["tick"] == 14
    jobs.resume(run, epochs=2.5)
    assert run.stopped()["tick"] == 35
    assert run.config().training.epochs == 2.5, "the budget in force"
    assert [change.set for change in run.config().history] == [
        {"epochs": 2.5, "minutes": None, "core_minutes": None}
    ]


def test_the_first_of_two_budgets_ends_it(tmp_path):
    run = jobs.train("gan", out=tmp_path / "run", epochs=0.5, minutes=60, **TINY)
    assert (run.stopped()["reason"], run.stopped()["tick"]) == ("finished", 7)


def test_a_given_budget_replaces_the_presets(tmp_path):
    options = TINY | tiny_options("gan", "tutorial")
    run = jobs.train("gan", preset="tutorial", out=tmp_path / "run", minutes=0.1 / 60, **options)
    assert run.config().training.epochs is None
    assert run.stopped()["reason"] == "minutes"


@pytest.mark.parametrize(("keep", "left"), [(1, [12]), (2, [8, 12]), (0, [4, 8, 12])])
def test_as_many_checkpoints_are_kept_as_asked(keep, left, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "checkpoint_ticks", lambda _: 4)
    run = jobs.train("gan", out=tmp_path / "run", epochs=12 / 14, keep=keep, **TINY)
    assert [point.tick for point in run.checkpoints()] == left
    assert sorted(path.name for path in run.samples_dir.iterdir()) == [f"{t:09d}.png" for t in (4, 8, 12)]


def test_a_run_killed_between_its_last_checkpoint_and_its_end_is_finished_by_resume(tmp_path):
    run = jobs.train("gan", out=tmp_path / "run", epochs=0.5, **TINY)
    kept = [line for line in run.events_file.read_text().splitlines() if '"stop"' not in line]
    run.events_file.write_text("\n".join(kept) + "\n")
    run.report_file.unlink()
    jobs.resume(run)
    assert (run.stopped()["reason"], run.stopped()["tick"]) == ("finished", 7)
    assert run.report_file.exists()
