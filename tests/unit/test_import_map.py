"""The file that says which customer is whose: what is wrong with it is said with its line."""

from pathlib import Path

import pytest

from tallystick.cli.errors import Problem
from tallystick.cli.importing import import_


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("user,customer\na,cus_1\n", "should begin with the line external_id,customer_id"),
        ("external_id,customer_id\na,cus_1\n,cus_2\n", "line 3 should be a user's id and a customer's"),
        ("external_id,customer_id\na,pi_1\n", "line 2 should be a user's id and a customer's"),
        ("external_id,customer_id\na\n", "line 2 should be a user's id and a customer's"),
        ("external_id,customer_id\na,cus_1\nb,cus_1\n", "line 3 names cus_1, which line 2 gave away"),
    ],
)
def test_a_map_that_cannot_be_used(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "users.csv"
    path.write_text(text)
    with pytest.raises(Problem, match=complaint) as problem:
        import_(map_=path)
    assert problem.value.code == 2


def test_what_is_asked_wrongly(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        import_(map_=tmp_path / "none.csv")
    with pytest.raises(Problem, match="there is no kind payments; there are product, "):
        import_(without=["payments"])
    with pytest.raises(Problem, match="from 1 to 32"):
        import_(concurrency=0)
