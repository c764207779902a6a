"""Events that come in: signed by their source, taken once, kept sealed as they came, told to flows as CloudEvents.

docs/events.md tells how a source is declared.
"""
