"""Flows: what a change in one place makes happen in others, by the gateway and by nothing else.

docs/flows.md tells how a flow is written; ADR 16 the choices.
"""
