"""HL7 v2: messages as segments and fields, MLLP frames around them, and their acknowledgements. Pure.

Sources: HL7 v2.8, chapters 2 (control) and 11 (referral); MLLP release 1 (transport).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from hub.sdk.errors import Reject

START, END = b"\x0b", b"\x1c\x0d"

_DELETE = '""'
_ESCAPE_NAMES = {"F": 0, "S": 1, "R": 2, "E": 3, "T": 4}


class Unframed(Exception):
    """The bytes on a connection are not MLLP, or a frame is too long: nothing after them can be trusted."""


class Framer:
    """Takes bytes as they arrive, split and merged as they may be, and gives whole messages."""

    def __init__(self, largest: int = 1 << 20) -> None:
        self._largest = largest
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The messages that are complete now. Raises Unframed. Line breaks between frames are passed over."""
        self._held += data
        while True:
            self._held = self._held.lstrip(b"\r\n") if not self._held.startswith(START) else self._held
            if not self._held:
                return
            if not self._held.startswith(START):
                raise Unframed("bytes outside a frame")
            end = self._held.find(END)
            if end < 0:
                if len(self._held) > self._largest:
                    raise Unframed(f"a message is longer than {self._largest} bytes")
                return
            message, self._held = self._held[1:end], self._held[end + len(END) :]
            if len(message) > self._largest:
                raise Unframed(f"a message is longer than {self._largest} bytes")
            yield message

    @property
    def within(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._held)


def framed(message: bytes) -> bytes:
    """A message in its MLLP frame."""
    return START + message + END


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its delimiters (field, component, repetition, escape, subcomponent) and segments of raw fields.

    Fields are numbered as in the standard, from 1, in MSH too. Empty means unchanged, `""` (two quotes) delete:
    both read as nothing.
    """

    delimiters: str
    segments: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Raises Reject that names the segment or field.

        Segments may end in CR, LF or both, and a byte order mark may stand before all: senders do that.
        """
        body = body.removeprefix(b"\xef\xbb\xbf")
        if not body.startswith(b"MSH") or len(body) < 8:
            raise Reject("MSH: the message does not begin with its header", field="MSH", kind="hl7")
        text = _decode(body)
        field, rest = text[3], text[4:]
        encoding = rest.split(field, 1)[0]
        if len(encoding) not in (3, 4, 5) or len({field, *encoding}) != len(encoding) + 1 or field.isalnum():
            raise Reject("MSH-2: the delimiters are not four different characters", field="MSH-2", kind="hl7")
        encoding = encoding[:4].ljust(4, "&") if len(encoding) == 3 else encoding[:4]
        lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
        segments = []
        for line in lines:
            parts = tuple(line.split(field))
            if not re.fullmatch(r"[A-Z][A-Z0-9]{2}", parts[0]):
                raise Reject("a segment's name is not three letters or digits", field="segment", kind="hl7")
            segments.append((parts[0], field, *parts[1:]) if parts[0] == "MSH" else parts)
        return cls(field + encoding, tuple(segments))

    def all(self, name: str) -> list[tuple[str, ...]]:
        """Every segment of a name."""
        return [segment for segment in self.segments if segment[0] == name]

    def get(self, place: str) -> str:
        """The text at `PID-5.2`: segment, field, component (1 if left out), subcomponent (`PID-3.4.2`).

        Of the first segment of that name and the first repetition; unescaped; empty where there is nothing.
        """
        name, _, where = place.partition("-")
        segment = next(iter(self.all(name)), ())
        return self.pick(segment, where)

    def pick(self, segment: Sequence[str], where: str) -> str:
        """The same within one segment: `5.2`."""
        numbers = [int(part) for part in where.split(".")]
        if segment and segment[0] == "MSH" and numbers[0] <= 2:
            return segment[numbers[0]]
        repeated = self.repetitions(segment, numbers[0])
        return self.component(repeated[0], *numbers[1:]) if repeated else ""

    def repetitions(self, segment: Sequence[str], field: int) -> list[str]:
        """The raw repetitions of a field, for `component`."""
        raw = segment[field] if field < len(segment) else ""
        return raw.split(self.delimiters[2]) if raw else []

    def component(self, raw: str, component: int = 1, subcomponent: int = 1) -> str:
        """A component of a raw repetition, unescaped."""
        components = raw.split(self.delimiters[1])
        chosen = components[component - 1] if component <= len(components) else ""
        parts = chosen.split(self.delimiters[4])
        part = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
        return "" if part == _DELETE else self.unescape(part)

    def unescape(self, text: str) -> str:
        r"""Replace `\F\ \S\ \T\ \R\ \E\`, `\.br\` and `\Xhh..\`; an unknown sequence is dropped (2.7.1)."""
        escape = self.delimiters[3]
        if escape not in text:
            return text
        mark = re.escape(escape)
        return re.sub(f"{mark}([^{mark}]*){mark}", lambda found: self._escaped(found[1]), text)

    def _escaped(self, name: str) -> str:
        if name in _ESCAPE_NAMES:
            return self.delimiters[_ESCAPE_NAMES[name]]
        if name in (".br", ".sp"):
            return "\n"
        if name.startswith("X") and re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", name[1:]):
            return bytes.fromhex(name[1:]).decode("utf-8", errors="replace")
        return ""


