"""Every write to a vendor leaves here: decided, held when it must be, delivered once or said to be unknown, and proven.

Applications, people and flows have no other door. The store of deliveries is the truth; docs/gateway.md tells every edge.
"""
