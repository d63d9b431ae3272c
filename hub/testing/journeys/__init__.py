"""The journeys: what people rely on end to end, played with simulators and judged by sets. Tests and `hub demo` play
the same ones."""
