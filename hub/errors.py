"""What can go wrong, and what the person in front of it can do.

HubError
├── Mistake       a declaration or a call is wrong; no retry; exit code 2
│   └── Mistakes  all the mistakes of a set of files at once
├── Unavailable   a system did not answer; trying again can help; exit code 3
├── Rejected      data broke its contract; nothing was published; exit code 1
└── Refused       the caller may not, or not now; exit code 1

No message ever contains a value of a sensitive field:
it names the field, the row's position and the rule.
Third-party errors quote values, so they are re-raised ``from None`` in these words.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class HubError(Exception):
    """Base of everything the hub raises on purpose."""

    exit_code = 1

    def __init__(self, problem: str, *, remedy: str) -> None:
        """Say what happened (*problem*) and what to do about it (*remedy*)."""
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}\n  What to do: {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip between processes (Airflow and multiprocessing pickle errors)."""
        return (_restore, (type(self), self.problem, self.remedy))


def _restore(kind: type[HubError], problem: str, remedy: str) -> HubError:
    error = kind.__new__(kind)
    HubError.__init__(error, problem, remedy=remedy)
    return error


class Mistake(HubError):
    """Something a person wrote is wrong: a declaration, an argument, a setting."""

    exit_code = 2


class Unavailable(HubError):
    """A system did not answer or was cut off; the same call may succeed later."""

    exit_code = 3


class Rejected(HubError):
    """The data broke its contract. Nothing of it was published."""


class Refused(HubError):
    """The caller may not do this, or not now."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One mistake in one file: where it is, what is wrong, what to do."""

    file: str
    line: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Give the finding as one line an editor can jump to."""
        return f"{self.file}:{self.line}: {self.problem}\n  What to do: {self.remedy}"


class Mistakes(Mistake):
    """Every mistake found in a set of declarations, in order of file and line."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        """Collect *findings*; there must be at least one."""
        self.findings = tuple(sorted(findings))
        super().__init__(
            "\n".join(str(finding) for finding in self.findings),
            remedy=f"mend the {len(self.findings)} mistakes above, then run `hub check` again",
        )
