import pytest

from macfleet.core.near import did_you_mean, near


@pytest.mark.parametrize(
    ("written", "meant"),
    [("studoi-1", "studio-1"), ("STUDIO-1", "studio-1"), ("wird_limit", "wired_limit"), ("wire", "wired_limit"), ("xyzzy", None)],
)
def test_the_near_name_is_found(written, meant):
    assert near(written, ["studio-1", "mini-1", "wired_limit"]) == meant


def test_a_suggestion_names_the_near_one_or_all():
    assert did_you_mean("rnig", ["mesh", "ring"]) == 'did you mean "ring"?'
    assert did_you_mean("xyzzy", ["mesh", "ring"]) == "known: mesh, ring"
    assert did_you_mean("xyzzy", []) == ""
