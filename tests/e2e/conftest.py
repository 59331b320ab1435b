"""The demo of a file of tests, and a browser to visit it with."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e import browser as browsers
from tests.e2e.browser import Demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("demo") / "home"
    with browsers.demo(home) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.browser() as found:
        yield found
