"""The messages that hospitals and adult social care exchange, whatever carries them: FHIR R4 (BaRS) and HL7 v2.

No connector of its own: it reads both into the hub's events and writes both from them, for the connectors whose
transports carry them (`care_referrals`, `nhs_mesh`). Pure.
"""
