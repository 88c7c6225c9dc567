"""Everything that is done with load shedding. One module a subject, imported by its own name:

``plans`` versions, approved and retired · ``drafts`` their blocks, stages, turns; what is kept out · ``tables``
rotation tables from files · ``schedule`` stages as they are published · ``events`` warning, order, decision ·
``choices`` proposals computed or by hand · ``changes`` stage, end, a block in another's place, and after the end ·
``clock`` announcing and alarms · ``distribution`` the difference between the slots there are and the slots wanted ·
``slots`` off, on, skipped, stuck · ``reactions`` what comes back while it runs · ``steps`` the one writer of an
event's or a slot's state.
"""