def escaped(text: str, delimiters: str = "|^~\\&") -> str:
    r"""Text as it may stand in a field: delimiters and line breaks as escape sequences, and so what means delete."""
    names = {delimiters[place]: name for name, place in _ESCAPE_NAMES.items()}
    escape = delimiters[3]
    if text == _DELETE:
        return f"{escape}X{text.encode().hex()}{escape}"
    signs = (
        f"{escape}{names[sign]}{escape}" if sign in names else sign for sign in text.replace("\r\n", "\n")
    )
    return "".join(signs).replace("\n", f"{escape}.br{escape}").replace("\r", f"{escape}.br{escape}")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message is not taken: HL7 table 0357 (`101` required field missing, `103` table value, `207`
    application internal error), the field at fault, and one sentence without values."""

    code: str
    where: str
    reason: str


def acknowledgement(
    message: bytes, moment: datetime, control_id: str, fault: Fault | None, later: bool
) -> bytes:
    """The ACK for a message: `AA`, `AE` for a fault of the message, `AR` for one of ours (`later`).

    In enhanced mode (MSH-15 given) the commit codes `CA`, `CE`, `CR`. A message whose header cannot be read is
    answered with what there is.
    """
    try:
        told = Message.parse(message)
    except Reject:
        told = Message("|^~\\&", ())
    code = ("C" if told.get("MSH-15") else "A") + ("A" if fault is None else "R" if later else "E")
    sep = told.delimiters[0]
    event, version = told.get("MSH-9.2"), told.get("MSH-12") or "2.4"
    component = told.delimiters[1]
    kind = component.join(part for part in ("ACK", event, "ACK" if event else "") if part)
    header = next(iter(told.all("MSH")), ())
    sender = [header[place] if place < len(header) else "" for place in (5, 6, 3, 4)]  # they become we
    stamp = moment.strftime("%Y%m%d%H%M%S%z")
    processing = told.get("MSH-11") or "P"
    segments = [
        ["MSH", told.delimiters[1:], *sender, stamp, "", kind, control_id, processing, version],
        ["MSA", code, header[10] if len(header) > 10 else ""],
    ]
    if fault is not None:
        place = fault.where.replace("-", component + "1" + component).replace(
            ".", component + "1" + component
        )
        error = f"{fault.code}{component}{component}HL70357"
        segments.append(["ERR", "", place, error, "E", "", "", "", escaped(fault.reason, told.delimiters)])
    return "".join(sep.join(segment) + "\r" for segment in segments).encode()


def _decode(body: bytes) -> str:
    """By MSH-18 where it is given (table 0211), else UTF-8, else Latin-1, which takes anything."""
    header = body.split(b"\r", 1)[0].split(body[3:4])
    named = header[17].split(b"~")[0].strip().upper() if len(header) > 17 else b""
    known = {b"8859/1": "latin-1", b"8859/15": "iso8859-15", b"ASCII": "latin-1", b"UNICODE UTF-8": "utf-8"}
    for encoding in (known.get(named, "utf-8"), "latin-1"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 takes anything")
