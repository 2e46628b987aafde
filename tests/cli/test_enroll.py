"""What `enroll` says at its end, and how it ends."""

import io

import pytest

from macfleet.cli.enroll_answer import Enrolment, answer, as_json
from macfleet.cli.output import Output
from macfleet.core.change import Change
from macfleet.core.errors import AuthenticationFailed, MacfleetError, Unreachable
from macfleet.inventory.mac import Mac
from macfleet.serving.by_hand import ByHand
from macfleet.serving.enroll import Enrolled

ONE, TWO = (Mac(f"studio-{number}", f"10.0.0.{number}", "Mac15,14", 1) for number in (1, 2))
KEY = Change("key SHA256:x of admin", "not let in", "let in (~/.ssh/id_ed25519.pub)", ())
RDMA, FILEVAULT = ByHand("RDMA over Thunderbolt is off", "turn it on"), ByHand("FileVault is on", "leave it")


def run(**became):
    """`studio_1=…`: a proof, an error, or "waiting"."""
    made = Enrolment((ONE, TWO))
    for name, what in became.items():
        mac = name.replace("_", "-")
        match what:
            case Enrolled():
                made.enrolled[mac] = what
                made.changes[mac] = what.done
            case MacfleetError():
                made.errors[mac] = what
            case _:
                made.waiting.add(mac)
    return made


def proof(mac, *by_hand, done=(KEY,), owns=True):
    return Enrolled(mac, "admin", done, owns, by_hand)


def said(enrolment):
    stdout, stderr = io.StringIO(), io.StringIO()
    answer(Output(stdout=stdout, stderr=stderr), enrolment)
    return stdout.getvalue(), stderr.getvalue()


def test_each_mac_its_proof_and_what_is_left_by_hand_said_once():
    stdout, stderr = said(run(studio_1=proof("studio-1", RDMA, FILEVAULT), studio_2=proof("studio-2", RDMA, done=(), owns=None)))

    assert stdout == (
        "studio-1  enrolled     admin gets in with the key, sudo does not ask, owns the volume\n"
        "studio-2  as wanted    admin gets in with the key, sudo does not ask, volume owner unknown\n"
        "by hand, at the Mac:\n"
        "  RDMA over Thunderbolt is off  [studio-1 and studio-2]\n"
        "    turn it on\n"
        "  FileVault is on  [studio-1]\n"
        "    leave it\n"
        "1 Mac enrolled, 1 Mac as wanted\n"
    )
    assert stderr == "next: macfleet verify\n"


@pytest.mark.parametrize(
    ("two", "outcome", "exit_code"),
    [
        (proof("studio-2"), "enrolled", 0),
        (proof("studio-2", done=()), "as wanted", 0),
        (proof("studio-2", owns=False), "enrolled", 1),
        ("waiting", "would change", 1),
        (MacfleetError("admin is no administrator"), "failed", 3),
        (AuthenticationFailed("not with this password"), "failed", 3),
        (Unreachable("does not answer"), "unreachable", 3),
    ],
)
def test_the_worst_mac_decides_how_it_ends(two, outcome, exit_code):
    done = run(studio_1=proof("studio-1"), studio_2=two)

    assert (done.outcome("studio-2"), done.exit_code) == (outcome, exit_code)


def test_as_json_every_mac_says_what_was_changed_and_what_is_left():
    told = as_json(run(studio_1=proof("studio-1", RDMA), studio_2=Unreachable("10.0.0.2:22 does not answer", mac="studio-2")))

    assert told["macs"] == [
        {
            "mac": "studio-1",
            "outcome": "enrolled",
            "user": "admin",
            "changes": [{"what": KEY.what, "before": KEY.before, "after": KEY.after}],
            "owns_volume": True,
            "by_hand": [{"what": RDMA.what, "do": RDMA.do}],
            "error": None,
        },
        {
            "mac": "studio-2",
            "outcome": "unreachable",
            "user": None,
            "changes": [],
            "owns_volume": None,
            "by_hand": [],
            "error": "studio-2: 10.0.0.2:22 does not answer",
        },
    ]
    assert told["summary"] == {
        "macs": 2, "enrolled": 1, "as_wanted": 0, "would_change": 0, "failed": 0, "unreachable": 1, "exit_code": 3
    }  # fmt: skip


def test_a_run_that_is_broken_off_knows_where_it_was():
    broken_off = run(studio_1=proof("studio-1"))
    broken_off.changes["studio-2"] = (KEY,)

    assert broken_off.under_way() == ["studio-2"]
