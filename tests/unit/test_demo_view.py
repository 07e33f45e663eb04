"""How the picture of the demo is divided."""

import pytest

from smartdorf.demo_view import FRAME, _share


@pytest.mark.parametrize(
    ("height", "expected"),
    [
        (24, (3, 1, 5)),  # the smallest terminal that is in use: every part has something to show
        (45, (6, 4, 20)),
        (100, (6, 4, 75)),  # what is left is for places
        (10, (2, 1, 2)),
    ],
)
def test_every_part_has_its_share_of_the_screen(height, expected):
    assert _share(height - FRAME) == expected
