"""What people see of results: text, HTML with small pictures, and tables of pandas or Polars.

`layout` decides which results make a table; the other modules write it down. Nothing here computes results, and nothing
knows the class of the results: they come as plain dicts.
"""
