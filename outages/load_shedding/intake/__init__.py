"""A rotation table in somebody's own spreadsheet, understood.

``columns`` knows what headings are called · ``cells`` what times, days, stages and marks look like · ``reading`` turns
the lines of one of three forms into rows · ``problems`` says what is wrong, and where · ``coverage`` finds gaps and
overlaps · ``workbooks`` writes the template.
"""
