"""Everything that is done with debts and cut-offs. One module a subject, imported by its own name:

``feed`` what billing tells · ``files`` the same as a file · ``holds`` what bars a cut · ``grades`` the nightly
grading · ``dunning`` notices · ``serving`` the proof that they arrived · ``guards`` the protections applied to orders
· ``batches`` put together and handed in, of ``choices`` of accounts, in possible ``windows`` · ``decisions`` approve,
stop, undo · ``running`` the turns of a batch, with its ``brake`` · ``commands`` what is asked of the meters ·
``sending`` how it gets there, through the last ``gate`` · ``answers`` what meters say, ``positions`` what it changes ·
``field`` what a person on site does · ``reconnection`` back on, in time, also for ``newcomers`` · ``ending`` an order
that ends without a cut · ``orders`` the one writer of an order's state · ``record`` the order in the unified record.
"""
