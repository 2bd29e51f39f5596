"""Closed choices that users make by name."""

from __future__ import annotations

import enum
from typing import TypeVar

from refusion.errors import UsageError

Choice = TypeVar("Choice", bound=enum.Enum)


def chosen(kind: type[Choice], name: str | Choice, *, called: str) -> Choice:
    """Return the member of a choice that a user names; a member is returned as it is.

    Args:
        kind: The choice; a member's name is its value where that is text, else its identifier.
        name: What the user says.
        called: What the choice is called in the message.

    Raises:
        UsageError: There is no such member; the message lists them.
    """
    if isinstance(name, kind):
        return name
    members = {member.value if isinstance(member.value, str) else member.name: member for member in kind}
    if name not in members:
        raise UsageError(f"there is no {called} '{name}'; choose one of {', '.join(members)}")
    return members[str(name)]
