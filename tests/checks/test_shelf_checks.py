"""Default routes over cables, clocks, and whether the same model lies under the same name."""

import json

import pytest

from macfleet.macos import date, ifconfig, netstat, weights
from tests.checks.macs import MANIFEST, ROUTES, Shelf, a_mac


def said(shelf, check):
    return [(finding.verdict.value, finding.have, finding.hint) for _, finding in shelf.findings() if finding.check == check]


SECOND = ROUTES.replace("127 ", "default            192.168.2.1        UGScIg              en2       \n127 ")
ONE = {"count": 2, "cables": ("1.1-2.1",)}


def test_a_default_route_over_a_cable_names_the_mac_that_shares():
    shelf = Shelf(**ONE, said={(1, netstat.ROUTES): (SECOND,)})

    assert said(shelf, "cable-routes") == [
        (
            "fail",
            "studio-1 Thunderbolt 1 (en2) has a second default route, to 192.168.2.1",
            "switch Internet Sharing off on studio-2, in System Settings > General > Sharing; then `macfleet provision`",
        )
    ]


def test_where_the_neighbour_is_seen_to_share_the_finding_is_that_macs():
    sharing = "bridge100: flags=8a63<UP,BROADCAST> mtu 1500\n\tmember: en2 flags=3<LEARNING,DISCOVER>\n\tstatus: active\n"
    shelf = Shelf(**ONE, said={(1, netstat.ROUTES): (SECOND,)})
    shelf.said[2, ifconfig.INTERFACES] = (shelf.outputs(2, a_mac(2))[ifconfig.INTERFACES][0] + sharing,)

    assert said(shelf, "cable-routes") == [
        ("ok", "studio-1 Thunderbolt 1 (en2) leads out through studio-2 Thunderbolt 1 (see thunderbolt-bridge)", "")
    ]
    ((_, have, hint),) = [one for one in said(shelf, "thunderbolt-bridge") if one[0] == "fail"]
    assert (have, hint) == ("en2 in bridge100 now", "switch Internet Sharing off, in System Settings > General > Sharing")


def test_the_way_out_over_a_cable_to_a_mac_that_did_not_answer_is_named_all_the_same():
    ((verdict, have, hint),) = said(Shelf(**ONE, silent=(2,), said={(1, netstat.ROUTES): (ROUTES.replace("en0", "en2"),)}), "cable-routes")

    assert (verdict, have) == ("fail", "studio-1 Thunderbolt 1 (en2) has the default route, to 10.0.0.254")
    assert "on the Mac at the other end of the cable" in hint


def test_routes_over_other_interfaces_are_nobodys_business_here():
    assert said(Shelf(said={(1, netstat.ROUTES): (ROUTES.replace("en0", "utun4"),)}), "cable-routes") == [("ok", "none", "")]


def at(*times):
    shelf = Shelf(count=len(times))
    shelf.said = {(number, date.CLOCK): (f"2026-11-20T{time}\n",) for number, time in enumerate(times, start=1)}
    return [(verdict, have) for verdict, have, _ in said(shelf, "clocks")]


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (("09:27:03+0100", "09:27:04+0100", "08:27:05+0000"), ("ok", "2.0 s between the first and the last that was read")),
        (("09:27:03+0000", "09:27:04+0000", "09:22:04+0000"), ("fail", "studio-3 is 4 min 59 s behind most Macs")),
        (("09:27:03+0000", "11:27:04+0000", "09:27:04+0000"), ("fail", "studio-2 is 2 h ahead of most Macs")),
        (("09:27:03+0000", "09:37:03+0000"), ("fail", "studio-1 is 10 min behind studio-2; studio-2 is 10 min ahead of studio-1")),
        (("09:27:03+0000", "soon"), ("unknown", "the clock of studio-2 is not known")),
    ],
)
def test_a_clock_that_is_wrong_is_named_by_how_much(times, told):
    assert at(*times) == [told]


def test_a_wrong_clock_is_set_by_a_command_to_copy():
    shelf = Shelf(said={(2, date.CLOCK): ("1984-01-24T00:00:00+0000\n",)})

    assert "on studio-2: `sudo sntp -sS time.apple.com`" in said(shelf, "clocks")[0][2]


def manifest(**changes):
    return json.dumps({**json.loads(MANIFEST), **changes})


def holding(number, *texts):
    return Shelf(said={(number, weights.held(a_mac().paths)): ("\n".join(texts),)})


def test_the_same_model_on_all_macs_is_fine():
    assert said(Shelf(), "same-weights") == [("ok", "1 model on several Macs, the same on all", "")]
    assert said(Shelf(count=1, cables=()), "same-weights") == [("ok", "no model lies on more than one Mac", "")]


def test_another_version_of_a_file_is_named_with_its_mac():
    other = manifest(files=[{"name": "config.json", "size_bytes": 7, "sha256": "d" * 64, "fingerprint": ""}])

    assert said(holding(3, other), "same-weights") == [
        (
            "fail",
            "smollm2-135m: the config.json of studio-3 is another one than on studio-1, studio-2 and studio-4",
            "`macfleet deploy` of its service stages smollm2-135m anew where it differs",
        )
    ]


def test_each_mac_has_its_own_layers_and_that_is_no_difference():
    config = json.loads(MANIFEST)["files"][0]
    stage = {"name": "stage-10-20.safetensors", "size_bytes": 9, "sha256": "e" * 64, "fingerprint": "f" * 64}

    assert said(holding(2, manifest(first_layer=10, last_layer=20, files=[config, stage])), "same-weights")[0][0] == "ok"


def test_a_model_with_another_number_of_layers_is_another_model():
    assert said(holding(2, manifest(layers=32)), "same-weights")[0][1] == (
        "smollm2-135m: the number of layers of studio-2 is another one than on studio-1, studio-3 and studio-4"
    )


def test_a_manifest_that_nobody_understands_is_not_the_same():
    assert said(holding(2, MANIFEST[:-9]), "same-weights") == [("unknown", "what studio-2 holds is not known", "")]
