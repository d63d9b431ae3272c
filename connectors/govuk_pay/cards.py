"""Finds card numbers where none may be."""

from __future__ import annotations

import re

# Digits in one run, or in groups parted by single spaces or hyphens.
_RUN = re.compile(r"\d+(?:[ -]\d+)*")
_GROUP = re.compile(r"\d+")
_LONG_ENOUGH = re.compile(r"\d(?:[ -]?\d){12}")

# Issuer ranges (ISO/IEC 7812) of Visa, Mastercard, Maestro, Amex, Diners, Discover, JCB and UnionPay.
_ISSUER = re.compile(r"4|5[0-9]|2(?:2[2-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|09|[689])|35(?:2[89]|[3-8])|6")


def holds_card_number(text: str) -> bool:
    """Whether `text` holds 13 to 19 digits in an issuer's range whose check digit is right."""
    if len(text) < 13 or _LONG_ENOUGH.search(text) is None:  # nearly all
        return False
    return any(
        _ISSUER.match(number) and _luhn(number)
        for run in _RUN.findall(text)
        for number in _candidates(_GROUP.findall(run))
    )


def _candidates(groups: list[str]) -> list[str]:
    """Every sequence of neighbouring groups that has the length of a card number."""
    found = []
    for start in range(len(groups)):
        joined = ""
        for group in groups[start:]:
            joined += group
            if len(joined) > 19:
                break
            if len(joined) >= 13:
                found.append(joined)
    return found


def _luhn(number: str) -> bool:
    """Check digit after ISO/IEC 7812-1, annex B."""
    digits = [int(sign) for sign in reversed(number)]
    return (
        sum(sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(digits)) % 10
        == 0
    )
