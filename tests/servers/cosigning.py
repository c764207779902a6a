"""A witness asked without a network: the two sides of the protocol, face to face."""

from sovereign.audit.cosigning import Reply, converse
from sovereign.audit.witness import Witness
from sovereign.audit.witnesses import Shown, Witnesses


def cosign(witnesses: Witnesses, name: str, witness: Witness) -> int:
    """Have the latest checkpoint cosigned; gives how many entries the witness saw."""
    audit = witnesses.audit
    seen = next(each.size for each in witnesses.standings() if each.name == name)
    steps = converse(name, witnesses.keys[name], seen, Shown(audit), audit.checkpoints.verifier.vkey)
    body = next(steps)
    while True:
        answer = witness.add(body)
        try:
            body = steps.send(Reply(answer.status, answer.body.encode()))
        except StopIteration as end:
            return witnesses.cosigned(name, end.value).size
