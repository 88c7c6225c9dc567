"""A spreadsheet that somebody sent, read safely; what its columns mean is for whoever asked for it.

``files`` opens what may be hostile; ``biff`` and ``markup`` look into the two families of workbooks · ``parser`` reads
it in a process of its own · ``books`` gives its lines as texts · ``words`` keeps what is said about it
for readers of every language.
"""
