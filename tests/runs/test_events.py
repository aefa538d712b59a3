"""The event log: append-only, readable after any kill, and without what a resume took back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import config_of

from plausible.errors import PlausibleError
from plausible.runs import RunFolder

CONFIG = config_of(machine="한글 \u2028")
REPORT = {"epoch": 1.0, "seconds": 0.5, "rows": 128}


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
    run.append("stop", tick=10, reason="SIGINT", message="한글")
    run.events_file.write_bytes(run.events_file.read_bytes()[:-cut])
    assert short(run) == [("start", 0), ("stop", 10)][: 1 if cut > 1 else 2]
    assert (run.stopped() is None) == (cut > 1)
    run.take_back(0, goes_on=True)
    run.append("ticks", tick=10, **REPORT)
    assert short(run) == [("start", 0), ("ticks", 10)]
    assert run.events_file.read_bytes().count(b"\n") == 2


def test_a_line_after_a_torn_one_stands_by_itself(run):
    run.append("start", tick=0)
    run.events_file.write_bytes(run.events_file.read_bytes() + b'{"event": "ti')
    run.append("stop", tick=3, reason="SIGINT")
    with pytest.warns(UserWarning, match=r"events\.jsonl, line 2 cannot be read and was skipped"):
        assert short(run) == [("start", 0), ("stop", 3)]


def test_a_log_torn_to_nothing_or_filled_with_noise_is_read_all_the_same(run):
    run.events_file.write_bytes(b"")
    assert run.events() == []
    run.events_file.write_bytes(b'\xff\xfe\x00garbage\n[1, 2]\n"start"\n{"tick": 1}\n')
    run.append("start", tick=0)
    with pytest.warns(
        UserWarning, match=r"events\.jsonl, line 1, and 3 more lines, cannot be read"
    ) as warned:
        assert short(run) == [("start", 0)]
    assert len(warned) == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "ticks", "time": "t", "tick": -1, "epoch": 1, "seconds": 1, "rows": 1}',
        '{"event": "ticks", "time": "t", "tick": 1e15, "epoch": 1, "seconds": 1, "rows": 1}',
        '{"event": "start", "time": "t", "tick": 1000000000000001}',
        '{"event": "start", "time": "t", "tick": 1, "tick": 0}',
        '{"event": "start", "time": "t", "tick": 0, "more": 1}',
        '{"event": "resume", "time": "t", "tick": 0}',
        '{"event": "stop", "time": "t", "tick": 0, "reason": "\\ud800"}',
        '{"event": "stop", "time": "t", "tick": 0, "reason": "a\\u0000"}',
        '{"event": "stop", "time": "t", "tick": 0, "reason": ' + "[" * 100_000,
        "1" * 5000,
    ],
)
def test_a_damaged_line_is_passed_over_by_name_and_number(run, line):
    run.append("start", tick=0)
    run.events_file.write_text(run.events_file.read_text() + line + "\n")
    run.append("stop", tick=3, reason="finished")
    with pytest.warns(UserWarning, match=r"events\.jsonl, line 2 ") as warned:
        assert short(run) == [("start", 0), ("stop", 3)]
    assert len(str(warned[0].message).splitlines()) == 1


def say(run, *said):
    more = {"ticks": REPORT, "stop": {"reason": "SIGINT"}, "valid": {"by": "worth", "value": 1.0}}
    more |= {"samples": {"file": "x.png"}, "checkpoint": {"at": "schedule"}}
    for event, tick in said:
        run.append(event, tick=tick, **more.get(event, {}))


def test_what_is_taken_back_leaves_no_trace(run):
    kept = [("start", 0), ("ticks", 10), ("checkpoint", 10), ("valid", 10), ("samples", 10)]
    say(run, *kept)
    before = run.events_file.read_bytes()
    say(run, ("ticks", 20), ("stop", 20), ("report", 20))
    run.take_back(10, goes_on=True)
    assert run.events_file.read_bytes() == before, "kept lines stay as they are"
    assert short(run) == kept
    assert run.stopped() is None


def test_a_partial_report_is_taken_back_where_training_goes_on(run):
    say(run, ("start", 0), ("ticks", 10), ("ticks", 13), ("checkpoint", 13), ("stop", 13))
    run.take_back(13, goes_on=False, partial=True)
    assert short(run) == [("start", 0), ("ticks", 10), ("ticks", 13), ("checkpoint", 13)]
    run.take_back(13, goes_on=True, partial=True)
    assert short(run) == [("start", 0), ("ticks", 10), ("checkpoint", 13)]


def test_a_missing_start_is_put_first(run):
    say(run, ("ticks", 10), ("start", 0))
    run.take_back(10, goes_on=True)
    assert short(run) == [("start", 0), ("ticks", 10)]
    run.events_file.unlink()
    run.take_back(0, goes_on=True)
    assert short(run) == [("start", 0)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["ticks", "checkpoint", "stop", "back"]), st.integers(0, 9)),
        min_size=1,
        max_size=20,
    )
)
@settings(deadline=None)
def test_whatever_is_taken_back_no_event_lies_after_its_tick(tmp_path_factory, said):
    run = RunFolder(tmp_path_factory.mktemp("run"))
    for event, tick in said:
        if event == "back":
            run.take_back(tick, goes_on=True)
            assert all(told <= tick for _, told in short(run))
        else:
            say(run, (event, tick))
    marks = [event for event in run.events() if event["event"] != "ticks"]
    assert run.log.landmarks() == marks, "what is kept in memory is what stands in the file"


def test_a_log_that_cannot_be_written_is_a_clear_error(run):
    run.events_file.mkdir()
    with pytest.raises(PlausibleError, match=r"events\.jsonl"):
        run.append("start", tick=0)


def test_events_are_json_that_anyone_can_read(run):
    run.append("ticks", tick=1, **REPORT, losses={"a": 0.5})
    (line,) = run.events_file.read_text().splitlines()
    assert json.loads(line)["losses"] == {"a": 0.5}
