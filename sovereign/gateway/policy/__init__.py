"""What may leave, in Cedar: readable files, checked before they count, each refusal with a sentence in both languages.

`cedar` decides, `load` reads files, `force` keeps the set in force and puts the next one in its place, `signing` says who
signed it, `shadow` and `replay` try a proposed set against what happens and what happened.
"""

from sovereign.gateway.policy.cedar import CedarPolicy, Voice
from sovereign.gateway.policy.force import Policies
from sovereign.gateway.policy.load import Files, read_folder
from sovereign.gateway.policy.rules import Rule

__all__ = ["CedarPolicy", "Files", "Policies", "Rule", "Voice", "read_folder"]
