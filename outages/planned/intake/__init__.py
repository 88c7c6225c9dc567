"""A branch's own spreadsheet, understood: its table found, its columns named, its cells read, its rows checked.

Nothing here writes to the plan. ``grid.spreadsheets`` opens what may be hostile · ``reading`` finds the table in it ·
``columns`` and ``cells`` understand headings and values · ``rows`` reads one row · ``places`` finds what the rows
switch off · ``drafts`` makes works of rows · ``problems`` says what is wrong · ``workbooks`` hands the workbook back.
"""
