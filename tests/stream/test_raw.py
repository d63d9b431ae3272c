"""What a record that Kafka does not take becomes: no poller stands still for it."""

from __future__ import annotations

import pytest

from connectors.govuk_pay.connector import PaymentSearch
from connectors.govuk_pay.simulator import PaySimulator
from hub.sdk import Instance, Reject
from hub.stream.raw import attributes_of, raw_output
from hub.stream.records import MAX_BYTES


def test_a_record_that_no_topic_takes_is_landed_without_its_bytes_and_set_aside_by_its_size() -> None:
    config = PaymentSearch.config_model(**PaySimulator().config())
    source = PaymentSearch(Instance("pay", "govuk_pay", "E08000025"), config)  # type: ignore[arg-type]
    output = raw_output(source, "id", "entity", b"x" * MAX_BYTES, {"line": "7"})
    assert (output.key, output.value) == (b"entity", b"")
    with pytest.raises(Reject, match=f"of {MAX_BYTES} bytes") as caught:
        source.translate(output.value or b"", attributes_of(output.headers))
    assert caught.value.field == "7"
