import json
import logging

from macfleet.core.json_log import JsonFormatter


def line_of(**values):
    return json.loads(JsonFormatter().format(logging.makeLogRecord(values)))


def test_a_record_is_one_json_line_with_its_extras():
    line = line_of(msg="worker %s is lost", args=("studio-2",), levelname="WARNING", created=1_790_000_000.25, epoch=3)

    assert line == {"time": "2026-09-21T14:13:20.250+00:00", "level": "warning", "event": "worker studio-2 is lost", "epoch": 3}


def test_what_json_does_not_know_is_shown_as_text():
    assert line_of(msg="loaded", path=Ellipsis)["path"] == "Ellipsis"


def test_a_line_end_does_not_break_the_line():
    text = JsonFormatter().format(logging.makeLogRecord({"msg": "one\ntwo"}))

    assert "\n" not in text
