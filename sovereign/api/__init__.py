"""The HTTP door of applications: who asks, how much, and in which words they are answered. It decides nothing about writes.

1. A request is judged before its body is read: form, host, credential, rate, size. What is refused there never reaches a room.
2. Every refusal is a problem (RFC 9457) with a stable code, a sentence in the caller's language, and what to do next.
3. A credential of ours never goes to a vendor, and nothing of a vendor's comes back but what `relay` lets pass.

docs/api.md is its reference.
"""
