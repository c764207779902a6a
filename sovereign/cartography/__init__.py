"""The map of flows: what is declared, what was observed, and where the two differ. Pure: it is given both, and draws.

`chart` says what a map is, `marks` where what was observed is not what was declared, `layout` where boxes go, `drawing` makes
the SVG, `telling` the tables that say the same, `register` the lines of the record of processing activities.
"""
