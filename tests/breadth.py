"""Leave cases to `make test-breadth`."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def leave(
    cases: Iterable[Any], but: Callable[..., bool] = lambda *_: False
) -> list[Any]:
    """Mark cases of a parametrization, but for those that `make test` runs and those
    that have marks."""

    def mark(case: Any) -> Any:
        parameters = (
            case
            if hasattr(case, "marks")
            else pytest.param(*(case if type(case) is tuple else [case]))
        )
        stays = parameters.marks or but(*parameters.values)
        return (
            parameters if stays else parameters._replace(marks=(pytest.mark.breadth,))
        )

    return list(map(mark, cases))
