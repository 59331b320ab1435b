"""The demo's books in a database of their own, reached as the tools reach them."""

import secrets
from collections.abc import Iterator

import pytest

from countersign.database.setup import create_database
from countersign.demo import setting
from countersign.demo.generator import generate
from countersign.demo.install import admit, install, write_credential
from countersign.demo.ledger import Ledger
from tests.harness.server import Clone, Server

PASSWORD = "only-in-tests"


@pytest.fixture(scope="session")
def demo_template(database_server: Server) -> Clone:
    """A clone with four weeks of invoices, to be copied; and the inbox."""
    clone = database_server.clone()
    with database_server.admin.connect(clone.name) as connection:
        install(connection, PASSWORD, generate(), setting.inbox())
    return clone


@pytest.fixture
def demo_database(database_server: Server, demo_template: Clone) -> Iterator[Clone]:
    """A copy of the books for one test, with the tools' login."""
    clone = Clone(f"demo_{secrets.token_hex(4)}", demo_template.host)
    admin = database_server.admin
    with admin.connect("postgres") as connection:
        create_database(connection, clone.name, demo_template.name)
    with admin.connect(clone.name) as connection:
        admit(connection)
    write_credential(setting.login_file(), admin.parameters, clone.name, PASSWORD)
    yield clone
    setting.login_file().unlink()
    database_server.drop(clone)


@pytest.fixture
def ledger(demo_database: Clone) -> Iterator[Ledger]:
    with Ledger(setting.login_file().read_text()) as opened:
        yield opened
