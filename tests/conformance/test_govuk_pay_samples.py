"""Every published sample of GOV.UK Pay ends as an event, or is set aside with a reason that a person understands."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from pydantic import SecretStr

from connectors.govuk_pay.simulated.sender import sign
from hub.sdk import Reject, Request
from tests.conformance.govuk_pay import (
    OWN,
    SAMPLES,
    WEBHOOKS,
    Sample,
    in_public_words,
    load,
    needs_samples,
    samples_in,
)

_FILES = sorted(path for path in SAMPLES.rglob("*") if path.is_file())

_OTHERS = [path for path in _FILES if "webhook_message_id" not in (load(path) or {})]


def _all_samples() -> list[Sample]:
    return [s for path in _FILES for s in samples_in(load(path), str(path.relative_to(SAMPLES)))]


def outcome(sample: Sample) -> str:
    """`event`, or the field that the refusal names; anything else that is raised fails the test."""
    try:
        facts = sample.source().translate(sample.body)
    except Reject as reject:
        assert reject.field, f"{sample.file}: the refusal names no field: {reject.reason}"
        assert re.match(r"[a-z_.]+: \w", reject.reason), f"{sample.file}: {reject.reason}"
        assert "@" not in reject.reason
        return reject.field
    assert facts, f"{sample.file}: neither event nor refusal"
    return "event"


@needs_samples
def test_every_published_webhook_becomes_an_event() -> None:
    webhooks = [sample for sample in _all_samples() if sample.kind == "webhook"]
    assert len(webhooks) == 5
    assert {outcome(sample) for sample in webhooks} == {"event"}


@needs_samples
def test_every_published_payment_and_refund_is_understood_or_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: Counter[tuple[str, str, str]] = Counter()
    for sample in _all_samples():
        told[sample.kind, "as published", outcome(sample)] += 1
        if sample.kind != "webhook":
            told[sample.kind, "in public words", outcome(in_public_words(sample))] += 1
    with capsys.disabled():
        print(f"\n{'sample':<9}{'words':<17}{'ends as':<40}{'count':>5}")
        for (kind, words, end), count in sorted(told.items()):
            print(f"{kind:<9}{words:<17}{end if end == 'event' else 'set aside: ' + end:<40}{count:>5}")
    assert told["payment", "as published", "event"] == 1
    assert told["payment", "in public words", "event"] == 21
    assert told["refund", "in public words", "event"] == 6
    assert sum(told.values()) == 2 * 28 + 2 * 17 + 5, "a sample disappeared"


@needs_samples
@pytest.mark.parametrize("path", _OTHERS, ids=lambda path: path.name)
def test_any_other_file_as_a_hostile_body_is_set_aside_by_name(path) -> None:
    assert outcome(Sample(path.name, "webhook", path.read_bytes())) != "event"


@needs_samples
def test_the_owners_signature_vectors_hold() -> None:
    for vector in json.loads((SAMPLES / "vectors" / "pay_signature.json").read_text()):
        request = Request({"pay-signature": vector["pay_signature"]}, vector["body"].encode())
        secret = SecretStr(vector["secret"])
        if vector["valid"]:
            request.require_hmac("Pay-Signature", secret)
        else:
            with pytest.raises(Reject):
                request.require_hmac("Pay-Signature", secret)


def test_our_own_samples_end_as_their_names_say() -> None:
    ends = {
        path.name: outcome(Sample(path.name, "webhook", path.read_bytes())) for path in OWN.glob("*webhook*")
    }
    assert len(ends) == 9
    assert {name: end for name, end in ends.items() if end != "event"} == {
        "broken_webhook_another_resource.json": "resource_id",
        "broken_webhook_card_number.json": "resource.reference",
        "broken_webhook_no_amount.json": "resource.amount",
        "broken_webhook_unknown_type.json": "event_type",
    }
    pages = [s for path in OWN.glob("search_*") for s in samples_in(load(path), path.name)]
    assert Counter(map(outcome, pages)) == {"event": 6}


def test_the_secret_before_the_last_is_accepted_too() -> None:
    rotated = WEBHOOKS.config.model_copy(update={"previous_signing_secret": SecretStr("the one before")})
    source = type(WEBHOOKS)(WEBHOOKS.instance, rotated)
    source.verify(_signed(b"body", "a secret"))
    source.verify(_signed(b"body", "the one before"))
    for secret, strict in (("another", source), ("the one before", WEBHOOKS)):
        with pytest.raises(Reject):
            strict.verify(_signed(b"body", secret))


def _signed(body: bytes, secret: str) -> Request:

    return Request({name.lower(): text for name, text in sign(body, secret).items()}, body)
