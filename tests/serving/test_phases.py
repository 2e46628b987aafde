from macfleet.core.clock import HandClock
from macfleet.serving.gateway import Health
from macfleet.serving.phases import Loading, Phases, in_words, loadings


def test_phases_are_all_the_time_there_was():
    clock = HandClock()
    phases = Phases(clock)

    clock.sleep(3.0)
    phases.done("stage")
    clock.sleep(4.0)
    phases.done("start")
    phases.move(1.5, "start", to="load")
    clock.sleep(0.25)
    phases.done("link")

    assert phases.seconds == {"stage": 3.0, "start": 2.5, "load": 1.5, "link": 0.25}


def test_no_more_is_moved_than_there_is():
    clock = HandClock()
    phases = Phases(clock)
    clock.sleep(1.0)
    phases.done("start")

    phases.move(9.0, "start", to="load")

    assert phases.seconds == {"start": 0.0, "load": 1.0}


def test_the_slowest_loader_is_named_and_what_took_no_time_is_left_out():
    health = Health(
        "ready", workers=({"mac": "studio-1", "phase_s": {"load": 1.0}}, {"mac": "studio-2", "phase_s": {"load": 3.0}}, {"mac": "studio-3"})
    )

    assert loadings(health)[2] == Loading("studio-3", {})
    assert in_words({"stage": 12.0, "prove": 0.0, "load": 3.0}, loadings(health)) == "stage 12 s, load 3.0 s (studio-2)"
