"""Planning a run: may it begin, what does it work with, and what is thrown away first."""

import sqlalchemy as sa

from connectors.protocol import Window
from hub.database.engine import engine
from hub.database.roles import Role
from hub.errors import Refused
from hub.flows import batches, windows
from hub.flows.clock import require_clock
from hub.flows.code import code_version
from hub.flows.keys import keyring
from hub.flows.readiness import require_ready
from hub.flows.runs import Run, single_shares, throw_away
from hub.flows.shares import Share, protection_of, shares_of
from hub.flows.windows import AS_DECLARED, Asked
from libraries import plan
from schemas.contract import Contract
from schemas.declarations import Declarations
from schemas.rules.checks import Check, checks_of, set_check


def require_not_paused(dataset: str) -> None:
    """Raise :class:`Refused` if the job of *dataset* is paused, or a batch of it is held."""
    with engine(Role.READER).connect() as connection:
        held = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state = 'held' ORDER BY id DESC LIMIT 1")
        batch = connection.execute(held, {"dataset": dataset}).scalar_one_or_none()
        paused = sa.text("SELECT reason FROM hub.job WHERE dataset = :dataset AND paused")
        reason = connection.execute(paused, {"dataset": dataset}).one_or_none()
    if batch is not None:
        raise Refused(
            f"batch {batch} of {dataset} is held",
            remedy=f"look at it with `hub batch show {batch}`, then `hub batch release` or `discard` it",
        )
    if reason is not None:
        raise Refused(
            f"the job of {dataset} is paused: {reason[0] or 'no reason given'}", remedy=f"`hub job resume {dataset}` lets it run again"
        )


def plan_run(declared: Declarations, contract: Contract, started_by: str, asked: Asked = AS_DECLARED) -> Run:
    """Record a planned batch of *contract* and return its run; what an earlier run left unfinished is discarded."""
    shares = shares_of(declared, contract, keyring())
    protection = protection_of(shares, declared, keyring())
    with engine(Role.WRITER).begin() as connection:
        require_ready(connection)
        require_clock(connection)
        plan.require_applied(declared, connection, {share.layout.library for share in shares})
        _discard_unfinished(connection, contract.dataset, started_by)
        window = windows.start(connection, contract, protection, asked)
        batch = batches.begin(
            connection,
            {
                "dataset": contract.dataset, "started_by": started_by, "contract_version": contract.version,
                "contract_key": contract.row_key, "contract_digest": contract.digest,
                "policy_version": declared.policy.version, "code_version": code_version(), "protection": protection,
                "cursor_field": window.cursor, "cursor_after": window.after,
            },
        )  # fmt: skip
    return run_of(declared, contract, batch, window, started_by=started_by, asked=asked)


def window_of(declared: Declarations, contract: Contract, asked: Asked) -> Window:
    """Return where a run planned now would begin to read."""
    protection = protection_of(shares_of(declared, contract, keyring()), declared, keyring())
    with engine(Role.WRITER).connect() as connection:
        return windows.start(connection, contract, protection, asked)


def run_of(declared: Declarations, contract: Contract, batch: int, window: Window, *, started_by: str, asked: Asked = AS_DECLARED) -> Run:
    """Return the run of a batch that is recorded already."""
    shares = shares_of(declared, contract, keyring())
    return Run(
        declared=declared,
        contract=contract,
        shares=shares,
        checks=checks_for(declared, contract, shares),
        protection=protection_of(shares, declared, keyring()),
        batch=batch,
        window=window,
        started_by=started_by,
        asked=asked,
    )


def checks_for(declared: Declarations, contract: Contract, shares: tuple[Share, ...]) -> tuple[Check, ...]:
    """Return every check a row of *contract* must pass, those that its libraries ask for among them."""
    single = tuple(single_shares(contract, shares).values())
    owners = (share for share in shares if share.entity.owner)
    return (
        *checks_of(contract, declared.kinds, declared.codes),
        *single,
        *(set_check("owner", (share.given.fields[share.entity.owner.field],), contract=contract) for share in owners if share.entity.owner),
    )


def _discard_unfinished(connection: sa.Connection, dataset: str, actor: str) -> None:
    unfinished = sa.text("SELECT id FROM hub.batch WHERE dataset = :dataset AND state IN ('planned', 'staged')")
    for (batch,) in connection.execute(unfinished, {"dataset": dataset}).all():
        throw_away(connection, batch, dataset, actor, reason="a later run took its place")


def discard(batch: int, actor: str, *, reason: str) -> None:
    """Throw *batch* away with its staging tables and quarantined rows, and record why."""
    with engine(Role.WRITER).begin() as connection:
        throw_away(connection, batch, batches.find(connection, batch).dataset, actor, reason=reason)
