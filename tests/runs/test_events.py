"""The event log: append-only, readable after any kill, and without what a resume took back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plausible.errors import PlausibleError
from plausible.runs import RunFolder

CONFIG = {"model": {"name": "gan"}, "note": "한글 \u2028"}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.create(CONFIG)
    return run


def short(run):
    return [(event["event"], event.get("tick")) for event in run.events()]


def test_a_new_run_holds_its_configuration_and_no_events(run):
    assert run.config() == CONFIG
    assert run.events() == []
    assert run.stopped() is None
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "config.json", "samples"]


def test_events_come_back_as_they_were_said(run):
    run.append("start", tick=0)
    run.append("stop", tick=3, reason="diverged", message="a\nb\u2028c\x85d\x1ce “한글”")
    first, second = run.events()
    assert (first["event"], first["tick"]) == ("start", 0)
    assert second["message"] == "a\nb\u2028c\x85d\x1ce “한글”"
    assert first["time"] <= second["time"]
    assert run.stopped() == second
    assert run.events_file.read_text(encoding="utf-8").count("\n") == 2


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_costs_itself_alone(run, cut):
    run.append("start", tick=0)
    run.append("ticks", tick=10, message="한글")
    run.events_file.write_bytes(run.events_file.read_bytes()[:-cut])
    assert short(run) in ([("start", 0)], [("start", 0), ("ticks", 10)])
    run.append("resume", tick=0)
    run.append("ticks", tick=10)
    assert short(run)[0] == ("start", 0)
    assert short(run)[-2:] == [("resume", 0), ("ticks", 10)]
    assert len(short(run)) == 3


def test_a_log_torn_to_nothing_or_filled_with_noise_is_read_all_the_same(run):
    run.events_file.write_bytes(b"")
    assert run.events() == []
    run.events_file.write_bytes(b'\xff\xfe\x00garbage\n[1, 2]\n"start"\n{"tick": 1}\n')
    run.append("start", tick=0)
    assert short(run) == [("start", 0)]


def test_a_resume_takes_back_what_came_after_its_tick(run):
    for event, tick in [("start", 0), ("ticks", 10), ("checkpoint", 10), ("ticks", 20), ("stop", 20)]:
        run.append(event, tick=tick)
    run.append("resume", tick=10)
    run.append("ticks", tick=20)
    assert short(run) == [("start", 0), ("ticks", 10), ("checkpoint", 10), ("resume", 10), ("ticks", 20)]
    assert run.stopped() is None
    assert len(run.events_file.read_text().splitlines()) == 7, "the file itself keeps everything"


@given(
    st.lists(
        st.tuples(st.sampled_from(["ticks", "checkpoint", "resume"]), st.integers(0, 9)),
        min_size=1,
        max_size=20,
    )
)
def test_after_any_resumes_no_event_lies_after_a_later_resume(tmp_path_factory, said):
    run = RunFolder(tmp_path_factory.mktemp("run"))
    for event, tick in said:
        run.append(event, tick=tick)
    kept = short(run)
    for position, (event, tick) in enumerate(kept):
        if event == "resume":
            assert all(earlier <= tick for _, earlier in kept[:position])
    assert kept[-1] == said[-1]


def test_a_log_that_cannot_be_written_is_a_clear_error(run):
    run.events_file.mkdir()
    with pytest.raises(PlausibleError, match=r"events\.jsonl"):
        run.append("start", tick=0)


def test_events_are_json_that_anyone_can_read(run):
    run.append("ticks", tick=1, losses={"a": 0.5})
    (line,) = run.events_file.read_text().splitlines()
    assert json.loads(line)["losses"] == {"a": 0.5}
