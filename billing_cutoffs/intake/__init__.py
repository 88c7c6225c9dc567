"""Reading what billing, the bank or the weather service sends: the same checks for a body of the API and for a file.

``items`` reads the values of one item and says what is wrong with it · ``shapes`` what each kind of feed consists of ·
``columns`` what the headings of a file mean · ``tables`` makes items of the rows of a file.
"""
